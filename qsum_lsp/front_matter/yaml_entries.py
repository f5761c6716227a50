"""Top-level entries of YAML front matter, from libyaml's events.

Events are enough to find and compare values: no tag is ever constructed and no alias expanded, so a document
cannot run code or grow.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from qsum_lsp.front_matter.entries import MAX_DEPTH, Entries, Entry, Quoting, line_end
from qsum_lsp.front_matter.errors import FrontMatterError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_QUOTING: dict[str | None, Quoting] = {"'": "single", '"': "double"}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

Shape = tuple[object, ...]


class _Span(NamedTuple):
    """Where an entry's key begins and ends, and where its value ends."""

    start: int
    key_end: int
    end: int


def read_yaml(content: str) -> Entries:
    """The entries of ``content``. Raises FrontMatterError where it is no mapping or no YAML."""
    events = _events(content)
    first = next(events, None)
    if first is None:
        return Entries(entries=())
    if isinstance(first, yaml.ScalarEvent) and first.value in _NULLS and first.implicit[0]:
        return Entries(entries=())
    if not isinstance(first, yaml.MappingStartEvent):
        raise FrontMatterError("the front matter is no mapping of keys to values")
    entries: list[Entry] = []
    anchors: set[str] = {first.anchor} if first.anchor else set()
    aliases: set[str] = set()
    for event in events:  # the loop and _node take turns with one iterator
        if isinstance(event, yaml.MappingEndEvent):
            break
        key, key_end = _node(event, events, anchors, aliases)
        value_event = next(events)
        value, end = _node(value_event, events, anchors, aliases)
        is_plain_key = isinstance(event, yaml.ScalarEvent) and event.tag is None
        span = _Span(_offset(event.start_mark), key_end, end)
        entries.append(_entry(content, event.value if is_plain_key else "", span, value_event, (key, value)))
    if next(events, None) is not None:
        raise FrontMatterError("the front matter holds more than one YAML document")
    return Entries(entries=tuple(entries), is_flow=bool(first.flow_style), aliases=frozenset(aliases))


def _events(content: str) -> Iterator[Any]:
    """The events between the document's start and end; PyYAML's errors become ours."""
    depth = 0
    try:
        parsed: Iterator[Any] = yaml.parse(content, Loader=_LOADER)
        for event in parsed:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise _too_deep(_line(event.start_mark))
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif not isinstance(event, yaml.NodeEvent):
                continue
            yield event
    except yaml.MarkedYAMLError as error:
        is_key = error.context == "while scanning a simple key"  # the problem shows only lines later
        mark = (error.context_mark if is_key else error.problem_mark) or error.context_mark
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        if "nesting depth" in problem:  # newer versions of libyaml have a bound of their own
            raise _too_deep(mark.line + 1 if mark else 1) from error
        raise FrontMatterError(
            f"the front matter is not valid YAML: {problem}", line=mark.line + 1 if mark else 1
        ) from error
    except (yaml.YAMLError, UnicodeError) as error:
        reason = getattr(error, "reason", None) or str(error).splitlines()[0]
        raise FrontMatterError(f"the front matter is not valid YAML: {reason}") from error


def _too_deep(line: int) -> FrontMatterError:
    return FrontMatterError(f"the front matter is nested more than {MAX_DEPTH} levels deep", line=line)


def _node(first: Any, events: Iterator[Any], anchors: set[str], aliases: set[str]) -> tuple[Shape, int]:
    """The shape of the node that begins with ``first``, and the offset behind its last character."""
    shape: list[object] = []
    open_collections: list[bool] = []
    end = first.start_mark.index
    event: Any = first
    while True:
        if isinstance(event, yaml.ScalarEvent):
            shape.append((event.anchor, event.tag, event.implicit, event.value))
            end = _offset(event.end_mark)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise FrontMatterError(
                    f"the front matter uses the YAML alias *{event.anchor}, which nothing defines",
                    line=_line(event.start_mark),
                )
            aliases.add(event.anchor)
            shape.append(("alias", event.anchor))
            end = _offset(event.end_mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            shape.append((type(event).__name__, event.anchor, event.tag))
            open_collections.append(bool(event.flow_style))
        else:
            shape.append(type(event).__name__)
            if open_collections.pop():
                end = _offset(event.end_mark)
        if getattr(event, "anchor", None) and not isinstance(event, yaml.AliasEvent):
            anchors.add(event.anchor)
        if not open_collections:
            return tuple(shape), end
        event = next(events)


def _entry(content: str, key: str, span: _Span, event: Any, value: tuple[Shape, Shape]) -> Entry:
    start, end = _offset(event.start_mark), span.end
    is_scalar = isinstance(event, yaml.ScalarEvent)
    is_block = is_scalar and event.style in ("|", ">")
    comment_start = end
    if is_block:
        comment_start = _block_header_end(content, start)
        header = content[start:comment_start]
        if "+" not in header:
            # libyaml counts the blank lines behind a block to it.
            end = max(start + len(content[start:end].rstrip()), comment_start)
    return Entry(
        key=key,
        start=span.start,
        key_end=span.key_end,
        value_start=start,
        end=end,
        text=event.value if is_scalar else None,
        is_empty=is_scalar and (_is_null(event) or not event.value.strip()),
        quoting=_QUOTING.get(event.style, "plain") if is_scalar and not is_block else None,
        comment_start=comment_start,
        comment_end=line_end(content, comment_start),
        value=value,
        anchor=None if isinstance(event, yaml.AliasEvent) else event.anchor,
    )


def _offset(mark: Any) -> int:
    return int(mark.index)


def _line(mark: Any) -> int:
    return int(mark.line) + 1


def _is_null(event: Any) -> bool:
    return bool(event.implicit[0]) and not event.style and event.value in _NULLS


def _block_header_end(content: str, start: int) -> int:
    """The offset behind ``&anchor !tag >-``, where a comment may stand."""
    position = start
    while content[position] not in "|>":
        position += 1
    position += 1
    while position < len(content) and content[position] in "+-0123456789":
        position += 1
    return position
