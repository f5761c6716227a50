"""What is front matter and what is not."""

import pytest

from qsum_lsp.document import parse, split_front_matter


@pytest.mark.parametrize(
    ("text", "kind", "content", "end_line", "body"),
    [
        ("---\ntitle: x\n---\nbody", "yaml", "title: x\n", 3, "body"),
        ("---\ntitle: x\n---", "yaml", "title: x\n", 3, ""),
        ("---\ntitle: x\n...\nbody\n---\n", "yaml", "title: x\n", 3, "body\n---\n"),
        ("---\r\ntitle: x\r\n---\r\nbody", "yaml", "title: x\r\n", 3, "body"),
        ("---\rtitle: x\r---\rbody", "yaml", "title: x\r", 3, "body"),
        ("\ufeff---\ntitle: x\n---\nbody", "yaml", "title: x\n", 3, "body"),
        ("---\n---\nbody", "yaml", "", 2, "body"),
        ("---\n\n# a comment\n\n---\nbody", "yaml", "\n# a comment\n\n", 5, "body"),
        ("--- \t\n\n# c\n'a b': x\n--- \nbody", "yaml", "\n# c\n'a b': x\n", 5, "body"),
        (
            "---\ntitle: a: b: [\n---\nbody",
            "yaml",
            "title: a: b: [\n",
            3,
            "body",
        ),  # broken, and still front matter
        ('---\n"title": x\n---\n', "yaml", '"title": x\n', 3, ""),
        ("---\n  title: x\n  a: b\n---\nbody", "yaml", "  title: x\n  a: b\n", 4, "body"),
        ("---\n{title: x}\n---\n", "yaml", "{title: x}\n", 3, ""),
        ("---\ntext: |\n  ---\n  ...\nb: c\n---\n", "yaml", "text: |\n  ---\n  ...\nb: c\n", 6, ""),
        ("+++\ntitle = 'x'\n+++\nbody", "toml", "title = 'x'\n", 3, "body"),
        ("+++\n+++\n", "toml", "", 2, ""),
        ('{"a": {"b": "}\\"{"}}\nbody', "json", '{"a": {"b": "}\\"{"}}', 1, "body"),
        ('{\r\n  "a": 1\r\n}\r\n\r\nbody', "json", '{\r\n  "a": 1\r\n}', 3, "\r\nbody"),
        ("{}\nbody", "json", "{}", 1, "body"),
        ('{"a": oops}\nbody', "json", '{"a": oops}', 1, "body"),
    ],
)
def test_front_matter(text: str, kind: str, content: str, end_line: int, body: str) -> None:
    found = split_front_matter(text)
    assert found is not None
    assert found.kind == kind
    assert text[found.content_start : found.content_end] == content
    assert (found.line, found.end_line) == (1, end_line)
    assert found.start == text.startswith("\ufeff")
    assert text[found.end :] == body
    assert parse(text).body_start == found.end


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---",
        "---\n",
        "---\ntitle: x\n",  # never closed
        "---\ntitle: x\n----\n",
        "---\ntitle: x\n ---\n",
        "---\nSome prose between two breaks.\n---\n",
        "---\n\n# Title\n\nText.\n\n---\n",
        "---\n- a\n- b\n---\n",
        "----\ntitle: x\n---\n",
        " ---\ntitle: x\n---\n",
        "\n---\ntitle: x\n---\n",
        "---\u2028title: x\u2028---\u2028",
        "+++\na = 1\n",
        "++++\na = 1\n++++\n",
        '{"a": 1',
        '{"a": 1} and more\n',
        "{{< note >}}\nx\n{{< /note >}}\n",
        "{% raw %}\n",
        "{a}\n",
    ],
)
def test_no_front_matter(text: str) -> None:
    assert split_front_matter(text) is None
    assert parse(text).body_start == 0
