"""What a model writes, made fit to be shown."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsum_lsp.summaries.clean import clean_summary, description_of, first_sentences
from qsum_lsp.summaries.prompt import PromptInput, build_prompt
from qsum_lsp.text.enough import is_enough

SENTENCES = [
    "The queue delivers every message at least once, and handlers must be idempotent.",
    "A message that fails five times goes to the dead-letter queue of its topic, with the last error.",
    "There is no order between keys.",
    "Version 1.3 of the protocol is required, e.g. for tokens, since older versions cannot renew them.",
    "Tokens are kept for 15 min. unless configured otherwise, which the administrators of a tenant may do at any time.",
    "Use `queue verify` every quarter.",
]
PAGES = Path(__file__).parent.parent / "data" / "docs-dev.jsonl"


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("This page describes how to enable TLS.", "How to enable TLS."),
        (
            "This section provides an overview of releases, including dates.",
            "Overview of releases, including dates.",
        ),
        ("The document is about using locks", "Using locks."),
        ("This page is a Q&A with Ada about locks.", "A Q&A with Ada about locks."),
        ("The page is a unit of memory.", "The page is a unit of memory."),
        ("In this guide, you'll learn how to contribute.", "Learn how to contribute."),
        ("This page walks you through how to sign in.", "How to sign in."),
        ("The Alerts page allows you to toggle alerts.", "Toggle alerts."),
        ("The guide explains the setup.", "Explains the setup."),
        ("This is a guide to locks.", "Guide to locks."),
        ("This is why locks matter.", "This is why locks matter."),
        ("You'll learn how to hold a lock.", "Learn how to hold a lock."),
        ("In this quickstart, you deploy a web app.", "Deploy a web app."),
        ("The GetPage method returns a page.", "The GetPage method returns a page."),
        ("The page cache keeps pages in memory.", "The page cache keeps pages in memory."),
        ("The document database stores JSON.", "The document database stores JSON."),
        ("Sure! Here is the summary: The tool sorts files.", "The tool sorts files."),
        ("**Summary:** `foo` is [bar](https://example.com).", "foo is bar."),
        ("Description: ![logo](x.png) A <b>bold</b> tool.", "A bold tool."),
        ('"Sorts files by name."', "Sorts files by name."),
        ("# Heading\n\nSorts files.", "Sorts files."),
        ("Sorts files with sort_by_name and a * b * c.", "Sorts files with sort_by_name and a * b * c."),
        ("npm-run starts it.", "npm-run starts it."),
        ("the intuitive CMS for a site.", "The intuitive CMS for a site."),
        ("strings.Trim cuts white space.", "strings.Trim cuts white space."),
        ("Package a Windows .NET MAUI app.", "Package a Windows .NET MAUI app."),
        ("Less &lt; more &amp; so on.", "Less < more & so on."),
        ("Sorts files.\u202e\u0007 It is fast.", "Sorts files. It is fast."),
        ("Sorts files. It is fast because it", "Sorts files."),
        ("Sorts files of the", ""),
        ("", ""),
        ("``` \n```", ""),
        ('It says:\n- hello\n- "bye."\n\nThen it stops.', 'It says: hello; "bye." Then it stops.'),
    ],
)
def test_english(raw: str, cleaned: str) -> None:
    assert clean_summary(raw, max_chars=200) == cleaned


@pytest.mark.parametrize(
    ("language", "raw", "cleaned"),
    [
        ("ru", "Страница описывает, как настроить зеркало.", "Описывает, как настроить зеркало."),
        ("de", "Dieser Abschnitt beschreibt, wie man TLS aktiviert.", "Beschreibt, wie man TLS aktiviert."),
        ("fr", "Cette page explique comment activer TLS.", "Explique comment activer TLS."),
        ("es", "Esta página describe cómo activar TLS.", "Describe cómo activar TLS."),
        ("pt", "Esta seção descreve como ativar o TLS.", "Descreve como ativar o TLS."),
        ("it", "Questa pagina spiega come attivare TLS.", "Spiega come attivare TLS."),
        ("ru", "Эта страница описывает настройку TLS.", "Описывает настройку TLS."),
        ("zh", "本页介绍如何启用 TLS", "介绍如何启用 TLS。"),
        ("ur", "سرور درخواستوں کو سنبھالتا ہے۔", "سرور درخواستوں کو سنبھالتا ہے۔"),
        ("my", "ဆာဗာသည် တောင်းဆိုမှုများကို ကိုင်တွယ်သည်။", "ဆာဗာသည် တောင်းဆိုမှုများကို ကိုင်တွယ်သည်။"),
        ("am", "አገልጋዩ ጥያቄዎችን ያስተናግዳል።", "አገልጋዩ ጥያቄዎችን ያስተናግዳል።"),
        ("th", "ระบบนี้จัดเก็บข้อมูลทั้งหมด", "ระบบนี้จัดเก็บข้อมูลทั้งหมด"),
        ("hi", "सर्वर अनुरोधों को संभालता है", "सर्वर अनुरोधों को संभालता है।"),
        ("hi", "सर्वर अनुरोधों को संभालता है।", "सर्वर अनुरोधों को संभालता है।"),
        ("de", "Der Server meldet „Alles ist gut.“", "Der Server meldet „Alles ist gut.“"),
        ("de", "Die Seite wird beim Start geladen.", "Die Seite wird beim Start geladen."),
    ],
)
def test_other_languages(language: str, raw: str, cleaned: str) -> None:
    assert clean_summary(raw, max_chars=200, language=language) == cleaned


def test_a_title_before_the_summary_goes() -> None:
    assert clean_summary("Locks: Use locks to share.", max_chars=99, title="Locks") == "Use locks to share."
    raw = "title: Locks\ndescription: Use locks to share."
    assert clean_summary(raw, max_chars=99, title="Locks") == "Use locks to share."


def test_a_copied_heading_path_goes() -> None:
    raw = "A guide to Quayside v1.2 > Mirrors > Configure a mirror includes setting up the upstream registry."
    cleaned = "Configure a mirror includes setting up the upstream registry."
    assert clean_summary(raw, max_chars=280, title="Configure a mirror") == cleaned
    told = "Sorts files first. Then a > b holds."
    assert clean_summary(told, max_chars=280, title="b") == told


def test_whole_sentences_within_the_limit() -> None:
    text = "The cache keeps tokens for a while. It forgets them on a restart. Nobody can read it."
    assert (
        clean_summary(text, max_chars=70)
        == "The cache keeps tokens for a while. It forgets them on a restart."
    )
    assert clean_summary(text, max_chars=20) == ""


def test_a_long_first_sentence_ends_before_an_afterthought() -> None:
    text = "The cache keeps tokens for fifteen minutes, including those of tenants, guests and administrators of it."
    assert clean_summary(text, max_chars=60) == "The cache keeps tokens for fifteen minutes."


def test_an_answer_that_was_stopped_ends_before_an_afterthought_or_not_at_all() -> None:
    text = "The cache keeps tokens for fifteen minutes, including those of tenants and gue"
    assert clean_summary(text, max_chars=200, whole=False) == "The cache keeps tokens for fifteen minutes."
    assert clean_summary("The cache keeps the tok", max_chars=200, whole=False) == ""
    assert clean_summary("It keeps tokens. The cache kee", max_chars=200, whole=False) == "It keeps tokens."
    assert clean_summary("It keeps tokens.", max_chars=200, whole=False) == "It keeps tokens."


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=300), st.integers(1, 200), st.sampled_from(["en", "de", "zh", "ja", "ru"]))
def test_any_answer_gives_one_plain_line_within_the_limit(raw: str, max_chars: int, language: str) -> None:
    cleaned = clean_summary(raw, max_chars=max_chars, language=language)
    assert len(cleaned) <= max_chars
    assert cleaned == " ".join(cleaned.split())
    assert not re.search(r"[\x00-\x1f\u2028\u202e]|`|\*\*", cleaned)


@given(
    st.lists(st.sampled_from(SENTENCES), min_size=4, max_size=12),
    st.sampled_from(["", "This section provides a detailed overview of ", "Guide > Install: ", "Install: "]),
    st.integers(120, 280),
    st.integers(1, 12),
)
def test_what_comes_after_enough_characters_changes_nothing(
    sentences: list[str], opening: str, max_chars: int, more: int
) -> None:
    """Engines end an answer at ``Prompt.enough_chars``."""
    prompt = build_prompt(PromptInput(headings=("Guide", "Install"), markdown="x", max_chars=max_chars))
    raw = opening + " ".join(sentences)
    ended = raw[: prompt.enough_chars + more]
    whole = clean_summary(raw, max_chars=max_chars, title="Install")
    assert clean_summary(ended, max_chars=max_chars, title="Install", whole=ended == raw) == whole
    assert whole


@given(st.lists(st.sampled_from(SENTENCES), min_size=4, max_size=12), st.integers(1, 3))
def test_what_comes_after_enough_sentences_changes_nothing(sentences: list[str], most: int) -> None:
    raw = " ".join(sentences)
    whole = first_sentences(clean_summary(raw, max_chars=2000), most)
    begun = range(len(" ".join(sentences[:most])), len(raw))
    ended = next(raw[:end] for end in begun if is_enough(raw[:end], chars=None, sentences=most))
    assert len(ended) < len(raw)
    assert first_sentences(clean_summary(ended, max_chars=2000, whole=False), most) == whole
    assert whole == " ".join(sentences[:most]).replace("`", "")


def test_descriptions_by_people_stay_as_they_are() -> None:
    """All but those that open with a phrase that is to go, or that write Markdown."""
    changed = []
    for line in PAGES.read_text("utf-8").splitlines():
        written = json.loads(line)["description"]
        cleaned = clean_summary(written, max_chars=400)
        if cleaned.rstrip(".") != written.rstrip("."):
            changed.append(cleaned)
    assert len(changed) <= 6, changed


def test_the_description_of_a_page_is_one_short_sentence() -> None:
    long = (
        "Overview of the releases of the database, including release schedules, major versions, patch releases, "
        "supported releases, archived releases, licenses, and next steps. More follows."
    )
    assert description_of(long) == "Overview of the releases of the database."
    assert (
        description_of("Sorts files, including hidden ones. It is fast.")
        == "Sorts files, including hidden ones."
    )
    unbroken = " ".join(["word"] * 30) + "."
    assert description_of(unbroken) == unbroken
    assert description_of("") == ""
