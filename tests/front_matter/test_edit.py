"""The editor of front matter: bytes in, bytes out."""

import json
import re
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qsum_lsp.document import split_front_matter
from qsum_lsp.errors import UsageError
from qsum_lsp.front_matter import FrontMatterError, LineStyle, minimal_edit, read_page, set_summary
from qsum_lsp.front_matter.marker import marker_for
from qsum_lsp.front_matter.prose import has_prose
from qsum_lsp.front_matter.scalar import one_line
from tests.front_matter.strategies import ATTACKS, PAGES

CONFLICT = "<<<<<<< HEAD\nsummary: a\n=======\nsummary: b\n>>>>>>> other\n"
BODY = "The body of it.\n"
NEW = "What it's about."
COMMENT = marker_for(BODY, NEW).comment
JSON_MARK = marker_for(BODY, NEW).json_value
STYLES = st.builds(
    LineStyle,
    position=st.sampled_from(["after_title", "last"]),
    quoting=st.sampled_from(["plain", "single", "double"]),
)

# Name, front matter before, front matter after, style.
CASES: list[tuple[str, str, str, LineStyle]] = [
    ("after the title", "---\ntitle: T # c\ndate: 1\n---\n", f"---\ntitle: T # c\nsummary: \"{NEW}\"  {COMMENT}\ndate: 1\n---\n", LineStyle()),
    ("last", "---\ntitle: T\ndate: 1\n---\n", f"---\ntitle: T\ndate: 1\nsummary: \"{NEW}\"  {COMMENT}\n---\n", LineStyle(position="last")),
    ("plain", "---\ntitle: T\n---\n", f"---\ntitle: T\nsummary: {NEW}  {COMMENT}\n---\n", LineStyle(quoting="plain")),
    ("single quotes", "---\ntitle: T\n---\n", f"---\ntitle: T\nsummary: 'What it''s about.'  {COMMENT}\n---\n", LineStyle(quoting="single")),
    ("no keys", "---\n---\n", f"---\nsummary: \"{NEW}\"  {COMMENT}\n---\n", LineStyle()),
    ("only a comment", "---\n# c\n---\n", f"---\nsummary: \"{NEW}\"  {COMMENT}\n# c\n---\n", LineStyle()),
    ("after a block title", "---\ntitle: >-\n  A\n  B\n\nx: 1\n---\n", f"---\ntitle: >-\n  A\n  B\nsummary: \"{NEW}\"  {COMMENT}\n\nx: 1\n---\n", LineStyle()),
    ("after a keeping block", "---\ntitle: |+\n  A\n\nx: 1\n---\n", f"---\ntitle: |+\n  A\n\nsummary: \"{NEW}\"  {COMMENT}\nx: 1\n---\n", LineStyle()),
    ("after a list", "---\nx:\n- a\n- b: c\n# end\n---\n", f"---\nx:\n- a\n- b: c\nsummary: \"{NEW}\"  {COMMENT}\n# end\n---\n", LineStyle()),
    ("empty value", "---\nsummary:\nx: 1\n---\n", f"---\nsummary: \"{NEW}\"  {COMMENT}\nx: 1\n---\n", LineStyle()),
    ("null with a comment", "---\nsummary: ~ # todo\n---\n", f"---\nsummary: \"{NEW}\"  {COMMENT}  # todo\n---\n", LineStyle()),
    ("other letter case", "---\nSummary: old text\nx: 1\n---\n", f"---\nSummary: {NEW}  {COMMENT}\nx: 1\n---\n", LineStyle()),
    ("the letter case that is asked for", "---\nSUMMARY: a\nsummary: old text\n---\n", f"---\nSUMMARY: a\nsummary: {NEW}  {COMMENT}\n---\n", LineStyle()),
    ("json in other letter case", '{"Summary":"old"}\n', f'{{"Summary":"{NEW}","qsum":"{JSON_MARK}"}}\n', LineStyle()),
    ("keeps its quotes", "---\nsummary: 'old'\n---\n", f"---\nsummary: 'What it''s about.'  {COMMENT}\n---\n", LineStyle()),
    ("keeps its column", "---\nsummary:    old words  # qsum:1 000000000000 000000000000 # mine\n---\n", f"---\nsummary:    {NEW}  {COMMENT} # mine\n---\n", LineStyle()),
    ("folded", "---\nsummary: >\n  old\n  words\n\n# c\nx: 1\n---\n", f"---\nsummary: \"{NEW}\"  {COMMENT}\n\n# c\nx: 1\n---\n", LineStyle()),
    ("literal with a comment", "---\nsummary: |2- # why\n   old\n---\n", f"---\nsummary: \"{NEW}\"  {COMMENT}  # why\n---\n", LineStyle()),
    ("quotes over lines", "---\nsummary: \"old\n  words\"\nx: 1\n---\n", f"---\nsummary: \"{NEW}\"  {COMMENT}\nx: 1\n---\n", LineStyle()),
    ("an alias", "---\nx: &a 1\nsummary: *a\n---\n", f"---\nx: &a 1\nsummary: \"{NEW}\"  {COMMENT}\n---\n", LineStyle()),
    ("an unused anchor and a tag", "---\nsummary: !!str &a old\n---\n", f"---\nsummary: {NEW}  {COMMENT}\n---\n", LineStyle()),
    ("duplicate other keys", "---\nx: 1\nx: 2\n---\n", f"---\nx: 1\nx: 2\nsummary: \"{NEW}\"  {COMMENT}\n---\n", LineStyle()),
    ("dashes inside", "---\nx: \"a\n  ---\n  b\"\n---\n", f"---\nx: \"a\n  ---\n  b\"\nsummary: \"{NEW}\"  {COMMENT}\n---\n", LineStyle()),
    ("closed by dots", "---\nx: 1\n...\n", f"---\nx: 1\nsummary: \"{NEW}\"  {COMMENT}\n...\n", LineStyle()),
    ("explicit key", "---\n? summary\n: old text\n---\n", f"---\n? summary\n: {NEW}  {COMMENT}\n---\n", LineStyle()),
    ("inner key of that name", "---\nx:\n  summary: mine\n---\n", f"---\nx:\n  summary: mine\nsummary: \"{NEW}\"  {COMMENT}\n---\n", LineStyle()),
    ("toml", "+++\ntitle = 'T' # c\n[x]\nsummary = 'mine'\n+++\n", f"+++\ntitle = 'T' # c\nsummary = \"{NEW}\"  {COMMENT}\n[x]\nsummary = 'mine'\n+++\n", LineStyle()),
    ("toml tables only", "+++\n[x]\na = 1\n+++\n", f"+++\nsummary = \"{NEW}\"  {COMMENT}\n[x]\na = 1\n+++\n", LineStyle()),
    ("toml over lines", "+++\nsummary = '''\nold''' # c\nx=1\n+++\n", f"+++\nsummary = \"{NEW}\"  {COMMENT}  # c\nx=1\n+++\n", LineStyle()),
    ("toml literal with an apostrophe", "+++\nsummary = 'old'\n+++\n", f"+++\nsummary = \"{NEW}\"  {COMMENT}\n+++\n", LineStyle(quoting="single")),
    ("json", '{\n  "title": "T",\n  "x": 1\n}\n', f'{{\n  "title": "T",\n  "summary": "{NEW}",\n  "qsum": "{JSON_MARK}",\n  "x": 1\n}}\n', LineStyle()),
    ("json last", '{\n  "title": "T",\n  "x": 1\n}\n', f'{{\n  "title": "T",\n  "x": 1,\n  "summary": "{NEW}",\n  "qsum": "{JSON_MARK}"\n}}\n', LineStyle(position="last")),
    ("json update", '{"qsum" : "1 000000000000 000000000000", "summary":"old"}\n', f'{{"qsum" : "{JSON_MARK}", "summary":"{NEW}"}}\n', LineStyle()),
    ("json empty", "{}\n", f'{{\n  "summary": "{NEW}",\n  "qsum": "{JSON_MARK}"\n}}\n', LineStyle()),
    ("none", "", f"---\nsummary: \"{NEW}\"  {COMMENT}\n---\n\n", LineStyle()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "style"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_bytes(before: str, after: str, style: LineStyle, bom: str, newline: str) -> None:
    def text(front_matter: str) -> str:
        return bom + (front_matter + BODY).replace("\n", newline)

    assert set_summary(text(before), key="summary", summary=NEW, style=style) == text(after)


def test_no_final_newline() -> None:
    assert set_summary("---\nx: 1\n---", key="summary", summary="Two words.").endswith("\n---")
    assert set_summary("Some words here", key="summary", summary="Two words.").endswith(
        "---\n\nSome words here"
    )


def test_page_that_opens_with_a_thematic_break() -> None:
    text = "---\n\nSome words here.\n\n---\n"
    for above in (
        "",
        "\n",
        "<!-- A comment. -->\n",
        "Note: read it.\n",
        "Titles: a few words.\n\nTitle: no more.\n",
    ):
        page = above + text
        assert set_summary(page, key="summary", summary="Two words.").endswith("---\n\n" + page.lstrip("\n"))


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("---\ntitle: [\n---\n", "not valid YAML", 3),
        ("\n---\ntitle: x\ndraft: true\n---\n", "does not begin on the first line", 2),
        ("\ufeff\r\n \r\n+++\r\ntitle = 'x'\r\n+++\r\n", "does not begin on the first line", 3),
        ('  {"title": "x"}\n', "does not begin on the first line", 1),
        ("<!--\n---\ntitle: x\n---\n-->\n", "does not begin on the first line", 2),
        ("Title: x\nDate: 2024-01-01\n\n", "no lines of ---", 1),
        ("\ufeffdate: 2024-01-01\r\ntitle: x\r\n\r\n", "no lines of ---", 1),
        (f"---\n{CONFLICT}---\n", "a merge conflict", 2),
        (f"---\r\ntitle: x\r\n{CONFLICT}---\n", "a merge conflict", 3),
        ("<<<<<<< HEAD\n---\ntitle: x\n---\n=======\n>>>>>>> other\n", "a merge conflict", 1),
        (f"+++\n{CONFLICT}+++\n", "a merge conflict", 2),
        (f"{{\n{CONFLICT}}}\n", "a merge conflict", 2),
        ("---\ntitle: x\nb\n---\n", "not valid YAML", 3),
        ("---\ntitle: x\n", "never closed", 1),
        ("+++\ntitle = 'x'\n", "never closed", 1),
        ('{"title": "x"\n', "never closed", 1),
        ("+++\ntitle = x\n+++\n", "not valid TOML", 2),
        ("+++\na = 1\na = 2\n+++\n", "not valid TOML", 3),
        ('{"title": x}\n', "not valid JSON", 1),
        ("---\nsummary: a\nsummary: b\n---\n", "stands twice", 3),
        ("---\nSummary: a\nSUMMARY: b\n---\n", "stands twice", 3),
        ("---\nsummary: [a]\n---\n", "is no text", 2),
        ("+++\nsummary.x = 1\n+++\n", "is no text", 2),
        ("---\n{title: x}\n---\n", "in braces", 1),
        ("---\nsummary: &a b\nx: *a\n---\n", "anchor &a", 2),
        ("---\nx: *a\n---\n", "alias *a", 2),
        ("---\nx: 1\n--- !t\ny: 1\n---\n", "more than one YAML document", 2),
        ("---\nx: a\x0cb\n---\n", "control characters", 2),
        ("---\nx: " + "[" * 100_000 + "\n---\n", "nested", 2),
        ("+++\nx = " + "[" * 100_000 + "\n+++\n", "nested", 2),
        ('{"x": ' + "[" * 200_000 + "]" * 200_000 + "}\n", "larger than", 1),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}\n", "nested", 1),
        ("---\nx: " + "y" * 1_000_000 + "\n---\n", "larger than 256 KiB", 1),
        ('{"qsum": "mine"}\n', "not qsum's", 1),
    ],
    ids=lambda value: str(value)[:24],
)
def test_refused(text: str, reason: str, line: int) -> None:
    with pytest.raises(FrontMatterError, match=re.escape(reason)) as refused:
        set_summary(text + BODY, key="summary", summary=NEW)
    assert refused.value.line == line


