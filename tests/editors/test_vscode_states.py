"""VS Code where something is missing, forbidden or not there yet."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import platformdirs
import pytest
from playwright.sync_api import expect

from tests.editors.conftest import EXTENSION
from tests.editors.install import NEWEST_CODE_SERVER
from tests.editors.pages import write_workspace
from tests.editors.vscode import VSCode
from tests.scripted_server import ScriptedServer

PYTHON_EXTENSION = Path(__file__).parent / "python_extension"
MOST_VSIX_BYTES = 10_000_000


def only_system_programs(folder: Path, **more: Path) -> dict[str, str]:
    """An environment without ``qsum``, with ``more`` programs by name."""
    programs = folder / "programs"
    programs.mkdir()
    for name, path in more.items():
        (programs / name).symlink_to(path)
    return {"PATH": os.pathsep.join([str(programs), "/usr/bin", "/bin"]), "VIRTUAL_ENV": "", "PYTHONPATH": ""}


def test_vsix_is_small(vsix: Path) -> None:
    assert vsix.stat().st_size < MOST_VSIX_BYTES


def test_extension_passes_its_own_checks(npm: dict[str, str]) -> None:
    done = subprocess.run(
        ["npm", "run", "check"],
        check=False, cwd=EXTENSION, env=npm, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_missing_server_is_installed_with_a_button(
    vscode_version: str, tmp_path: Path, vsix: Path, model: ScriptedServer
) -> None:
    workspace = write_workspace(tmp_path / "pages", "page.md", url=model.url)
    environment = {
        **only_system_programs(tmp_path, python3=Path(os.path.realpath("/proc/self/exe"))),
        "PIP_CACHE_DIR": str(platformdirs.user_cache_path("pip")),
    }
    with VSCode(vscode_version, workspace, tmp_path / "scratch", vsix, environment=environment) as code:
        code.open("page.md")
        problem = code.notification("was not found")
        problem.wait_for()
        assert code.page.locator(".notification-toast").count() == 1
        code.command("Focus on Summaries View")
        view = code.page.locator(".pane-body .welcome-view-content")
        expect(view).to_contain_text("not found")
        assert problem.get_by_role("button", name="Install Server").is_visible()
        step = code.open_walkthrough().locator("button.getting-started-step", has_text="Install the language")
        step.get_by_role("button", name="Install Server").click()
        code.wait(code.server_pid, "the installed server", seconds=400)
        expect(step.locator(".complete")).not_to_have_count(0)
        code.open("page.md")
        code.hover("Install the tool", containing="scripted, grounded")
        code.reload()
        code.open("page.md")
        code.hover("Install the tool", containing="scripted, grounded")
        assert "from Install Server" in code.debug_information()


def test_too_old_server_is_named(vscode_version: str, tmp_path: Path, vsix: Path) -> None:
    old = tmp_path / "old-qsum"
    old.write_text("#!/bin/sh\necho 'qsum, version 0.0.9'\n")
    old.chmod(0o755)
    workspace = write_workspace(tmp_path / "pages", "page.md", engine="extractive")
    with VSCode(vscode_version, workspace, tmp_path / "scratch", vsix, program=old) as code:
        code.open("page.md")
        problem = code.notification("qsum 0.0.9, which is too old")
        problem.wait_for()
        problem.get_by_role("button", name="Open Setting").click()
        code.page.locator(".settings-editor").wait_for()


def test_restricted_mode_uses_nothing_of_the_workspace(
    vscode_version: str, tmp_path: Path, vsix: Path, qsum_program: Path, model: ScriptedServer
) -> None:
    workspace = write_workspace(tmp_path / "pages", "page.md", url=model.url)
    (workspace / ".vscode").mkdir()
    (workspace / ".vscode/settings.json").write_text(
        f'{{"qsum.engine": "remote", "qsum.url": "{model.url}", "qsum.path": "/bin/false"}}'
    )
    settings = {"security.workspace.trust.startupPrompt": "never", "qsum.engine": "extractive"}
    before = model.script()["requests"]
    with VSCode(
        vscode_version,
        workspace,
        tmp_path / "scratch",
        vsix,
        program=qsum_program,
        settings=settings,
        trusted=False,
    ) as code:
        code.open("page.md")
        code.hover("Install the tool", containing="extractive")
        assert model.script()["requests"] == before
        pid = code.server_pid()
        code.command("Workspaces: Manage Workspace Trust")
        code.page.get_by_role("button", name="Trust", exact=True).first.click()
        code.wait(lambda: code.server_pid() not in (None, pid), "the server to start anew")
        code.command("View: Close Editor")
        code.open("page.md")
        code.hover("Install the tool", containing="scripted, grounded")
        assert model.script()["requests"] > before


def python_with_qsum(folder: Path, vsix: Path) -> Path:
    """The Python of a virtual environment in which the wheel of the extension is installed."""
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    with zipfile.ZipFile(vsix) as packed:
        (wheel,) = (name for name in packed.namelist() if name.endswith(".whl"))
        packed.extract(wheel, folder)
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    )
    subprocess.run([*pip, str(folder / wheel)], check=True, timeout=120)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.mark.parametrize("first", ["without", "removed"])
def test_selected_python_environment_is_used(
    vscode_version: str, tmp_path: Path, vsix: Path, model: ScriptedServer, first: str
) -> None:
    workspace = write_workspace(tmp_path / "pages", "page.md", url=model.url)
    with_qsum = python_with_qsum(tmp_path / "with", vsix)
    venv.create(tmp_path / "without", with_pip=False)
    with VSCode(
        vscode_version,
        workspace,
        tmp_path / "scratch",
        vsix,
        environment=only_system_programs(tmp_path),
        settings={"python.defaultInterpreterPath": str(tmp_path / first / "bin/python")},
        beside=[PYTHON_EXTENSION],
    ) as code:
        code.open("page.md")
        code.notification("was not found").wait_for()
        select = "vscode.workspace.getConfiguration('python').update('defaultInterpreterPath', {!r}, true)"
        code.ask(f"await {select.format(str(with_qsum))}")
        pid = code.wait(code.server_pid, "the server")
        assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == os.fsencode(with_qsum)
        code.hover("Install the tool", containing="scripted, grounded")
        assert "from the selected Python environment" in code.debug_information()


def test_nothing_is_loaded_without_markdown(tmp_path: Path, vsix: Path, qsum_program: Path) -> None:
    workspace = tmp_path / "pages"
    workspace.mkdir()
    (workspace / "program.py").write_text("print('no Markdown here')\n")
    (workspace / "page.md").write_text("# A page\n")
    with VSCode(NEWEST_CODE_SERVER, workspace, tmp_path / "scratch", vsix, program=qsum_program) as code:
        is_active = "return vscode.extensions.getExtension('qsum.qsum').isActive"
        code.open("program.py")
        code.page.wait_for_timeout(1500)
        assert code.ask(is_active) is False
        assert code.server_pid() is None
        assert code.page.locator('.activitybar a[aria-label="Summaries"]').count() == 0
        code.open("page.md")
        code.wait(lambda: code.ask(is_active), "the extension")
        code.page.locator('.activitybar a[aria-label="Summaries"]').wait_for()


def test_bundle_names_no_host(vsix: Path) -> None:
    with zipfile.ZipFile(vsix) as packed:
        bundles = [packed.read(name).decode() for name in packed.namelist() if name.endswith(".js")]
    assert len(bundles) == 2
    assert not any("http://" in bundle or "https://" in bundle for bundle in bundles)
