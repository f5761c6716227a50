"""Top-level entries of JSON front matter, found with the standard library's own decoder."""

import json
import re

from qsum_lsp.front_matter.entries import Entries, Entry, line_number
from qsum_lsp.front_matter.errors import FrontMatterError

_SPACE = re.compile(r"[ \t\r\n]*")


def read_json(content: str) -> Entries:
    """The entries of the object ``content``. Raises FrontMatterError where it is none."""
    position = 0
    try:
        json.loads(content)
        position = _skip(content, 0)
        if not content.startswith("{", position):
            raise FrontMatterError("the front matter is no JSON object")
        entries: list[Entry] = []
        position = _skip(content, position + 1)
        while not content.startswith("}", position):
            entry = _entry(content, position)
            entries.append(entry)
            position = _skip(content, entry.end)
            if content.startswith(",", position):
                position = _skip(content, position + 1)
    except json.JSONDecodeError as error:
        raise FrontMatterError(
            f"the front matter is not valid JSON: {error.msg}", line=error.lineno
        ) from error
    except RecursionError as error:
        raise FrontMatterError("the front matter is nested too deeply") from error
    except ValueError as error:
        raise FrontMatterError(
            f"the front matter is not valid JSON: {error}", line=line_number(content, position)
        ) from error
    return Entries(entries=tuple(entries))


def _entry(content: str, start: int) -> Entry:
    decoder = json.JSONDecoder()
    key, key_end = decoder.raw_decode(content, start)
    value_start = _skip(content, _skip(content, key_end) + 1)
    value, end = decoder.raw_decode(content, value_start)
    is_scalar = not isinstance(value, dict | list)
    return Entry(
        key=key,
        start=start,
        key_end=key_end,
        value_start=value_start,
        end=end,
        text=value if isinstance(value, str) else content[value_start:end] if is_scalar else None,
        is_empty=value is None or (isinstance(value, str) and not value.strip()),
        quoting="double",
        comment_start=end,
        comment_end=end,
        value=content[value_start:end],
    )


def _skip(content: str, position: int) -> int:
    match = _SPACE.match(content, position)
    return match.end() if match else position
