"""mistune's block parser, taught to keep positions.

mistune cuts the text of a list or a quote out and parses the copy, so positions are lost, and what a lazy line
continues is guessed from regular expressions. Here the open containers are a stack and every line is read once, in
place, as in the parsing strategy of the CommonMark specification (0.31.2, appendix *A parsing strategy*). The table
of rules, their dispatch, the grammar of links and the state are mistune's.
"""

# mypy: disable-error-code="override"
# The rules take this parser's state only.

import re
from re import Match

from mistune.block_parser import BlockParser
from mistune.helpers import BLOCK_TAGS, HTML_TAGNAME, PRE_TAGS

from qsum_lsp.document.block_state import Container, Leaf, PositionState

_BLOCK_TAGS = sorted({*BLOCK_TAGS, "search"} - {"source", "meta"})  # the list of 0.31.2; mistune's is older
_ATTRIBUTE = (
    r"[ \t]++[A-Za-z_:][A-Za-z0-9_.:-]*+"
    r"""(?>(?:[ \t]*+=[ \t]*+(?:[^ \t\n"'=<>`]++|'[^'\n]*+'|"[^"\n]*+"))?)"""
)
_HTML_END: dict[str, str | re.Pattern[str]] = {
    "!--": "-->",
    "?": "?>",
    "![CDATA[": "]]>",
    "!": ">",
}
_RAW_TEXT_END = re.compile(rf"</(?:{'|'.join(PRE_TAGS)})>", re.IGNORECASE)
_BLANK_LINE_END = ""

_FENCE_END = re.compile(r"^ {0,3}(`{3,}+|~{3,}+)[ \t]*+$", re.MULTILINE)
_CLOSING_HASHES = re.compile(r"(?:^|[ \t])#++$")
_NO_BLOCK = 0
"""A rule's answer where its pattern matches but the block is none; else it is where to read on."""
_CONTAINERS = ("block_quote", "list")


