"""Front matter: the metadata block before a Markdown text."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The block as it stands in the file, positions as in ``Section``.

    ``start``/``end`` take in the delimiters and the line end behind the closing one; ``content_start`` and
    ``content_end`` enclose what a YAML, TOML or JSON parser is to be given.
    """

    kind: Literal["yaml", "toml", "json"]
    start: int
    end: int
    content_start: int
    content_end: int
    line: int
    end_line: int


def split_front_matter(text: str) -> FrontMatter | None:
    """The front matter of ``text``, or None where it begins with none."""
    raise NotImplementedError
