"""The engine processes of one QSUM_HOME, as the tests see them."""

from collections.abc import Iterator
from pathlib import Path

import psutil


class Engines:
    """Counts loads and finds processes."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def loads(self) -> list[int]:
        """The numbers of the processes that loaded an engine, in order."""
        path = self._home / "loads"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def loaded_at(self) -> float:
        """When the last engine was loaded (seconds since the epoch)."""
        return float((self._home / "loaded").read_text().split()[-1])

    def alive(self) -> list[int]:
        """The engine processes that run now, whether they came to load or not."""
        return [
            process.pid
            for process, line in self._processes()
            if "tests.engines.host.scripted_host" in line or "qsum_lsp" in line
        ]

    def command_lines(self) -> list[list[str]]:
        """The command lines of all processes that run now."""
        return [line for _, line in self._processes()]

    def _processes(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        for process in psutil.process_iter(["cmdline", "environ", "status"]):
            environment = process.info["environ"] or {}
            if (
                environment.get("QSUM_HOME") == str(self._home)
                and process.info["status"] != psutil.STATUS_ZOMBIE
            ):
                yield process, process.info["cmdline"] or []
