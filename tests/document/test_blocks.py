"""Blocks as a reader sees them."""

import pytest

from qsum_lsp.document import split_blocks


def kinds_and_texts(markdown: str) -> list[tuple[str, str]]:
    """Kind and text of every block."""
    return [(block.kind, block.text) for block in split_blocks(markdown)]


def test_every_kind() -> None:
    markdown = (
        "# A *title*\n\nOne **two**\nthree [four](/url) ![gone](x.png) &amp;.\n\n"
        "- item\n\n  > quoted\n\n  1. deep\n- second\n\n"
        "```py x=1\ncode()\n\n# not a heading\n```\n\n    indented\n\n"
        "Before\n| a | *b* |\n|---|---|\n| 1 | x\\|y |\n\n<div>\n<p>Some <b>words</b></p></div>\n\n<!-- gone -->\n\n[d]: /url\n"
    )
    blocks = split_blocks(markdown)
    assert [(b.kind, b.text) for b in blocks] == [
        ("heading", "A title"),
        ("paragraph", "One two three four &."),
        ("list_item", "item"),
        ("quote", "quoted"),
        ("list_item", "deep"),
        ("list_item", "second"),
        ("code", "code()\n\n# not a heading"),
        ("code", "indented"),
        ("paragraph", "Before"),
        ("table", "a | b\n1 | x|y"),
        ("html", "Some words"),
    ]
    assert [b.level for b in blocks if b.level] == [1]
    assert [b.info for b in blocks if b.info] == ["py x=1"]
    assert markdown[blocks[3].start : blocks[3].end] == "quoted"
    assert markdown[blocks[9].start : blocks[9].end] == "| a | *b* |\n|---|---|\n| 1 | x\\|y |"


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_line_ends_do_not_show(line_end: str) -> None:
    markdown = "a\nb\n\n```\nc  \nd\n```\n\n> - e\n>   f\n"
    assert kinds_and_texts(markdown.replace("\n", line_end)) == kinds_and_texts(markdown)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("import Tabs from '@theme/Tabs';\nimport X from './x'\n", []),
        ("export const a = 1\n\nText", [("paragraph", "Text")]),
        ("import the data from a file", [("paragraph", "import the data from a file")]),
        ("<Tabs\n  values={[{label: 'A', value: \"b\"}]}>\n\nText\n\n</Tabs>", [("paragraph", "Text")]),
        ('<Note type="x">Some *words*</Note>', [("paragraph", "Some words")]),
        ("a {/* gone */}b", [("paragraph", "a b")]),
        ("{{< note >}}\nSome *words*\n{{< /note >}}", [("paragraph", "Some words")]),
        ('See [x]({{% ref "y.md" %}}) {{< param "a > b" >}}', [("paragraph", "See x")]),
        ("For Acme {{ site.data.products.big_cloud }} users.", [("paragraph", "For Acme big cloud users.")]),
        ("{{site.data.alerts.info}}\nUse it.\n{{site.data.alerts.end}}", [("paragraph", "Use it.")]),
        ("Version {{ page.version }}{% include a.md %} of", [("paragraph", "Version of")]),
        ("{% comment %} gone {% endcomment %}kept", [("paragraph", "kept")]),
        ("Use `{{< note >}}` and ``{% raw %}``", [("paragraph", "Use {{< note >}} and {% raw %}")]),
        (":::note\nText\n:::", [("paragraph", "Text")]),
        (":::tip[Title *x*]\n\nText\n\n:::", [("paragraph", "Title x"), ("paragraph", "Text")]),
        ("::: {.callout}\nText\n:::", [("paragraph", "Text")]),
        (
            '!!! note "Title"\n\n    Text\n\n    - item\n\nAfter',
            [("paragraph", "Title"), ("paragraph", "Text"), ("list_item", "item"), ("paragraph", "After")],
        ),
        ('=== "Tab"\n    Text', [("paragraph", "Tab"), ("paragraph", "Text")]),
        ("Wow!!! Really", [("paragraph", "Wow!!! Really")]),
        ("Text\n{: .class #id}", [("paragraph", "Text")]),
        ("a[0][1] and [text][defined elsewhere]", [("paragraph", "a[0][1] and text")]),
        ("H<sub>2</sub>O<br>and \\<b> more", [("paragraph", "H2O and <b> more")]),
        ("<script>\nlet a\n</script>\n", []),
        ("![only](x.png)\n\n***\n", []),
    ],
)
def test_tags_of_site_generators(markdown: str, expected: list[tuple[str, str]]) -> None:
    assert kinds_and_texts(markdown) == expected