def test_bombs_and_tags_are_read_but_never_built() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    bomb = f"---\nl0: &l0 lol\n{levels}run: !!python/object/apply:os.system ['false']\n---\n{BODY}"
    new = set_summary(bomb, key="summary", summary=NEW)
    assert new == bomb.replace("\n---\n" + BODY, f'\nsummary: "{NEW}"  {COMMENT}\n---\n{BODY}')


@pytest.mark.parametrize("key", ["", "a b", "yes", "a:", "1st", "qsum", "é", "a\n"])
def test_unfit_key(key: str) -> None:
    with pytest.raises(UsageError, match="cannot be the key"):
        set_summary(BODY, key=key, summary=NEW)


def _parse(text: str) -> tuple[dict[str, Any], str]:
    """An independent reading: data by a constructing parser, and the body."""
    block = split_front_matter(text)
    if block is None:
        return {}, text.removeprefix("\ufeff")
    content = text[block.content_start : block.content_end]
    if block.kind == "yaml":
        return yaml.load(content, yaml.CSafeLoader) or {}, text[block.end :]
    return (tomllib.loads if block.kind == "toml" else json.loads)(content), text[block.end :]


def _without(data: dict[str, Any], *keys: str) -> str:
    return repr([(key, value) for key, value in data.items() if key not in keys])


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(text=PAGES, summary=ATTACKS, style=STYLES)
@example(
    text="Words of a body.\n", summary="# qsum:1 000000000000 000000000000", style=LineStyle(quoting="plain")
)
def test_nothing_in_a_summary_changes_anything_else(text: str, summary: str, style: LineStyle) -> None:
    clean = one_line(summary)
    if not clean:
        with pytest.raises(FrontMatterError, match="no summary"):
            set_summary(text, key="summary", summary=summary, style=style)
        return
    new = set_summary(text, key="summary", summary=summary, style=style)
    data, body = _parse(text)
    new_data, new_body = _parse(new)
    assert new_data["summary"] == clean
    assert _without(new_data, "summary", "qsum") == _without(data, "summary", "qsum")
    assert new_body.lstrip("\r\n") == body.lstrip("\r\n")
    edit = minimal_edit(text, new)
    assert text[: edit.start] + edit.new_text + text[edit.end :] == new
    assert edit.start == edit.end, "a new line only adds"
    assert read_page(new).state("summary") == "fresh"
    assert set_summary(new, key="summary", summary=summary, style=style) == new


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(text=PAGES, first=ATTACKS, second=ATTACKS, style=STYLES)
def test_updating_is_the_same_as_writing_anew(text: str, first: str, second: str, style: LineStyle) -> None:
    if not one_line(first) or not one_line(second):
        return
    once = set_summary(text, key="summary", summary=first, style=LineStyle(position=style.position))
    twice = set_summary(once, key="summary", summary=second, style=style)
    assert twice == set_summary(text, key="summary", summary=second, style=LineStyle(position=style.position))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(text=PAGES, position=st.floats(0, 1, exclude_max=True), character=st.sampled_from("ax9.#-é"))
