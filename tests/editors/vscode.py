"""VS Code itself: its server part as a process, its window in headless Chromium, and a hand for both."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.editors import install

PROBE = Path(__file__).parent / "probe"
QUIET_SETTINGS: Mapping[str, object] = {
    "files.autoSave": "off",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "telemetry.telemetryLevel": "off",
    "chat.disableAIFeatures": True,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "update.mode": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "explorer.confirmDelete": False,
    "editor.minimap.enabled": False,
    "git.enabled": False,
    "remote.autoForwardPorts": False,
}
_SECONDS = 30
_HOVER_MS = 2500
_PALETTE_MS = 5000
_SERVER = re.compile(rb"(qsum_lsp|/qsum)\0lsp\0")
_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def server_program(folder: Path) -> Path:
    """A ``qsum`` program that runs the package which is being tested."""
    program = folder / "qsum"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m qsum_lsp "$@"\n')
    program.chmod(0o755)
    return program


def pack(extension: Path, folder: Path) -> Path:
    """The plain JavaScript ``extension`` as a package in ``folder``."""
    packed = folder / f"{extension.name}.vsix"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in extension.iterdir():
            archive.write(file, f"extension/{file.name}")
    return packed


class VSCode:
    """One window on one folder, for the length of a ``with`` block.

    ``program`` is what ``qsum.path`` names; ``beside`` are plain JavaScript extensions to install as well.
    """

    def __init__(
        self,
        version: str,
        workspace: Path,
        scratch: Path,
        vsix: Path,
        *,
        program: Path | None = None,
        settings: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        beside: Sequence[Path] = (),
        trusted: bool = True,
        size: tuple[int, int] = (1280, 800),
        scale: float = 1,
    ) -> None:
        self.workspace = workspace
        user_settings = scratch / "data/User/settings.json"
        self._node, self._entry = install.code_server(version)
        self._scratch = scratch
        self._probe = scratch / "probe"
        self._trusted = trusted
        self._size = size
        self._scale = scale
        self._questions = 0
        machine_settings = scratch / "data/Machine/settings.json"
        for folder in (self._probe, user_settings.parent, machine_settings.parent, scratch / "home"):
            folder.mkdir(parents=True)
        self._vsix = [vsix, *(pack(extension, scratch) for extension in (PROBE, *beside))]
        chosen = {**QUIET_SETTINGS, **(settings or {})}
        user_settings.write_text(json.dumps(chosen))
        if program is not None:
            machine_settings.write_text(json.dumps({"qsum.path": str(program)}))
        self._environment = {
            **os.environ,
            "HOME": str(scratch / "home"),
            "QSUM_HOME": str(scratch / "qsum"),
            "QSUM_OFFLINE": "1",
            "QSUM_TEST_PROBE": str(self._probe),
            "PATH": os.pathsep.join([str(self._node.parent), os.environ["PATH"]]),
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        self._command(*(word for vsix in self._vsix for word in ("--install-extension", str(vsix))))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._log = (self._scratch / "code-server.log").open("w")
        arguments = ["--bind-addr", f"127.0.0.1:{port}", "--auth", "none"]
        self._process = subprocess.Popen(
            self._line(*arguments),
            env=self._environment, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self.wait(lambda: _listens(port), "code-server to listen")
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=str(install.chromium()), args=_CHROMIUM_FLAGS
        )
        context = self._browser.new_context(
            viewport={"width": self._size[0], "height": self._size[1]}, device_scale_factor=self._scale
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page: Page = context.new_page()
        self.page.set_default_timeout(_SECONDS * 1000)
        expect.set_options(timeout=_SECONDS * 1000)
        self._address = f"http://127.0.0.1:{port}/?folder={self.workspace}"
        self._load()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                error.add_note(f"picture: {self.evidence('window')}")
            self._browser.close()
            self._playwright.stop()
        finally:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(10)
            self._log.close()

    # the window

    def reload(self) -> None:
        """Load the window anew; it has another extension host then."""
        ready = self._probe / "ready"
        host = Path("/proc") / ready.read_text()
        ready.unlink()
        self.page.goto("about:blank")
        self.wait(lambda: not host.exists(), "the extension host to end")
        self._load()

    def open(self, name: str) -> None:
        """Open a file of the workspace in an editor that stays."""
        self.ask(
            f"await vscode.window.showTextDocument(vscode.Uri.file({json.dumps(str(self.workspace / name))}),"
            " {preview: false})"
        )
        self.page.locator(f'.tab.active[data-resource-name="{name}"]').wait_for()

    def command(self, title: str) -> None:
        """Run a command from the palette, as a user does."""
        rows = self.page.locator(".quick-input-list .monaco-list-row", has_text=title.removeprefix("qsum: "))

        def find() -> bool:
            # A palette that was opened too early never learns of a command, or is closed by what is still opening.
            self.page.keyboard.press("F1")
            try:
                self.page.locator(".quick-input-widget input.input").fill(f">{title}", timeout=_PALETTE_MS)
                rows.first.wait_for(timeout=_PALETTE_MS)
            except PlaywrightTimeout:
                self.page.keyboard.press("Escape")
                return False
            return True

        self.wait(find, f"the command {title!r}")
        self.page.keyboard.press("Enter")

    def line(self, text: str) -> Locator:
        """The line of the editor that shows ``text``."""
        return self.page.locator(".view-line").filter(has_text=re.compile(_spaced(text))).first

    def hover(self, text: str, *, containing: str = "") -> str:
        """Rest the pointer on the line that shows ``text`` until a hover says ``containing``; all that it says."""

        def attempt() -> str:
            self.page.mouse.move(1, 1)
            self.line(text).locator("span span").last.hover()
            shown = self.page.locator(".monaco-hover:visible").first
            try:
                shown.wait_for(timeout=_HOVER_MS)
            except PlaywrightTimeout:
                return ""
            said = " ".join(shown.inner_text(timeout=_HOVER_MS).split())
            return said if containing in said else ""

        found: str = self.wait(attempt, f"a hover on {text!r} that says {containing!r}")
        return found

    def lenses(self) -> list[str]:
        """What stands over the headings."""
        return [_plain(one) for one in self.page.locator(".codelens-decoration a").all_inner_texts()]

    def put_cursor(self, text: str) -> None:
        """Put the cursor on the line that shows ``text``."""
        self.line(text).click()

    def code_action(self, title: str) -> None:
        """Choose from the light bulb's menu at the cursor."""
        self.page.keyboard.press("Control+.")
        menu = self.page.locator(".action-widget")
        menu.locator(".monaco-list-row", has_text=title).first.wait_for()
        chosen = menu.locator(".monaco-list-row.focused", has_text=title)
        for _ in range(menu.locator(".monaco-list-row").count()):
            if chosen.count():
                break
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Enter")

    def open_walkthrough(self) -> Locator:
        """Open the extension's own walk-through; its page."""
        self.ask(
            "await vscode.commands.executeCommand('workbench.action.openWalkthrough', 'qsum.qsum#start', false)"
        )
        page = self.page.locator(".gettingStartedContainer")
        page.locator("button.getting-started-step").first.wait_for()
        return page

    def notification(self, text: str) -> Locator:
        """A notification that says ``text``."""
        return self.page.locator(".notification-toast", has_text=text).first

    def picture(self, path: Path) -> None:
        """Take a picture of the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)

    def evidence(self, name: str) -> Path:
        """A picture that outlives the test; where it is."""
        picture = Path(tempfile.mkdtemp(prefix="qsum-editors-")) / f"{name}.png"
        self.picture(picture)
        return picture

    # the extension host

    def ask(self, code: str) -> Any:
        """Run JavaScript in the extension host; what it returns."""
        self._questions += 1
        file = self._probe / f"{self._questions}.js"
        part = file.with_suffix(".part")
        part.write_text(code)
        part.rename(file)
        answer = file.with_suffix(".json")
        self.wait(answer.exists, f"an answer to {code}")
        content = json.loads(answer.read_text())
        assert "error" not in content, content["error"]
        return content.get("value")

    def text(self) -> str:
        """The text in the active editor."""
        found: str = self.ask("return vscode.window.activeTextEditor.document.getText()")
        return found

    def cursor_line(self) -> str:
        """The line of the active editor in which the cursor is."""
        found: str = self.ask(
            "const editor = vscode.window.activeTextEditor;"
            "return editor.document.lineAt(editor.selection.active.line).text"
        )
        return found

    def debug_information(self) -> str:
        """What the command copies."""
        self.command("qsum: Copy Debug Information")
        read = "return vscode.env.clipboard.readText()"
        copied: str = self.wait(lambda: text if "extension: " in (text := self.ask(read)) else "", "a copy")
        return copied

    # the processes

    def server_pid(self) -> int | None:
        """The language server that this window runs."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    _SERVER.search((entry / "cmdline").read_bytes())
                    and os.getsid(int(entry.name)) == self._process.pid
                ):
                    return int(entry.name)
            except (OSError, ProcessLookupError):
                continue
        return None

    def change_setting(self, name: str, value: object) -> None:
        """Set one of the user's ``qsum`` settings; None takes it back."""
        self.ask(
            f"await vscode.workspace.getConfiguration('qsum').update({json.dumps(name)},"
            f" {json.dumps(value)} ?? undefined, true)"
        )

    def wait(self, condition: Callable[[], object], what: str, seconds: float = _SECONDS) -> Any:
        """Wait until ``condition`` holds; its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            page = getattr(self, "page", None)
            if page is None:
                time.sleep(0.05)
            else:
                page.wait_for_timeout(50)
        raise AssertionError(f"waited {seconds} s for {what}")

    def _load(self) -> None:
        self.page.goto(self._address)
        self.page.locator(".monaco-workbench").wait_for()
        self.wait((self._probe / "ready").exists, "the extension host")

    def _line(self, *arguments: str) -> list[str]:
        line = [
            str(self._node), str(self._entry), *arguments, "--config", str(self._scratch / "config.yaml"),
            "--user-data-dir", str(self._scratch / "data"), "--extensions-dir", str(self._scratch / "ext"),
            "--disable-telemetry", "--disable-update-check", "--disable-getting-started-override",
        ]  # fmt: skip
        return [*line, "--disable-workspace-trust"] if self._trusted else line

    def _command(self, *arguments: str) -> None:
        done = subprocess.run(
            self._line(*arguments),
            check=False,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _spaced(text: str) -> str:
    """A pattern for ``text`` as the editor shows it, with no-break spaces."""
    return r"[\s\u00a0]".join(re.escape(word) for word in text.split())


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")
