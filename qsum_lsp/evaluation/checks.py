"""What can be told of a summary without a reference: its opening, its end, its length, its support in the page.

Support is looked up here by plainer means than the grounding check's, so that the one can judge the other.
"""

import re
from dataclasses import dataclass

from qsum_lsp.evaluation.pages import EvaluationPage
from qsum_lsp.summaries.grounding import check_grounding
from qsum_lsp.text.ends import is_ended
from qsum_lsp.text.extract import CUT
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.words import bare, content_words

_OPENING = re.compile(
    r"^\W*(?:in\s+)?(?:this|the)\s+(?:section|page|document|documentation|article|guide|post|text|tutorial)\b",
    re.IGNORECASE,
)
_FACT = re.compile(r"\d[\d.,]*\d|\d|(?<=[\w,;:] )[A-Z][\w-]*\w|\w+[_/.]\w+")
_SUPPORT = 0.6
_STEM = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What was found in one summary."""

    opens_with_page: bool
    cut_off: bool
    within_limit: bool
    in_language: bool
    repeats_title: bool
    supported: bool
    grounded: bool


def check(summary: str, page: EvaluationPage, *, max_chars: int) -> Checks:
    """Look at ``summary`` of ``page``."""
    language = guess_language(page.body)
    return Checks(
        opens_with_page=bool(_OPENING.match(summary)),
        cut_off=summary.endswith(CUT) or not is_ended(summary),
        within_limit=0 < len(summary) <= max_chars,
        in_language=guess_language(summary) in (language, "en")
        if language == "en"
        else _same(summary, language),
        repeats_title=bare(summary) == bare(page.title),
        supported=not unsupported(summary, page),
        grounded=check_grounding(summary, page.plain_text, known_names=page.site_names).grounded,
    )


def unsupported(summary: str, page: EvaluationPage) -> list[str]:
    """Numbers, names and identifiers that stand nowhere in the page, and most words where too few stand there."""
    text = "\n".join((*page.site_names, page.plain_text, page.body)).casefold()
    squeezed = text.replace(",", "")
    missing = [
        fact
        for fact in _FACT.findall(summary)
        if fact.casefold() not in text
        and fact.casefold().replace(",", "") not in squeezed
        and fact.casefold().rstrip("s") not in text
    ]
    language = guess_language(page.body)
    content = content_words(summary, language)
    absent = [word for word in content if word[:_STEM] not in text]
    if content and len(absent) > (1 - _SUPPORT) * len(content):
        missing += absent
    return missing


def _same(summary: str, language: str) -> bool:
    """Short summaries of one Latin script are hard to tell apart: only English counts as a miss."""
    found = guess_language(summary)
    return found == language or (found != "en" and language not in ("zh", "ja", "ko", "ru", "ar"))
