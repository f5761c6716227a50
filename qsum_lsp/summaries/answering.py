"""One prompt to one finished answer: generate, clean, check, try again, fall back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from qsum_lsp.engines.protocol import Completion, EngineFailed, GenerationRequest, OnText, RequestTooLong
from qsum_lsp.summaries.answer import TOO_LONG, Answer
from qsum_lsp.summaries.clean import clean_summary, description_of, first_sentences
from qsum_lsp.summaries.fallback import extract
from qsum_lsp.summaries.grounding import check_grounding
from qsum_lsp.summaries.openings import speaks_of_itself
from qsum_lsp.summaries.prompt import Prompt, PromptInput, build_prompt
from qsum_lsp.summaries.values import Usage
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.words import bare

Generate = Callable[[GenerationRequest, OnText | None], Awaitable[Completion]]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer and what it cost; ``usage.seconds`` is left to who measures all requests together."""

    answer: Answer
    usage: Usage


class Answering:
    """The making of one answer. ``extractive`` says that the engine quotes, so that nothing is to be checked.

    The first try streams to ``on_text``; a second one does not.
    """

    def __init__(
        self,
        prompt_input: PromptInput,
        generate: Generate,
        *,
        extractive: bool,
        splittable: bool,
        on_text: OnText,
    ) -> None:
        self._prompt_input = prompt_input
        self._generate = generate
        self._extractive = extractive
        self._splittable = splittable
        self._on_text: OnText | None = on_text
        self._usage = Usage()

    async def answer(self) -> Answered:
        """The answer; TOO_LONG only for a splittable prompt. Raises EngineUnavailable."""
        prompt = build_prompt(self._prompt_input)
        if not prompt.source.strip():
            return Answered(Answer(text="", source="verbatim"), self._usage)
        try:
            answer = await self._checked(prompt)
        except RequestTooLong:
            if self._splittable:
                answer = TOO_LONG
            else:
                answer = extract(self._prompt_input, prompt.source, why="it does not fit the model's context")
        except EngineFailed as failure:
            why = f"the engine failed ({str(failure) or type(failure).__name__})"
            answer = extract(self._prompt_input, prompt.source, why=why, lasting=False)
        return Answered(answer, self._usage)

    async def _checked(self, prompt: Prompt) -> Answer:
        text = await self._text(prompt)
        if text and self._extractive:
            return Answer(text=text, source="extractive")
        problems = self._problems(text, prompt)
        if problems:
            second = build_prompt(replace(self._prompt_input, feedback=problems))
            text = await self._text(second)
            problems = self._problems(text, prompt)
        if not problems:
            return Answer(text=text, source="model", grounded=True)
        if not _usable(text, prompt):
            return extract(self._prompt_input, prompt.source, why="the model gave no usable answer")
        why = f"the model's summary is not good enough ({'; '.join(problems)})"
        return extract(self._prompt_input, prompt.source, why=why)

    def _problems(self, text: str, prompt: Prompt) -> tuple[str, ...]:
        """What keeps ``text`` from being the summary; most often what text and headings do not bear out."""
        headings = self._prompt_input.headings
        if not _usable(text, prompt):
            return (f"it was no whole sentence within {self._prompt_input.max_chars} characters",)
        if headings and bare(text) == bare(headings[-1]):
            return ("it only repeated the title",)
        if bare(text) in bare(prompt.messages[-1].content.rpartition("===")[2]):
            return ("it only repeated the request",)
        if speaks_of_itself(text, language=guess_language(prompt.source)):
            return ("it spoke of the text, not of its subject",)
        source = "\n\n".join((*headings, prompt.source))
        return check_grounding(text, source, known_names=self._prompt_input.site_names).problems

    async def _text(self, prompt: Prompt) -> str:
        """The cleaned text, empty where nothing is usable. A request that fails is repeated once."""
        request = GenerationRequest(
            messages=prompt.messages,
            source=prompt.source,
            max_new_tokens=prompt.max_new_tokens,
            enough_chars=prompt.enough_chars,
            enough_sentences=prompt.max_sentences,
        )
        try:
            completion = await self._completion(request)
        except RequestTooLong:
            raise
        except EngineFailed:
            completion = await self._completion(request)
        headings = self._prompt_input.headings
        language = guess_language(prompt.source)
        text = clean_summary(
            completion.text,
            max_chars=self._prompt_input.max_chars,
            title=headings[-1] if headings else "",
            language=language,
            whole=completion.finish_reason == "stop",
        )
        # a site with a style of its own may want more than one sentence
        if self._prompt_input.is_page and not self._prompt_input.page_style:
            return description_of(text, language=language)
        return first_sentences(text, prompt.max_sentences, language=language)

    async def _completion(self, request: GenerationRequest) -> Completion:
        on_text, self._on_text = self._on_text, None
        completion = await self._generate(request, on_text)
        self._usage = Usage(
            prompt_tokens=self._usage.prompt_tokens + completion.prompt_tokens,
            new_tokens=self._usage.new_tokens + completion.new_tokens,
        )
        return completion


def _usable(text: str, prompt: Prompt) -> bool:
    """A summary is not empty, and not longer than what it sums up."""
    return 0 < len(text) <= len(" ".join(prompt.source.split()))
