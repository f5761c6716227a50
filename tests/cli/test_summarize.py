"""``qsum summarize`` as a process, against a scripted server and without a model."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run_qsum import QSUM, environment, qsum
from tests.cli.test_outline import HOSTILE
from tests.scripted_server import ScriptedServer

SENTENCE = (
    "The {0} part explains in enough words how the {0} tool reads its settings, which files it looks at, in which "
    "order they win over each other, and what happens when one of them is missing or broken in some way. "
)


def section(name: str, level: int = 2) -> str:
    return f"{'#' * level} {name}\n\n{SENTENCE.format(name.lower())}\n\n"


PAGE = "# Guide\n\n" + SENTENCE.format("first") + "\n\n" + "".join(map(section, ("Alpha", "Beta", "Gamma")))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, server: ScriptedServer) -> Path:
    (tmp_path / ".qsum.toml").write_text(f'engine = "remote"\nurl = "{server.url}"\nmodel = "scripted"\n')
    (tmp_path / "guide.md").write_text(PAGE)
    return tmp_path


def pages(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_json_has_every_field(folder: Path) -> None:
    done = qsum("summarize", "guide.md", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (page,) = pages(done)
    assert (page["path"], page["title"], page["engine"], page["model"]) == (
        "guide.md",
        "Guide",
        "remote",
        "scripted",
    )
    assert page["summary"]
    assert [(s["id"], s["title"], s["level"], s["line"], s["end_line"]) for s in page["sections"]] == [
        ("1", "Guide", 1, 1, len(PAGE.splitlines())),
        ("1.1", "Alpha", 2, 5, 8),
        ("1.2", "Beta", 2, 9, 12),
        ("1.3", "Gamma", 2, 13, 16),
    ]
    for entry in page["sections"]:
        assert entry["summary"]
        assert entry["source"] == "model"
        assert entry["cached"] is False
        assert entry["grounded"] is True
    assert page["usage"]["new_tokens"] > 0
    assert page["usage"]["seconds"] > 0


def test_the_second_run_asks_no_engine(folder: Path, server: ScriptedServer) -> None:
    first = pages(qsum("summarize", "guide.md", "--json", cwd=folder))
    asked = server.script()["requests"]
    assert asked > 0
    second = pages(qsum("summarize", "guide.md", "--json", cwd=folder))
    assert server.script()["requests"] == asked
    assert all(entry["cached"] for entry in second[0]["sections"])
    assert [s["summary"] for s in first[0]["sections"]] == [s["summary"] for s in second[0]["sections"]]
    assert second[0]["usage"] == {"prompt_tokens": 0, "new_tokens": 0, "seconds": 0.0}


def test_what_is_cached_needs_no_server(folder: Path, server: ScriptedServer) -> None:
    qsum("summarize", "guide.md", cwd=folder)
    server.change(status=500)
    done = qsum("summarize", "guide.md", "--json", cwd=folder)
    assert done.returncode == 0
    assert all(entry["source"] == "model" for entry in pages(done)[0]["sections"])


def test_an_edit_costs_the_sections_above_it(folder: Path, server: ScriptedServer) -> None:
    qsum("summarize", "guide.md", cwd=folder)
    before = server.script()["requests"]
    (folder / "guide.md").write_text(PAGE.replace("how the beta tool", "why the beta tool"))
    qsum("summarize", "guide.md", cwd=folder)
    assert 0 < server.script()["requests"] - before <= 3  # the section, the one above it, the page


def test_no_cache_neither_reads_nor_writes(folder: Path, server: ScriptedServer) -> None:
    qsum("summarize", "guide.md", "--no-cache", cwd=folder)
    first = server.script()["requests"]
    qsum("summarize", "guide.md", "--no-cache", cwd=folder)
    assert server.script()["requests"] == 2 * first
    qsum("summarize", "guide.md", cwd=folder)
    assert server.script()["requests"] == 3 * first


def test_one_line_one_section(folder: Path) -> None:
    (page,) = pages(qsum("summarize", "guide.md", "--line", "12", "--json", cwd=folder))
    assert [entry["title"] for entry in page["sections"]] == ["Beta"]
    assert page["summary"] is None


@pytest.mark.parametrize(
    ("line", "said"), [("900", "no section at line 900"), ("2", "in the front matter"), ("0", "")]
)
def test_a_line_without_a_section_is_wrong_usage(folder: Path, line: str, said: str) -> None:
    (folder / "matter.md").write_text("---\ntitle: x\n---\n# A\n")
    done = qsum("summarize", "matter.md", "--line", line, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr


def test_several_files_in_order_and_the_unreadable_beside_them(folder: Path) -> None:
    (folder / "a.md").write_text("# A\n\n" + SENTENCE.format("a"))
    (folder / "b.md").write_bytes(b"\0\0")
    done = qsum("summarize", "guide.md", "b.md", "a.md", "--json", cwd=folder)
    assert done.returncode == 4
    assert [page["path"] for page in pages(done)] == ["guide.md", "a.md"]
    assert "b.md: looks like a binary file" in done.stderr


def test_no_engine_is_3_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(PAGE)
    done = qsum("summarize", "guide.md", "--engine", "llama", cwd=tmp_path)
    assert done.returncode == 3
    assert "QSUM_OFFLINE" in done.stderr or "qsum models pull" in done.stderr
    (tmp_path / ".qsum.toml").write_text('engine = "remote"\nurl = "http://127.0.0.1:9/v1"\nmodel = "x"\n')
    done = qsum("summarize", "guide.md", cwd=tmp_path)
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr


def test_extractive_needs_no_model(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(PAGE)
    done = qsum("summarize", "guide.md", "--engine", "extractive", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (page,) = pages(done)
    assert {entry["source"] for entry in page["sections"]} == {"extractive"}
    for entry in page["sections"]:
        assert entry["summary"].rstrip("…").rstrip() in " ".join(PAGE.split())


def test_any_file_gives_a_result_or_a_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".qsum.toml").write_text('engine = "extractive"\n')
    for name, (data, _) in HOSTILE.items():
        (tmp_path / name).write_bytes(data)
    done = qsum("summarize", *HOSTILE, "gone.md", "--json", cwd=tmp_path, seconds=110)
    assert done.returncode == 4
    readable = [name for name, (_, code) in HOSTILE.items() if code == 0]
    assert [page["path"] for page in pages(done)] == readable
    for name in (*set(HOSTILE).difference(readable), "gone.md"):
        assert f"qsum: {name}: " in done.stderr


def test_people_get_text_and_colours_only_on_a_terminal(folder: Path) -> None:
    done = qsum("summarize", "guide.md", cwd=folder)
    assert "\x1b" not in done.stdout
    assert "## Beta  line 9" in done.stdout
    assert done.stderr == ""
    shown = on_a_terminal(folder, "summarize", "guide.md")
    assert "\x1b[36m## Beta" in shown
    shown = on_a_terminal(folder, "summarize", "guide.md", no_color="1")
    assert "## Beta  line 9" in shown


def test_control_characters_in_a_page_do_not_reach_the_terminal(folder: Path) -> None:
    (folder / "evil.md").write_text("# Evil \x1b]0;title\x07 \u202e\n\n" + SENTENCE.format("evil\x1b[2J"))
    done = qsum("summarize", "evil.md", cwd=folder)
    assert not set("\x1b\x07\u202e") & set(done.stdout)


def test_interrupt_stops_at_once_and_keeps_what_is_finished(folder: Path, server: ScriptedServer) -> None:
    short = "# Short\n\n" + SENTENCE.format("short")
    (folder / "short.md").write_text(short)
    qsum("summarize", "short.md", cwd=folder)
    finished = server.script()["requests"]
    server.change(seconds_per_word=2.0)
    process = subprocess.Popen(
        [*QSUM, "summarize", "short.md", "guide.md"],
        cwd=folder, env=environment(folder / ".home"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while server.script()["requests"] == finished and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "short.md" in out
    assert "interrupted" in err


def test_a_closed_pipe_is_no_error(folder: Path) -> None:
    command = " ".join([*QSUM, "summarize", "guide.md", "guide.md", "| head -1"])
    done = subprocess.run(
        ["bash", "-c", command],
        check=False,
        cwd=folder,
        env=environment(folder / ".home"),
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


def on_a_terminal(cwd: Path, *arguments: str, no_color: str = "") -> str:
    """What the command shows on a terminal, both streams together."""
    ours, theirs = pty.openpty()
    env = environment(cwd / ".home", TERM="xterm-256color", NO_COLOR=no_color)
    process = subprocess.Popen(
        [*QSUM, *arguments], cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other side closed
                break
        elif process.poll() is not None:
            break
    os.close(ours)
    assert process.wait(10) == 0
    return shown.decode("utf-8", "replace")
