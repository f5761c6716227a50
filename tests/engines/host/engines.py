"""The engine processes of one QSUM_HOME, as the tests see them."""

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

    def alive(self) -> list[int]:
        """The engine processes that run now, whether they came to load or not."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ", "status"]):
            line = process.info["cmdline"] or []
            environment = process.info["environ"] or {}
            if (
                ("tests.engines.host.scripted_host" in line or "qsum_lsp" in line)
                and environment.get("QSUM_HOME") == str(self._home)
                and process.info["status"] != psutil.STATUS_ZOMBIE
            ):
                found.append(process.pid)
        return found
