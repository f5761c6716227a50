"""Putting a summary into front matter without changing anything else. Pure: text in, text out."""

import re
from dataclasses import dataclass
from typing import Literal

from qsum_lsp.errors import UsageError
from qsum_lsp.front_matter.entries import Entry, Quoting, next_line
from qsum_lsp.front_matter.errors import FrontMatterError
from qsum_lsp.front_matter.marker import JSON_KEY, Marker, digest, find_comment_marker, marker_for
from qsum_lsp.front_matter.page import Page, read_page
from qsum_lsp.front_matter.scalar import one_line, write_scalar

Position = Literal["after_title", "last"]

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStyle:
    """How a new line is written; one that is there already keeps its place and its quotes."""

    position: Position = "after_title"
    quoting: Quoting = "double"


DEFAULT_LINE_STYLE = LineStyle()


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace the characters from ``start`` to ``end`` by ``new_text``."""

    start: int
    end: int
    new_text: str


def set_summary(text: str, *, key: str, summary: str, style: LineStyle = DEFAULT_LINE_STYLE) -> str:
    """``text`` with ``summary`` and its marker under ``key``; every other byte stays.

    The front matter is read again before this returns: where any other key, its order or the body would
    differ, or the summary would not read back as it was given, FrontMatterError is raised instead. So it is
    for front matter that is broken or that cannot be edited by lines. A summary of several lines becomes one.
    Raises UsageError for a key that is no plain name.
    """
    check_key(key)
    summary = one_line(summary)
    if not summary:
        raise FrontMatterError("there is no summary to write")
    page = read_page(text)
    marker = marker_for(page.body, summary)
    if page.front_matter is None:
        new_text = _with_new_block(page, key, summary, marker, style)
    elif page.front_matter.kind == "json":
        new_text = _edit_json(page, key, summary, marker, style)
    else:
        new_text = _edit_lines(page, key, summary, marker, style)
    _verify(page, new_text, key, summary, marker)
    return new_text


def check_key(key: str) -> None:
    """Raises UsageError where ``key`` is no name that every syntax can hold unquoted."""
    if not _KEY.fullmatch(key) or key.lower() in _YAML_WORDS or key == JSON_KEY:
        raise UsageError(f"'{key}' cannot be the key of a summary; use letters, digits, '-' and '_'.")


def minimal_edit(old: str, new: str) -> TextEdit:
    """The one edit that makes ``new`` of ``old``."""
    limit = min(len(old), len(new))
    start = 0
    while start < limit and old[start] == new[start]:
        start += 1
    kept = 0
    while kept < limit - start and old[-1 - kept] == new[-1 - kept]:
        kept += 1
    return TextEdit(start, len(old) - kept, new[start : len(new) - kept])


def _with_new_block(page: Page, key: str, summary: str, marker: Marker, style: LineStyle) -> str:
    newline = _newline(page.text)
    value = write_scalar(summary, kind="yaml", quoting=style.quoting)
    first_line = page.body[: next_line(page.body, 0)]
    blank = newline if first_line.strip() else ""
    block = f"---{newline}{key}: {value}  {marker.comment}{newline}---{newline}{blank}"
    return page.text[: page.body_start] + block + page.body


def _edit_lines(page: Page, key: str, summary: str, marker: Marker, style: LineStyle) -> str:
    """YAML and TOML."""
    kind = page.front_matter.kind if page.front_matter else "yaml"
    if page.entries.is_flow:
        raise FrontMatterError("the front matter is one mapping in braces; write it as lines of 'key: value'")
    content = page.content
    entry = page.entry(key)
    if entry is None:
        separator = ": " if kind == "yaml" else " = "
        value = write_scalar(summary, kind=kind, quoting=style.quoting)
        place, indent = _insertion(page, style)
        before = content[:place]
        newline = _newline(page.text)
        broken = newline if before and before[-1] not in "\r\n" else ""
        line = f"{broken}{indent}{key}{separator}{value}  {marker.comment}{newline}"
        return _replace(page, place, place, line)
    _require_text(page, entry)
    if entry.anchor in page.entries.aliases:
        raise FrontMatterError(
            f"other keys take their value from '{key}' by the YAML anchor &{entry.anchor}",
            line=page.line(entry.start),
        )
    kept = None if entry.is_empty and entry.quoting == "plain" else entry.quoting
    value = write_scalar(summary, kind=kind, quoting=kept or style.quoting)
    comment = _comment(content[entry.comment_start : entry.comment_end], marker)
    space = "" if content[entry.value_start - 1] in " \t\r\n" else " "
    end = max(entry.end, entry.comment_end)
    return _replace(page, entry.value_start, end, space + value + comment)


def _comment(rest: str, marker: Marker) -> str:
    """What stands behind a value on its line, with the marker in place of an old one or before other words."""
    found = find_comment_marker(rest)
    if found is None:
        return f"  {marker.comment}" + (f"  {rest.strip()}" if rest.strip() else rest)
    _, start, end = found
    return rest[:start] + marker.comment + rest[end:]


def _insertion(page: Page, style: LineStyle) -> tuple[int, str]:
    """Where a new line goes, as an offset into the content, and its indent."""
    entries = page.entries.entries
    content = page.content
    if not entries:
        return 0, ""
    titles = page.entries.named("title") if style.position == "after_title" else []
    neighbour = titles[0] if titles else entries[-1]
    first_line = max(content.rfind("\n", 0, entries[0].start), content.rfind("\r", 0, entries[0].start)) + 1
    indent = content[first_line : entries[0].start]
    if content[neighbour.end - 1 : neighbour.end] in (
        "\n",
        "\r",
    ):  # a block scalar that keeps its last blank lines
        return neighbour.end, indent
    return next_line(content, neighbour.end), indent


def _edit_json(page: Page, key: str, summary: str, marker: Marker, style: LineStyle) -> str:
    content = page.content
    value = write_scalar(summary, kind="json", quoting="double")
    mark = write_scalar(marker.json_value, kind="json", quoting="double")
    entries = page.entries.entries
    entry, sibling = page.entry(key), page.entry(JSON_KEY)
    if sibling is not None and page.marker(sibling) is None:
        raise FrontMatterError(
            f"the key '{JSON_KEY}' holds something that is not qsum's", line=page.line(sibling.start)
        )
    changes: list[tuple[int, int, str]] = []
    if not entries:
        newline = _newline(page.text)
        members = f'{newline}  "{key}": {value},{newline}  "{JSON_KEY}": {mark}{newline}'
        brace = content.index("{")
        changes.append((brace + 1, content.index("}", brace), members))
    else:
        lead = content[content.index("{") + 1 : entries[0].start]
        colon = content[entries[0].key_end : entries[0].value_start]
        added_mark = "" if sibling else f',{lead}"{JSON_KEY}"{colon}{mark}'
        if entry is None:
            titles = page.entries.named("title") if style.position == "after_title" else []
            place = (titles[0] if titles else entries[-1]).end
            changes.append((place, place, f',{lead}"{key}"{colon}{value}{added_mark}'))
        else:
            _require_text(page, entry)
            changes.append((entry.value_start, entry.end, value + added_mark))
        if sibling is not None:
            changes.append((sibling.value_start, sibling.end, mark))
    text = page.text
    start = page.front_matter.content_start if page.front_matter else 0
    for begin, end, new in sorted(changes, reverse=True):
        text = text[: start + begin] + new + text[start + end :]
    return text


def _require_text(page: Page, entry: Entry) -> None:
    if entry.text is None and not entry.is_empty and page.content[entry.value_start] != "*":
        raise FrontMatterError(f"the value of '{entry.key}' is no text", line=page.line(entry.start))


def _replace(page: Page, start: int, end: int, new: str) -> str:
    offset = page.front_matter.content_start if page.front_matter else 0
    return page.text[: offset + start] + new + page.text[offset + end :]


def _newline(text: str) -> str:
    """The first line end of ``text``."""
    end = next_line(text, 0)
    if text[:end].endswith("\r\n"):
        return "\r\n"
    return "\r" if text[:end].endswith("\r") else "\n"


def _verify(before: Page, new_text: str, key: str, summary: str, marker: Marker) -> None:
    """Read the new text and hold it against the old one. Raises FrontMatterError where anything else changed."""
    after = read_page(new_text)
    written = before.entry(key)
    owned = {written.key if written else key}
    if after.front_matter is not None and after.front_matter.kind == "json":
        owned.add(JSON_KEY)
    body = after.body
    if before.front_matter is None:
        extra = len(body) - len(before.body)
        same_body = body[extra:] == before.body and not body[:extra].strip("\r\n")
    else:
        same_body = body == before.body
    same_kind = after.front_matter is not None and (
        after.front_matter.kind == (before.front_matter.kind if before.front_matter else "yaml")
    )
    entry = after.entry(key)
    kept = [(other.key, other.value) for other in before.entries.entries if other.key not in owned]
    now = [(other.key, other.value) for other in after.entries.entries if other.key not in owned]
    if not (
        same_kind
        and same_body
        and kept == now
        and before.entries.rest == after.entries.rest
        and entry is not None
        and entry.text == summary
        and digest(entry.text) == marker.summary
        and after.marker(entry) == marker
    ):
        raise FrontMatterError(
            "the summary cannot be written without changing something else; nothing was written"
        )
