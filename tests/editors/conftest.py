"""What all editor tests share."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.editors import install
from tests.editors.install import NEWEST_CODE_SERVER, OLDEST_CODE_SERVER
from tests.editors.vscode import VSCode, server_program
from tests.scripted_server import ScriptedServer

EXTENSION = Path(__file__).parents[2] / "editors/vscode"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first run installs editors."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(900))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep a picture of the window in which a test failed, and say where."""
    report = yield
    window = getattr(item, "funcargs", {}).get("code")
    if report.when == "call" and report.failed and isinstance(window, VSCode):
        report.sections.append(("picture", str(window.evidence(item.name))))
    return report


@pytest.fixture(scope="session")
def npm() -> dict[str, str]:
    """An environment in which the extension's npm scripts run."""
    tools = install.vsix_tools(EXTENSION)
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHON": sys.executable}


@pytest.fixture(scope="session")
def vsix(npm: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed VS Code extension."""
    packed = tmp_path_factory.mktemp("vsix") / "qsum.vsix"
    done = subprocess.run(
        ["npm", "run", "package", "--", "--out", str(packed)],
        check=False, cwd=EXTENSION, env=npm, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return packed


@pytest.fixture(scope="session")
def qsum_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``qsum`` that is this very package."""
    return server_program(tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module", params=[NEWEST_CODE_SERVER, OLDEST_CODE_SERVER], ids=["newest", "oldest"])
def vscode_version(request: pytest.FixtureRequest) -> str:
    """The newest VS Code, and the oldest that the extension allows."""
    version: str = request.param
    return version


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedServer]:
    """A model that answers by script, behind an OpenAI-compatible server."""
    with ScriptedServer() as server:
        yield server
