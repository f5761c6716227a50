"""What site generators add to Markdown: their tags are no prose, the words between them are.

MDX components, comments and module lines; Hugo shortcodes; Liquid and Go templates; fences of Docusaurus, VitePress
and Pandoc (``:::note``); attributes of kramdown. MkDocs blocks hold other blocks, so they are a rule of the parser.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from re import Match

from qsum_lsp.document.block_parser import PositionParser
from qsum_lsp.document.block_state import Container, Leaf, PositionState

# No tag holds the opening of another of its kind, so each is looked at once and time stays linear.
_BRACES = r"\{(?>(?:[^{}]|\{(?>(?:[^{}]|\{[^{}]*+\})*)\})*)\}"
_ATTRIBUTE = rf"""[\w.:@-]++(?>(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|{_BRACES}|[^\s"'=<>`{{]++))?)|{_BRACES}"""
_TAGS = re.compile(
    r"(?P<kept>\\.)"
    r"|\{%-?\s*+comment\s*+-?%\}(?>(?:[^{]|\{(?!%))*)\{%-?\s*+endcomment\s*+-?%\}"
    r"|\{\{[<%](?>(?:[^%>{]|[%>](?!\}\})|\{(?!\{))*)[%>]\}\}"
    r"|\{\{-?\s*+site\.data\.(?>(?:\w++\.)*)(?P<datum>\w++)\s*+-?\}\}"
    r"|\{\{(?>(?:[^{}]|\}(?!\})|\{(?!\{))*)\}\}"
    r"|\{%(?>(?:[^%{]|%(?!\})|\{(?!%))*)%\}"
    r"|\{/\*(?>(?:[^*{]|\*(?!/)|\{(?!/\*))*)\*/\}"
    r"|\{:[^{}\n]*+\}"
    r"|(?P<space><br\s*+/?>)"
    rf"|<(?:/?[A-Za-z][\w.:-]*+(?>(?:\s++(?:{_ATTRIBUTE}))*)\s*+/?)?>"
    r"|(?<![\w\]])\[(?P<text>[^\[\]]++)\]\[[^\[\]]*+\]",  # a reference defined elsewhere in the page
    re.DOTALL,
)
_FENCE_LINE = re.compile(
    r"^[ \t]*+:{3,}+[ \t]*+(?>(?:\{[^{}\n]*+\}|[\w-]++)?)[ \t]*+\[?([^\[\]{}\n]*+)[^\n]*+$", re.MULTILINE
)
_GO_ON = tuple(",;:(-/'’")  # what stands beside a word of a sentence
_BACKTICKS = re.compile(r"`++")
_MODULE_LINE = re.compile(
    r"""import\s++(?:['"]|(?:[\w$]++|\{|\*)[^;]*?\sfrom\s++['"])"""
    r"|export\s++(?:default|const|let|var|function|class|async|\{|\*)"
)


def is_module_code(paragraph: str) -> bool:
    """Whether a paragraph is an ``import`` or ``export`` of MDX."""
    return _MODULE_LINE.match(paragraph) is not None


def strip_tags(markdown: str) -> str:
    """Inline ``markdown`` without the tags of site generators; code spans stay as they are."""
    if ":::" in markdown:
        markdown = _FENCE_LINE.sub(r"\1", markdown)
    parts: list[str] = []
    position = 0
    for start, end in _code_spans(markdown):
        parts += _TAGS.sub(_without_tag, markdown[position:start]), markdown[start:end]
        position = end
    parts.append(_TAGS.sub(_without_tag, markdown[position:]))
    return "".join(parts)


def _code_spans(markdown: str) -> Iterator[tuple[int, int]]:
    """Where the code spans are: from a run of backticks to the next one of the same length."""
    runs = [run.span() for run in _BACKTICKS.finditer(markdown)]
    by_length: dict[int, list[int]] = {}
    for index, (start, end) in enumerate(runs):
        by_length.setdefault(end - start, []).append(index)
    index = 0
    while index < len(runs):
        start, end = runs[index]
        same = by_length[end - start]
        closing = bisect_right(same, index)
        if closing < len(same) and not markdown.endswith("\\", 0, start):
            index = same[closing]
            yield start, runs[index][1]
        index += 1


def _without_tag(tag: Match[str]) -> str:
    if tag["datum"]:
        return tag["datum"].replace("_", " ") if _is_in_sentence(tag) else ""
    return tag["kept"] or tag["text"] or (" " if tag["space"] else "")


def _is_in_sentence(tag: Match[str]) -> bool:
    """Whether ``tag`` stands for words: one alone on its line, or between sentences, stands for a piece of the page."""
    before = tag.string[max(0, tag.start() - 8) : tag.start()].rpartition("\n")[2].rstrip()
    after = tag.string[tag.end() : tag.end() + 8].split("\n", 1)[0].lstrip()
    return before[-1:].isalnum() or before[-1:] in _GO_ON or after[:1].islower() or after[:1] in _GO_ON


class SiteParser(PositionParser):
    """Also knows the blocks of MkDocs: ``!!! note "Title"``, ``??? tip``, ``=== "Tab"``, indented by four columns."""

    SPECIFICATION = {  # noqa: RUF012
        "mkdocs_block": (
            r"(?:(?:!!!|\?\?\?\+?)[ \t]+[\w-][\w \t-]*+|===!?\+?[ \t]+(?=\"))"
            r"(?:\"(?P<mkdocs_title>[^\"\n]*+)\")?[ \t]*+$"
        ),
        **PositionParser.SPECIFICATION,
    }
    STARTERS = PositionParser.STARTERS | frozenset("!?")
    PLAIN_LINES = re.compile(r"(?>(?:[^\s#>`~<=\-*+_0-9!?][^\n]*+(?:\n|\Z))+)")

    def parse_mkdocs_block(self, m: Match[str], state: PositionState) -> int:
        """Open a container; its title is a paragraph."""
        state.close_unmatched()
        state.open_container(Container("admonition", state.indent + 4, empty=False))
        if m["mkdocs_title"]:
            title = Leaf("paragraph", state.text_start, state.line_end, spans=[m.span("mkdocs_title")])
            state.open_leaf(title)
            state.close_leaf()
        return state.line_end
