"""The title of a page: what its front matter says, else its first heading."""

import json
import re
import tomllib

import yaml

from qsum_lsp.document.document import Document
from qsum_lsp.document.front_matter import FrontMatter

_YAML_TITLE = re.compile(
    r"^title[ \t]*:.*(?:\r\n|\r|\n|\Z)(?:[ \t]+.*(?:\r\n|\r|\n|\Z)|[ \t]*(?:\r\n|\r|\n))*", re.MULTILINE
)


def page_title(document: Document) -> str:
    """The ``title`` of the front matter, else the first level 1 heading, else the first heading, else empty."""
    if document.front_matter is not None:
        stated = _stated_title(document.text, document.front_matter)
        if stated:
            return stated
    first: str | None = None
    for section in document.walk():
        if section.level == 1:
            return section.title
        if section.level > 0 and first is None:
            first = section.title
    return first or ""


def _stated_title(text: str, front_matter: FrontMatter) -> str:
    content = text[front_matter.content_start : front_matter.content_end]
    try:
        if front_matter.kind == "toml":
            value: object = tomllib.loads(content).get("title")
        elif front_matter.kind == "json":
            table = json.loads(content)
            value = table.get("title") if isinstance(table, dict) else None
        else:
            # one entry is parsed, not the block: a page's front matter can be long, and broken elsewhere
            entry = _YAML_TITLE.search(content)
            value = _yaml_title(entry.group()) if entry else None
    except (ValueError, yaml.YAMLError, RecursionError, KeyError, TypeError):
        return ""
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def _yaml_title(entry: str) -> object:
    # The base loader leaves scalars as they are written: a title "1.0" or "Yes" is no number and no boolean.
    value = yaml.load(entry, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))["title"]  # noqa: S506
    return None if value in ("~", "null") else value
