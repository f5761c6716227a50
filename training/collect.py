"""Pages with descriptions by their authors, as prompts of the product and the answers to learn.

Usage: ``python -m training.collect CLONES OUT`` with a clone of each repository of ``sources.toml`` at
``CLONES/owner/name.git``. ``OUT/pairs.jsonl`` has pages with their targets, ``OUT/sections.jsonl`` prompts of sections alone.
"""

import json
import random
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from qsum_lsp.document import split_front_matter
from qsum_lsp.front_matter.style import PageStyle, Sample, style_of
from qsum_lsp.summaries.nodes import Node
from qsum_lsp.summaries.prompt import Prompt, PromptInput, build_prompt
from qsum_lsp.summaries.values import PAGE, SummaryOptions
from qsum_lsp.summaries.verbatim import verbatim_text
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.words import bare, words
from training.descriptions import Page, target_of

SOURCES = Path(__file__).with_name("sources.toml")
TEST_PAGES = Path(__file__).parent.parent / "tests" / "data" / "docs-dev.jsonl"
OPTIONS = SummaryOptions()

MOST_OF_A_SOURCE = 220  # unless it says otherwise
MOST_OF_A_LANGUAGE = 90  # other than English
MOST_SECTIONS = 1500
MOST_ALIKE_OPENINGS = 0.12  # of the pages of a source with the same first two words
MOST_SHARED = 0.05  # of the 8-word sequences, with a test page
MOST_SHARED_HERE = 0.4  # with an earlier page
SECTION_BYTES = (150, 6000)
STYLED = 6  # one page in so many is asked for in the style of its site, as on a site with other descriptions
FEWEST_FOR_STYLE = 20


def main() -> None:
    clones, out = Path(sys.argv[1]), Path(sys.argv[2])
    tests = [json.loads(line) for line in TEST_PAGES.read_text("utf-8").splitlines()]
    seen = Seen(tests)
    chosen: list[Page] = []
    for source in tomllib.loads(SOURCES.read_text("utf-8"))["source"]:
        why = Counter[str]()
        pages = list(_usable(source, clones, seen, why))
        chosen += pages
        print(f"{source['repo']}: {len(pages)} kept; {dict(why.most_common())}", file=sys.stderr)
    random.Random(0).shuffle(chosen)
    styles = _styles(chosen)
    pairs = [
        _pair(page, styles.get(page.repo) if index % STYLED == 0 else None)
        for index, page in enumerate(chosen)
    ]
    _write(out / "pairs.jsonl", pairs)
    _write(out / "sections.jsonl", _sections(chosen))


class Seen:
    """What other pages said, so that nothing is learned twice and no test page at all."""

    def __init__(self, tests: Sequence[dict[str, Any]]) -> None:
        self._tests = {run for page in tests for run in _runs(page["body"])}
        self._descriptions = {bare(page["description"]) for page in tests}
        self._runs: set[int] = set()

    def again(self, page: Page) -> str:
        """Why ``page`` is to be left out, or empty; then it counts as seen."""
        runs = set(_runs(page.body))
        if bare(page.description) in self._descriptions:
            return "description seen"
        if len(runs & self._tests) > MOST_SHARED * len(runs):
            return "shared with a test page"
        if len(runs & self._runs) > MOST_SHARED_HERE * len(runs):
            return "shared with another page"
        self._runs |= runs
        self._descriptions.add(bare(page.description))
        return ""


def _runs(text: str) -> Iterator[int]:
    spoken = words(text)
    for start in range(max(1, len(spoken) - 7)):
        yield hash(tuple(spoken[start : start + 8]))


def _usable(source: dict[str, Any], clones: Path, seen: Seen, why: Counter[str]) -> Iterator[Page]:
    counts, openings = Counter[str](), Counter[tuple[str, ...]]()
    pages = list(_described(source, clones))
    random.Random(source["repo"]).shuffle(pages)
    most_alike = max(4, round(MOST_ALIKE_OPENINGS * min(len(pages), MOST_OF_A_SOURCE)))
    for page in pages:
        most = source.get("most", MOST_OF_A_SOURCE) if page.language == "en" else MOST_OF_A_LANGUAGE
        if counts[page.language] == most:
            why["enough"] += 1
            continue
        target, fault = target_of(page)
        opening = (page.language, *words(target)[:2])
        if not fault and openings[opening] == most_alike:
            fault = "opening too common"
        fault = fault or seen.again(page)
        if fault:
            why[fault] += 1
            continue
        counts[page.language] += 1
        openings[opening] += 1
        yield replace(page, target=target)


