"""``qsum outline`` and the root command, as processes."""

import errno
import json
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from qsum_lsp.cli.main import main
from tests.cli.run_qsum import QSUM, environment, qsum

PAGE = "---\ntitle: Guide\n---\nBefore.\n\n# One *two*\n\ntext\n\n## Sub\n\nmore\n\n# End\n"


def test_version_and_help(tmp_path: Path) -> None:
    assert qsum("--version", cwd=tmp_path).stdout.startswith("qsum ")
    shown = qsum("--help", cwd=tmp_path)
    assert shown.returncode == 0
    for said in ("qsum summarize README.md", "Exit codes", "QSUM_HOME"):
        assert said in shown.stdout


def test_json_says_lines_of_the_whole_file_and_character_offsets(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(PAGE)
    done = qsum("outline", "a.md", "--json", cwd=tmp_path)
    assert done.returncode == 0
    page = json.loads(done.stdout)
    assert page["path"] == "a.md"
    assert page["front_matter"] == {"kind": "yaml", "line": 1, "end_line": 3}
    assert [(s["id"], s["title"], s["level"], s["line"], s["end_line"]) for s in page["sections"]] == [
        ("0", "", 0, 4, 5),
        ("1", "One two", 1, 6, 13),
        ("1.1", "Sub", 2, 10, 13),
        ("2", "End", 1, 14, 14),
    ]
    for section in page["sections"]:
        piece = PAGE[section["start"] : section["end"]]
        assert piece.startswith(("Before", "# One", "## Sub", "# End"))


def test_standard_input_and_a_page_without_front_matter(tmp_path: Path) -> None:
    done = qsum("outline", "-", "--json", cwd=tmp_path, text="# Hé\r\n\r\nx\r\n")
    page = json.loads(done.stdout)
    assert (page["path"], page["front_matter"]) == ("-", None)
    assert page["sections"][0]["title"] == "Hé"


def test_people_see_an_indented_list_without_control_characters(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One \x1b[31mred\n\n## Two\n")
    shown = qsum("outline", "a.md", cwd=tmp_path).stdout
    assert "\x1b" not in shown
    assert "    Two  3-3" in shown


HOSTILE = {
    "binary.md": (b"\x89PNG\0\0", 4),
    "latin1.md": ("# Größe".encode("latin-1"), 4),
    "utf16.md": ("# x".encode("utf-16"), 4),
    "empty.md": (b"", 0),
    "only_front_matter.md": (b"---\ntitle: x\n---\n", 0),
    "broken_front_matter.md": (b"---\ntitle: [x\n---\n# A\n\nText.\n", 0),
    "open_front_matter.md": (b"---\ntitle: x\n\n# A\n", 0),
    "headings.md": (b"# h\n\n" * 100_000, 0),
    "quotes.md": (b">" * 1000 + b" deep\n", 0),
    "lists.md": (b"- " * 1000 + b"deep\n", 0),
    "open_fence.md": (b"# A\n\n```\n# no heading\n", 0),
    "long_line.md": (b"# A\n\n" + b"word " * 2_000_000 + b"\n", 0),
    "brackets.md": (b"# A\n\n" + b"[" * 50_000 + b"\n", 0),
    "nothing_but_hashes.md": (b"#\n##\n###\n", 0),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_file_gives_a_result_or_a_clear_line_and_the_others_are_done(tmp_path: Path, name: str) -> None:
    data, code = HOSTILE[name]
    (tmp_path / name).write_bytes(data)
    (tmp_path / "fine.md").write_text("# Fine\n")
    done = qsum("outline", name, "fine.md", "--json", cwd=tmp_path)
    assert done.returncode == code
    pages = [json.loads(line) for line in done.stdout.splitlines()]
    assert pages[-1]["sections"][0]["title"] == "Fine"
    assert len(pages) == (1 if code else 2)
    assert (name in done.stderr) is bool(code)


def test_standard_input_that_is_closed_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    command = " ".join([*QSUM, "outline", "-", "a.md", "<&-"])
    done = subprocess.run(
        ["bash", "-c", command], check=False, cwd=tmp_path, env=environment(tmp_path / "home"),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == "qsum: standard input: is closed.\n"
    assert done.stdout.startswith("a.md\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_disk_that_is_full_is_no_internal_error(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*QSUM, "outline", "a.md"], check=False, cwd=tmp_path, env=environment(tmp_path / "home"),
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == f"qsum: {os.strerror(errno.ENOSPC)}; what was finished is kept.\n"


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\n")
    (tmp_path / "docs/b.txt").write_text("# B\n")
    done = qsum("outline", "gone.md", "docs", "--json", cwd=tmp_path)
    assert done.returncode == 4
    assert "gone.md: there is no such file" in done.stderr
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == ["docs/a.md"]


def test_patterns_are_replaced_where_no_shell_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = ModuleType("os")
    windows.__dict__.update(vars(os), name="nt")
    monkeypatch.setattr("click.core.os", windows)
    monkeypatch.setattr("sys.argv", ["qsum", "outline", "--json", "*.md", "[b].md"])
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in ("a.md", "[b].md", "c.txt"):
        (tmp_path / name).write_text("# A\n")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    listed = [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(listed) == ["[b].md", "a.md"]


def test_names_with_any_bytes(tmp_path: Path) -> None:
    odd = tmp_path / "we\nird é \udcff.md"
    odd.write_text("# A\n")
    done = qsum("outline", ".", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["path"] == "we\nird é \ufffd.md"


@pytest.mark.parametrize(
    "arguments",
    [("outline",), ("outline", "--nope", "a.md"), ("nope",), ("summarize", "a.md", "--strategy", "x")],
)
def test_wrong_usage_is_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    done = qsum(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr


def test_a_wrong_settings_file_is_2_and_names_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n")
    (tmp_path / ".qsum.toml").write_text("strateggy = 'x'\n")
    done = qsum("outline", "a.md", cwd=tmp_path)
    assert done.returncode == 2
    assert ".qsum.toml: unknown setting 'strateggy'; did you mean 'strategy'?" in done.stderr
