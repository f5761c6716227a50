"""A terminal that a test looks at: tmux, with keys in and the screen out."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.editors import install

_SECONDS = 30


class Terminal:
    """A program in a terminal of its own, for the length of a ``with`` block."""

    def __init__(
        self,
        *command: str | Path,
        cwd: Path,
        environment: Mapping[str, str],
        columns: int = 120,
        rows: int = 36,
    ) -> None:
        self._tmux = [
            str(install.system_program("tmux", "tmux")),
            "-S",
            str(cwd.parent / "tmux.sock"),
            "-f",
            "/dev/null",
        ]
        self._environment = {
            **os.environ,
            **environment,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
        }
        self._run(
            "-u", "new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(cwd), *map(str, command)
        )
        self._run("set-option", "-g", "default-terminal", "tmux-256color")
        self._run("set-option", "-s", "escape-time", "0")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.screen())
        self._run("kill-server")

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._run("send-keys", *keys)

    def screen(self, *, colours: bool = False) -> str:
        """What stands on the screen; with escape sequences where ``colours``."""
        return self._run("capture-pane", "-p", *(["-e", "-N"] if colours else []))

    def settled(self) -> str:
        """The screen when it has not changed for a moment."""
        before = self.screen()
        while True:
            time.sleep(0.4)
            shown = self.screen()
            if shown == before:
                return shown
            before = shown

    def wait_for(self, text: str) -> str:
        """Wait until ``text`` stands on the screen."""
        self.wait_until(lambda: text in self.screen(), repr(text))
        return self.screen()

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = _SECONDS) -> None:
        """Wait until ``condition`` holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited {seconds} s for {what}")
            time.sleep(0.1)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments],
            check=False,
            env=self._environment,
            text=True,
            capture_output=True,
            timeout=20,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
