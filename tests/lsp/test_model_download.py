"""A model that has to be downloaded first, through the server; the source is on the loopback interface."""

import asyncio
import os
import re
from pathlib import Path

from tests.lsp.raw_client import Buffer, server
from tests.models import fake

SERVER = """
from tests.models import fake
fake.use(fake.entry(fake.HUB))
from qsum_lsp.cli.main import main
main()
"""
TEXT = "".join(
    f"# Part {number}\n\nThe words of part {number} say one thing after the other, clearly and at some length. They "
    "go on for another sentence, so that a summary is worth having.\n\n"
    for number in range(2)
)


def environment(tmp_path: Path, hub: fake.Hub) -> dict[str, str]:
    return {
        "QSUM_OFFLINE": "",
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_ENDPOINT": hub.url,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": os.getcwd(),
    }


async def test_a_download_shows_progress_and_is_made_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = {
        "engine": "llama", "model": "small-model", "engine_sharing": False, "hover_wait_ms": 60_000
    }  # fmt: skip
    with fake.Hub(seconds_a_chunk=0.01).serve() as hub:
        async with server(
            home,
            settings,
            program=("-c", SERVER),
            environment=environment(tmp_path, hub),
            statusNotifications=True,
        ) as client:
            buffer = Buffer(client, "file:///page.md", TEXT)
            first, second = buffer.start_hover(0), buffer.start_hover(4)
            answers = await asyncio.wait_for(asyncio.gather(first, second), 60)
            # the bytes are no model, which only the engine finds out
            assert all("No summary: " in answer["contents"]["value"] for answer in answers)
        values = [params["value"] for params in client.of("$/progress")]
        assert [value["title"] for value in values if value["kind"] == "begin"] == ["Downloading small-model"]
        shares = [value["percentage"] for value in values if value["kind"] == "report"]
        assert shares
        assert shares == sorted(shares)
        assert [value["kind"] for value in values][-1] == "end"
        messages = [status["message"] for status in client.of("qsum/status")]
        assert any(message.startswith("downloading small-model: ") for message in messages)
        assert hub.ranges == [0]
    assert (home / "models" / "small-model" / "small-model.gguf").read_bytes() == fake.CONTENT


async def test_a_source_that_is_silent_in_the_middle_of_a_file_does_not_keep_the_server(
    tmp_path: Path,
) -> None:
    settings = {"engine": "llama", "model": "small-model", "engine_sharing": False, "hover_wait_ms": 0}
    with fake.Hub(seconds_a_chunk=1000).serve() as hub:
        async with server(
            tmp_path / "home",
            settings,
            program=("-c", SERVER),
            environment=environment(tmp_path, hub),
            statusNotifications=True,
        ) as client:  # it must leave in time
            await Buffer(client, "file:///page.md", TEXT).hover(0)
            await client.until(lambda: re.search(r"model: [1-9]\d* %", str(client.of("qsum/status"))))
