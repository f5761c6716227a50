"""``qsum models`` as people and scripts use it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from qsum_lsp import models
from qsum_lsp.cli.models import models as command
from qsum_lsp.errors import UsageError
from tests.cli.run_qsum import qsum
from tests.models import fake
from tests.models.fake import CONTENT, HUB


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


def test_list_shows_what_is_here_and_marks_the_default(own_home: Path) -> None:
    lines = run("list").stdout.splitlines()
    assert lines[0].split()[:4] == ["alias", "size", "licence", "here"]
    rows = {line[2:].split()[0]: line for line in lines[1:6]}
    assert list(rows) == [entry.alias for entry in models.catalogue()]
    assert [line[0] for line in rows.values()] == ["*", " ", " ", " ", " "]
    assert all(
        "GB  Apache-2.0  no" in " ".join(line.split("    ")) or " no " in line for line in rows.values()
    )


def test_list_for_machines(own_home: Path, use_model: Callable[..., None]) -> None:
    objects = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [item["alias"] for item in objects] == [entry.alias for entry in models.catalogue()]
    assert [item["default"] for item in objects] == [True, False, False, False, False]
    assert not any(item["here"] or item["path"] for item in objects)
    use_model(HUB)
    path = own_home / "models" / "small-model" / "small-model.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    models.pull("small-model")
    (only,) = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert only["here"] is True
    assert only["path"] == str(path)
    assert only["size"] == len(CONTENT)
    assert only["sha256"] == fake.entry().sha256


def test_path_and_pull(own_home: Path, use_model: Callable[..., None], running_hub: fake.Hub) -> None:
    use_model(HUB)
    missing = run("path", "small-model")
    assert missing.exit_code == 3
    assert missing.stdout == ""
    assert "qsum models pull small-model" in missing.stderr
    pulled = run("pull", "small-model")
    path = own_home / "models" / "small-model" / "small-model.gguf"
    assert pulled.stdout == f"{path}\n"
    assert "small-model: downloading from the model hub, 0 of 3 MB" in pulled.stderr
    assert "small-model: verifying, 3 of 3 MB" in pulled.stderr
    found = run("path", "small-model")
    assert (found.exit_code, found.stdout) == (0, f"{path}\n")
    again = run("pull", "small-model")
    assert (again.stdout, again.stderr) == (f"{path}\n", "")


def test_a_bar_on_a_terminal(
    own_home: Path, use_model: Callable[..., None], running_hub: fake.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(HUB)
    running_hub.seconds_a_chunk = 0.01
    monkeypatch.setattr("qsum_lsp.cli.models.interactive", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    result = run("pull", "small-model")
    assert result.stdout.splitlines() == [str(own_home / "models" / "small-model" / "small-model.gguf")]
    assert "small-model: downloading from the model hub" in result.stderr
    assert "3.0 MB" in result.stderr
    assert "MB/s" in result.stderr


def test_an_unknown_name_is_an_error_of_usage() -> None:
    with pytest.raises(UsageError, match="Did you mean"):
        run("pull", "qwen2.5-coder-1b")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["pull", "qwen2.5-coder-2b"], 2, "Did you mean"),
        (["path", "qwen3-0.6b"], 3, "is not here"),
        (["pull", "qwen3-0.6b"], 3, "QSUM_OFFLINE forbids"),
    ],
)
def test_exit_codes_of_the_process(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = qsum("models", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
