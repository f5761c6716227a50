"""The server with the real 0.5B model in it."""

import asyncio
from pathlib import Path

from tests.lsp.raw_client import CAPABILITIES, Buffer, server

TEXT = """# Backups

The backup job runs every night at 02:00 and writes a compressed archive to the storage bucket. Archives are kept for
30 days; older ones are deleted by the same job. A failed run is repeated once and then reported by mail to the owner.

## Restore

To restore, stop the service, download the archive of the day you want, unpack it into the data folder and start the
service again. The service checks the index when it starts and rebuilds it where the archive is from an older version.
"""


async def test_hover_document_front_matter_and_cancel(tmp_path: Path, real_model_path: Path) -> None:
    settings = {
        "engine": "llama",
        "model": str(real_model_path),
        "engine_sharing": False,
        "hover_wait_ms": 60_000,
    }
    async with server(tmp_path, settings, capabilities=CAPABILITIES) as client:
        buffer = Buffer(client, "file:///backups.md", TEXT)
        shown = await buffer.hover(5)
        assert shown.startswith("**Restore**")
        assert "fresh" in shown
        assert "cached" in await buffer.hover(5)
        answer = await client.command("qsum.summarizeDocument", buffer.uri)
        assert answer["done"] == 3
        assert answer["summary"]
        outline = await client.ask("qsum/outline", {"textDocument": buffer.id})
        assert [section["state"] for section in outline["sections"]] == ["fresh", "fresh"]
        client.answers["workspace/applyEdit"] = lambda _: {"applied": True}
        assert (await client.command("qsum.updateFrontMatter", buffer.uri))["applied"] is True
        status = await client.command("qsum.status")
        assert status["engine"] == "llama"
        buffer.change(TEXT.replace("every night", "every morning"))
        hover = buffer.start_hover(0)
        await asyncio.sleep(0.2)
        client.notify("$/cancelRequest", {"id": client.last_id})
        await asyncio.wait({hover})
        assert hover.exception() is not None
        async with asyncio.timeout(10):
            while status["running"] or status["waiting"] or status["work"]:
                status = await client.command("qsum.status")
