"""What holds for any text at all."""

import re

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from qsum_lsp.document import LineTable, Section, parse, split_blocks
from tests.document.test_headings import assert_headings_agree

CHARACTERS = st.sampled_from(
    [*"ab #=-*_`~>:[]()!<>/\\&|+.1\t\n\r\"'{}%é漢😀\u2028\x85\x0c\x0b\x00\ufeff\u00a0", "\ud800"]
)
ANY_TEXT = st.one_of(st.text(CHARACTERS, max_size=60), st.text(st.characters(), max_size=60))
FRONT_MATTER = st.sampled_from(
    [
        "",
        "---\ntitle: x\n---\n",
        "---\r\n---\r\n",
        "+++\na = 1\n+++\n",
        '{"a": 1}\n',
        "---\na: b\n...\n",
        "\ufeff",
        "\ufeff---\n---\n",
    ]
)

INLINE = st.sampled_from(
    [
        "foo",
        "*foo*",
        "`a`",
        "[b](c)",
        "[ref]",
        "&amp;",
        "\\#",
        "<b>x</b>",
        "漢字",
        "😀",
        "![i](j)",
        "a_b",
        "",
        "**x",
        "]",
    ]
)
FRAGMENTS = st.sampled_from(
    [
        "foo", "foo bar", "# h", "## h ##", "#", "#no", "   ### h", "    # code", "\t# code", "===", "---", "--", "=", "   ===", "    ===",
        "> q", ">", "> # q", ">> q", "> - q", "> ```", "> ---", ">\tq", "- a", "-", "- # a", "-     a", "-\ta", "* b", "+ c", "1. a", "2. b", "1)", "10. x",
        "  # in item", "  foo", "   foo", "    foo", "      foo", "\tfoo", " \tfoo", "  ---", "  ===", "    - deep", "  - sub", "  > q",
        "```", "````", "```py", "~~~", "``` a`b", "   ```", "    ```", "  ```", "***", "- - -", "* * *", "_ _ _", "- ---",
        "<div>", "</div>", "<b>", "<b", "<!-- c", "-->", "<!-- c -->", "<?php", "?>", "<!X>", "<![CDATA[", "]]>", "<script>", "</script>", "<pre>", "<a href='x'>", "<a> x",
        "[ref]: /url", "[ref]: /url 'title'", "[ref]:", "/url", "'title'", "[ref]: <", "[x]: y z", "[a", "b]: c", "\"open",
        "", "", "", "  ", "\t", "a | b", "|---|---|", "foo\\", "foo  ",
    ]
)  # fmt: skip
LINES = st.one_of(FRAGMENTS, FRAGMENTS, st.tuples(st.sampled_from(["", "# ", "> ", "- ", "  ", "1. ", "## "]), INLINE, INLINE).map("".join),
    st.tuples(st.sampled_from(["> ", "- ", "  ", "    ", ">", "1. ", "\t"]), FRAGMENTS).map("".join))  # fmt: skip
MARKDOWN = st.lists(LINES, max_size=14).map("\n".join)

MARKDOWN_IT_DIFFERS = {
    # The specification's own implementations (cmark, commonmark.js) and this parser agree on these.
    "takes a quote marker behind four columns or more for the open quote's": re.compile(
        r"(?: {4}|\t)[ \t]*>"
    ),
    "does not continue the paragraph of nested containers on a lazy line behind four columns or more": re.compile(
        r"^ {0,3}(?:>[ \t]*|(?:[-+*]|\d+[.)])(?: {3,}|\t))(?:[>*+-]|\d+[.)]).*\n(?: {4}| *\t)", re.MULTILINE
    ),
    "takes a setext underline for the destination of a link definition": re.compile(
        r"\[[^\]]*\]:[ \t]*\n[ \t>]*(?:=+|-+)[ \t]*$", re.MULTILINE
    ),
}


def blank(text: str) -> bool:
    return not text.strip(" \t\r\n")


def assert_sections_tile(text: str) -> None:
    document = parse(text)
    lines = LineTable(text)
    front_matter = document.front_matter
    assert document.body_start == (front_matter.end if front_matter else int(text.startswith("\ufeff")))

    position = document.body_start
    if document.sections and document.sections[0].level > 0:
        assert blank(text[position : document.sections[0].start])
        position = document.sections[0].start
    for section in document.sections:
        assert section.start == position
        position = section.end
    assert position == len(text) or (not document.sections and blank(text[position:]))

    def assert_nested(section: Section) -> None:
        assert section.start <= section.content_start <= section.own_end <= section.end
        assert section.start < section.end
        position = section.own_end
        for number, child in enumerate(section.children, 1):
            assert child.id == f"{section.id}.{number}"
            assert child.level > section.level
            assert child.start == position
            position = child.end
            assert_nested(child)
        assert position == section.end
        assert lines.start(section.line) == section.start or section.start == document.body_start
        assert lines.line_at(section.start) == section.line
        assert lines.line_at(section.end - 1) == section.end_line
        assert document.section_at(section.line) == section
        last = document.section_at(section.end_line)
        assert last is not None
        assert last.id == section.id or last.id.startswith(section.id + ".")

    first_id = 0 if document.sections and document.sections[0].level == 0 else 1
    for number, section in enumerate(document.sections, first_id):
        assert section.id == str(number)
        assert_nested(section)
    starts = [section.start for section in document.walk()]
    assert starts == sorted(set(starts))
    own = "".join(text[s.start : s.content_start] + document.own_text_of(s) for s in document.walk())
    assert own == text[starts[0] :] if starts else blank(text[document.body_start :])


def assert_blocks_in_order(text: str) -> None:
    position = 0
    for block in split_blocks(text):
        assert position <= block.start <= block.end <= len(text)
        assert block.text or block.level
        position = block.end


@given(FRONT_MATTER, ANY_TEXT)
@settings(max_examples=600, deadline=None)
@example("", "# a\r\r\nb\n===")
def test_sections_of_any_text(front_matter: str, text: str) -> None:
    assert_sections_tile(front_matter + text)


@given(ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_blocks_of_any_text(text: str) -> None:
    assert_blocks_in_order(text)


@given(MARKDOWN, st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=600, deadline=None)
def test_sections_and_blocks_of_markdown(text: str, line_end: str) -> None:
    text = text.replace("\n", line_end)
    assert_sections_tile(text)
    assert_blocks_in_order(text)


@given(MARKDOWN)
@settings(max_examples=2000, deadline=None, derandomize=True)
def test_headings_of_generated_markdown(text: str) -> None:
    assume(not any(pattern.search(text) for pattern in MARKDOWN_IT_DIFFERS.values()))
    assert_headings_agree(text)


@given(MARKDOWN)
@settings(max_examples=300, deadline=None)
def test_line_ends_change_no_heading(text: str) -> None:
    def outline(text: str) -> list[tuple[str, str, int, int, int]]:
        return [(s.id, s.title, s.level, s.line, s.end_line) for s in parse(text).walk()]

    assert outline(text.replace("\n", "\r\n")) == outline(text)
    assert outline(text.replace("\n", "\r")) == outline(text)


@given(st.text(CHARACTERS, max_size=40))
@settings(max_examples=300, deadline=None)
def test_line_table(text: str) -> None:
    lines = LineTable(text)
    assert "".join(text[lines.start(n) : lines.start(n + 1)] for n in range(1, len(lines) + 1)) == text
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert [lines.text_of(n) for n in range(1, len(lines) + 1)] == expected
    for offset in range(len(text) + 1):
        line, column = lines.position(offset)
        assert lines.start(line) + column == offset
        assert line == lines.line_at(offset)
