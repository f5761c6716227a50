"""Reading the pages around a page, a bounded number of them, for the key and the style they share."""

import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from qsum_lsp.document.front_matter import split_front_matter
from qsum_lsp.front_matter.errors import FrontMatterError
from qsum_lsp.front_matter.page import Page, read_page
from qsum_lsp.front_matter.site import DEFAULT_KEY, KNOWN_KEYS, Site, find_site
from qsum_lsp.front_matter.style import PageStyle, Sample, samples_of, style_of
from qsum_lsp.settings import Settings

_HEAD_BYTES = 16 * 1024
_PAGES_READ = 60
_FOLDERS_READ = 60
_ENOUGH = 5
_FEW = 3
_SKIPPED_FOLDERS = frozenset({"node_modules", "venv", "__pycache__", "site-packages", "public", "_site"})


class Neighbours:
    """What the pages of a site have in common; every folder is read once, so it is for one run.

    Texts that qsum wrote say nothing of how people write, so the answers do not depend on what a run has written.
    """

    def __init__(self) -> None:
        self._sites: dict[Path, Site] = {}
        self._samples: dict[tuple[Path, str], tuple[tuple[Sample, ...], ...]] = {}
        self._keys: dict[Path, str] = {}

    def site(self, path: Path) -> Site:
        """The site that the file ``path`` belongs to."""
        folder = _folder(path)
        if folder not in self._sites:
            self._sites[folder] = find_site(folder)
        return self._sites[folder]

    def key(self, path: Path, page: Page, settings: Settings) -> str:
        """The key of the page's summary.

        The setting decides, else the key that the page's marker stands at, else the site: its generator's usual
        key, or another that this generator reads and the pages use instead; without a generator the key that
        most pages use.
        """
        if settings.key is not None:
            return settings.key
        owned = page.owned_key()
        if owned is not None:
            return owned
        site = self.site(path)
        if site.root not in self._keys:
            self._keys[site.root] = self._site_key(site)
        return self._keys[site.root]

    def style(self, path: Path, page: Page, key: str, settings: Settings) -> PageStyle:
        """How the pages nearest to ``path`` write theirs: its folder, else the folders above, up to the site's root."""
        kind: Literal["yaml", "toml", "json"] = page.front_matter.kind if page.front_matter else "yaml"
        site = self.site(path)
        root = site.root
        found: list[Sample] = []
        for folder in (_folder(path), *_folder(path).parents):
            pages = self._read(folder, key)
            found = [
                sample for samples in pages for sample in samples if sample.key == key and not sample.is_owned
            ]
            if len(found) >= _ENOUGH or folder == root:
                break
        style = style_of(found if len(found) >= _FEW else (), kind=kind, max_chars=settings.max_chars)
        return replace(style, site_names=site.names)

    def keep_summaries(self, path: Path, key: str) -> bool:
        """Whether at least half of the other pages in the folder of ``path`` have a summary under ``key``."""
        others = [
            page
            for file in _pages_below(_folder(path))
            if file.parent == _folder(path) and file.name != path.name and (page := _read_head(file))
        ]
        having = sum(1 for page in others if any(sample.key == key for sample in samples_of(page, (key,))))
        return 0 < len(others) <= 2 * having

    def _site_key(self, site: Site) -> str:
        pages = self._read(site.root, DEFAULT_KEY)
        owned = Counter(sample.key for samples in pages for sample in samples if sample.is_owned)
        if owned:
            return owned.most_common(1)[0][0]
        used = Counter(sample.key for samples in pages for sample in samples)
        keys = site.generator.keys if site.generator else KNOWN_KEYS
        usual = keys[0] if site.generator else DEFAULT_KEY
        favourite = max(keys, key=lambda key: used[key])
        if used[favourite] >= _FEW and (site.generator is None or used[usual] == 0):
            return favourite
        return usual

    def _read(self, folder: Path, key: str) -> tuple[tuple[Sample, ...], ...]:
        if (folder, key) not in self._samples:
            pages = (_read_head(path) for path in _pages_below(folder))
            self._samples[folder, key] = tuple(samples_of(page, (key,)) for page in pages if page is not None)
        return self._samples[folder, key]


def _folder(path: Path) -> Path:
    return path.absolute().parent


def _pages_below(top: Path) -> Iterator[Path]:
    """The nearest Markdown files in and below ``top``, in a fixed order."""
    waiting = deque([top])
    folders = pages = 0
    while waiting and folders < _FOLDERS_READ:
        folder = waiting.popleft()
        folders += 1
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED_FOLDERS:
                    waiting.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) and _is_page(entry.name):
                yield Path(entry.path)
                pages += 1
                if pages == _PAGES_READ:
                    return


def _is_page(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in Settings().include)


def _read_head(path: Path) -> Page | None:
    """The front matter of a page, where it is whole within the first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
        return read_page(head) if split_front_matter(head) else None
    except (OSError, FrontMatterError):
        return None
