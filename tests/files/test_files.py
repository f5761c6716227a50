"""Which files a path stands for, and reading them."""

import subprocess
from pathlib import Path

import pytest

from qsum_lsp.errors import FileError
from qsum_lsp.files import discover, is_walked, read_text
from qsum_lsp.settings import load_settings


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("# Title\n", encoding="utf-8")


def found(root: Path, path: str) -> list[str]:
    names = []
    for item in discover(root / path, load_settings):
        assert not isinstance(item, FileError), item
        names.append(item.relative_to(root).as_posix())
    return names


def test_a_folder_stands_for_its_markdown(tmp_path: Path) -> None:
    make(
        tmp_path,
        "b.md",
        "a/x.markdown",
        "a/y.mdx",
        "a/z.txt",
        ".hidden/h.md",
        "node_modules/p/README.md",
        "c.qmd",
        "README.MD",
    )
    assert found(tmp_path, ".") == ["README.MD", "b.md", "c.qmd", "a/x.markdown", "a/y.mdx"]


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt", "a/x.md")
    assert found(tmp_path, "notes.txt") == ["notes.txt"]


def test_include_and_exclude_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    make(tmp_path, "docs/a.md", "docs/old/b.md", "docs/c.txt", "README.md")
    (tmp_path / ".qsum.toml").write_text('include = ["docs/**/*.md", "*.txt"]\nexclude = ["docs/old/"]\n')
    assert found(tmp_path, ".") == ["docs/a.md", "docs/c.txt"]
    assert found(tmp_path, "docs") == ["docs/a.md", "docs/c.txt"]
    (tmp_path / "docs/.qsum.toml").write_text('key = "intro"\n')
    assert found(tmp_path, "docs") == ["docs/a.md", "docs/c.txt"], "also below a file without patterns"


@pytest.mark.parametrize("pattern", ["docs/", "docs", "/docs/*", "docs/**", "docs/**/*"])
def test_of_an_included_folder_the_markdown_is_taken(tmp_path: Path, pattern: str) -> None:
    make(
        tmp_path,
        "a.md",
        "docs/a.md",
        "docs/B.MD",
        "docs/conf.py",
        "docs/logo.svg",
        "docs/c.txt",
        "docs/LICENSE",
    )
    (tmp_path / ".qsum.toml").write_text(f'include = ["{pattern}"]\n')
    assert found(tmp_path, ".") == ["docs/B.MD", "docs/a.md"]
    (tmp_path / ".qsum.toml").write_text(f'include = ["{pattern}", "docs/*.txt", "LICENSE"]\n')
    assert found(tmp_path, ".") == ["docs/B.MD", "docs/LICENSE", "docs/a.md", "docs/c.txt"]


def test_the_patterns_of_a_folder_s_own_settings_hold_in_it(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "old/b.md", "docs/a.md", "docs/c.mdx", "docs/old/b.md", "docs/deep/c.mdx")
    (tmp_path / "docs/.qsum.toml").write_text('include = ["/*.mdx", "*.md"]\nexclude = ["/old/"]\n')
    assert found(tmp_path, ".") == ["a.md", "docs/a.md", "docs/c.mdx", "old/b.md"]
    assert found(tmp_path, "docs") == ["docs/a.md", "docs/c.mdx"]


def test_what_git_ignores_is_left_out_as_git_says(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    make(tmp_path, "build/a.md", "docs/keep.md", "docs/skip.md", "docs/sub/skip.md", "docs/sub/other.md")
    (tmp_path / ".gitignore").write_text("/build/\nskip.md\n")
    (tmp_path / "docs/sub/.gitignore").write_text("!skip.md\nother.md\n")
    names = found(tmp_path, ".")
    ignored = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", *(str(p) for p in sorted(tmp_path.rglob("*.md")))],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    expected = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.md") if str(p) not in ignored}
    assert set(names) == expected == {"docs/keep.md", "docs/sub/skip.md"}
    assert found(tmp_path, "docs/sub") == ["docs/sub/skip.md"]


def test_lines_of_gitignore_that_are_no_patterns_are_passed_over(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    make(tmp_path, "bin/a.md", "obj/a.md", "z/a.md", "docs/a.md")
    (tmp_path / ".gitignore").write_text("\ufeffbin/\nobj\\\n!\n[z-a]\ndocs/\n", encoding="utf-8")
    assert found(tmp_path, ".") == ["obj/a.md", "z/a.md"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "docs/a.md")
    (tmp_path / "docs/loop").symlink_to(tmp_path / "docs", target_is_directory=True)
    (tmp_path / "docs/twin.md").symlink_to(tmp_path / "docs/a.md")
    assert found(tmp_path, "docs") == ["docs/a.md"]


def test_a_walk_comes_by_a_page_whichever_links_lead_there(tmp_path: Path) -> None:
    site, link = tmp_path / "site", tmp_path / "link"
    make(site, "docs/a.md", ".github/a.md", "docs/.drafts/a.md")
    link.symlink_to(site, target_is_directory=True)
    for top in (site, link):
        for named in (site, link):
            walked = [is_walked(path, top, load_settings) for path in sorted(named.rglob("*.md"))]
            assert walked == [False, False, True]


def test_a_missing_path_is_an_error_to_report(tmp_path: Path) -> None:
    (item,) = discover(tmp_path / "gone.md", load_settings)
    assert isinstance(item, FileError)
    assert "there is no such file" in str(item)


def test_text_comes_as_it_is(tmp_path: Path) -> None:
    data = "\ufeff# Ünï\r\ncode\rmore\u2028\x0c\n".encode()
    (tmp_path / "a.md").write_bytes(data)
    assert read_text(tmp_path / "a.md").encode() == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PNG\0\x01", "looks like a binary file"),
        (b"fine\nbad \xff\n", "not valid UTF-8 (byte 9, line 2)"),
        ("# x".encode("utf-16"), "is UTF-16"),
    ],
)
def test_what_is_no_text_is_said(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.md").write_bytes(data)
    with pytest.raises(FileError) as caught:
        read_text(tmp_path / "a.md")
    assert said in str(caught.value)
    assert str(tmp_path / "a.md") in str(caught.value)


def test_a_folder_or_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(FileError, match="no such file"):
        read_text(tmp_path / "gone.md")
