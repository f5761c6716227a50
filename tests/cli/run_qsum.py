"""The command as a real process."""

import os
import subprocess
import sys
from pathlib import Path

QSUM = [sys.executable, "-m", "qsum_lsp"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment with a ``QSUM_HOME`` of its own and no downloads."""
    return {**os.environ, "QSUM_HOME": str(home), "QSUM_OFFLINE": "1", "NO_COLOR": "1", **more}


def qsum(
    *arguments: str | Path,
    cwd: Path,
    home: Path | None = None,
    text: str | bytes | None = None,
    seconds: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run ``qsum`` in ``cwd``; its standard error must never hold a traceback."""
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        [*QSUM, *map(str, arguments)],
        check=False, cwd=cwd, input=data or b"", capture_output=True, timeout=seconds, env=environment(home or cwd / ".home"),
    )  # fmt: skip
    result = subprocess.CompletedProcess(
        done.args,
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )
    assert "Traceback" not in result.stderr, result.stderr
    assert "internal error" not in result.stderr, result.stderr
    return result
