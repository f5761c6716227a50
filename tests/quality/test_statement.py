"""A page's own statement of what it is about."""

import pytest

from qsum_lsp.document import parse
from qsum_lsp.settings.values import Strategy
from qsum_lsp.store import NoStore
from qsum_lsp.summaries import PAGE, Summarizer, SummaryOptions
from qsum_lsp.summaries.statement import own_statement, sentence_of_long_page
from tests.scripted_engine import ScriptedEngine

REST = "\n\n## More\n\nThis page describes nothing that counts here, far down the page.\n"


@pytest.mark.parametrize(
    ("title", "body", "statement"),
    [
        ("TLS", "This page shows how to enable TLS between two services.", "How to enable TLS between two services."),
        (
            "Locks",
            "Locks are hard. In this guide, you'll learn how to hold a lock safely.",
            "Learn how to hold a lock safely.",
        ),
        ("Storage layer", "The storage layer writes data to disk.", "The storage layer writes data to disk."),
        ("ByWeight", "The ByWeight method returns the entries by weight. It is fast.", "The ByWeight method returns the entries by weight."),
        (
            "Locks",
            "Intro text of no use.\n\n## Start\n\nThis tutorial explains how leases and locks differ.",
            "",
        ),
        ("Locks", "Learn how to hold a lock safely for a while.", "Learn how to hold a lock safely for a while."),
        ("Locks", "Before you begin, install the tool for locks.", ""),
        ("Locks", "This page describes the following:", ""),
        ("Locks", "In this post, I'll share how we lost a lock last year.", ""),
        ("Locks", "In this quickstart, you run a script that holds locks for a while.", ""),
        ("Locks", "This section is short.", ""),
        ("Locks", "People share resources. Sharing needs care. Take it.", ""),
        ("", "A page without a title says something here.", ""),
        ("Locks", "", ""),
    ],
)  # fmt: skip
def test_english(title: str, body: str, statement: str) -> None:
    assert own_statement(body + REST, title=title, max_chars=280) == statement


def test_other_languages() -> None:
    german = "Diese Seite beschreibt, wie Sie Sicherungen einrichten und prüfen."
    assert own_statement(german, title="Sicherungen", max_chars=280, language="de") == (
        "Beschreibt, wie Sie Sicherungen einrichten und prüfen."
    )
    french = "La couche de stockage écrit les données sur le disque local."
    assert own_statement(french, title="Couche de stockage", max_chars=280, language="fr") == french


def test_the_limit_holds() -> None:
    body = "This page shows how to enable TLS between two services, including certificates of every kind."
    assert own_statement(body, title="TLS", max_chars=60) == "How to enable TLS between two services."
    assert own_statement(body, title="TLS", max_chars=20) == ""


async def test_a_page_with_one_needs_no_model_and_another_one_request() -> None:
    engine = ScriptedEngine()
    summarizer = Summarizer(engine, NoStore())
    filler = "\n\n".join(f"## Part {number}\n\n" + "Words are here in plenty. " * 6 for number in range(40))
    stated = parse(f"# Locks\n\nThis page shows how to hold locks safely.\n\n{filler}")
    result = await summarizer.summarize(stated, SummaryOptions(), only=(PAGE,))
    assert result.summaries[PAGE].text == "How to hold locks safely."
    assert result.summaries[PAGE].source == "extractive"
    assert engine.requests == []
    silent = parse(f"# Locks\n\nNobody likes to wait for others. Everybody has to.\n\n{filler}")
    await summarizer.summarize(silent, SummaryOptions(), only=(PAGE,))
    assert len(engine.requests) == 1
    assert "Further headings: " in engine.requests[0].messages[-1].content


LONG_PAGE = (
    "Welcome to the handbook, and thanks for coming by.\n\n"
    "A lease lets one server hold a lock until its time is over.\n\n"
    + "## Details\n\nHere are some words of little weight that make the page longer.\n\n"
    * 130
)


@pytest.mark.parametrize(
    ("page", "strategy", "asked"),
    [(LONG_PAGE, "headings", False), (LONG_PAGE[:3_000], "headings", True), (LONG_PAGE, "semantic", True)],
)
async def test_a_long_page_is_told_by_its_most_telling_sentence(
    page: str, strategy: Strategy, asked: bool
) -> None:
    engine = ScriptedEngine()
    summarizer = Summarizer(engine, NoStore())
    options = SummaryOptions(strategy=strategy)
    found = await summarizer.summarize(parse(f"---\ntitle: Lease\n---\n{page}"), options, only=(PAGE,))
    assert bool(engine.requests) is asked
    if not asked:
        assert found.summaries[PAGE].text == "A lease lets one server hold a lock until its time is over."


def test_a_limit_that_the_sentence_does_not_fit_leaves_the_page_to_the_model() -> None:
    assert sentence_of_long_page(LONG_PAGE, title="Lease", max_chars=100)
    assert not sentence_of_long_page(LONG_PAGE, title="Lease", max_chars=40)
