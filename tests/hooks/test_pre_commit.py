"""The hooks in real repositories, installed by pre-commit from this tree. The first test waits for the installation."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from qsum_lsp.front_matter import read_page

PROJECT = Path(__file__).parents[2]
PACKAGED = (
    "qsum_lsp",
    "hooks",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    ".pre-commit-hooks.yaml",
)
BODY = """# Retries

The client sends a request again when the server does not answer within ten seconds. It waits twice as long each
time, and gives up after five tries. A request that the server has refused is never sent again.
"""

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Repository:
    """A git repository with a user and an environment of its own."""

    path: Path
    environment: dict[str, str]

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, command)),
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def git(self, *arguments: str | Path) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self, message: str = "Change") -> subprocess.CompletedProcess[str]:
        return self.run("git", "commit", "-m", message)

    def page(self, name: str, text: str = BODY) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def _state(path: Path) -> str:
    return read_page(path.read_text(encoding="utf-8")).state("summary")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Git and pre-commit without the user's own configuration."""
    folder = tmp_path_factory.mktemp("hook-environment")
    (folder / "gitconfig").write_text(
        "[user]\nname = Tester\nemail = tester@example.org\n[init]\ndefaultBranch = main\n"
        '[protocol "file"]\nallow = always\n[core]\nquotePath = false\n'
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "PYTHONPATH", "QSUM_"))
    }
    return kept | {
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(folder / "pre-commit"),
        "QSUM_HOME": str(folder / "qsum"),
        "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
    }


@pytest.fixture(scope="session")
def hook_repository(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Repository:
    """This tree as a repository that pre-commit can install from."""
    path = tmp_path_factory.mktemp("hooks") / "qsum-lsp"
    path.mkdir()
    for name in PACKAGED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, path / name)
    repository = Repository(path, environment)
    repository.git("init", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "Hooks")
    return repository


