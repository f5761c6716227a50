"""The marker beside an owned summary: what it was made from, so that a check needs no model and no cache."""

import hashlib
import re
from dataclasses import dataclass

JSON_KEY = "qsum"
"""JSON has no comments: there the marker is the value of this key beside the summary."""

_COMMENT = re.compile(r"#[ \t]*qsum:1[ \t]+([0-9a-f]{12})[ \t]+([0-9a-f]{12})(?![^\s#])")
_JSON = re.compile(r"1 ([0-9a-f]{12}) ([0-9a-f]{12})")
_LEADING_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")


@dataclass(frozen=True, slots=True)
class Marker:
    """Digests of the body that a summary was made from and of the summary itself."""

    body: str
    summary: str

    @property
    def comment(self) -> str:
        """As a comment of YAML and TOML."""
        return f"# qsum:1 {self.body} {self.summary}"

    @property
    def json_value(self) -> str:
        """As the value of the sibling key."""
        return f"1 {self.body} {self.summary}"


def marker_for(body: str, summary: str) -> Marker:
    """The marker of ``summary`` made from ``body``."""
    return Marker(body_digest(body), digest(summary))


def find_comment_marker(comment: str) -> tuple[Marker, int, int] | None:
    """The marker in a comment and where it stands in it."""
    found = _COMMENT.search(comment)
    return (Marker(found[1], found[2]), found.start(), found.end()) if found else None


def parse_json_marker(value: str | None) -> Marker | None:
    """The marker that a sibling key holds."""
    found = _JSON.fullmatch(value or "")
    return Marker(found[1], found[2]) if found else None


def body_digest(body: str) -> str:
    """The digest of what stands below the front matter.

    Line ends of all kinds are the same; blank lines at the beginning and white space at the end do not count, because
    formatters add and remove them. Every other character does.
    """
    lines = body.replace("\r\n", "\n").replace("\r", "\n")
    return digest(_LEADING_BLANK_LINES.sub("", lines).rstrip(" \t\n"))


def digest(text: str) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of ``text`` in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
