"""The text of documents and models is shown as text: by clients without Markdown, and by those that render it."""

import copy
from pathlib import Path
from typing import Any

import mistune
import pytest
from markdown_it import MarkdownIt

from tests.lsp.raw_client import CAPABILITIES, Buffer, server
from tests.scripted_server import ScriptedServer

SECTION = (
    "The *importer* reads `each` record once and keeps its position, so that it can be continued later. "
)
TEXT = f"# Import of [pages](http://example.org) & <b>more</b>\n\n{SECTION * 2}\n"
ATTACKS = (
    "It reads <b>each</b> [record](command:evil) once.",
    "![record](http://evil.example/x.png) is read once, and keeps its position.",
    "<script>alert(1)</script> <img src=x onerror=alert(1)> The importer reads each record.",
    "[record]: http://evil.example [record] [record][] is read <http://evil.example>.",
    "The importer reads https://evil.example/each www.evil.example record@evil.example once.",
    "`code` *emphasis* **strong** ~~gone~~ | a | b | &lt;i&gt; \\[x](y) {{ template }} {evil()}",
    "> quote # Heading - item 1. item ``` fence",
)
PLAIN = copy.deepcopy(CAPABILITIES)
PLAIN["textDocument"]["hover"]["contentFormat"] = ["plaintext", "markdown"]
UNSAID = copy.deepcopy(CAPABILITIES)
del UNSAID["textDocument"]["hover"]
FRAME = {"p", "strong", "em", "blockquote"}
"""What is ours: the title, the origin, the quote and its label."""


def elements(markdown: str) -> set[str]:
    """The HTML elements that two renderers make of ``markdown``, with all that they make links of by themselves."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    found = set()
    while tokens:
        token = tokens.pop()
        tokens += token.children or ()
        if token.type.startswith("html"):
            found.add("html")
        elif token.type not in {"inline", "text"}:
            found.add(token.tag)
    rendered = str(mistune.create_markdown(escape=False, plugins=["url", "table", "strikethrough"])(markdown))
    return found | {piece.split(">")[0].split()[0].strip("/") for piece in rendered.split("<")[1:]}


def shown(markdown: str) -> str:
    """The text that a reader sees of inline ``markdown``."""
    (_, inline, _) = MarkdownIt("commonmark").parse(markdown)
    return "".join(token.content for token in inline.children or ())


def test_the_renderers_see_what_is_active() -> None:
    assert {"a", "img", "html", "script", "code"} <= {name for attack in ATTACKS for name in elements(attack)}
    assert "a" in elements("https://evil.example")


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_of_a_models_text_acts(tmp_path: Path, engine: ScriptedServer, attack: str) -> None:
    engine.change(answer=attack)
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        hover = await buffer.hover(0)
        assert elements(hover) <= FRAME
        found = await client.command("qsum.summarizeSection", buffer.uri, 0)
        assert found["summary"]
        body = hover.split("\n\n")[1]
        assert shown(body) == found["summary"]
        action = (await buffer.actions(0))["Insert summary below heading"]
        resolved = await client.ask("codeAction/resolve", action)
        (edit,) = resolved["edit"]["documentChanges"][0]["edits"]
        assert elements(edit["newText"]) <= FRAME
        assert "{" not in edit["newText"]


@pytest.mark.parametrize("capabilities", [PLAIN, UNSAID])
async def test_a_client_that_prefers_plain_text_gets_it(
    tmp_path: Path, engine: ScriptedServer, capabilities: dict[str, Any]
) -> None:
    answer = "The importer reads each record & keeps its position."
    engine.change(answer=answer)
    async with server(tmp_path, engine.settings(), capabilities=capabilities) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        found = await buffer.start_hover(0)
        assert found["contents"]["kind"] == "plaintext"
        title, summary, foot = found["contents"]["value"].split("\n\n")[:3]
        assert (title, summary) == ("Import of pages & more", answer)
        assert foot.startswith("scripted")
        assert "\\" not in found["contents"]["value"]
