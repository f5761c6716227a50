"""Top-level entries of TOML front matter: a scan for the statements, each read by ``tomllib``."""

import re
import tomllib
from typing import Any

from qsum_lsp.front_matter.entries import MAX_DEPTH, Entries, Entry, Quoting, line_end, line_number
from qsum_lsp.front_matter.errors import FrontMatterError

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_KEY = re.compile(r"""(?:[A-Za-z0-9_\-. \t]|"(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*')+""")
# Multi-line strings may end with up to two quotes of their own.
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\r\n]|\\.)*"'
    r"|'[^'\r\n]*'",
    re.DOTALL,
)
_BARE = re.compile(r"""[^\s\[\]{},#"'][^\r\n\[\]{},#"']*""")


def read_toml(content: str) -> Entries:
    """The entries before the first table of ``content``. Raises FrontMatterError where it is no TOML."""
    position = 0
    try:
        whole = tomllib.loads(content, parse_float=str)
        entries: list[Entry] = []
        while True:
            blank = _BLANK.match(content, position)
            position = blank.end() if blank else position
            if position == len(content) or content[position] == "[":
                break
            entry = _entry(content, position)
            entries.append(entry)
            position = entry.end
        keys = {entry.key for entry in entries}
        tables = {key: value for key, value in whole.items() if key not in keys}
        return Entries(entries=tuple(entries), rest=repr(tables))
    except tomllib.TOMLDecodeError as error:
        line = getattr(error, "lineno", None) or _line_in_message(str(error), content)
        raise FrontMatterError(f"the front matter is not valid TOML: {error}", line=line) from error
    except RecursionError as error:
        raise FrontMatterError("the front matter is nested too deeply") from error
    except ValueError as error:
        raise FrontMatterError(
            f"the front matter is not valid TOML: {error}", line=line_number(content, position)
        ) from error


def _entry(content: str, start: int) -> Entry:
    key = _KEY.match(content, start)
    if key is None or not content.startswith("=", key.end()):
        raise ValueError("a statement has no key")
    key_end = start + len(key.group().rstrip())
    value_start = key.end() + 1
    while content[value_start] in " \t":
        value_start += 1
    end = _value_end(content, value_start)
    ((name, value),) = tomllib.loads(content[start:end], parse_float=str).items()
    is_scalar = not isinstance(value, dict | list)
    return Entry(
        key=name,
        start=start,
        key_end=key_end,
        value_start=value_start,
        end=end,
        text=value if isinstance(value, str) else content[value_start:end] if is_scalar else None,
        is_empty=isinstance(value, str) and not value.strip(),
        quoting=_quoting(content, value_start, value),
        comment_start=end,
        comment_end=line_end(content, end),
        value=repr(value),
    )


def _quoting(content: str, value_start: int, value: Any) -> Quoting | None:
    if not isinstance(value, str) or content.startswith(('"""', "'''"), value_start):
        return None
    return "single" if content[value_start] == "'" else "double"


def _value_end(content: str, position: int) -> int:
    depth = 0
    while position < len(content):
        character = content[position]
        match = _STRING.match(content, position) if character in "\"'" else None
        if match is not None:
            position = match.end()
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
            position += 1
        elif character in "]}":
            depth -= 1
            position += 1
        elif depth and (blank := _BLANK.match(content, position)) and blank.end() > position:
            position = blank.end()
        elif depth and character == ",":
            position += 1
        else:
            bare = _BARE.match(content, position)
            if bare is None:
                raise ValueError("a value cannot be read")
            position += len(bare.group().rstrip())
        if not depth:
            return position
    raise ValueError("a value does not end")


def _line_in_message(message: str, content: str) -> int:
    found = re.search(r"at line (\d+)", message)
    return int(found[1]) if found else line_number(content, len(content))