@pytest.fixture
def repository(tmp_path: Path, environment: dict[str, str], hook_repository: Repository) -> Repository:
    """A repository with both hooks installed, which need no model by its settings."""
    path = tmp_path / "site"
    path.mkdir()
    repository = Repository(path, environment)
    repository.git("init", "-q")
    revision = hook_repository.git("rev-parse", "HEAD").strip()
    (path / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hook_repository.path}\n  rev: {revision}\n"
        "  hooks:\n  - id: qsum-summaries\n  - id: qsum-check\n"
    )
    (path / ".qsum.toml").write_text('engine = "extractive"\n')
    repository.git("add", "-A")
    repository.git("commit", "-qm", "Settings")
    done = repository.run(
        "pre-commit", "install", "--hook-type", "pre-commit", "--hook-type", "pre-merge-commit"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return repository


def test_the_first_commit_fails_with_the_file_changed_and_the_second_passes(repository: Repository) -> None:
    page = repository.page("page.md")
    repository.git("add", "-A")
    first = repository.commit()
    assert first.returncode == 1, first.stdout + first.stderr
    assert "page.md: missing -> updated" in first.stdout + first.stderr
    assert "files were modified by this hook" in first.stdout + first.stderr
    assert _state(page) == "fresh"
    assert page.read_text(encoding="utf-8").endswith(BODY)
    repository.git("add", "-A")
    second = repository.commit()
    assert second.returncode == 0, second.stdout + second.stderr
    assert repository.git("status", "--porcelain") == ""

    _, front_matter, body = page.read_text(encoding="utf-8").split("---\n")
    page.write_text(f"---\n{front_matter}---\n{body.replace('ten', 'five')}", encoding="utf-8")
    repository.git("add", "-A")
    again = repository.commit()
    assert again.returncode == 1
    assert "page.md: stale -> updated" in again.stdout + again.stderr
    assert _state(page) == "fresh"
    repository.git("add", "-A")
    assert repository.commit().returncode == 0


def test_500_files_in_one_commit(repository: Repository) -> None:
    pages = [repository.page(f"docs/{number % 20}/page-{number}.md") for number in range(500)]
    repository.git("add", "-A")
    assert repository.commit().returncode == 1
    assert {_state(page) for page in pages} == {"fresh"}
    repository.git("add", "-A")
    assert repository.commit().returncode == 0


def test_merge_commit(repository: Repository) -> None:
    page = repository.page("page.md")
    repository.git("add", "-A")
    repository.commit()
    repository.git("add", "-A")
    assert repository.commit().returncode == 0
    written = page.read_text(encoding="utf-8")
    repository.git("checkout", "-qb", "other")
    repository.page("page.md", written + "\nEvery try is logged.\n")
    repository.git("commit", "-qanm", "Other")
    repository.git("checkout", "-q", "main")
    repository.page("page.md", written + "\nIt logs every try.\n")
    repository.git("commit", "-qanm", "Main")
    assert repository.run("git", "merge", "other").returncode == 1
    repository.page("page.md", written + "\nIt logs every try, once.\n")
    repository.git("add", "-A")
    assert repository.commit("Merge").returncode == 1
    assert _state(page) == "fresh"
    repository.git("add", "-A")
    assert repository.commit("Merge").returncode == 0
    assert len(repository.git("log", "-1", "--format=%P").split()) == 2

    repository.git("checkout", "-qb", "clean", "HEAD~1")
    repository.page("new.md")
    repository.git("add", "-A")
    repository.git("commit", "-qnm", "New")
    repository.git("checkout", "-q", "main")
    merged = repository.run("git", "merge", "clean", "-m", "Merge")
    assert merged.returncode == 1, "the hook runs before a merge commit, too"
    assert _state(repository.path / "new.md") == "fresh"


def test_partial_staging_keeps_what_is_not_staged(repository: Repository) -> None:
    text = f"---\ntitle: Retries\n---\n{BODY}" + "\nMore words.\n" * 20
    page = repository.page("page.md", text)
    repository.git("add", "page.md")
    page.write_text(text + "Not staged.\n", encoding="utf-8")
    other = repository.page("unstaged.md")
    assert repository.commit().returncode == 1
    assert page.read_text(encoding="utf-8").endswith("Not staged.\n")
    assert "# qsum:1 " in page.read_text(encoding="utf-8")
    assert other.read_text(encoding="utf-8") == BODY
    patch = repository.path / "staged.patch"
    # Stage the summary's line alone, as ``git add --patch`` does.
    diff = repository.git("diff", "-U0", "page.md")
    patch.write_text(diff[: diff.index("@@", diff.index("@@", diff.index("@@") + 2) + 2)], encoding="utf-8")
    repository.git("apply", "--cached", "--unidiff-zero", patch)
    patch.unlink()
    assert repository.commit().returncode == 0
    assert "Not staged." not in repository.git("show", "HEAD:page.md")
    assert page.read_text(encoding="utf-8").endswith("Not staged.\n")


def test_deleted_and_renamed_files(repository: Repository) -> None:
    repository.page("gone.md")
    repository.page("old.md")
    repository.git("add", "-A")
    repository.commit()
    repository.git("add", "-A")
    assert repository.commit().returncode == 0
    repository.git("rm", "-q", "gone.md")
    repository.git("mv", "old.md", "new.md")
    done = repository.commit()
    assert done.returncode == 0, done.stdout + done.stderr


def test_submodule(repository: Repository, tmp_path: Path) -> None:
    inner = Repository(tmp_path / "inner", repository.environment)
    inner.path.mkdir()
    inner.git("init", "-q")
    inner.page("inner.md")
    inner.git("add", "-A")
    inner.git("commit", "-qm", "Inner")
    repository.git("submodule", "add", "-q", inner.path, "module.md")
    page = repository.page("page.md")
    repository.git("add", "-A")
    assert repository.commit().returncode == 1
    assert _state(page) == "fresh"
    repository.git("add", "-A")
    assert repository.commit().returncode == 0
    assert (repository.path / "module.md" / "inner.md").read_text(encoding="utf-8") == BODY


def test_names_with_everything_that_git_allows(repository: Repository) -> None:
    names = [
        "with space.md",
        "new\nline.md",
        "ünï–😀.md",
        "-dash.md",
        "--diff.md",
        "quo'te\".md",
        "$(touch x).md",
        "日本/ペ.md",
    ]
    pages = [repository.page(name) for name in names]
    repository.git("add", "-A")
    assert repository.commit().returncode == 1
    assert {name: _state(page) for name, page in zip(names, pages, strict=True)} == dict.fromkeys(
        names, "fresh"
    )
    repository.git("add", "-A")
    done = repository.commit()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (repository.path / "x").exists()


def test_pages_of_every_suffix_but_those_that_are_excluded(repository: Repository) -> None:
    (repository.path / ".qsum.toml").write_text('engine = "extractive"\nexclude = ["generated/"]\n')
    names = ["a.md", "b.markdown", "c.mdx", "d.qmd", "e.Rmd", "F.MD"]
    pages = [repository.page(name) for name in names]
    others = [repository.page("notes.txt"), repository.page("generated/page.mdx")]
    repository.git("add", "-A")
    assert repository.commit().returncode == 1
    assert {name: _state(page) for name, page in zip(names, pages, strict=True)} == dict.fromkeys(
        names, "fresh"
    )
    assert [other.read_text(encoding="utf-8") for other in others] == [BODY] * 2
    repository.git("add", "-A")
    done = repository.commit()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_model_stops_no_commit(repository: Repository) -> None:
    (repository.path / ".qsum.toml").write_text('engine = "llama"\n')
    config = repository.path / ".pre-commit-config.yaml"
    config.write_text(
        config.read_text()
        .replace("  - id: qsum-check\n", "")
        .replace("summaries\n", "summaries\n    verbose: true\n")
    )
    page = repository.page("page.md")
    repository.git("add", "-A")
    done = repository.commit()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "qsum models pull" in done.stdout + done.stderr
    assert page.read_text(encoding="utf-8") == BODY


def test_try_repo(repository: Repository, hook_repository: Repository) -> None:
    page = repository.page("page.md")
    repository.git("add", "-A")
    done = repository.run("pre-commit", "try-repo", hook_repository.path, "qsum-summaries", "--all-files")
    assert done.returncode == 1, done.stdout + done.stderr
    assert _state(page) == "fresh"
