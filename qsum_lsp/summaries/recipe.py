"""How one node gets its summary: from its whole text, from its children, or from chunks."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

from qsum_lsp.summaries.answer import Answer, encode_answer
from qsum_lsp.summaries.budget import LEAST_TOKENS, Frame, Room, frame
from qsum_lsp.summaries.chunking import Chunk, leaves, pack, split_units
from qsum_lsp.summaries.keys import chunks_key, count_key, digest, summary_key
from qsum_lsp.summaries.needs import Answers, Ask, Counts, Stored, Summaries
from qsum_lsp.summaries.nodes import Node, byte_length
from qsum_lsp.summaries.prompt import PromptInput, shown_of_page
from qsum_lsp.summaries.statement import own_statement, sentence_of_long_page
from qsum_lsp.summaries.values import SummaryOptions
from qsum_lsp.summaries.verbatim import verbatim_text
from qsum_lsp.text.language import guess_language

Parts = Sequence[tuple[str, str]]
Keep = Callable[[str, str], None]

_HALVINGS = 3  # of the chunk size, where the engine refuses what should have fitted


class Recipe:
    """The way from a node to its summary, for one set of options and one engine.

    ``keep`` puts what was counted into the store, where the next look finds it. ``context_tokens`` gives the
    engine's context as far as it is known: a server may tell it only when it is asked, be it for counts.
    """

    def __init__(
        self, options: SummaryOptions, *, fingerprint: str, context_tokens: Callable[[], int], keep: Keep
    ) -> None:
        self._options = options
        self._fingerprint = fingerprint
        self._context_tokens = context_tokens
        self._keep = keep
        self._frames: dict[bool, Frame] = {}
        self._rooms: dict[bool, Room] = {}

    async def summarize(self, node: Node) -> Answer:
        """The summary of ``node``."""
        max_chars = self._max_chars(node)
        verbatim = verbatim_text(node, max_chars=max_chars, min_words=self._options.min_words)
        if verbatim is not None:
            return Answer(text=verbatim, source="verbatim")
        if node.is_page and (quoted := self._quoted(node)):
            return quoted
        fits = self._is_condensed(node) or await self._fits(node, node.content_size, node.content)
        if fits:
            answer = await self._ask_whole(node)
            if not answer.too_long:
                return answer
        if self._options.strategy == "headings" and node.children:
            return await self._from_children(node)
        return await self._reduce(node, "", await self._chunk_parts(node, node.content(), refused=fits))

    def _quoted(self, node: Node) -> Answer | None:
        """The page in a sentence of its own, where it has one that is better than what a model would write."""
        text = node.content()
        language = guess_language(text)
        max_chars = self._max_chars(node)
        statement = own_statement(text, title=node.title, max_chars=max_chars, language=language)
        if statement:
            note = "The page's own words for what it is about."
            return Answer(text=statement, source="extractive", note=note)
        if self._is_condensed(node):
            sentence = sentence_of_long_page(text, title=node.title, max_chars=max_chars, language=language)
            if sentence:
                note = "The sentence that says most of a long page."
                return Answer(text=sentence, source="extractive", note=note)
        return None

    def _is_condensed(self, node: Node) -> bool:
        """Whether the prompt shows only how the text begins and its headings, which fit however long it is."""
        return node.is_page and self._options.strategy == "headings"

    async def _ask_whole(self, node: Node) -> Answer:
        text = node.content()
        prompt_input = self._input(node, markdown=text, is_page=node.is_page)
        # an edit that the prompt of a page does not show leaves its summary as it is
        content = digest("shown", shown_of_page(text)) if node.is_page else node.content_digest
        (answer,) = await Answers(
            (self._ask(node, prompt_input, content=content, final=True, splittable=True),)
        )
        if node.is_page and answer.source == "extractive":
            return await self._still_quoted(node, prompt_input, answer)
        return answer

    async def _still_quoted(self, node: Node, prompt_input: PromptInput, answer: Answer) -> Answer:
        """``answer``, or a new one where it was quoted from text of the page that may have changed since.

        A sentence can come from anywhere in a page, so it is kept by all of the text as well.
        """
        ask = self._ask(node, prompt_input, content=node.content_digest, final=True, splittable=True)
        if answer.cached:
            (answer,) = await Answers((ask,))
        elif answer.lasting:
            self._keep(ask.key, encode_answer(answer))
        return answer

    async def _from_children(self, node: Node) -> Answer:
        answers = await Summaries(node.children)
        parts = [(child.title, answer.text) for child, answer in zip(node.children, answers, strict=True)]
        own = node.own
        # own text may take half of the room, so that the summaries of the children find theirs
        if own and not await self._fits(node, 2 * byte_length(own), lambda: f"{own}\n{own}"):
            parts = [*await self._chunk_parts(node, own), *parts]
            own = ""
        return await self._reduce(node, own, [part for part in parts if part[1]])

    async def _reduce(self, node: Node, own: str, parts: Parts) -> Answer:
        """One summary of ``own`` text and ``parts``, over groups of parts where they do not fit together."""
        limit = (await self._room(node)).tokens
        if self._options.strategy == "hierarchical":
            limit //= 2
        # The size of a group hangs on no text, so an edit leaves the groups beside its own as they are.
        size = max(2, limit // (self._options.max_chars // 3 + 16))
        while True:
            shown = "\n".join((own, *(f"{title}: {text}" for title, text in parts)))
            together = len(parts) <= size or self._options.strategy != "hierarchical"
            if len(parts) < 2 or (together and await self._fits(node, byte_length(shown), lambda: shown)):  # noqa: B023
                prompt_input = self._input(node, markdown=own, parts=parts, is_page=node.is_page)
                (answer,) = await Answers(
                    (self._ask(node, prompt_input, final=True, splittable=len(parts) > 1),)
                )
                if not answer.too_long:
                    return answer
            parts = await self._grouped(node, parts, min(size, max(2, (len(parts) + 1) // 2)))

    async def _grouped(self, node: Node, parts: Parts, size: int) -> Parts:
        """Each ``size`` neighbours in one summary, fewer where the engine finds them too long."""
        groups = [parts[start : start + size] for start in range(0, len(parts), size)]
        answers = await Answers(
            tuple(
                self._ask(
                    node, self._input(node, markdown="", parts=group), final=False, splittable=len(group) > 2
                )
                for group in groups
                if len(group) > 1
            )
        )
        grouped: list[tuple[str, str]] = []
        for group, answer in zip_longest(groups, answers):
            if answer is None:  # a single part at the end
                grouped.extend(group)
            elif answer.too_long:
                grouped.extend(await self._grouped(node, group, (len(group) + 1) // 2))
            else:
                grouped.append((_span(group[0][0], group[-1][0]), answer.text))
        return grouped

    async def _chunk_parts(self, node: Node, text: str, *, refused: bool = False) -> Parts:
        """The summaries of ``text`` in chunks, untitled. ``refused`` says that the engine found it too long."""
        limit = (await self._room(node)).tokens
        limit = max(limit // 2, limit - byte_length("".join(node.headings)))
        if refused:
            limit = min(limit, await self._count(text) // 2 + 1)
        for halving in range(_HALVINGS + 1):
            chunks = await self._chunks(text, max(LEAST_TOKENS, limit >> halving))
            asks = tuple(
                self._ask(
                    node,
                    self._input(node, markdown=text[chunk.start : chunk.end].strip("\n")),
                    final=False,
                    splittable=halving < _HALVINGS,
                )
                for chunk in chunks
            )
            answers = await Answers(asks)
            if not any(answer.too_long for answer in answers):
                break
        return [("", answer.text) for answer in answers if answer.text]

    async def _chunks(self, text: str, limit: int) -> list[Chunk]:
        strategy = self._options.strategy
        by_sentence = strategy in ("sliding", "hierarchical")
        key = chunks_key(
            text,
            fingerprint=self._fingerprint,
            strategy="sentences" if by_sentence else "blocks",
            limit=limit,
        )
        stored = await Stored(key)
        if stored is not None and (chunks := _decode_chunks(stored)):
            return chunks
        units = split_units(text, max_bytes=limit, by_sentence=by_sentence)
        pieces = tuple(leaves(units))
        counts = await Counts(tuple(text[unit.start : unit.end] for unit in pieces))
        chunks = pack(units, dict(zip(pieces, counts, strict=True)), limit=limit, overlap=by_sentence)
        self._keep(key, " ".join(f"{chunk.start}-{chunk.end}" for chunk in chunks))
        return chunks

    async def _fits(self, node: Node, size: int, text: Callable[[], str]) -> bool:
        """Whether text of ``size`` bytes goes into one prompt with the headings of ``node``."""
        headings = "\n".join(node.headings)
        size += byte_length(headings) + 2
        verdict = self._frame(node).room(self._context_tokens()).verdict(size)
        if verdict is None:
            room = await self._room(node)
            verdict = room.verdict(size)
            if verdict is None:
                verdict = await self._count(f"{headings}\n\n{text()}") <= room.tokens
        return verdict

    async def _room(self, node: Node) -> Room:
        if node.is_page not in self._rooms:
            words = self._frame(node)
            count = await self._count(words.words)
            self._rooms[node.is_page] = words.room(self._context_tokens(), count)
        return self._rooms[node.is_page]

    async def _count(self, text: str) -> int:
        key = count_key(text, fingerprint=self._fingerprint)
        stored = await Stored(key)
        if stored is not None and stored.isdecimal():
            return int(stored)
        (count,) = await Counts((text,))
        self._keep(key, str(count))
        return count

    def _frame(self, node: Node) -> Frame:
        if node.is_page not in self._frames:
            self._frames[node.is_page] = frame(
                max_chars=self._max_chars(node),
                is_page=node.is_page,
                page_style=self._options.page_style if node.is_page else "",
            )
        return self._frames[node.is_page]

    def _max_chars(self, node: Node) -> int:
        return self._options.page_max_chars if node.is_page else self._options.max_chars

    def _input(self, node: Node, *, markdown: str, parts: Parts = (), is_page: bool = False) -> PromptInput:
        return PromptInput(
            headings=node.headings,
            markdown=markdown,
            parts=tuple(parts),
            max_chars=self._options.page_max_chars if is_page else self._options.max_chars,
            is_page=is_page,
            page_style=self._options.page_style if is_page else "",
            site_names=self._options.site_names if is_page else (),
        )

    def _ask(
        self, node: Node, prompt_input: PromptInput, *, final: bool, splittable: bool, content: str = ""
    ) -> Ask:
        content_digest = content or digest("content", prompt_input.markdown)
        key = summary_key(prompt_input, fingerprint=self._fingerprint, content_digest=content_digest)
        return Ask(
            key,
            self._fingerprint,
            node,
            prompt_input,
            content_digest,
            final=final,
            splittable=splittable,
        )


def _span(first: str, last: str) -> str:
    """The title of a group of parts."""
    return " – ".join(dict.fromkeys(title for title in (first, last) if title))


def _decode_chunks(stored: str) -> list[Chunk]:
    """The chunks of a stored value; none for what is none."""
    try:
        bounds = [tuple(map(int, chunk.split("-"))) for chunk in stored.split()]
        return [Chunk(start, end) for start, end in bounds]
    except ValueError:
        return []
