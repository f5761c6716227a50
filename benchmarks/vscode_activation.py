"""What the VS Code extension costs the extension host until it is activated.

``python -m benchmarks.vscode_activation qsum.vsix [STARTS]`` opens a folder without Markdown in VS Code and activates
the extension by hand, in a new extension host each time (12 times where nothing else is said). It prints what VS
Code itself shows under *Show Running Extensions* (loading the bundle, ``activate``, and what that returns), and the
time that passed inside of the extension host while it was at it. Milliseconds.
"""

import re
import statistics
import sys
import tempfile
from pathlib import Path

from tests.editors.install import NEWEST_CODE_SERVER
from tests.editors.vscode import VSCode, server_program

_STARTS = 12
_SETTLED_MS = 2000
_SIZE = (1280, 3000)  # so that the list of all extensions fits
_CODE = """
const extension = vscode.extensions.getExtension('qsum.qsum');
const before = performance.now();
await extension.activate();
return performance.now() - before;
"""


def _shown(code: VSCode) -> float:
    code.command("Developer: Show Running Extensions")
    row = code.page.locator(".runtime-extensions-editor .monaco-list-row", has_text="qsum: Markdown")
    text = row.locator(".activation-time").inner_text()
    found = re.search(r"(\d+)\s*ms", text)
    assert found, text
    return float(found[1])


def _line(name: str, found: list[float]) -> str:
    late = statistics.quantiles(found, n=20, method="inclusive")[-1]
    values = ", ".join(f"{one:.0f}" for one in found)
    return f"{name}: median {statistics.median(found):.0f}, p95 {late:.0f} of {len(found)}: {values}"


def main() -> None:
    """Measure and print."""
    vsix = Path(sys.argv[1]).resolve()
    starts = int(sys.argv[2]) if len(sys.argv) > 2 else _STARTS
    shown, passed = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = folder / "empty"
        workspace.mkdir()
        program = server_program(folder)
        with VSCode(
            NEWEST_CODE_SERVER, workspace, folder / "scratch", vsix, program=program, size=_SIZE
        ) as code:
            for start in range(starts):
                if start:
                    code.reload()
                code.page.wait_for_timeout(_SETTLED_MS)
                passed.append(float(code.ask(_CODE)))
                shown.append(_shown(code))
    print(_line("activation as VS Code shows it, ms", shown))
    print(_line("time that passed, ms", passed))


if __name__ == "__main__":
    main()
