"""The site that a page belongs to: its root folder and the keys that its generator reads."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

KNOWN_KEYS = ("description", "summary", "intro", "excerpt")
"""Keys under which site generators and themes look for a page's summary."""

DEFAULT_KEY = "summary"

_SUFFIXES = ("js", "ts", "mjs", "cjs", "mts", "cts")
_SITE_FOLDERS = ("website", "docs", "site", "www", "src")


@dataclass(frozen=True, slots=True)
class Generator:
    """A site generator: the names that give it away, and its summary keys, the usual one first."""

    name: str
    names: tuple[str, ...]
    keys: tuple[str, ...] = ("description",)


def _configs(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{suffix}" for stem in stems for suffix in _SUFFIXES)


GENERATORS = (
    Generator("Docusaurus", _configs("docusaurus.config")),
    Generator("VitePress", (".vitepress",)),
    Generator("Starlight", _configs("astro.config")),
    Generator("MkDocs", ("mkdocs.yml", "mkdocs.yaml")),
    Generator("Nextra", (*_configs("theme.config"), "theme.config.jsx", "theme.config.tsx")),
    Generator("Hugo", ("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"), ("description", "summary")),
    Generator(
        "Jekyll", ("_config.yml", "_config.yaml", "_config.toml"), ("description", "summary", "excerpt")
    ),
)
_CONFIGS = (
    *_configs("docusaurus.config", "astro.config"),
    *(f".vitepress/config.{suffix}" for suffix in _SUFFIXES),
    *("mkdocs.yml", "mkdocs.yaml", "_config.yml", "_config.yaml", "_config.toml"),
    *(
        f"{stem}.{suffix}"
        for stem in ("hugo", "config", "config/_default/hugo", "config/_default/config")
        for suffix in ("toml", "yaml", "yml", "json")
    ),
)
_CONFIG_BYTES = 16 * 1024
_TITLE = re.compile(r"^[ \t]*[\"']?(?:title|site_name)[\"']?[ \t]*[:=][ \t]*(?P<title>.+)$", re.MULTILINE)
_CAPITALISED = re.compile(r"\b[A-Z][\w-]*\w")
_GITHUB_DOCS = Generator("GitHub docs", (), ("intro",))
_HUGO_BY_FOLDERS = Generator("Hugo", (), ("description", "summary"))


@dataclass(frozen=True, slots=True)
class Site:
    """``root`` bounds the search for neighbouring pages; ``generator`` is None where none is recognised.

    ``names`` are the words of the site's own name, as its configuration has it.
    """

    root: Path
    generator: Generator | None
    names: tuple[str, ...] = ()


def find_site(folder: Path) -> Site:
    """The site of the pages in ``folder``.

    Its root is the nearest folder above that a generator's files stand in, else the repository, else the folder
    of the settings, else ``folder`` itself.
    """
    settings: Path | None = None
    for candidate in (folder, *folder.parents):
        names = _names(candidate)
        generator = _generator(candidate, names)
        if generator is not None:
            return Site(candidate, generator, _site_names(candidate))
        if ".git" in names:
            for name in _SITE_FOLDERS:
                generator = _generator(candidate / name, _names(candidate / name)) if name in names else None
                if generator is not None:
                    return Site(candidate, generator, _site_names(candidate / name))
            return Site(candidate, None)
        if settings is None and ".qsum.toml" in names:
            settings = candidate
    return Site(settings or folder, None)


def _site_names(folder: Path) -> tuple[str, ...]:
    """The capitalised words of the title that the configuration in ``folder`` gives the site."""
    for file in _CONFIGS:
        try:
            with (folder / file).open("rb") as config:
                found = _TITLE.search(config.read(_CONFIG_BYTES).decode("utf-8", "replace"))
        except OSError:
            continue
        if found:
            return tuple(dict.fromkeys(_CAPITALISED.findall(found["title"])))
    return ()


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _generator(folder: Path, names: frozenset[str]) -> Generator | None:
    for generator in GENERATORS:
        if not names.isdisjoint(generator.names):
            return generator
    if "config" in names and (folder / "config" / "_default").is_dir():
        return _HUGO_BY_FOLDERS
    if "content" in names and not names.isdisjoint(
        {"config.toml", "config.yaml", "config.yml", "config.json"}
    ):
        return _HUGO_BY_FOLDERS
    if {"content", "data", "package.json"} <= names and (folder / "data" / "features").is_dir():
        return _GITHUB_DOCS
    return None