class PositionParser(BlockParser):
    r"""Finds the leaf blocks of a text: ``parse`` fills ``PositionState.leaves``.

    The source must have no line end but ``\n``. The patterns match where the text of a line begins, behind
    container markers and indentation, and none looks beyond the line.
    """

    state_cls = PositionState

    SPECIFICATION = {  # noqa: RUF012
        "block_quote": r">",
        "atx_heading": r"(?P<atx_1>#{1,6})(?=[ \t]|$)",
        "fenced_code": r"(?P<fenced_2>`{3,}+(?=[^`\n]*+$)|~{3,}+)",
        "raw_html": (
            rf"<(?:(?P<html_1>(?i:{'|'.join(PRE_TAGS)})(?=[ \t>]|$))"
            r"|(?P<html_2>!--|\?|!\[CDATA\[|!(?=[A-Za-z]))"
            rf"|/?(?i:{'|'.join(_BLOCK_TAGS)})(?=[ \t]|/?>|$))"
        ),
        "block_html": (
            rf"<(?:{HTML_TAGNAME}(?>(?:{_ATTRIBUTE})*)[ \t]*+/?|/{HTML_TAGNAME}[ \t]*+)>[ \t]*+$"  # one whole tag
        ),
        "setex_heading": r"(?P<setext_1>=++|-++)[ \t]*+$",
        "thematic_break": r"(?P<break_1>[-_*])(?:[ \t]*+(?P=break_1)){2}",
        "list": r"(?P<list_2>[*+-]|[0-9]{1,9}[.)])(?=[ \t]|$)",
    }

    STARTERS = frozenset("#>`~<=-*+_0123456789")
    """What a rule's pattern can begin with."""
    PLAIN_LINES = re.compile(r"(?>(?:[^\s#>`~<=\-*+_0-9][^\n]*+(?:\n|\Z))+)")
    """Lines that begin with anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = list(self.SPECIFICATION)
        self._rules_outside_paragraph = self._without("setex_heading")
        self._rules_in_paragraph = self._without("block_html")
        self._rules_on_lazy_line = self._without("setex_heading", "block_html")

    def _without(self, *names: str) -> list[str]:
        return [rule for rule in self.rules if rule not in names]

    def parse(self, state: PositionState, rules: list[str] | None = None) -> None:  # noqa: ARG002
        """Read ``state.src`` from ``state.cursor`` to its end."""
        src = state.src
        position = state.cursor
        while position < state.cursor_max:
            if not state.containers:
                after = self._take_plain_lines(state, position)
                if after > position:
                    position = after
                    continue
            end = src.find("\n", position)
            if end < 0:
                end = state.cursor_max
            state.enter_line(position, end)
            self._parse_line(state)
            position = end + 1
        state.matched = 0
        state.close_unmatched()

    def _take_plain_lines(self, state: PositionState, position: int) -> int:
        """Take many lines at once where nothing in them can begin or end a block; where the rest begins."""
        leaf = state.leaf
        if leaf is None or leaf.kind == "paragraph":
            plain = self.PLAIN_LINES.match(state.src, position)
            if plain is None:
                return position
            after = plain.end()
            end = after - 1 if state.src[after - 1] == "\n" else after
            if leaf is None:
                state.open_leaf(Leaf("paragraph", position, end))
            state.extend_leaf(position, end)
            return after
        if leaf.kind == "code" and leaf.fence and not leaf.fence_indent:
            for closing in _FENCE_END.finditer(state.src, position):
                if closing.group(1).startswith(leaf.fence):
                    break
            else:
                state.extend_leaf(position, state.cursor_max)
                return state.cursor_max
            if closing.start() > position:
                state.extend_leaf(position, closing.start() - 1)
            return closing.start()  # that line ends the block
        return position

    def _parse_line(self, state: PositionState) -> None:
        self._match_containers(state)
        state.measure_indent()
        if state.matched < len(state.containers):
            if not state.blank:
                state.drop_definitions()
        elif self._continue_leaf(state):
            return
        while True:
            state.measure_indent()
            if state.indent >= 4:
                if state.blank or state.open_paragraph:
                    break
                state.close_unmatched()
                state.open_leaf(Leaf("code", state.leaf_start(), state.line_end))
                state.skip_columns(4)
                state.extend_leaf(state.cursor, state.line_end)
                return
            if state.blank or state.src[state.text_start] not in self.STARTERS:
                break
            rule = self._start_block(state)
            if rule is None:
                break
            if rule not in _CONTAINERS:
                return
        if state.blank:
            if not state.open_paragraph or state.matched < len(state.containers):
                state.close_unmatched()
        elif state.open_paragraph:
            state.extend_leaf(state.text_start, state.line_end)
        else:
            state.close_unmatched()
            state.open_leaf(Leaf("paragraph", state.leaf_start(), state.line_end))
            state.extend_leaf(state.text_start, state.line_end)

    def _match_containers(self, state: PositionState) -> None:
        """Count the open containers that go on in this line, and move behind their markers."""
        containers = state.containers
        state.matched = 0
        while state.matched < len(containers):
            container = containers[state.matched]
            state.measure_indent()
            if container.kind == "quote":
                if state.blank or state.indent > 3 or state.src[state.text_start] != ">":
                    return
                self._skip_quote_marker(state)
            elif state.blank:
                state.matched = state.items_in_blank_line()
                return
            elif state.indent >= container.indent:
                state.skip_columns(container.indent)
            else:
                return
            state.matched += 1

    def _skip_quote_marker(self, state: PositionState) -> None:
        state.skip_indent()
        state.skip_marker(1)
        if state.cursor < state.line_end and state.src[state.cursor] in " \t":
            state.skip_columns(1)

    def _continue_leaf(self, state: PositionState) -> bool:
        """Give the line to the open leaf if it can only be its own; all containers go on."""
        leaf = state.leaf
        if leaf is None:
            return False
        if leaf.kind == "paragraph":
            if state.blank:
                state.close_leaf()
            elif state.indent > 3 or state.src[state.text_start] in self.STARTERS:
                state.drop_definitions()
            return state.blank
        if leaf.kind == "html":
            return self._continue_html(state, leaf)
        if leaf.fence:
            closing = (
                None if state.indent > 3 else _FENCE_END.match(state.src[state.text_start : state.line_end])
            )
            if closing and closing.group(1).startswith(leaf.fence):
                leaf.end = state.line_end
                state.close_leaf()
            else:
                state.skip_columns(min(state.indent, leaf.fence_indent))
                state.extend_leaf(state.cursor, state.line_end)
            return True
        if state.blank:
            leaf.spans.append((state.line_end, state.line_end))
            return True
        if state.indent >= 4:
            state.skip_columns(4)
            state.extend_leaf(state.cursor, state.line_end)
            return True
        state.close_leaf()
        return False

    def _continue_html(self, state: PositionState, leaf: Leaf) -> bool:
        closing = leaf.html_end
        if closing == _BLANK_LINE_END:
            if state.blank:
                state.close_leaf()
                return True
            state.extend_leaf(state.cursor, state.line_end)
            return True
        state.extend_leaf(state.cursor, state.line_end)
        self._end_html_in_line(state, leaf, state.cursor)
        return True

    def _end_html_in_line(self, state: PositionState, leaf: Leaf, start: int) -> None:
        closing = leaf.html_end
        if isinstance(closing, str):
            ended = closing != _BLANK_LINE_END and state.src.find(closing, start, state.line_end) >= 0
        else:
            ended = closing.search(state.src, start, state.line_end) is not None
        if ended:
            state.close_leaf()

    def _start_block(self, state: PositionState) -> str | None:
        """Start the block that the rest of the line begins; the name of its rule, or None."""
        if not state.open_paragraph:
            rules = self._rules_outside_paragraph
        elif state.matched == len(state.containers):
            rules = self._rules_in_paragraph
        else:
            rules = self._rules_on_lazy_line
        while True:
            match = self.compile_sc(rules).match(state.src, state.text_start)
            if match is None or match.lastgroup is None:
                return None
            if self.parse_method(match, state):
                return match.lastgroup
            rules = rules[rules.index(match.lastgroup) + 1 :]
            if not rules:
                return None

    def parse_block_quote(self, m: Match[str], state: PositionState) -> int:  # noqa: ARG002
        """Open a block quote."""
        state.close_unmatched()
        self._skip_quote_marker(state)
        state.open_container(Container("quote"))
        return state.cursor

    def parse_list(self, m: Match[str], state: PositionState) -> int:
        """Open a list item; an empty one, or a number other than 1, cannot interrupt a paragraph."""
        marker = m.group("list_2")
        if state.open_paragraph and state.matched == len(state.containers):
            empty = not state.src[m.end() : state.line_end].strip(" \t")
            if empty or (len(marker) > 1 and int(marker[:-1]) != 1):
                return _NO_BLOCK
        state.close_unmatched()
        offset = state.indent
        state.skip_indent()
        state.skip_marker(len(marker))
        state.measure_indent()
        padding = 1 if state.blank or state.indent > 4 else state.indent
        state.skip_columns(padding)
        state.open_container(Container("item", offset + len(marker) + padding))
        return state.cursor

    def parse_atx_heading(self, m: Match[str], state: PositionState) -> int:
        """Add a heading; its span is the title without hashes."""
        state.close_unmatched()
        heading = Leaf("heading", state.leaf_start(), state.line_end, level=len(m.group("atx_1")))
        state.open_leaf(heading)
        text = state.src[m.end() : state.line_end]
        title = _CLOSING_HASHES.sub("", text.strip(" \t")).rstrip(" \t")
        start = m.end() + len(text) - len(text.lstrip(" \t"))
        state.extend_leaf(start, start + len(title))
        heading.end = state.line_end
        state.close_leaf()
        return state.line_end

    def parse_setex_heading(self, m: Match[str], state: PositionState) -> int:
        """Turn the open paragraph into a heading, if it holds more than link reference definitions."""
        leaf = state.leaf
        if leaf is None or not state.take_definitions(leaf):
            state.leaf = None
            return _NO_BLOCK
        leaf.kind = "heading"
        leaf.level = 1 if m.group("setext_1").startswith("=") else 2
        leaf.end = state.line_end
        state.close_leaf()
        return state.line_end

    def parse_fenced_code(self, m: Match[str], state: PositionState) -> int:
        """Open a fenced code block."""
        state.close_unmatched()
        fence = m.group("fenced_2")
        leaf = Leaf(
            "code", state.leaf_start(), state.line_end, info=state.src[m.end() : state.line_end].strip(" \t")
        )
        leaf.fence = fence
        leaf.fence_indent = state.indent
        state.open_leaf(leaf)
        return state.line_end

    def parse_raw_html(self, m: Match[str], state: PositionState) -> int:
        """Open an HTML block that begins with a known tag, a comment or the like."""
        if m.group("html_1"):
            closing: str | re.Pattern[str] = _RAW_TEXT_END
        else:
            closing = _HTML_END.get(m.group("html_2") or "", _BLANK_LINE_END)
        return self._open_html(m, state, closing)

    def parse_block_html(self, m: Match[str], state: PositionState) -> int:
        """Open an HTML block that begins with one whole tag of any name, alone on its line."""
        return self._open_html(m, state, _BLANK_LINE_END)

    def _open_html(self, m: Match[str], state: PositionState, closing: str | re.Pattern[str]) -> int:
        state.close_unmatched()
        leaf = Leaf("html", state.leaf_start(), state.line_end, html_end=closing)
        state.open_leaf(leaf)
        state.extend_leaf(state.text_start, state.line_end)
        self._end_html_in_line(
            state, leaf, m.start() + (len("<!--") - 2 if m.group("html_2") == "!--" else 0)
        )
        return state.line_end

    def parse_thematic_break(self, m: Match[str], state: PositionState) -> int:
        """Close what a thematic break ends, if the whole line is one."""
        if not state.is_all(m.group("break_1"), state.text_start):
            return _NO_BLOCK
        state.close_unmatched()
        if state.containers:
            state.containers[-1].empty = False
        return state.line_end
