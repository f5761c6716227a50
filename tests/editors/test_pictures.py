"""The pictures of the documentation, taken from running editors with the real 0.5B model.

Each picture carries a description of what it shows but for the model's own words. Every run takes the pictures again,
and fails where the description of one in the repository is another. ``QSUM_PICTURES=renew pytest
tests/editors/test_pictures.py`` renews them.
"""

import io
import os
import re
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

from tests.editors import install
from tests.editors.install import NEWEST_CODE_SERVER
from tests.editors.pages import GUIDE
from tests.editors.terminal import Terminal
from tests.editors.vscode import VSCode

MOST_BYTES = 300_000
REPOSITORY = Path(__file__).parents[2]
PLUGIN = REPOSITORY / "editors/nvim"
DESCRIPTION = "Description"
MODELS_WORDS = "…"
LIGHT = {"workbench.colorTheme": "Default Light Modern", "editor.fontSize": 14, "editor.wordWrap": "on"}
DARK_LARGE = {
    "workbench.colorTheme": "Default Dark Modern",
    "editor.fontSize": 20,
    "editor.codeLensFontSize": 16,
    "editor.wordWrap": "on",
}
_MODEL_SECONDS = 400
_FADE_MS = 600
NAME = "Quayside"  # a name of which no model has heard


def check(picture: Path, place: str, description: list[str]) -> None:
    """Compare a new picture with the one at ``place`` in the repository, or put it there."""
    kept = REPOSITORY / place
    shown = "\n".join(description)
    if os.environ.get("QSUM_PICTURES") == "renew":
        information = PngInfo()
        information.add_itxt(DESCRIPTION, shown)
        with Image.open(picture) as image:
            image.save(kept, pnginfo=information, optimize=True)
    with Image.open(kept) as image:
        assert isinstance(image, PngImageFile)
        assert image.text.get(DESCRIPTION) == shown, (
            f"{place} shows what is no more: QSUM_PICTURES=renew pytest tests/editors/test_pictures.py"
        )
    assert kept.stat().st_size < MOST_BYTES


def described(code: VSCode) -> list[str]:
    """What a window shows."""
    page = code.page
    kind = (page.locator(".monaco-workbench").get_attribute("class") or "").split()
    size = page.locator(".view-line").first.evaluate("line => getComputedStyle(line).fontSize")
    side = page.locator(".sidebar")
    rows = side.locator(".pane-body .monaco-list-row[aria-level]")
    hover = page.locator(".monaco-hover:visible").first.inner_text()
    return [
        f"theme {next(name for name in ('hc-black', 'hc-light', 'vs-dark', 'vs') if name in kind)}, text {size}",
        f"tabs {page.locator('.tab').all_inner_texts()}",
        f"view {side.locator('.title-label').inner_text()}, {_masked(side.locator('.message').inner_text())}",
        *(
            f"row {row.get_attribute('aria-level')} {row.locator('.label-name').inner_text()}:"
            f" {_masked(row.locator('.label-description').inner_text())}"
            for row in rows.all()
        ),
        f"lenses {sorted({_masked(lens) for lens in code.lenses() if lens.strip()})}",
        _described_hover(hover),
    ]


def _described_hover(said: str) -> str:
    """The title and the foot of a hover. Whether a note follows it hangs on what the model wrote."""
    title, *text = said.split("\n\n")
    if text[-1].startswith("Note: "):
        text.pop()
    origin = text.pop()
    return f"hover {title.strip()}: {_masked(' '.join(text))} {MODELS_WORDS} · {origin.rpartition(' · ')[2].strip()}"


def _masked(text: str) -> str:
    """``text`` where it is the same whatever the model says."""
    plain = text.strip()
    return plain if plain in ("", "Summarize", "Summarizing…", "No summary yet") else MODELS_WORDS


def described_terminal(screen: str, titles: list[str]) -> list[str]:
    """What Neovim shows: the headings of the page, the outline beside it, the status lines."""
    *lines, status, _ = screen.rstrip("\n").split("\n")
    left = [line.partition("│")[0].rstrip() for line in lines]
    right = [line.partition("│")[2].rstrip() for line in lines]
    return [
        *(f"page {title}" for line in left for title in titles if line.lstrip("#").startswith(f" {title}")),
        *(
            f"outline {line}" if line.strip() in titles else f"outline {MODELS_WORDS}"
            for line, before in zip(right, ["", *right], strict=False)
            if line and (line.strip() in titles or before.strip() in titles)
        ),
        "status " + " ".join(re.sub(r"qsum: .+, (?=ready)", f"qsum: {MODELS_WORDS}, ", status).split()),
    ]


