"""VS Code in headless Chromium: everything is real but the model, which answers by script."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.editors import install
from tests.editors.pages import write_workspace
from tests.editors.vscode import VSCode
from tests.scripted_server import ScriptedServer

PAGES = (
    "hover.md",
    "edit.md",
    "update.md",
    "slow.md",
    "view.md",
    "pick.md",
    "host.md",
    "settings.md",
)
THEME_CHANGE_MS = 500


@pytest.fixture(scope="module")
def code(
    vscode_version: str,
    tmp_path_factory: pytest.TempPathFactory,
    vsix: Path,
    qsum_program: Path,
    model: ScriptedServer,
) -> Iterator[VSCode]:
    """A window on a folder of pages."""
    folder = tmp_path_factory.mktemp("code")
    workspace = write_workspace(folder / "pages", *PAGES, url=model.url)
    with VSCode(vscode_version, workspace, folder / "scratch", vsix, program=qsum_program) as window:
        yield window


def test_hover_and_lens_show_the_summary(code: VSCode) -> None:
    code.open("hover.md")
    code.wait(lambda: "Summarize" in code.lenses(), "a lens")
    said = code.hover("Install the tool", containing="scripted, grounded")
    summary = said.removeprefix("Install the tool ").split(" scripted")[0]
    assert summary
    # the new summary takes the place of its lens
    code.wait(
        lambda: any(lens.startswith(summary[:30]) for lens in code.lenses()), "the summary over its heading"
    )


def test_click_on_a_lens_makes_the_summary(code: VSCode) -> None:
    code.open("hover.md")
    code.wait(lambda: "Summarize" in code.lenses(), "a lens")
    before = code.lenses().count("Summarize")
    code.page.locator(".codelens-decoration a", has_text="Summarize").first.click()
    code.wait(lambda: code.lenses().count("Summarize") < before, "the summary")


def test_code_action_inserts_the_summary_and_undo_takes_it_back(code: VSCode) -> None:
    code.open("edit.md")
    code.wait(code.lenses, "the server")
    before = code.text()
    code.put_cursor("Install the tool")
    code.code_action("Insert summary below heading")
    after = code.wait(lambda: code.text() if code.text() != before else "", "the edit")
    lines = after.splitlines()
    heading = lines.index("## Install the tool")
    assert lines[heading + 2].startswith("> **Summary:** ")
    code.page.keyboard.press("Control+z")
    code.wait(lambda: code.text() == before, "the undo")


def test_front_matter_update_writes_one_line(code: VSCode) -> None:
    code.open("update.md")
    code.wait(code.lenses, "the server")
    before = code.text()
    code.command("qsum: Update Front Matter")
    after = code.wait(lambda: code.text() if code.text() != before else "", "the edit")
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert len(added) == 1
    assert added[0].startswith("summary: ")
    assert "# qsum:1 " in added[0]
    assert after.replace(added[0] + "\n", "") == before


def test_slow_work_shows_progress_that_can_be_cancelled(code: VSCode, model: ScriptedServer) -> None:
    code.open("slow.md")
    code.wait(code.lenses, "the server")
    before = model.script()
    model.change(seconds_per_word=2)
    try:
        code.command("qsum: Summarize Document")
        progress = code.notification("Summarizing slow.md")
        progress.wait_for()
        code.wait(lambda: model.script()["running"], "the model to work")
        progress.hover()
        progress.get_by_role("button", name="Cancel").click()
        progress.wait_for(state="detached")
        code.wait(lambda: model.script()["running"] == 0, "the model to stop")
        assert model.script()["given_up"] > before["given_up"]
        assert model.script()["finished"] == before["finished"]
    finally:
        model.change(seconds_per_word=0)
    assert code.page.locator(".notification-toast").count() == 0


def test_summaries_view_follows_the_cursor_and_jumps(code: VSCode) -> None:
    code.open("view.md")
    code.command("qsum: Summarize Document")
    code.command("Focus on Summaries View")
    rows = code.page.locator(".pane-body .monaco-list-row[aria-level]")
    expect(rows).to_have_count(5)
    limits = rows.filter(has_text="Limits")
    expect(limits).to_have_attribute("aria-level", "3")
    code.wait(
        lambda: "No summary yet" not in (limits.get_attribute("aria-label") or "No summary yet"), "summaries"
    )
    assert re.fullmatch(r"Limits\. .+ Heading level 3\.", limits.get_attribute("aria-label") or "")
    code.put_cursor("Configure a mirror")
    code.wait(
        lambda: rows.filter(has_text="Configure a mirror").get_attribute("aria-selected") == "true",
        "the view to follow",
    )
    limits.click()
    code.wait(lambda: code.cursor_line() == "### Limits", "the jump")


def test_view_is_used_with_the_keyboard(code: VSCode) -> None:
    code.open("view.md")
    code.command("Focus on Summaries View")
    rows = code.page.locator(".pane-body .monaco-list-row[aria-level]")
    expect(rows).to_have_count(5)
    focus = code.page.locator(".pane-body .monaco-list:focus")
    # asked for once more where the view had no rows yet that could have it
    code.wait(lambda: focus.count() or code.command("Focus on Summaries View"), "the focus")

    def walked() -> bool:
        for row, key in enumerate(("Home", "ArrowDown", "ArrowDown", "ArrowDown")):
            code.page.keyboard.press(key)
            try:
                expect(rows.nth(row)).to_have_class(re.compile("focused"), timeout=2000)
            except AssertionError:  # the view was drawn anew just then
                return False
        return True

    code.wait(walked, "the fourth row")
    expect(rows.nth(3)).to_contain_text("Limits")
    code.page.keyboard.press("Enter")
    code.wait(lambda: code.cursor_line() == "### Limits", "the jump")


@pytest.mark.parametrize("theme", ["Default Light Modern", "Default Dark Modern", "Default High Contrast"])
def test_view_has_no_accessibility_faults(theme: str, code: VSCode) -> None:
    code.open("view.md")
    code.ask(f"await vscode.workspace.getConfiguration('workbench').update('colorTheme', {theme!r}, true)")
    code.command("Focus on Summaries View")
    expect(code.page.locator(".pane-body .monaco-list-row[aria-level]")).to_have_count(5)
    code.page.wait_for_timeout(THEME_CHANGE_MS)
    code.page.evaluate(install.axe().read_text())
    # VS Code puts no space between the title and the description of a row, so no name can hold both as they are seen.
    options = {"rules": {"label-content-name-mismatch": {"enabled": False}}}
    found = code.page.evaluate("options => axe.run('.sidebar .pane-body', options)", options)
    assert found["passes"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []


def test_view_follows_an_edit(code: VSCode) -> None:
    code.open("view.md")
    code.command("Focus on Summaries View")
    rows = code.page.locator(".pane-body .monaco-list-row[aria-level]")
    expect(rows).to_have_count(5)
    code.ask(
        "const editor = vscode.window.activeTextEditor;"
        "await editor.edit((edit) => edit.insert(editor.document.lineAt(editor.document.lineCount - 1).range.end,"
        " '\\n## A new section\\n\\nIts text.\\n'))"
    )
    expect(rows).to_have_count(6)


def test_outline_is_searched_by_title_and_summary(code: VSCode) -> None:
    code.open("pick.md")
    code.command("qsum: Summarize Document")
    code.wait(lambda: "Summarize" not in code.lenses() and code.lenses(), "summaries")
    code.command("qsum: Show Outline with Summaries")
    rows = code.page.locator(".quick-input-list .monaco-list-row")
    expect(rows).to_have_count(5)
    code.page.keyboard.type("troubleshooting")
    expect(rows).to_have_count(1)
    code.page.keyboard.press("Enter")
    code.wait(lambda: code.cursor_line() == "## Troubleshooting", "the jump")


def test_extension_host_sees_what_the_user_sees(code: VSCode) -> None:
    code.open("host.md")
    code.wait(code.lenses, "the server")
    hover = code.ask(
        "const {document} = vscode.window.activeTextEditor;"
        "const line = document.getText().split('\\n').indexOf('## Troubleshooting');"
        "const hovers = await vscode.commands.executeCommand('vscode.executeHoverProvider', document.uri, new vscode.Position(line, 5));"
        "return hovers.map((hover) => hover.contents.map((content) => content.value).join('')).join('')"
    )
    assert "**Troubleshooting**" in hover
    actions = code.ask(
        "const {document} = vscode.window.activeTextEditor;"
        "const line = document.getText().split('\\n').indexOf('## Troubleshooting');"
        "const found = await vscode.commands.executeCommand('vscode.executeCodeActionProvider', document.uri, new vscode.Range(line, 0, line, 0));"
        "return found.map((action) => action.title)"
    )
    assert {"Summarize section", "Summarize document", "Insert summary below heading"} <= set(actions)


def test_changed_setting_holds_at_once(code: VSCode) -> None:
    code.open("settings.md")
    code.wait(code.lenses, "the server")
    pid = code.server_pid()
    code.change_setting("engine", "extractive")
    try:
        code.hover("Install the tool", containing="extractive")
        assert code.server_pid() == pid
    finally:
        code.change_setting("engine", None)
    code.hover("Install the tool", containing="scripted, grounded")
