"""Parts of the VS Code extension that need no VS Code."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.editors.conftest import EXTENSION

FAILS_AS_DEBIAN_DOES = """\
print('''The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.11-venv

You may need to use sudo with that command.  After installing the python3-venv
package, recreate your virtual environment.

Failing command: /tmp/server/bin/python3
''')
raise SystemExit(1)
"""


def outcome(npm: dict[str, str], module: str, expression: str) -> Any:
    """What ``expression`` is, or the message that it rejects with; ``it`` in it is the module ``module``."""
    source = subprocess.run(
        ["npx", "esbuild", f"src/{module}.ts", "--format=cjs", "--platform=node"],
        check=True, cwd=EXTENSION, env=npm, text=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    script = (
        f"{source}\nconst it = module.exports;"
        f"Promise.resolve().then(() => {expression}).catch((error) => error.message)"
        ".then((said) => console.log(JSON.stringify(said)));"
    )
    done = subprocess.run(
        ["node", "-e", script], check=True, cwd=EXTENSION, env=npm, text=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("cd $(pwd)", "cd \\$(pwd)"),
        ("$(sync~spin) and $(date)", "\\$(sync~spin) and \\$(date)"),
        ("\\$(date)", "\\\\$(date)"),
        ("$(git rev-parse HEAD), $((1)), $PATH", "$(git rev-parse HEAD), $((1)), $PATH"),
    ],
)
def test_what_would_be_an_icon_in_a_lens_is_escaped(npm: dict[str, str], text: str, escaped: str) -> None:
    assert outcome(npm, "icons", f"it.withoutIcons({json.dumps(text)})") == escaped


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (FAILS_AS_DEBIAN_DOES, "apt install python3.11-venv"),
        ("import sys; print('Collecting httpx'); sys.exit('ERROR: No matching distribution')", "ERROR: No"),
        ("raise SystemExit(1)", "Command failed"),
    ],
)
def test_a_program_that_fails_is_quoted(npm: dict[str, str], program: str, said: str) -> None:
    arguments = json.dumps(["-c", program])
    run = f"it.run({json.dumps(sys.executable)}, {arguments}, {{ timeoutMs: 20000 }})"
    message = outcome(npm, "processes", run)
    assert said in message
    assert "Collecting" not in message
