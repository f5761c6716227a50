"""Emacs with eglot, Vim with ALE, and Helix, set up as the documentation says."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.editors import install
from tests.editors.pages import write_workspace
from tests.editors.terminal import Terminal
from tests.scripted_server import ScriptedServer

DOCUMENTATION = Path(__file__).parents[2] / "docs/editors.md"


def documented(language: str) -> str:
    """The first example in that language."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    assert found, f"docs/editors.md has no example in {language}"
    return found.group(1)


def surroundings(folder: Path, program: Path) -> dict[str, str]:
    """The environment of an editor."""
    return {
        **os.environ,
        "HOME": str(folder),
        "QSUM_HOME": str(folder / "qsum"),
        "QSUM_OFFLINE": "1",
        "QSUM_TEST_SEEN": str(folder / "seen.json"),
        "PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]]),
    }


def saved(page: Path) -> str:
    """What is on disk; nothing while an editor puts another file in its place."""
    try:
        return page.read_text()
    except FileNotFoundError:
        return ""


def test_emacs_eglot(tmp_path: Path, qsum_program: Path, model: ScriptedServer) -> None:
    emacs = install.system_program("emacs", "emacs-nox", "elpa-eglot", "elpa-markdown-mode")
    workspace = write_workspace(tmp_path / "pages", "harbour.md", url=model.url)
    init = tmp_path / "init.el"
    init.write_text(documented("elisp"))
    environment = {"QSUM_TEST_INIT": str(init), "QSUM_TEST_PAGE": str(workspace / "harbour.md")}
    done = subprocess.run(
        [emacs, "--batch", "-l", Path(__file__).parent / "emacs_drive.el"],
        check=False, cwd=workspace, env={**surroundings(tmp_path, qsum_program), **environment},
        text=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert "scripted, grounded" in seen["hover"]
    lines = seen["inserted"].splitlines()
    assert lines[lines.index("## Install the tool") + 2].startswith("> **Summary:** ")


def test_vim_ale(tmp_path: Path, qsum_program: Path, model: ScriptedServer) -> None:
    vim = install.system_program("vim", "vim-nox", "vim-ale")
    workspace = write_workspace(tmp_path / "pages", "harbour.md", url=model.url)
    (tmp_path / ".vimrc").write_text(f"set noswapfile\nfiletype plugin on\npackadd! ale\n{documented('vim')}")
    environment = surroundings(tmp_path, qsum_program)
    page = workspace / "harbour.md"
    with Terminal(
        vim, "-N", "-u", tmp_path / ".vimrc", page, cwd=workspace, environment=environment
    ) as terminal:
        terminal.wait_for("A guide to Harbour")
        terminal.keys("/## Install", "Enter")

        def hover() -> str:
            terminal.keys(":ALEHover", "Enter")
            return terminal.settled()

        terminal.wait_until(lambda: "grounded" in hover(), "a hover")
        terminal.keys("Enter", "Escape", ":ALECodeAction", "Enter")
        shown = terminal.wait_for("Insert summary below heading")
        choice = re.search(r"(\d+)\W+Insert summary below heading", shown)
        assert choice, shown
        terminal.keys(choice.group(1), "Enter")
        terminal.wait_for("> **Summary:** ")
        terminal.keys(":w", "Enter")
        terminal.wait_until(lambda: "> **Summary:** " in saved(page), "the file")


def test_helix(tmp_path: Path, qsum_program: Path, model: ScriptedServer) -> None:
    workspace = write_workspace(tmp_path / "pages", "harbour.md", url=model.url)
    configuration = tmp_path / ".config/helix/languages.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(documented("toml"))
    environment = surroundings(tmp_path, qsum_program)
    page = workspace / "harbour.md"
    with Terminal(install.helix(), page, cwd=workspace, environment=environment) as terminal:
        terminal.wait_for("A guide to Harbour")
        terminal.keys("/Install the", "Enter")

        def menu(key: str) -> str:
            # Keys that come right after an escape would be taken for one key with Alt.
            terminal.keys("Escape")
            terminal.settled()
            terminal.keys("Space", key)
            return terminal.settled()

        terminal.wait_until(lambda: "scripted, grounded" in menu("k"), "a hover")
        chosen = "Insert summary below heading"
        terminal.wait_until(lambda: chosen in menu("a"), "the code actions")
        offered = re.findall(r"(?:Insert|Update|Summarize|Refresh)(?: [a-z]+)+", terminal.screen())
        terminal.keys(*["Down"] * offered.index(chosen), "Enter")
        terminal.wait_for("> **Summary:** ")
        terminal.keys(":write", "Enter")
        terminal.wait_until(lambda: "> **Summary:** " in saved(page), "the file")
