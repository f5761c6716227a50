"""Sections as a tree, titles as readers see them, and texts that nobody writes by hand."""

import pytest

from qsum_lsp.document import Document, parse, split_blocks


def outline(document: Document) -> list[tuple[str, str, int, int, int]]:
    """Id, title, level, first and last line."""
    return [(s.id, s.title, s.level, s.line, s.end_line) for s in document.walk()]


def test_tree() -> None:
    text = "---\na: b\n---\n\nLead.\n\n# One\n\n### Skipped\ntext\n## Two\n\nOne\n===\n\n##\nlast"
    document = parse(text)
    assert outline(document) == [
        ("0", "", 0, 4, 6),
        ("1", "One", 1, 7, 12),
        ("1.1", "Skipped", 3, 9, 10),
        ("1.2", "Two", 2, 11, 12),
        ("2", "One", 1, 13, 17),
        ("2.1", "", 2, 16, 17),
    ]
    lead, one, _, two, again, empty = document.walk()
    assert document.own_text_of(lead) == "\nLead.\n\n"
    assert document.text_of(one) == "# One\n\n### Skipped\ntext\n## Two\n\n"
    assert document.own_text_of(one) == "\n"
    assert document.text_of(two) == "## Two\n\n"
    assert document.own_text_of(again) == "\n"
    assert document.own_text_of(empty) == "last"


def test_section_at() -> None:
    document = parse("---\na: b\n---\n\n# One\n\n## Two\ntext\n\n# Three\n")
    found = [section.id if (section := document.section_at(line)) else None for line in range(13)]
    assert found == [None, None, None, None, None, "1", "1", "1.1", "1.1", "1.1", "2", "2", None]


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("# Plain", "Plain"),
        ("# *a* **b** `c_d` [e](f 'g') ![h](i)", "a b c_d e h"),
        ("# A &amp; B &lt;c&gt; \\*d\\* &copy;", "A & B <c> *d* ©"),
        ("# a <b>bold</b> <!-- gone --> <!X> z", "a bold z"),
        ("# [ref] [other][ref] [none]\n\n[ref]: /url", "ref other [none]"),
        ("# <https://example.org>", "https://example.org"),
        ("# closing ##  ", "closing"),
        ("# not closing#", "not closing#"),
        ("# \\#", "#"),
        ("#", ""),
        ("# 漢字 と かな 🎉", "漢字 と かな 🎉"),
        ("# a\u2028b\u0085c\x0cd\x0be", "a\u2028b\u0085c\x0cd\x0be"),
        ("# a\0b", "a\ufffdb"),
        ("# \ud800", "\ud800"),
        ("two\nlines  \nof *title*\n---", "two lines of title"),
        ("two\r\nlines\r\n===", "two lines"),
        ("#\ttabs\there\t#", "tabs here"),
    ],
)
def test_titles(heading: str, title: str) -> None:
    assert next(section.title for section in parse(heading).walk()) == title


@pytest.mark.parametrize(
    "text",
    [
        "```\n# no\n```\n",
        "```\n# no, and never closed\n",
        "    # no\n",
        "<div>\n# no\n</div>\n",
        "<!--\n# no\n\n# no\n-->\n",
        "- # no\n\n  # no\n",
        "> # no\n",
        "text\u2028# no\n",
        "text\x0c# no\n",
        "[a]: b\n===\n",
        "#no\n",
        "####### no\n",
    ],
)
def test_no_section_boundary(text: str) -> None:
    assert [section.level for section in parse(text).walk()] == [0]


@pytest.mark.parametrize("text", ["", "\n", " \t\r\n", "\ufeff", "---\na: b\n---\n\n"])
def test_blank_body_has_no_section(text: str) -> None:
    assert parse(text).sections == ()


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("# h\n" * 100_000, 100_000),
        (">" * 1_000 + " quote\n# h\n", 2),
        ("- " * 20_000 + "x\n" + "\n" * 20_000 + "# h\n", 2),
        ("- - " * 20_000 + "x\n# h\n", 2),
        ("```\n" + "# h\n" * 100_000, 1),
        ("x" * 10_000_000 + "\n# h\n", 2),
        ("# " + "x" * 10_000_000, 1),
        ("# " + "*a_ b" * 20_000, 1),
        ("# " + "[" * 50_000, 1),
        ("[a]: b\n" * 50_000 + "# h\n", 2),
        ("[a]: b (\n<b>\n" * 20_000 + "\n# h\n", 2),
        ("<!-- \n" * 50_000 + "# h\n", 1),
        ("\0" * 100_000 + "\n# h\n", 2),
        ("\ud800\n# h\n", 2),
        ("{{< " * 20_000 + "{% " * 20_000 + "\n# h\n", 2),
        (" ".join("`" * n for n in range(1, 400)) + "\n# h\n", 2),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, str) else "",
)
def test_texts_that_nobody_writes(text: str, sections: int) -> None:
    assert sum(1 for _ in parse(text).walk()) == sections
    assert all(block.end <= len(text) for block in split_blocks(text))
