"""Replacing a file: atomic, careful with links, modes and other writers."""

import multiprocessing
import os
import stat
import sys
from pathlib import Path

import pytest

from qsum_lsp.errors import FileError
from qsum_lsp.files.replace import replace_file


def test_mode_is_kept_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(b"old")
    path.chmod(0o640)
    replace_file(path, b"new", expected=b"old", tree=tmp_path)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_ownership_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(b"old")
    os.chown(path, 1234, 5678)
    replace_file(path, b"new", expected=b"old", tree=tmp_path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


def test_new_file(tmp_path: Path) -> None:
    replace_file(tmp_path / "new.txt", b"new", expected=None, tree=tmp_path)
    assert (tmp_path / "new.txt").read_bytes() == b"new"
    with pytest.raises(FileError, match="changed by somebody else"):
        replace_file(tmp_path / "new.txt", b"other", expected=None, tree=tmp_path)


def test_a_change_in_between_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(b"somebody's")
    with pytest.raises(FileError, match="changed by somebody else"):
        replace_file(path, b"new", expected=b"old", tree=tmp_path)
    assert path.read_bytes() == b"somebody's"


def test_links(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside.md"
    tree.mkdir()
    outside.write_bytes(b"old")
    inside = tree / "real.md"
    inside.write_bytes(b"old")
    (tree / "in.md").symlink_to("real.md")
    (tree / "out.md").symlink_to(outside)
    (tree / "loop.md").symlink_to("loop.md")
    replace_file(tree / "in.md", b"new", expected=b"old", tree=tree)
    assert inside.read_bytes() == b"new"
    assert (tree / "in.md").is_symlink()
    with pytest.raises(FileError, match="leads out of"):
        replace_file(tree / "out.md", b"new", expected=b"old", tree=tree)
    assert outside.read_bytes() == b"old"
    with pytest.raises(FileError):
        replace_file(tree / "loop.md", b"new", expected=b"old", tree=tree)


def test_read_only_file(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(FileError, match="read-only"):
        replace_file(path, b"new", expected=b"old", tree=tmp_path)
    assert path.read_bytes() == b"old"


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(b"old")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: os._exit(9))
        child = os.fork()
        if child == 0:
            replace_file(path, b"new", expected=b"old", tree=tmp_path)
        os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 2
    replace_file(path, b"new", expected=b"old", tree=tmp_path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"new"]


def _add_lines(path: Path, name: str, count: int) -> None:
    done = 0
    while done < count:
        old = path.read_bytes()
        try:
            replace_file(path, old + f"{name}{done}\n".encode(), expected=old, tree=path.parent)
        except FileError:
            continue
        done += 1


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked")
def test_no_write_is_lost_among_four_processes(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(b"")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_lines, args=(path, name, 40)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    expected = {f"{name}{number}" for name in "abcd" for number in range(40)}
    lines = path.read_text().split()
    assert len(lines) == 160
    assert set(lines) == expected
