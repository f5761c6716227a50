"""What the VS Code extension costs the extension host: loading its bundle and ``activate`` until it returns.

``python -m benchmarks.vscode_activation qsum.vsix`` opens a folder without Markdown in VS Code, activates the
extension by hand inside of the extension host, five times in fresh windows, and prints milliseconds.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from tests.editors.install import NEWEST_CODE_SERVER
from tests.editors.vscode import VSCode, server_program

_RUNS = 5
_CODE = """
const extension = vscode.extensions.getExtension('qsum.qsum');
const before = performance.now();
await extension.activate();
return performance.now() - before;
"""


def main() -> None:
    """Measure and print."""
    vsix = Path(sys.argv[1]).resolve()
    found = []
    for _ in range(_RUNS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            workspace = folder / "empty"
            workspace.mkdir()
            with VSCode(
                NEWEST_CODE_SERVER, workspace, folder / "scratch", vsix, program=server_program(folder)
            ) as code:
                code.page.wait_for_timeout(2000)
                found.append(float(code.ask(_CODE)))
    print(
        f"activation, ms: {', '.join(f'{one:.0f}' for one in found)}; median {statistics.median(found):.0f}"
    )


if __name__ == "__main__":
    main()
