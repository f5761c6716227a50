"""End to end over stdio as VS Code, Neovim and Emacs are: their capabilities, their position encodings."""

import ast
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types
from pytest_lsp import LanguageClient, client_capabilities, make_test_lsp_client

from tests.scripted_server import ScriptedServer

ENCODINGS = {"visual_studio_code": "utf-16", "neovim@0.11.0": "utf-8", "emacs": "utf-32"}
BODY = "The parser reads each line once and keeps the position of every block, so that an edit is cheap to follow."
TEXT = (
    "---\r\ntitle: Guide 😀\r\n---\r\n"
    f"# Guide 😀\r\n\r\n{BODY} {BODY}\r\n\r\n"
    f"## 😀😀 Ünïts\u2028still the title\r\n\r\nA form feed \f and {BODY} {BODY}\r\n\r\n"
    f"Setext 😀\r\n---------\r\n\r\n{BODY} It has a second sentence with other words in it too.\r\n"
)
TITLES = ("Guide 😀", "😀😀 Ünïts\u2028still the title", "Setext 😀")
LINES = (3, 7, 11)
"""Where the headings stand, zero-based, when only CR LF ends a line."""


def units(text: str, encoding: str) -> int:
    return {
        "utf-8": len(text.encode()), "utf-16": len(text.encode("utf-16-le")) // 2, "utf-32": len(text),
    }[encoding]  # fmt: skip


def offset(text: str, position: types.Position, encoding: str) -> int:
    """By counting characters, unlike the server."""
    start = 0
    for _ in range(position.line):
        start = text.index("\r\n", start) + 2
    place = start
    while units(text[start:place], encoding) < position.character:
        place += 1
    return place


class Editor:
    """A client of one kind with one open buffer whose edits it applies."""

    def __init__(self, client: LanguageClient, encoding: str, path: Path) -> None:
        self.client = client
        self.encoding = encoding
        self.uri = path.as_uri()
        self.text = ""
        self.version = 0
        self.edits = 0

        def asked_to_apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            self.apply(params.edit)
            return types.ApplyWorkspaceEditResult(applied=True)

        client.feature(types.WORKSPACE_APPLY_EDIT)(asked_to_apply)
        client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda *_: None)
        client.feature(types.WORKSPACE_CODE_LENS_REFRESH)(lambda *_: None)

    def open(self, text: str) -> None:
        self.text, self.version = text, 1
        item = types.TextDocumentItem(uri=self.uri, language_id="markdown", version=1, text=text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def apply(self, edit: types.WorkspaceEdit) -> None:
        if edit.document_changes is None:  # Neovim and Emacs do not say that they take versions
            assert edit.changes is not None
            (one,) = edit.changes[self.uri]
        else:
            (change,) = edit.document_changes
            assert isinstance(change, types.TextDocumentEdit)
            assert change.text_document.version == self.version
            (one,) = change.edits
        start, end = (offset(self.text, place, self.encoding) for place in (one.range.start, one.range.end))
        self.text = self.text[:start] + one.new_text + self.text[end:]
        self.version += 1
        self.edits += 1
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version),
                [types.TextDocumentContentChangeWholeDocument(self.text)],
            )
        )

    async def hover(self, line: int, character: int = 0) -> types.Hover | None:
        params = types.HoverParams(
            types.TextDocumentIdentifier(self.uri), types.Position(line=line, character=character)
        )
        return await asyncio.wait_for(self.client.text_document_hover_async(params), 30)

    async def command(self, name: str, *arguments: Any) -> Any:
        params = types.ExecuteCommandParams(name, list(arguments))
        return await asyncio.wait_for(self.client.workspace_execute_command_async(params), 30)

    async def hints(self) -> list[types.Diagnostic]:
        """The hints on the page as it is, pulled where this client does that."""
        document = self.client.capabilities.text_document
        if document is not None and document.diagnostic is not None:
            params = types.DocumentDiagnosticParams(types.TextDocumentIdentifier(self.uri))
            report = await self.client.text_document_diagnostic_async(params)
            return list(getattr(report, "items", ()))
        await asyncio.wait_for(self.client.wait_for_notification("textDocument/publishDiagnostics"), 30)
        return list(self.client.diagnostics[self.uri])

    async def choose(
        self, title: str, line: int, diagnostics: Sequence[types.Diagnostic] = ()
    ) -> types.CodeAction | types.Command:
        """Choose a code action as the editor does: resolve it, apply its edit, run its command."""
        position = types.Position(line=line, character=0)
        params = types.CodeActionParams(
            types.TextDocumentIdentifier(self.uri),
            types.Range(position, position),
            types.CodeActionContext(diagnostics=diagnostics),
        )
        found = await self.client.text_document_code_action_async(params)
        # lsprotocol reads an action with a command as a command whose name is the repr of that
        action = next(action for action in found or () if action.title == title)
        if isinstance(action, types.Command):
            inner = ast.literal_eval(action.command)
            await self.command(inner["command"], *inner["arguments"])
            return action
        resolved = await self.client.code_action_resolve_async(action)
        assert resolved.edit is not None
        self.apply(resolved.edit)
        return action


@pytest.fixture(scope="module")
def engine() -> Any:
    with ScriptedServer() as server:
        yield server


