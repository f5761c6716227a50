"""The log: readable, and without a word of any document."""

from pathlib import Path

import pytest

from tests.lsp.raw_client import AnswerError, Buffer, server
from tests.scripted_server import ScriptedServer

SECRET = "mulberry"
TEXT = (
    f"# The {SECRET} plan\n\n"
    + f"The {SECRET} is planted in spring and the {SECRET} is watered at night. " * 3
)


async def test_nothing_of_a_document_stands_in_the_log(tmp_path: Path) -> None:
    with ScriptedServer() as engine:
        async with server(tmp_path, engine.settings()) as client:
            buffer = Buffer(client, "file:///a.md", TEXT)
            await buffer.hover(0)
            await client.command("qsum.summarizeDocument", buffer.uri)
            await client.command("qsum.insertSummary", buffer.uri, 0)
            await client.command("qsum.updateFrontMatter", buffer.uri)
            for item in (
                {"uri": buffer.uri, "version": 2, "text": 4, "languageId": TEXT},
                {"uri": 7, "version": TEXT, "text": TEXT, "languageId": "markdown"},
            ):
                client.notify("textDocument/didOpen", {"textDocument": item})
            client.notify(
                "textDocument/didChange",
                {"textDocument": {"uri": buffer.uri, "version": TEXT}, "contentChanges": [{"text": TEXT}]},
            )
            client.send_bytes(b'{"text": "' + TEXT.encode())
            for params in ({"textDocument": buffer.id, "position": TEXT}, {"textDocument": {"uri": [TEXT]}}):
                with pytest.raises(AnswerError):
                    await client.ask("textDocument/hover", params)
            # a server that repeats what it was asked in its refusals, as some that check their input do
            engine.change(status=500, error=f"cannot read 'The {SECRET} is planted in spring'")
            buffer.change(TEXT.replace("spring", "autumn"))
            hover = buffer.start_hover(0)
            log = tmp_path / "logs" / "lsp.log"
            await client.until(lambda: log.exists() and "HTTP 500" in log.read_text())
            engine.change(status=200)
            assert "scripted" in (await hover)["contents"]["value"]
            assert client.of("window/logMessage")
            assert not [said for said in client.of("window/logMessage") if SECRET in said["message"]]
    text = log.read_text()
    assert "refused a message: textDocument/hover" in text
    assert SECRET not in text
