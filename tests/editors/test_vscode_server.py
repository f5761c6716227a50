"""The language server of VS Code as its user meets it: restarts, logs, models, the walk-through."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.editors.conftest import EXTENSION
from tests.editors.pages import write_workspace
from tests.editors.vscode import VSCode
from tests.models import fake
from tests.scripted_server import ScriptedServer

PROGRAM = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
from qsum_lsp import cli, models
from tests.models import fake
fake.use(fake.entry(fake.HUB))
models.catalogue = models.entries.catalogue
cli.main()
"""
"""A ``qsum`` whose catalogue has one small model, of a hub on this machine."""


@pytest.fixture(scope="module")
def hub() -> Iterator[fake.Hub]:
    """Where that model comes from."""
    with fake.Hub().serve() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, vscode_version: str) -> Path:
    """What ``qsum`` keeps."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def code(
    vscode_version: str,
    tmp_path_factory: pytest.TempPathFactory,
    vsix: Path,
    home: Path,
    hub: fake.Hub,
    model: ScriptedServer,
) -> Iterator[VSCode]:
    """A window on a folder with one page."""
    folder = tmp_path_factory.mktemp("code")
    workspace = write_workspace(folder / "pages", "back.md", url=model.url)
    program = folder / "qsum"
    program.write_text(PROGRAM.format(python=sys.executable, root=str(Path(__file__).parents[2])))
    program.chmod(0o755)
    environment = {
        "QSUM_HOME": str(home),
        "QSUM_OFFLINE": "0",
        "HF_ENDPOINT": hub.url,
        "HF_HUB_CACHE": str(home / "hub"),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    with VSCode(
        vscode_version, workspace, folder / "scratch", vsix, program=program, environment=environment
    ) as window:
        yield window


def test_walkthrough_names_commands_that_exist(code: VSCode) -> None:
    code.open("back.md")
    code.wait(code.lenses, "the server")
    contributed = json.loads((EXTENSION / "package.json").read_text())["contributes"]
    said = json.dumps([contributed["walkthroughs"], contributed["viewsWelcome"]])
    named = set(re.findall(r"\(command:([\w.]+)", said)) | set(re.findall(r"onCommand:([\w.]+)", said))
    assert {"qsum.installServer", "qsum.pullModel", "qsum.summaries.focus"} <= named
    assert named <= set(code.ask("return vscode.commands.getCommands(true)"))


def test_walkthrough_pulls_a_model_and_shows_the_view(code: VSCode, home: Path, hub: fake.Hub) -> None:
    code.open("back.md")
    before = code.wait(code.server_pid, "the server")
    page = code.open_walkthrough()
    (walkthrough,) = json.loads((EXTENSION / "package.json").read_text())["contributes"]["walkthroughs"]
    steps = page.locator("button.getting-started-step")
    expect(steps).to_have_count(len(walkthrough["steps"]))
    for step in walkthrough["steps"]:
        expect(page).to_contain_text(step["title"])
    assert "`" not in page.inner_text()  # code is not set off there
    steps.filter(has_text="Get a model").click()
    steps.get_by_role("button", name="Pull Model").click()
    offered = code.page.locator(".quick-input-list .monaco-list-row")
    expect(offered).to_have_count(1)
    expect(offered).to_contain_text("small-model")
    expect(offered).to_contain_text("Apache-2.0")
    offered.click()
    pulled = home / "models/small-model/small-model.gguf"
    code.wait(lambda: pulled.exists() and pulled.read_bytes() == fake.CONTENT, "the model")
    assert hub.ranges
    code.wait(lambda: code.server_pid() not in (None, before), "the server to start anew")
    expect(steps.filter(has_text="Get a model").locator(".complete")).not_to_have_count(0)
    steps.filter(has_text="See the whole page").click()
    steps.get_by_role("button", name="Show Summaries").click()
    expect(code.page.locator(".sidebar .welcome-view-content")).to_contain_text("Open a Markdown file")
    code.command("View: Close Editor")


def test_model_that_is_here_is_said_to_be(code: VSCode) -> None:
    code.command("qsum: Pull Model")
    expect(code.page.locator(".quick-input-list .monaco-list-row")).to_contain_text("already here")
    code.page.keyboard.press("Escape")


def test_logs_show_where_the_server_was_found(code: VSCode) -> None:
    code.command("qsum: Show Logs")
    lines = code.page.locator(".panel .view-lines")
    expect(lines).to_contain_text(re.compile(r"\[info\]\sthe\ssetting\sqsum\.path:.*qsum\s\d"))
    code.command("View: Toggle Panel Visibility")


def test_restarted_server_goes_on(code: VSCode) -> None:
    code.open("back.md")
    before = code.wait(code.server_pid, "the server")
    code.command("qsum: Restart Server")
    code.wait(lambda: code.server_pid() not in (None, before), "another server")
    code.hover("Install the tool", containing="scripted, grounded")


def test_killed_server_comes_back_without_a_word(code: VSCode) -> None:
    code.open("back.md")
    before = code.wait(code.server_pid, "the server")
    os.kill(before, signal.SIGKILL)
    code.wait(lambda: code.server_pid() not in (None, before), "another server")
    code.hover("Configure a mirror", containing="scripted, grounded")
    assert code.page.locator(".notification-toast").count() == 0


def test_debug_information_names_the_server(code: VSCode) -> None:
    code.open("back.md")
    copied = code.debug_information()
    assert "from the setting qsum.path" in copied
    assert '"engine": "remote"' in copied


def test_status_item_names_the_model(code: VSCode) -> None:
    code.open("back.md")
    code.hover("Install the tool")
    item = code.page.locator('[id="status.languageStatus"]')
    item.hover()
    shown = code.page.locator(".hover-language-status", has_text="scripted")
    shown.wait_for()
