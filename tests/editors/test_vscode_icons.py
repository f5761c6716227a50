"""VS Code puts icons in place of ``$(name)`` in lenses and lists; a page's shell commands are shown as they are."""

import json
import subprocess

import pytest

from tests.editors.conftest import EXTENSION

SCRIPT = "eval(require('fs').readFileSync(0, 'utf8')); console.log(JSON.stringify(module.exports.withoutIcons({})))"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("cd $(pwd)", "cd \\$(pwd)"),
        ("$(sync~spin) and $(date)", "\\$(sync~spin) and \\$(date)"),
        ("\\$(date)", "\\\\$(date)"),
        ("$(git rev-parse HEAD), $((1)), $PATH", "$(git rev-parse HEAD), $((1)), $PATH"),
    ],
)
def test_what_would_be_an_icon_is_escaped(npm: dict[str, str], text: str, escaped: str) -> None:
    module = subprocess.run(
        ["npx", "esbuild", "src/icons.ts", "--format=cjs"],
        check=True, cwd=EXTENSION, env=npm, text=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    said = subprocess.run(
        ["node", "-e", SCRIPT.format(json.dumps(text))],
        check=True, env=npm, text=True, input=module, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    assert json.loads(said) == escaped