@pytest.fixture
def harbour(tmp_path: Path, real_model_path: Path) -> Path:
    """A folder with one page, for the real model."""
    workspace = tmp_path / "harbour"
    workspace.mkdir()
    # one line a paragraph: editors wrap it as wide as they are
    (workspace / "guide.md").write_text(
        re.sub(r"(?<=[^\n]{60})\n(?=[^\n])", " ", GUIDE.replace("Harbour", NAME))
    )
    (workspace / ".qsum.toml").write_text(
        f'engine = "llama"\nmodel = "{real_model_path}"\nengine_sharing = false\n'
    )
    return workspace


@pytest.mark.parametrize(
    ("settings", "place"),
    [(LIGHT, "editors/vscode/images/summaries.png"), (DARK_LARGE, "docs/images/vscode-dark.png")],
    ids=["light", "dark-large"],
)
def test_vscode(
    settings: dict[str, object],
    place: str,
    harbour: Path,
    vsix: Path,
    *,
    qsum_program: Path,
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "scratch"
    with VSCode(
        NEWEST_CODE_SERVER, harbour, scratch, vsix, program=qsum_program, settings=settings, size=(1200, 760)
    ) as code:
        code.open("guide.md")
        code.wait(code.lenses, "the server")
        code.command("qsum: Summarize Document")
        code.command("Focus on Summaries View")
        rows = code.page.locator(".pane-body .monaco-list-row[aria-level]")
        code.wait(
            lambda: (
                rows.count() == 5
                and not any("No summary" in row or "Summarizing" in row for row in rows.all_inner_texts())
            ),
            "all summaries",
            seconds=_MODEL_SECONDS,
        )
        code.wait(lambda: code.page.locator(".notification-toast").count() == 0, "the progress to go")
        code.put_cursor("Install the tool")
        said = code.hover("Install the tool", containing="words")
        assert "qwen2.5-coder-0.5b" in said or "sentence of the text" in said
        code.page.wait_for_timeout(_FADE_MS)
        picture = tmp_path / "window.png"
        code.picture(picture)
        check(picture, place, described(code))


def test_neovim(harbour: Path, tmp_path: Path, qsum_program: Path) -> None:
    init = tmp_path / "init.lua"
    init.write_text(
        f"vim.opt.runtimepath:append('{PLUGIN}')\nvim.o.termguicolors = true\nvim.o.swapfile = false\n"
        "vim.o.statusline = \" %f%=%{v:lua.require'qsum'.statusline()} \"\nvim.o.linebreak = true\n"
        "vim.lsp.enable('qsum')\n"
    )
    environment = {
        "HOME": str(tmp_path),
        "QSUM_HOME": str(tmp_path / "qsum"),
        "QSUM_OFFLINE": "1",
        "PATH": os.pathsep.join([str(qsum_program.parent), os.environ["PATH"]]),
    }
    picture = tmp_path / "terminal.png"
    nvim = install.neovim("0.11")
    with Terminal(
        nvim, "--clean", "-u", init, "guide.md", cwd=harbour, environment=environment, columns=132, rows=34
    ) as terminal:
        terminal.wait_for("Summarize")
        terminal.keys(":Qsum document", "Enter")
        terminal.wait_until(
            lambda: (
                "Troubleshooting\n" in _last_column(terminal.screen())
                and "No summary yet" not in terminal.screen()
            ),
            "the outline",
            seconds=_MODEL_SECONDS,
        )
        terminal.keys("/## Configure", "Enter", ":nohlsearch", "Enter")
        terminal.settled()
        draw(terminal.screen(colours=True), picture, columns=132)
        titles = [
            line.lstrip("# ") for line in GUIDE.replace("Harbour", NAME).splitlines() if line[:1] == "#"
        ]
        check(picture, "editors/nvim/images/outline.png", described_terminal(terminal.screen(), titles))


def _last_column(screen: str) -> str:
    return "\n".join(line.rpartition("│")[2].strip() for line in screen.splitlines()) + "\n"


def draw(screen: str, place: Path, *, columns: int) -> None:
    """Make a picture of what stands on a terminal."""
    console = Console(
        record=True,
        width=columns,
        file=io.StringIO(),
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Text.from_ansi(screen.rstrip("\n")), no_wrap=True, overflow="crop")
    drawing = console.export_svg(title="guide.md", font_aspect_ratio=0.6)
    place.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(install.chromium()), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.route("**/*", lambda route: route.abort())
        page.set_content(
            f"<style>body {{ margin: 0 }} svg {{ width: 1200px; height: auto; display: block }}</style>{drawing}"
        )
        page.locator("svg").first.screenshot(path=place)
        browser.close()
