"""Neovim: without a screen, and as a user sees it in a terminal."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.editors import install
from tests.editors.pages import GUIDE, write_workspace
from tests.editors.terminal import Terminal
from tests.scripted_server import ScriptedServer

PLUGIN = Path(__file__).parents[2] / "editors/nvim"
DRIVE = Path(__file__).parent / "neovim_drive.lua"
ENABLE = "vim.lsp.enable('qsum')"
SETUP = "vim.lsp.enable = nil\nvim.lsp.config = nil\nrequire('qsum').setup()"
"""What Neovim 0.8 to 0.10 do, which have neither function."""


def prepared(
    folder: Path, start: str, program: Path, model: ScriptedServer
) -> tuple[Path, Path, dict[str, str]]:
    """A workspace, an ``init.lua`` and an environment."""
    workspace = write_workspace(folder / "pages", "harbour.md", url=model.url)
    init = folder / "init.lua"
    init.write_text(
        f"vim.opt.runtimepath:append('{PLUGIN}')\n"
        "vim.o.statusline = \"%f%=%{v:lua.require'qsum'.statusline()}\"\n"
        f"vim.o.swapfile = false\n{start}\n"
    )
    environment = {
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "QSUM_HOME": str(folder / "qsum"),
        "QSUM_OFFLINE": "1",
        "QSUM_TEST_SEEN": str(folder / "seen.json"),
        "PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]]),
    }
    return workspace, init, environment


def drive(nvim: Path, folder: Path, start: str, program: Path, model: ScriptedServer) -> dict[str, Any]:
    """What a user of a headless Neovim sees."""
    workspace, init, environment = prepared(folder, start, program, model)
    subprocess.run(
        [nvim, "--headless", "--clean", "-c", f"helptags {PLUGIN}/doc", "-c", "qall"], check=True, timeout=60
    )
    done = subprocess.run(
        [nvim, "--headless", "--clean", "-u", init, "harbour.md", "-c", f"luafile {DRIVE}"],
        check=False, cwd=workspace, env={**os.environ, **environment}, text=True, capture_output=True, timeout=240,
    )  # fmt: skip
    assert (folder / "seen.json").exists(), done.stdout + done.stderr
    seen: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    assert "failure" not in seen, f"{seen}\n{done.stderr}"
    return seen


@pytest.mark.parametrize(
    ("version", "start"),
    [("0.10", "require('qsum').setup()"), ("0.11", ENABLE), ("next", ENABLE), ("0.11", SETUP)],
    ids=["0.10", "0.11", "next", "0.11-as-older"],
)
def test_neovim_reads_and_writes_summaries(
    version: str, start: str, tmp_path: Path, qsum_program: Path, model: ScriptedServer
) -> None:
    seen = drive(install.neovim(version), tmp_path, start, qsum_program, model)
    assert "Install the tool" in seen["hover"]
    assert "scripted, grounded" in seen["hover"]
    lines = seen["inserted"].splitlines()
    assert lines[lines.index("## Install the tool") + 2].startswith("> **Summary:** ")
    assert seen["undone"] is True
    added = [line for line in seen["updated"].splitlines() if line not in GUIDE.splitlines()]
    assert len(added) == 1
    assert added[0].startswith("summary: ")
    assert seen["progress"][0] == "begin"
    assert seen["progress"][-1] == "end"
    titles = ["A guide to Harbour", "Install the tool", "Configure a mirror", "Limits", "Troubleshooting"]
    assert [line.strip() for line in seen["outline"] if line.strip() in titles] == titles
    assert seen["followed"] == "Limits"
    assert seen["jumped"] == "## Troubleshooting"
    assert seen["messages"][-1].startswith("qsum: scripted on ")
    assert "running, attached to 1 buffers" in seen["health"]
    assert "ERROR" not in seen["health"]
    assert "qsum-setup" in seen["help"]


@pytest.mark.parametrize("version", ["0.11", "next"])
def test_neovim_as_a_user_sees_it(
    version: str, tmp_path: Path, qsum_program: Path, model: ScriptedServer
) -> None:
    workspace, init, environment = prepared(tmp_path, ENABLE, qsum_program, model)
    nvim = install.neovim(version)
    with Terminal(
        nvim, "--clean", "-u", init, "harbour.md", cwd=workspace, environment=environment
    ) as terminal:
        terminal.wait_for("Summarize")
        terminal.keys("/## Install", "Enter", "K")
        terminal.wait_for("scripted, grounded")
        terminal.keys("j", "k", "gra")
        terminal.wait_for("Insert summary below heading")
        terminal.keys("q", "Enter")
        terminal.keys(":Qsum document", "Enter")
        shown = terminal.wait_for("qsum: scripted on ")
        assert "Troubleshooting" in shown
        terminal.keys(":Qsum nonsense", "Enter")
        terminal.wait_for("there is no :Qsum nonsense")


def test_missing_program_is_named_by_the_health_check(
    tmp_path: Path, qsum_program: Path, model: ScriptedServer
) -> None:
    workspace, init, environment = prepared(
        tmp_path, "require('qsum').setup({cmd = {'no-such-qsum', 'lsp'}})", qsum_program, model
    )
    report = tmp_path / "health.txt"
    subprocess.run(
        [install.neovim("0.11"), "--headless", "--clean", "-u", init, "-c", "checkhealth qsum", "-c", f"write! {report}", "-c", "qall!"],
        check=True, cwd=workspace, env={**os.environ, **environment}, capture_output=True, timeout=60,
    )  # fmt: skip
    assert "`no-such-qsum` is not executable" in report.read_text()
    assert "pip install qsum-lsp" in report.read_text()