def _described(source: dict[str, Any], clones: Path) -> Iterator[Page]:
    include, exclude = (
        re.compile(source.get(key, default)) for key, default in (("include", ""), ("exclude", "^$"))
    )
    for path, text in _files(clones / f"{source['repo']}.git", source["commit"]):
        if not include.search(path) or exclude.search(path):
            continue
        front_matter = split_front_matter(text)
        if front_matter is None or front_matter.kind != "yaml":
            continue
        try:
            fields = yaml.safe_load(text[front_matter.content_start : front_matter.content_end])
        except (yaml.YAMLError, ValueError):
            continue
        if not isinstance(fields, dict):
            continue
        description = next((fields[key] for key in source["keys"] if isinstance(fields.get(key), str)), "")
        body = text[front_matter.end :].strip("\n")
        title = _title(fields, body)
        if description.strip() and title:
            yield Page(
                repo=source["repo"], licence=source["licence"], path=path, language=guess_language(body), title=title,
                body=body, description=" ".join(description.split()),
            )  # fmt: skip


def _title(fields: dict[str, Any], body: str) -> str:
    stated = fields.get("title")
    if isinstance(stated, str) and "{" not in stated:
        return " ".join(stated.split())
    heading = re.search(r"^# +(.+?)[ #]*$", body, re.MULTILINE)
    return heading[1] if heading else ""


def _files(clone: Path, commit: str) -> Iterator[tuple[str, str]]:
    listed = _git(clone, "ls-tree", "-r", "-z", commit).decode("utf-8", "replace").split("\0")
    entries = [
        (head.split()[2], path) for head, _, path in (entry.partition("\t") for entry in listed if entry)
    ]
    entries = [(name, path) for name, path in entries if path.endswith((".md", ".mdx", ".markdown"))]
    blobs = _git(clone, "cat-file", "--batch", stdin="\n".join(name for name, _ in entries).encode())
    at = 0
    for _, path in entries:
        line_end = blobs.index(b"\n", at)
        size = int(blobs[at:line_end].split()[2])
        yield (
            path,
            blobs[line_end + 1 : line_end + 1 + size].decode("utf-8-sig", "replace").replace("\r\n", "\n"),
        )
        at = line_end + 2 + size


def _git(clone: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(
        ["git", "--git-dir", str(clone), *arguments], input=stdin, stdout=subprocess.PIPE, check=True
    ).stdout


def _styles(pages: Sequence[Page]) -> dict[str, PageStyle]:
    """How each larger source writes its descriptions, told as the product tells it from neighbours."""
    by_source: dict[str, list[Sample]] = {}
    for page in pages:
        sample = Sample(
            key="description", text=page.description, kind="yaml", quoting=None, position=frozenset(), is_owned=False
        )  # fmt: skip
        by_source.setdefault(page.repo, []).append(sample)
    return {
        repo: style_of(samples, kind="yaml", max_chars=None)
        for repo, samples in by_source.items()
        if len(samples) >= FEWEST_FOR_STYLE
    }


def _pair(page: Page, style: PageStyle | None) -> dict[str, Any]:
    node = page.nodes()[PAGE]
    target = style.finish(page.target) if style else page.target
    prompt = build_prompt(
        PromptInput(
            headings=node.headings,
            markdown=node.content(),
            max_chars=OPTIONS.page_max_chars,
            is_page=True,
            page_style=style.description if style else "",
        )
    )
    return {
        "id": page.id,
        "repo": page.repo,
        "site": page.repo,
        "licence": page.licence,
        "language": page.language,
        "title": page.title,
        "body": page.body,
        "description": page.description,
        "messages": _messages(prompt),
        "target": target,
    }


def _sections(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """At most two sections a page, drawn until there are enough; a fifth in other languages than English."""
    found = [_section(page, node) for page in pages for node in _two_sections(page)]
    by_language: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for section in found:
        by_language[section["language"] == "en"].append(section)
    for sections in by_language.values():
        random.Random(1).shuffle(sections)
    foreign = by_language[False][: MOST_SECTIONS // 5]
    return [*by_language[True][: MOST_SECTIONS - len(foreign)], *foreign]


def _two_sections(page: Page) -> list[Node]:
    """The longest section that the model would be asked about, and one of the middle."""
    nodes = [node for node in page.nodes().values() if not node.is_page and _is_asked(node)]
    nodes.sort(key=lambda node: node.content_size, reverse=True)
    return list(dict.fromkeys((*nodes[:1], *nodes[len(nodes) // 2 :][:1])))


def _section(page: Page, node: Node) -> dict[str, Any]:
    prompt = build_prompt(
        PromptInput(headings=node.headings, markdown=node.content(), max_chars=OPTIONS.max_chars)
    )
    return {
        "id": f"{page.id}#{node.id}",
        "site": page.repo,
        "language": page.language,
        "messages": _messages(prompt),
        "headings": node.headings,
        "source": prompt.source,
        "max_chars": OPTIONS.max_chars,
    }


def _is_asked(node: Node) -> bool:
    low, high = SECTION_BYTES
    return low <= node.content_size <= high and (
        verbatim_text(node, max_chars=OPTIONS.max_chars, min_words=OPTIONS.min_words) is None
    )


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def _write(path: Path, records: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as sink:
        sink.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


if __name__ == "__main__":
    main()
