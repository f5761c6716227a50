"""The development pages as the sites that they come from: generator files, and front matter in each site's style."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "docs-dev.jsonl"


def _double(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(text: str) -> str:
    return _double(text) if ": " in text or " #" in text or not text[:1].isalpha() else text


def _hugo_docs(page: dict[str, Any], description: str) -> str:
    line = f"description: {_plain(description)}\n" if description else ""
    return f"---\ntitle: {_plain(page['title'])}\n{line}categories: []\nkeywords: [templates]\nparams:\n  functions_and_methods:\n    aliases: []\n---\n"


def _dapr(page: dict[str, Any], description: str) -> str:
    line = f"description: {_double(description)}\n" if description else ""
    return f"---\ntype: docs\ntitle: {_double(page['title'])}\nlinkTitle: {_double(page['title'][:20])}\nweight: 3000\n{line}---\n"


def _cockroach(page: dict[str, Any], description: str) -> str:
    line = f"summary: {_plain(description)}\n" if description else ""
    return f"---\ntitle: {_plain(page['title'])}\n{line}toc: true\ndocs_area: reference.sql  # kept\nkey: stream.html\n---\n"


def _digitalgov(page: dict[str, Any], description: str) -> str:
    line = f"summary: {_single(description)}\n" if description else ""
    return f"---\ndate: 2014-08-15 10:00:58 -0400\ntitle: {_single(page['title'])}\n{line}authors:\n- kathryn\ntopics:\n- content\n- plain-language\n\n---\n"


@dataclass(frozen=True)
class DevSite:
    """One of the sites. ``line`` is what a new line of the summary begins with, ``follows`` what stands before it."""

    repo: str
    generator_file: str
    key: str
    write: Callable[[dict[str, Any], str], str]
    quote: str
    follows: str


SITES = (
    DevSite("gohugoio/hugoDocs", "hugo.toml", "description", _hugo_docs, "", "title:"),
    DevSite("dapr/docs", "hugo.yaml", "description", _dapr, '"', "weight:"),
    DevSite("cockroachdb/docs", "_config.yml", "summary", _cockroach, "", "title:"),
    DevSite("GSA/digitalgov.gov", "config/_default/hugo.yaml", "summary", _digitalgov, "'", "title:"),
)


def dev_pages(repo: str | None = None) -> list[dict[str, Any]]:
    """The pages, all of them or those of one repository."""
    pages = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    return [page for page in pages if repo in (None, page["repo"])]


def write_site(root: Path, site: DevSite, *, without: Callable[[int], bool]) -> tuple[list[Path], list[Path]]:
    """Write the site below ``root``; the pages that kept their description, and those of ``without`` that did not."""
    generator_file = root / site.generator_file
    generator_file.parent.mkdir(parents=True, exist_ok=True)
    generator_file.write_text("title: x\n", encoding="utf-8")
    described, bare = [], []
    for index, page in enumerate(dev_pages(site.repo)):
        path = root / page["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        taken = without(index)
        text = site.write(page, "" if taken else page["description"]) + page["body"]
        path.write_bytes(text.encode("utf-8"))
        (bare if taken else described).append(path)
    return described, bare
