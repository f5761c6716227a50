"""The hooks' own contract: exit codes, and a commit that nothing missing can stop."""

from pathlib import Path

import pytest
import qsum_hooks.check
import qsum_hooks.summaries

from qsum_lsp.cli.main import run
from qsum_lsp.engines.protocol import GenerationRequest
from qsum_lsp.errors import EngineUnavailable
from tests.scripted_engine import ScriptedEngine

TEXT = "---\ntitle: T\n---\nThe client sends a request again when the server does not answer.\n"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QSUM_OFFLINE", "")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "page.md"
    path.write_text(TEXT)
    return path


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    engine = ScriptedEngine()
    monkeypatch.setattr("qsum_lsp.service.create_engine", lambda settings: engine)
    monkeypatch.setattr("qsum_lsp.cli.updating.model_to_pull", lambda settings: None)
    return engine


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(settings: object) -> None:
        raise EngineUnavailable("the model is not here")

    monkeypatch.setattr("qsum_lsp.service.create_engine", create)
    monkeypatch.setattr("qsum_lsp.cli.updating.model_to_pull", lambda settings: None)


def test_changes_once_and_then_passes(page: Path, engine: ScriptedEngine) -> None:
    assert qsum_hooks.check.main(["page.md"]) == 1
    assert qsum_hooks.summaries.main(["page.md"]) == 1
    assert qsum_hooks.summaries.main(["page.md"]) == 0
    assert qsum_hooks.check.main(["page.md"]) == 0


def test_without_a_model_the_commit_goes_on(
    page: Path, no_engine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert qsum_hooks.summaries.main(["page.md"]) == 0
    said = capsys.readouterr()
    assert "page.md: missing  (not updated" in said.out
    assert "qsum models pull" in said.err
    assert page.read_text() == TEXT
    assert qsum_hooks.summaries.main(["--require-model", "page.md"]) == 3


def test_a_broken_page_fails_all_the_same(
    page: Path, no_engine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    page.write_text("---\ntitle: [\n---\nText of the page.\n")
    assert qsum_hooks.summaries.main(["page.md"]) == 4
    assert "page.md:3: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "code"),
    [("# A\n\nToo short for a model.\n", 1), ("---\ntitle: [\n---\nText of the page.\n", 4)],
    ids=["written", "broken"],
)
def test_without_a_model_a_changed_or_failed_page_stops_the_commit(
    page: Path, engine: ScriptedEngine, other: str, code: int
) -> None:
    def fail(request: GenerationRequest) -> str:
        raise EngineUnavailable("the model is not here")

    engine.answer = fail
    (page.parent / "other.md").write_text(other)
    page.write_text("The client sends a request again, as long as there is no answer. " * 5)
    assert qsum_hooks.summaries.main(["other.md", "page.md"]) == code
    assert qsum_hooks.summaries.main(["page.md"]) == 0


def test_nothing_is_downloaded_during_a_commit(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(*arguments: object) -> None:
        raise AssertionError("no download during a commit")

    monkeypatch.delenv("QSUM_OFFLINE")
    monkeypatch.setattr("httpx.Client.send", download)
    monkeypatch.setattr("subprocess.Popen.__init__", download)
    page.write_text(
        "---\ntitle: T\n---\n" + "The client sends a request again, as long as there is no answer. " * 5
    )
    (page.parent / ".qsum.toml").write_text('engine = "llama"\n')
    assert qsum_hooks.summaries.main(["page.md"]) == 0
    assert "qsum models pull" in capsys.readouterr().err


def test_what_the_settings_exclude_is_left_out(
    page: Path, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    (page.parent / ".qsum.toml").write_text('exclude = ["generated/", "!generated/kept.md", "old-*.md"]\n')
    names = ["old-page.md", "generated/page.md", "generated/sub/page.md", "generated/kept.md"]
    for name in names:
        (page.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (page.parent / name).write_text(TEXT)
    assert qsum_hooks.check.main(names) == 0
    assert qsum_hooks.summaries.main(names) == 0
    assert capsys.readouterr().out == "no pages\n" * 2
    assert qsum_hooks.summaries.main([*names, "page.md"]) == 1
    assert qsum_hooks.check.main([*names, "page.md"]) == 0
    assert run(["check", "."]) == 0
    assert run(["check", *names]) == 1, "a person who names a file means it"


def test_what_a_folder_does_not_stand_for_is_left_out(
    page: Path, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = page.parent
    (folder / ".qsum.toml").write_text('include = ["/docs/**/*.md"]\n')
    others = [".github/PULL_REQUEST_TEMPLATE.md", "docs/node_modules/p/README.md", "docs/.drafts/page.md"]
    for name in ["docs/page.md", "docs/sub/page.md", *others]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(TEXT)
    (folder / "docs/link.md").symlink_to(folder.parent / "nowhere.md")
    others += ["page.md", "docs/link.md"]
    assert qsum_hooks.check.main(others) == 0
    assert qsum_hooks.summaries.main([*others, str(folder / "page.md")]) == 0
    assert capsys.readouterr().out == "no pages\n" * 2
    assert qsum_hooks.summaries.main([*others, "docs/page.md", str(folder / "docs/sub/page.md")]) == 1
    assert qsum_hooks.check.main([*others, "docs/page.md", "docs/sub/page.md"]) == 0
    assert run(["check", "."]) == 0


def test_a_hidden_folder_above_the_repository_hides_nothing(
    page: Path, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = page.parent / ".worktrees" / "site"
    repository.mkdir(parents=True)
    page.rename(repository / "page.md")
    monkeypatch.chdir(repository)
    assert qsum_hooks.check.main(["page.md"]) == 1
    assert qsum_hooks.check.main([str(repository / "page.md")]) == 1


def test_a_commit_does_not_cut_llms_txt_down_to_its_pages(
    page: Path, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    (page.parent / "other.md").write_text(TEXT)
    listing = page.parent / "llms.txt"
    assert qsum_hooks.summaries.main(["--llms-txt=llms.txt", "."]) == 1
    before = listing.read_text()
    assert "page.md" in before
    assert "other.md" in before
    assert qsum_hooks.summaries.main(["--llms-txt=llms.txt", "page.md"]) == 2
    assert "pass_filenames: false" in capsys.readouterr().err
    assert listing.read_text() == before
    assert qsum_hooks.summaries.main(["--llms-txt=llms.txt", "."]) == 0


def test_a_name_like_an_option_is_a_file(page: Path, engine: ScriptedEngine) -> None:
    page.rename("--force.md")
    assert qsum_hooks.summaries.main(["--force.md"]) == 1
    assert qsum_hooks.check.main(["--force.md"]) == 0
