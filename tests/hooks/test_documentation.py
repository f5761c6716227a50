"""The set-ups in ``docs/ci.md`` are what users copy: they are read, and the plain git hook is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from qsum_lsp.settings import Settings

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", [block for kind, block in BLOCKS if kind == "yaml"])
def test_yaml_is_valid(block: str) -> None:
    assert isinstance(yaml.safe_load(block), dict)


def test_hooks_are_those_that_exist() -> None:
    defined = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (used,) = [yaml.safe_load(block) for kind, block in BLOCKS if "rev: v" in block]
    assert [hook["id"] for hook in used["repos"][0]["hooks"]] == [hook["id"] for hook in defined]
    assert all(hook["require_serial"] and hook["types"] == ["text"] for hook in defined)


def test_hooks_look_at_the_files_that_a_folder_stands_for() -> None:
    defined = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (lefthook,) = [yaml.safe_load(block)["pre-commit"] for _, block in BLOCKS if "lefthook" in block]
    (plain,) = [block for kind, block in BLOCKS if kind == "sh"]
    for pattern in Settings().include:
        name = pattern.replace("*", "page")
        assert all(re.search(hook["files"], name) for hook in defined)
        assert pattern.removeprefix("*.") in re.split("[{},]", lefthook["commands"]["qsum"]["glob"])
        assert f"'{pattern}'" in plain
    assert not any(re.search(hook["files"], "page.mdc") for hook in defined)


def test_plain_git_hook(tmp_path: Path) -> None:
    (script,) = [block for kind, block in BLOCKS if kind == "sh"]
    binaries, site = tmp_path / "bin", tmp_path / "site"
    binaries.mkdir()
    site.mkdir()
    command = binaries / "qsum-summaries"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m qsum_hooks.summaries "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "hooks")]),
        "QSUM_HOME": str(tmp_path / "home"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=site,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    git("init", "-q")
    hook = site / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o755)
    (site / ".qsum.toml").write_text('engine = "extractive"\n')
    page = site / "a new\npage.md"
    page.write_text("# Retries\n\nThe client sends a request again when the server does not answer.\n")
    git("add", "-A")
    first = git("commit", "-m", "First")
    assert first.returncode != 0, first.stdout + first.stderr
    assert "# qsum:1 " in page.read_text()
    git("add", "-A")
    assert git("commit", "-m", "Second").returncode == 0
    page.unlink()
    git("add", "-A")
    assert git("commit", "-m", "A commit without pages").returncode == 0
