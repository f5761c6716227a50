"""Key and style by the site and by the pages around."""

from pathlib import Path

import pytest

from qsum_lsp.front_matter import LineStyle, read_page, set_summary
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.style import PageStyle
from qsum_lsp.settings import Settings

BARE = "---\ntitle: T\n---\nSome words here.\n"


def _page(path: Path, line: str = "", *, title: str = "title: T\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\n{title}{line}---\nSome words here.\n", encoding="utf-8")
    return path


def _key(path: Path, settings: Settings = Settings(), text: str = BARE) -> str:  # noqa: B008 — frozen
    return Neighbours().key(path, read_page(text), settings)


@pytest.mark.parametrize(
    ("files", "key"),
    [
        (["hugo.toml"], "description"),
        (["config/_default/params.toml"], "description"),
        (["config.toml", "content/x.md"], "description"),
        (["_config.yml"], "description"),
        (["docusaurus.config.ts"], "description"),
        (["mkdocs.yml"], "description"),
        (["astro.config.mjs"], "description"),
        ([".vitepress/config.ts"], "description"),
        (["theme.config.tsx"], "description"),
        (["package.json", "data/features/a.yml", "content/x.md"], "intro"),
        ([".git/HEAD", "website/docusaurus.config.js"], "description"),
        ([".git/HEAD", "docs/.vitepress/config.js"], "description"),
        ([".git/HEAD"], "summary"),
        ([], "summary"),
    ],
)
def test_key_by_generator(tmp_path: Path, files: list[str], key: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    page = _page(tmp_path / "docs" / "guide" / "page.md")
    assert _key(page) == key
    assert _key(page, Settings(key="abstract")) == "abstract"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("mkdocs.yml", "site_name: The Acme Handbook\nnav: []\n"),
        ("hugo.toml", "baseURL = 'https://example.com'\ntitle = 'The Acme Handbook'\n"),
        ("docusaurus.config.ts", "const config = {\n  title: 'The Acme Handbook',\n};\n"),
        ("config/_default/hugo.toml", 'title = "The Acme Handbook"\n'),
    ],
)
def test_the_site_s_name_is_what_its_configuration_calls_it(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    page = _page(tmp_path / "content" / "page.md")
    style = Neighbours().style(page, read_page(BARE), "description", Settings())
    assert style.site_names == ("The", "Acme", "Handbook")


def test_key_by_neighbours(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    page = _page(tmp_path / "docs" / "page.md")
    for number in range(3):
        _page(tmp_path / "other" / f"{number}.md", "description: What it is.\n")
    assert _key(page) == "description"


def test_keys_of_people_in_other_letter_case(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    page = _page(tmp_path / "docs" / "page.md")
    for number in range(3):
        other = _page(tmp_path / "other" / f"{number}.md", "Description: What it is.\n")
    assert _key(page) == "description"
    assert read_page(other.read_text(encoding="utf-8")).state("description") == "human"


def test_another_key_of_the_generator_that_the_pages_use(tmp_path: Path) -> None:
    (tmp_path / "hugo.toml").write_text("")
    page = _page(tmp_path / "content" / "page.md")
    for number in range(3):
        _page(tmp_path / "content" / f"{number}.md", "summary: What it is.\nintro: No key of Hugo.\n")
    assert _key(page) == "summary"
    _page(tmp_path / "content" / "one.md", "description: What it is.\n")
    assert _key(page) == "description"


def test_the_marker_holds_the_key(tmp_path: Path) -> None:
    (tmp_path / "hugo.toml").write_text("")
    for text in (BARE, "+++\ntitle = 'T'\n+++\nSome words.\n", '{"title": "T"}\nSome words.\n'):
        marked = set_summary(text, key="lead", summary="What it is.")
        assert _key(tmp_path / "page.md", text=marked) == "lead"
        assert _key(tmp_path / "page.md", Settings(key="summary"), text=marked) == "summary"


def _style(path: Path, settings: Settings = Settings(), text: str = BARE) -> PageStyle:  # noqa: B008
    return Neighbours().style(path, read_page(text), "summary", settings)


def test_style_by_the_same_folder_first(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for number in range(6):
        _page(tmp_path / "near" / f"{number}.md", f"date: 1\nsummary: 'Words on {number * 20 * 'x'}'\n")
        _page(tmp_path / "far" / f"{number}.md", f"summary: Words {number * 60 * 'y'}.\ndate: 1\n")
    near = _style(tmp_path / "near" / "new.md")
    assert near.line == LineStyle(position="last", quoting="single")
    assert (near.final_stop, near.max_chars) == ("never", 89)
    assert near.description == "one sentence of about 70 characters, without a final full stop"
    far = _style(tmp_path / "far" / "new.md")
    assert far.line == LineStyle(position="after_title", quoting="plain")
    assert (far.final_stop, far.max_chars) == ("always", 247)
    assert _style(tmp_path / "far" / "new.md", Settings(max_chars=120)).max_chars == 120
    deep = _style(tmp_path / "near" / "deep" / "er" / "new.md")
    assert deep == near, "a folder without pages takes the style of the one above"
    toml = _style(tmp_path / "near" / "new.md", text="+++\ntitle = 'T'\n+++\nSome words.\n")
    assert toml.line == LineStyle(position="last", quoting="double"), "quotes are those of the same syntax"


def test_what_qsum_wrote_is_no_example(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for number in range(6):
        path = _page(tmp_path / f"{number}.md")
        style = LineStyle(position="last", quoting="plain")
        path.write_text(set_summary(path.read_text(), key="summary", summary="Many words.", style=style))
    assert _style(tmp_path / "new.md") == PageStyle()


def test_a_few_or_broken_neighbours_are_no_style(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    _page(tmp_path / "a.md", "summary: 'Words'\n")
    (tmp_path / "b.md").write_bytes(b"---\nsummary: [\n---\n")
    (tmp_path / "c.md").write_bytes(b"---\nsummary: \xff\xfe\n")
    (tmp_path / "d.md").symlink_to("d.md")
    assert _style(tmp_path / "new.md") == PageStyle(max_chars=160)


@pytest.mark.parametrize(
    ("final_stop", "given", "finished"),
    [
        ("never", "Sends it again.", "Sends it again"),
        ("never", "Sends it again. Then stops.", "Sends it again. Then stops."),
        ("never", "再次发送请求。", "再次发送请求"),
        ("never", "再次发送请求。然后停止。", "再次发送请求。然后停止。"),
        ("never", "अनुरोध फिर भेजता है।", "अनुरोध फिर भेजता है"),
        ("never", "Logs, traces, etc.", "Logs, traces, etc."),
        ("never", "And so on...", "And so on..."),
        ("always", "Sends it again", "Sends it again."),
        ("always", "Is it sent again?", "Is it sent again?"),
        ("always", "x" * 160, "x" * 160),
        ("always", "अनुरोध फिर भेजा जाता है।", "अनुरोध फिर भेजा जाता है।"),
        ("always", 'It says "hello."', 'It says "hello."'),
        ("always", "Sends it again (see below.)", "Sends it again (see below.)"),
        ("always", "Il dit « bonjour. »", "Il dit « bonjour. »"),
        ("always", "Sends it again (see below)", "Sends it again (see below)."),
        ("as_written", "Sends it again", "Sends it again"),
    ],
)
def test_final_full_stop(final_stop: str, given: str, finished: str) -> None:
    assert PageStyle(final_stop=final_stop).finish(given) == finished  # type: ignore[arg-type]