def test_states_after_one_change(text: str, position: float, character: str) -> None:
    new = set_summary(text, key="summary", summary=NEW)
    page = read_page(new)
    at = page.body_start + int(position * len(page.body.rstrip()))
    changed = read_page(new[:at] + character + new[at:])
    assert changed.state("summary") == ("stale" if has_prose(changed.body) else "empty")
    assert (
        read_page(new[: page.body_start] + new[page.body_start :].rstrip() + "\n\n").state("summary")
        == "fresh"
    )
    assert read_page(new.replace("about", "aboot", 1)).state("summary") == "edited"
    other_ends = new.replace("\r\n", "\n") if "\r\n" in new else new.replace("\n", "\r\n")
    assert read_page(other_ends).state("summary") == "fresh"
    assert read_page(new).state("description") == "missing"


@pytest.mark.parametrize(
    "reformatted",
    [
        "summary: 'What it is: in many words.' {}",
        'summary:\n  "What it is: in\n  many words." {}',
        "summary: >- {}\n  What it is: in\n  many words.",
        "summary: |- {}\n  What it is: in many words.",
        '"summary" : "What it is: in many words."\t{}',
    ],
)
def test_a_formatter_leaves_a_summary_fresh(reformatted: str) -> None:
    text = set_summary("---\ntitle: T\n---\n" + BODY, key="summary", summary="What it is: in many words.")
    (line,) = [line for line in text.split("\n") if line.startswith("summary")]
    comment = line[line.index("# qsum") :]
    assert read_page(text.replace(line, reformatted.format(comment))).state("summary") == "fresh"
    assert read_page(text.replace(f"  {comment}", "")).state("summary") == "human"


@pytest.mark.parametrize(
    "text",
    [
        "---\n" + "".join(f"a{n}: b\n" for n in range(20_000)) + "---\n",
        "+++\n" + "".join(f"a{n} = 1\n" for n in range(20_000)) + "+++\n",
        "{" + ",".join(f'"a{n}": 1' for n in range(15_000)) + "}\n",
    ],
    ids=["yaml", "toml", "json"],
)
def test_the_largest_front_matter_takes_linear_time(text: str) -> None:
    assert read_page(set_summary(text + BODY, key="summary", summary=NEW)).state("summary") == "fresh"
