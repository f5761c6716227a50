"""The ways to one page's summary. All but the product's own leave the page's own sentences aside: a model answers.

Cleaning, the check, the second try and the fallback are the product's. For a whole page the product has no way through
the summaries of its sections, since it asks from the page's beginning; ``tree`` puts that way together from the parts
that sections are made with.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qsum_lsp.document import Document
from qsum_lsp.engines.protocol import Completion, Engine, EngineIdentity, GenerationRequest, Message, OnText
from qsum_lsp.evaluation.pages import EvaluationPage
from qsum_lsp.evaluation.predictions import Prediction
from qsum_lsp.store import NoStore
from qsum_lsp.summaries import PAGE, Summarizer, SummaryOptions
from qsum_lsp.summaries.answering import Answering
from qsum_lsp.summaries.budget import frame
from qsum_lsp.summaries.nodes import Node, build_nodes
from qsum_lsp.summaries.prompt import PromptInput, shown_of_page
from qsum_lsp.summaries.statement import own_statement
from qsum_lsp.summaries.values import SectionSummary, Usage

OPTIONS = SummaryOptions()
Change = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A page with what the ways need of it; ``path`` is its file's in the site's repository."""

    page: EvaluationPage
    path: str
    document: Document
    node: Node

    @property
    def options(self) -> SummaryOptions:
        """The product's, with the site's name."""
        return replace(OPTIONS, site_names=self.page.site_names)

    @property
    def has_own_statement(self) -> bool:
        """Whether the product takes a sentence of the page, whatever the strategy."""
        most = OPTIONS.page_max_chars
        return bool(own_statement(self.node.content(), title=self.node.title, max_chars=most))


def subjects(pages: Sequence[EvaluationPage], file: Path) -> list[Subject]:
    """The pages of ``file`` made ready."""
    records: list[dict[str, Any]] = [
        json.loads(line) for line in file.read_text("utf-8").splitlines() if line
    ]
    found = []
    for page, record in zip(pages, records, strict=True):
        document = page.document()
        node = build_nodes(document)[PAGE]
        found.append(Subject(page=page, path=str(record.get("path", "")), document=document, node=node))
    return found


class Narrow:
    """An engine said to have a context of ``context_tokens``: what is longer is cut by the strategies."""

    def __init__(self, engine: Engine, context_tokens: int) -> None:
        self._engine = engine
        known = engine.identity
        self.identity: EngineIdentity = replace(
            known, context_tokens=context_tokens, fingerprint=f"{known.fingerprint}-{context_tokens}"
        )
        self.status = engine.status
        self.count_tokens = engine.count_tokens
        self.generate = engine.generate
        self.aclose = engine.aclose


async def request(
    engine: Engine,
    subject: Subject,
    *,
    parts: Sequence[tuple[str, str]] = (),
    markdown: str | None = None,
    change: Change | None = None,
) -> Prediction:
    """The product's request for a page, from ``markdown`` (the page) and ``parts``; ``change`` edits what it says."""

    async def generate(asked: GenerationRequest, on_text: OnText | None) -> Completion:
        if change is not None:
            first, user = asked.messages
            asked = replace(asked, messages=(first, Message(user.role, change(user.content))))
        return await engine.generate(asked, on_text=on_text)

    prompt_input = PromptInput(
        headings=subject.node.headings,
        markdown=subject.node.content() if markdown is None else markdown,
        max_chars=OPTIONS.page_max_chars,
        is_page=True,
        parts=parts,
        site_names=subject.page.site_names,
    )
    answering = Answering(prompt_input, generate, extractive=False, splittable=False, on_text=lambda _: None)
    answered = await answering.answer()
    return prediction(subject, answered.answer.summary_of(PAGE), answered.usage)


async def tree(engine: Engine, subject: Subject) -> Prediction:
    """The page from the summaries of the sections below it, and the text that none of them covers."""
    children = subject.node.children
    made = await Summarizer(engine, NoStore()).summarize(
        subject.document, subject.options, only=[child.id for child in children]
    )
    parts = [(child.title, made.summaries[child.id].text) for child in children]
    found = await request(
        engine, subject, parts=[part for part in parts if part[1]], markdown=subject.node.own
    )
    return replace(
        found,
        prompt_tokens=found.prompt_tokens + made.usage.prompt_tokens,
        new_tokens=found.new_tokens + made.usage.new_tokens,
    )


async def by_strategy(engine: Engine, subject: Subject, options: SummaryOptions) -> Prediction:
    """The page as the product makes it with ``options.strategy``."""
    made = await Summarizer(engine, NoStore()).summarize(subject.document, options, only=(PAGE,))
    return prediction(subject, made.summaries[PAGE], made.usage)


async def truncated(engine: Engine, subject: Subject) -> Prediction:
    """The request with as much of the page's Markdown, from its beginning, as the context takes."""
    text = subject.node.content()
    room = await room_of(engine)
    kept = text
    while (count := (await engine.count_tokens([kept]))[0]) > room:
        kept = kept[: min(len(kept) - 1, len(kept) * room // count)]
        kept = kept[: max(kept.rfind(" "), kept.rfind("\n"), len(kept) // 2)]
    shown = shown_of_page(text)
    return await request(engine, subject, change=lambda user: user.replace(shown, kept, 1))


async def room_of(engine: Engine) -> int:
    """The tokens that the text of a page may have in one prompt, as the product reckons them."""
    context = engine.identity.context_tokens
    words = frame(max_chars=OPTIONS.page_max_chars, is_page=True, page_style="")
    return words.room(context, (await engine.count_tokens([words.words]))[0]).tokens


def with_examples(examples: Sequence[Subject]) -> Change:
    """The request with the descriptions of other pages of the site before what it asks for."""
    listed = "\n".join(f"- {one.page.title}: {one.page.description}" for one in examples)
    before = f"Descriptions of other pages of the same site:\n{listed}\n\n"
    ask = "Write the description of this page"
    return lambda user: f"{user.rpartition(ask)[0]}{before}{ask}{user.rpartition(ask)[2]}"


def neighbours(subject: Subject, others: Sequence[Subject], count: int) -> list[Subject]:
    """Up to ``count`` other pages of the site, those of the same folder first, then those that share most of its path."""
    folders = subject.path.split("/")[:-1]

    def shared(other: Subject) -> int:
        pairs = zip(folders, other.path.split("/")[:-1], strict=False)
        return next((depth for depth, (one, two) in enumerate(pairs) if one != two), len(folders))

    def apart(other: Subject) -> int:
        return len(folders) + other.path.count("/") - 2 * shared(other)

    same = [
        other for other in others if other.page.site == subject.page.site and other.page.id != subject.page.id
    ]
    return sorted(same, key=lambda other: (apart(other), other.page.id))[:count]


def prediction(subject: Subject, summary: SectionSummary, usage: Usage) -> Prediction:
    """As ``qsum eval`` keeps it; the seconds of a way are measured over all pages together."""
    return Prediction(
        id=subject.page.id,
        summary=summary.text,
        source=summary.source,
        grounded=summary.grounded,
        note=summary.note,
        prompt_tokens=usage.prompt_tokens,
        new_tokens=usage.new_tokens,
    )