@pytest_asyncio.fixture(params=list(ENCODINGS))
async def editor(
    request: pytest.FixtureRequest, tmp_path: Path, engine: ScriptedServer
) -> AsyncIterator[Editor]:
    client = make_test_lsp_client()
    environment = {**os.environ, "QSUM_HOME": str(tmp_path / "home"), "QSUM_OFFLINE": "1"}
    await client.start_io(sys.executable, "-m", "qsum_lsp", "lsp", env=environment)
    settings = {"engine": "remote", "url": engine.url, "model": "scripted", "hover_wait_ms": 20_000}
    client.set_configuration({"qsum": settings})
    answer = await client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities(request.param),
            initialization_options={"settings": settings},
            workspace_folders=[types.WorkspaceFolder(uri=tmp_path.as_uri(), name="pages")],
        )
    )
    assert answer.capabilities.position_encoding == ENCODINGS[request.param]
    yield Editor(client, ENCODINGS[request.param], tmp_path / "page.md")
    await client.shutdown_session()


async def test_hovers_show_summaries_at_the_headings_and_nowhere_else(editor: Editor) -> None:
    editor.open(TEXT)
    for line, title in zip(LINES, TITLES, strict=True):
        found = await editor.hover(line, 1)
        assert found is not None
        assert isinstance(found.contents, types.MarkupContent)
        value = found.contents.value
        assert " ".join(title.split()) in value
        assert "The parser reads each line once" in value or "A form feed" in value
        assert "scripted" in value
        assert found.range is not None
        start, end = (offset(TEXT, place, editor.encoding) for place in (found.range.start, found.range.end))
        assert TEXT[start:end].removeprefix("## ").removeprefix("# ").startswith(title)
    for line in (0, 4, 5, 9, 14, 15, 500):
        assert await editor.hover(line) is None
    assert await editor.hover(12) is not None  # the underline of a setext heading


async def test_a_summary_is_inserted_below_its_heading_once(editor: Editor) -> None:
    editor.open(TEXT)
    await editor.choose("Insert summary below heading", 9)
    lines = editor.text.split("\r\n")
    heading, text = TEXT.split("\r\n")[7], TEXT.split("\r\n")[9]
    assert lines[7:12] == [heading, "", lines[9], "", text]
    assert lines[9].startswith("> **Summary:** ")
    assert "\n" not in editor.text.replace("\r\n", "")
    inserted = editor.text
    await editor.choose("Insert summary below heading", 7)
    assert editor.text == inserted
    assert editor.edits == 2


async def test_the_front_matter_is_updated_and_nothing_else(editor: Editor) -> None:
    editor.open(TEXT)
    await editor.choose("Update summary in front matter", 0)
    before, after = TEXT.split("\r\n"), editor.text.split("\r\n")
    assert after[:2] == before[:2]
    assert after[2].startswith("summary: ")
    assert "# qsum:1 " in after[2]
    assert after[3:] == before[2:]


async def test_lenses_come_untitled_and_are_resolved(editor: Editor) -> None:
    editor.open(TEXT)
    document = types.TextDocumentIdentifier(editor.uri)
    lenses = await editor.client.text_document_code_lens_async(types.CodeLensParams(document))
    assert lenses is not None
    assert [lens.range.start.line for lens in lenses] == list(LINES)

    async def titles() -> list[str]:
        resolved = [await editor.client.code_lens_resolve_async(lens) for lens in lenses]
        return [lens.command.title for lens in resolved if lens.command]

    assert await titles() == ["Summarize"] * 3
    answer = await editor.command("qsum.summarizeDocument", editor.uri)
    assert answer["done"] == 4
    assert all("The parser reads each line once" in title for title in await titles())
    editor.apply(
        types.WorkspaceEdit(
            document_changes=[
                types.TextDocumentEdit(
                    types.OptionalVersionedTextDocumentIdentifier(uri=editor.uri, version=editor.version),
                    [
                        types.TextEdit(
                            types.Range(types.Position(14, 0), types.Position(14, 0)), "New words here. "
                        )
                    ],
                )
            ]
        )
    )
    changed = await titles()
    assert changed[2].startswith("Outdated: The parser")
    await editor.choose("Refresh stale summaries", 3)
    assert not (await titles())[2].startswith("Outdated")


async def test_the_hint_on_a_stale_summary_has_a_quick_fix(editor: Editor) -> None:
    editor.open(TEXT)
    await editor.choose("Update summary in front matter", 0)
    place = editor.text.index("It has a second sentence")
    start = types.Position(line=editor.text.count("\r\n", 0, place), character=0)
    editor.apply(
        types.WorkspaceEdit(
            changes={editor.uri: [types.TextEdit(types.Range(start, start), "What is new comes first. ")]}
        )
    )
    (hint,) = await editor.hints()
    assert (hint.code, hint.source, hint.severity) == ("stale-summary", "qsum", types.DiagnosticSeverity.Hint)
    where = [offset(editor.text, place, editor.encoding) for place in (hint.range.start, hint.range.end)]
    assert editor.text[slice(*where)].startswith("summary: ")
    chosen = await editor.choose("Update summary in front matter", hint.range.start.line, [hint])
    if isinstance(chosen, types.CodeAction):  # else this client takes commands alone
        assert chosen.kind == types.CodeActionKind.QuickFix
        assert chosen.is_preferred
        assert list(chosen.diagnostics or ()) == [hint]
    assert await editor.hints() == []
