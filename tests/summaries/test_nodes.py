import pytest

from qsum_lsp.document import parse
from qsum_lsp.summaries import PAGE
from qsum_lsp.summaries.nodes import build_nodes, byte_length, normalize


def test_nodes_are_the_sections_and_the_page_last() -> None:
    nodes = build_nodes(parse("# A\n\none\n\n## B\n\ntwo\n\n## C\n\nthree\n\n# D\n\nfour\n"))
    assert list(nodes) == ["1", "1.1", "1.2", "2", PAGE]
    assert nodes["1"].content() == "one\n\n## B\n\ntwo\n\n## C\n\nthree"
    assert nodes["1.1"].headings == ("A", "B")
    assert nodes[PAGE].content().startswith("# A\n\none")
    assert nodes["2"].headings == ("A", "D")


def test_content_size_is_at_least_that_of_the_content() -> None:
    for node in build_nodes(parse("# Ä\n\none ü\n\n## B\n\n\n### C\n\n語\n\n## D\n")).values():
        assert node.content_size >= byte_length(node.content())


def test_a_page_of_one_top_section_is_made_from_what_that_section_is_made_from() -> None:
    nodes = build_nodes(parse("preamble\n\n# A\n\none\n\n## B\n\ntwo\n"))
    page = nodes[PAGE]
    assert page.own == "one"
    assert [child.id for child in page.children] == ["0", "1.1"]
    assert page.headings == ("A",)


def test_the_page_title_of_the_front_matter_leads_the_path() -> None:
    nodes = build_nodes(parse("---\ntitle: Guide\n---\n\n## Install\n\ntext\n"))
    assert nodes["1"].headings == ("Guide", "Install")
    assert nodes[PAGE].headings == ("Guide",)


def test_normalize_drops_what_no_summary_depends_on() -> None:
    assert normalize("a  \r\n\r\n\r\n\r\nb\rc\t\n\n") == "a\n\nb\nc"
    assert normalize("    code\n") == "    code"
    assert normalize("\n \n") == ""
    assert normalize("lone \ud800 surrogate") == "lone \ufffd surrogate"


def test_white_space_does_not_change_a_digest_and_words_do() -> None:
    def digest(text: str) -> str:
        return build_nodes(parse(text))[PAGE].content_digest

    plain = digest("# A\n\none\n\n## B\n\ntwo\n")
    assert digest("# A  \r\n\r\n\r\none  \r\n\r\n## B\r\n\r\ntwo") == plain
    assert digest("# A\n\none\n\n## B\n\ntwo!\n") != plain
    assert digest("# A\n\none\n\n## C\n\ntwo\n") != plain
    assert digest("# A\n\none\n\n### B\n\ntwo\n") != plain


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_an_inserted_summary_is_no_text_that_summaries_are_made_from(line_end: str) -> None:
    text = "lead\n\n# A\n\none\n\n## B\ntwo\n\n## C\n"
    quoted = text
    for heading in ("# A\n", "## B\n", "## C\n"):
        quoted = quoted.replace(heading, f"{heading}\n> **Summary:** What it says.\n> And more.\n\n", 1)
    nodes = build_nodes(parse(text.replace("\n", line_end)))
    assert build_nodes(parse(quoted.replace("\n", line_end))) == nodes
    elsewhere = text.replace("two", "two\n\n> **Summary:** A quote in the text.")
    assert build_nodes(parse(elsewhere))["1.1"].own == "two\n\n> **Summary:** A quote in the text."


def test_a_page_without_anything() -> None:
    nodes = build_nodes(parse(""))
    assert list(nodes) == [PAGE]
    assert not nodes[PAGE].has_text


def test_a_title_that_is_cut_in_the_middle_of_a_character_has_a_key() -> None:
    nodes = build_nodes(parse("# Guide \ud83d\n\none\n\n## \udc00 Use\n\ntwo\n"))
    assert nodes["1.1"].headings == ("Guide \ufffd", "\ufffd Use")
    assert nodes[PAGE].title == "Guide \ufffd"
