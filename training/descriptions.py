"""Which descriptions are good to learn from, and as what: what cannot be known from the page is left out."""

import json
import re
from dataclasses import dataclass

from qsum_lsp.document import parse, split_blocks
from qsum_lsp.summaries.clean import clean_summary, description_of
from qsum_lsp.summaries.grounding import check_grounding
from qsum_lsp.summaries.nodes import Node, build_nodes
from qsum_lsp.summaries.prompt import shown_of_page
from qsum_lsp.summaries.values import PAGE
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.sentences import split_sentences
from qsum_lsp.text.words import STOP_WORDS, content_words, words

TARGET_CHARS = (25, 160)
FEWEST_TARGET_WORDS = 4
FEWEST_NEW_WORDS = 2  # that the title does not have
FEWEST_TEASER_WORDS = 8  # of a first sentence that others follow, which it often only leads up to
FEWEST_BODY_WORDS = 60
MOST_OTHER_WORDS = 0.5  # share of a target's words that the shown text lacks
STEM = 5
BOILERPLATE = re.compile(
    r"^(?:learn more about|read more about|documentation for|reference documentation|todo|see also|release notes|"
    r"describes? (?:the|an?) (?:methods|properties)\b)|\b(?:reference documentation|reference material|https?://|click here)\b|"
    r"[{}<>|]|…$|\.\.\.$|[?？]|\breference\.?$|\b(?:this|the) (?:documentation|section|page|document|article) (?:is|was) ",
    re.IGNORECASE,
)
KEYWORDS = re.compile(r"^[^.,]+(?:, [^.,]+){4,}$")  # a list of search terms is no sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page with its author's description; ``target`` is that as the product would show it."""

    repo: str
    licence: str
    path: str
    language: str
    title: str
    body: str
    description: str
    target: str = ""

    @property
    def id(self) -> str:
        """Repository and path."""
        return f"{self.repo}:{self.path}"

    def nodes(self) -> dict[str, Node]:
        """The page, without its description, and its sections, as the product reads them."""
        title = json.dumps(self.title, ensure_ascii=False)
        return build_nodes(parse(f"---\ntitle: {title}\n---\n{self.body}"))


def target_of(page: Page) -> tuple[str, str]:
    """The description as the product would show it, and why it is no good to learn from, if so."""
    target = description_of(
        clean_summary(page.description, max_chars=TARGET_CHARS[1], title=page.title, language=page.language),
        language=page.language,
    )
    return target, _fault_of_text(target, page) or _fault_against_page(target, page)


def _fault_of_text(target: str, page: Page) -> str:
    fewest = TARGET_CHARS[0] if page.language not in ("zh", "ja", "ko") else TARGET_CHARS[0] // 2
    titled = set(content_words(page.title, page.language))
    several = len(split_sentences(page.description, page.language)) > 1
    faults = {
        "length": not fewest <= len(target) <= TARGET_CHARS[1] or len(words(target)) < FEWEST_TARGET_WORDS,
        "boilerplate": bool(BOILERPLATE.search(page.description) or KEYWORDS.match(target.rstrip("."))),
        "says the title again": len(set(content_words(target, page.language)) - titled) < FEWEST_NEW_WORDS,
        "teaser": several and len(words(target)) < FEWEST_TEASER_WORDS,
        "other language": not _in_language(target, page.language),
    }
    return next((fault for fault, found in faults.items() if found), "")


def _fault_against_page(target: str, page: Page) -> str:
    markdown = page.nodes()[PAGE].content()
    prose = [block.text for block in split_blocks(markdown) if block.kind not in ("code", "table")]
    if len(words(" ".join(prose))) < FEWEST_BODY_WORDS:
        return "short body"
    shown = f"{page.title}\n\n{shown_of_page(markdown)}"
    # what the model is not shown it cannot know, and would learn to make up
    for source in ("\n\n".join((page.title, *prose)), shown):
        if not check_grounding(target, source).grounded:
            return "not grounded"
    there = {word[:STEM] for word in content_words(shown, page.language)}
    own = set(content_words(target, page.language))
    if sum(word[:STEM] not in there for word in own) > MOST_OTHER_WORDS * len(own):
        return "other words"
    return ""


def _in_language(text: str, language: str) -> bool:
    if language == "en":
        return guess_language(text) == "en"
    if language not in STOP_WORDS:
        return guess_language(text) == language
    spoken = words(text)
    own, english = (sum(word in STOP_WORDS[code] for word in spoken) for code in (language, "en"))
    return own > english
