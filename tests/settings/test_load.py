"""Settings files: which one wins, and what is said of a wrong one."""

from pathlib import Path

import pytest

from qsum_lsp.errors import UsageError
from qsum_lsp.settings import Settings, check_settings, load_settings


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_defaults_where_no_file_is(tmp_path: Path) -> None:
    loaded = load_settings(tmp_path)
    assert loaded.values == Settings()
    assert loaded.include_root == loaded.exclude_root == tmp_path.resolve()


def test_nearest_file_wins_key_by_key_and_overrides_win_over_all(tmp_path: Path) -> None:
    write(
        tmp_path / "pyproject.toml",
        '[tool.qsum]\nmodel = "far"\nmin_words = 3\nkey = "intro"\nexclude = ["docs/old/"]\n',
    )
    write(tmp_path / "docs/.qsum.toml", 'model = "near"\ninclude = ["*.md"]\n')
    write(tmp_path / "docs/pyproject.toml", '[tool.qsum]\nmodel = "beside"\nmin_words = 7\n')
    loaded = load_settings(tmp_path / "docs", {"key": "description"})
    assert (loaded.values.model, loaded.values.min_words, loaded.values.key) == ("near", 7, "description")
    assert (loaded.include_root, loaded.exclude_root) == ((tmp_path / "docs").resolve(), tmp_path.resolve())
    assert [path.name for path in loaded.files] == [".qsum.toml", "pyproject.toml", "pyproject.toml"]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / ".qsum.toml", "min_words = 3\n")
    assert load_settings(tmp_path).values.min_words == 3
    write(tmp_path / ".qsum.toml", "min_words = 30\n")
    assert load_settings(tmp_path).values.min_words == 30


@pytest.mark.parametrize(
    ("name", "text"), [(".qsum.toml", "min_words = 3\n"), ("pyproject.toml", "[tool.qsum]\nmin_words = 3\n")]
)
def test_a_byte_order_mark_is_passed_over(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path / name, "\ufeff" + text)
    assert load_settings(tmp_path).values.min_words == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('modle = "x"\n', "unknown setting 'modle'; did you mean 'model'?"),
        ('engine = "gpt"\n', "engine = 'gpt' does not fit: one of auto, llama, torch, remote, extractive"),
        ('min_words = "many"\n', "min_words = 'many' does not fit"),
        ("max_chars = 3\n", "max_chars = 3 does not fit"),
        ('key = "a b"\n', "key = 'a b' does not fit"),
        ("include = [1]\n", "include = [1] does not fit"),
        ('exclude = ["old/", "generated\\\\"]\n', "exclude: 'generated\\\\' is no gitignore pattern"),
        ('include = ["[z-a].md"]\n', "include: '[z-a].md' is no gitignore pattern"),
        ("engine_sharing = 1\n", "engine_sharing = 1 does not fit"),
        ("idle_minutes = -1\n", "idle_minutes = -1 does not fit"),
        ("model = \n", "is not valid TOML"),
    ],
)
def test_a_wrong_setting_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / ".qsum.toml", text)
    with pytest.raises(UsageError) as caught:
        load_settings(tmp_path)
    assert str(tmp_path / ".qsum.toml") in str(caught.value)
    assert said in str(caught.value)


def test_tool_qsum_must_be_a_table(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[tool]\nqsum = 3\n")
    with pytest.raises(UsageError, match=r"\[tool\.qsum\] must be a table"):
        load_settings(tmp_path)


def test_another_tools_broken_pyproject_is_not_our_business(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[tool.other\n")
    assert load_settings(tmp_path).values == Settings()


def test_overrides_are_checked_by_name() -> None:
    assert check_settings({"strategy": "sliding"}, where="editor") == {"strategy": "sliding"}
    with pytest.raises(UsageError, match="editor: strategy"):
        check_settings({"strategy": "none"}, where="editor")
