"""Front matter as people write it, generated with its peculiarities, and summaries that try to break out of it."""

from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        "value",
        "naïve",
        "日本語",
        "😀",
        "it's",
        'a "b"',
        "x: y",
        "# no",
        "---",
        "+++",
        "}",
        "{{ page }}",
        "yes",
        "1.0",
        "~",
        "*a",
    ]
)
TEXTS = st.lists(WORDS, max_size=4).map(" ".join)
NEWLINES = st.sampled_from(["\n", "\r\n"])
KEYS = st.lists(
    st.sampled_from(["title", "date", "tags", "draft", "weight", "aliases", "params", "layout"]),
    unique=True,
    max_size=6,
)
BODIES = st.sampled_from(
    [
        "# Page\n\nThe page explains how things work.\n",
        "\nThe page explains how things work",
        "The page\n\n---\n\nsummary: not this one\n\n+++\n",
        "```yaml\nsummary: x\n```\n\nThe page explains how things work.\n\n",
    ]
)

ATTACKS = st.one_of(
    st.text(min_size=1, max_size=60),
    st.lists(
        st.sampled_from(
            [
                '"', "'", "\n", "\r\n", "---", "\n---\n", "+++", "\n+++\n", ": ", " # ", "}", "{", "\\", "\\n", "\t", "\x00",
                "\x85", "\u2028", "\ufeff", "\ud800", "\U0001f600", "draft: true", "\ndraft: true\n", "&a ", "*a", "!!python/x",
                "# qsum:1 000000000000 000000000000", "<<: *x", "%YAML 1.2", "...", "'''", '"""', "]", ",", "|", ">", "?", "- ",
                "text", " ", "\u202e", '",\n"admin": true, "x": "',
            ]
        ),
        min_size=1,
        max_size=8,
    ).map("".join),
)  # fmt: skip


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _double(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def yaml_pages(draw: st.DrawFn) -> str:
    """A page with YAML front matter: quotes, blocks, comments, lists, anchors and blank lines."""
    lines: list[str] = []
    for index, key in enumerate(draw(KEYS)):
        text = draw(TEXTS)
        form = draw(st.integers(0, 9))
        comment = draw(st.sampled_from(["", " # a comment", "\t# qsum: no marker"]))
        lines += [
            [f"{key}: {_single(text)}{comment}"],
            [f"{key}:   {_double(text)}{comment}"],
            [f"{key}: plain words{comment}", ""],
            [f"{key}: >-", "  folded " + text.replace("#", ""), "", "  more", ""],
            [f"{key}: |+", "  kept", "", ""],
            [f"{key}:", f"  - {_single(text)}", "  - nested:", "      deep: [a, {b: c}]"],
            [f"{key}:", f"- {_double(text)}", "# a comment between"],
            [f"{key}: &anchor{index} {_double(text)}", f"again{index}: *anchor{index}"],
            [f"{key}: plain over", "  two lines"],
            [f"{_double(key)}: {{a: 1, b: [2, 3]}}{comment}"],
        ][form]
    newline = draw(NEWLINES)
    closing = draw(st.sampled_from(["---", "---  ", "..."]))
    text = "\n".join(["---", *lines, closing, ""]) + draw(BODIES)
    return draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", newline)


@st.composite
def toml_pages(draw: st.DrawFn) -> str:
    """A page with TOML front matter: all kinds of strings, arrays over lines, dotted keys, tables."""
    lines: list[str] = []
    for key in draw(KEYS):
        text = draw(TEXTS)
        form = draw(st.integers(0, 7))
        comment = draw(st.sampled_from(["", " # a comment", "\t# ] } \" '"]))
        lines += [
            [f"{key} = {_double(text)}{comment}"],
            [f"{key}='{text.replace(chr(39), '')}'{comment}"],
            [f'{key} = """', "x " + text.replace('"', ""), f'""two""""{comment}'],
            [f"{key} = '''", "x " + text.replace("'", ""), f"''two''''{comment}"],
            [f'{key} = [ "a]", # ] in a comment', "  'b', [1, 2],", f"]{comment}"],
            [f"{key} = 1979-05-27 07:32:00Z{comment}"],
            [f'{key} . "x.y" = nan{comment}', ""],
            [f"{_double(key)} = {{ a = 1, b = [2, '}}'] }}{comment}"],
        ][form]
    if draw(st.booleans()):
        lines += ["", "[table] # summary = 'no'", "summary = 'of the table'", "[[list]]", "x = 1.50"]
    newline = draw(NEWLINES)
    text = "\n".join(["+++", *lines, "+++", ""]) + draw(BODIES)
    return draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", newline)


@st.composite
def json_pages(draw: st.DrawFn) -> str:
    """A page with JSON front matter, indented or on one line."""
    indent, colon, comma = draw(
        st.sampled_from([("\n  ", ": ", ","), ("\n\t", " : ", " ,"), ("", ":", ", ")])
    )
    members = []
    for key in draw(KEYS):
        value = draw(
            st.sampled_from(
                [
                    '"a } b"',
                    "1.50",
                    "null",
                    '["x", {"y": "]"}]',
                    '{"summary": "inner"}',
                    '"\\u00e9\\n"',
                    "true",
                ]
            )
        )
        members.append(f'{indent}"{key}"{colon}{value}')
    text = "{" + comma.join(members) + (indent and "\n") + "}\n" + draw(BODIES)
    return text.replace("\n", draw(NEWLINES))


PAGES = st.one_of(yaml_pages(), toml_pages(), json_pages(), BODIES)
