"""Answers as the 0.5B and 1.5B models gave them for real pages, and what becomes of them."""

import pytest

from qsum_lsp.summaries.clean import clean_summary, first_sentences
from qsum_lsp.summaries.openings import speaks_of_itself
from qsum_lsp.text.enough import is_enough
from qsum_lsp.text.plain import plain_text
from qsum_lsp.text.sentences import split_sentences

ANSWERS = [
    (
        "Try it",
        (
            'The summary of the section "qsum > Try it" is: "This command installs a virtual environment, and summarises '
            'this page."'
        ),
        "This command installs a virtual environment, and summarises this page.",
    ),
    (
        "Try it",
        (
            'The summary of the section "qsum > Try it" is: "This section provides instructions on how to install qsum. It '
            "also includes the tests"
        ),
        "Instructions on how to install qsum.",
    ),
    ("Try it", 'Try it" is: "This section provides a list of commands."', "List of commands."),
    (
        "Try it",
        "This section outlines how to create a virtual environment. It also includes instructions for tests.",
        "How to create a virtual environment. Includes instructions for tests.",
    ),
    (
        "What changes",
        "Summary: This section covers summaries in front matter, which do not count as a change.",
        "Covers summaries in front matter, which do not count as a change.",
    ),
    (
        "What is written",
        "The summary states that YAML (`---`) and TOML (`+++`) are edited in place.",
        "YAML (---) and TOML (+++) are edited in place.",
    ),
    (
        "Commands",
        "The section updates the `docs/` directory with the title of each folder.",
        "Updates the docs/ directory with the title of each folder.",
    ),
    ("Speed", "The section measures whole processes.", "Measures whole processes."),
    ("Speed", "The documentation explains how to measure a hook.", "How to measure a hook."),
    ("Speed", "The page contains the limits of the hooks.", "Contains the limits of the hooks."),
    ("Roles", "This section is for administrators of a cluster.", "For administrators of a cluster."),
    (
        "qsum",
        "qsum is a tool that summarizes documentation.",
        "qsum is a tool that summarizes documentation.",
    ),
    ("Speed", "`python bench.py` measures a hook.", "python bench.py measures a hook."),
    (
        "Options",
        "[!NOTE] The js.Build function is backed by [esbuild][].",
        "The js.Build function is backed by esbuild.",
    ),
    ("Recap", "# Webinar Recap\n\nThe team held an event.", "The team held an event."),
    (
        "pre-commit",
        "Git hooks and CI > pre-commit: A section on how to configure pre-commit hooks.",
        "How to configure pre-commit hooks.",
    ),
    (
        "Zed",
        "Zed starts servers that an extension declares. An extension of your own needs:\n\n```toml\nname = 1\n```\n\nand more.",
        "Zed starts servers that an extension declares.",
    ),
    ("CMS", "CloudCannon : The Git-based CMS for a site.", "CloudCannon: The Git-based CMS for a site."),
]
LISTS = [
    (
        (
            "To observe metrics on Kubernetes, follow these steps:\n\n1. Add the Helm repo.\n2. Install the chart.\n"
            "3. Get the password."
        ),
        "To observe metrics on Kubernetes, follow these steps: Add the Helm repo; Install the chart; Get the password.",
    ),
    (
        "Follow these steps: 1. Add the repo. 2. Install the chart.",
        "Follow these steps: Add the repo; Install the chart.",
    ),
    (
        "- Promote telework\n- Use plain language\n\nBoth help.",
        "Promote telework; Use plain language. Both help.",
    ),
    ("1. Add the repo. 2. Install the chart.", "Add the repo. Install the chart."),
    ("It needs Python 3. 5. is not enough.", "It needs Python 3. 5. is not enough."),
]


@pytest.mark.parametrize(("title", "raw", "cleaned"), ANSWERS)
def test_what_the_models_wrote(title: str, raw: str, cleaned: str) -> None:
    whole = raw.endswith((".", '"', "`"))
    assert clean_summary(raw, max_chars=280, title=title, whole=whole) == cleaned


@pytest.mark.parametrize(
    ("language", "title", "raw", "cleaned"),
    [
        ("fr", "Installer", "« Installer » : Cette section décrit le paquet.", "Décrit le paquet."),
        ("fr", "Clés", "Ce site explique comment créer des clés.", "Explique comment créer des clés."),
        (
            "zh",
            "规则",
            "每个密钥最多发送 600 个请求。超过限制的请求会返回 429。",
            "每个密钥最多发送 600 个请求。超过限制的请求会返回 429。",
        ),
        ("ja", "準備", "「準備」：Node.js 20 が必要です。", "Node.js 20 が必要です。"),
        (
            "de",
            "Zeitplan",
            "Zusammenfassung des Abschnitts „Zeitplan“: Dieser Abschnitt beschreibt die Sicherung.",
            "Beschreibt die Sicherung.",
        ),
        (
            "es",
            "Nodos",
            'Resumen de la sección "Nodos": Cada nodo necesita 4 GB.',
            "Cada nodo necesita 4 GB.",
        ),
        ("ru", "Поиск", "«Поиск»: Поиск не учитывает регистр.", "Поиск не учитывает регистр."),
    ],
)
def test_labels_in_other_languages(language: str, title: str, raw: str, cleaned: str) -> None:
    assert clean_summary(raw, max_chars=280, title=title, language=language) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        'The "Install" button is: large.',
        "The page cache keeps pages. It also includes their headers.",
        "The front matter has a title. The text covers everything below it.",
        "The article database stores JSON.",
        "The documentation lives in docs.",
    ],
)
def test_what_only_looks_like_a_label_or_an_opening_stays(text: str) -> None:
    assert clean_summary(text, max_chars=280, title="Other") == text


@pytest.mark.parametrize(("raw", "cleaned"), LISTS)
def test_the_items_of_a_list_are_prose(raw: str, cleaned: str) -> None:
    assert clean_summary(raw, max_chars=280).rstrip(".") == cleaned.rstrip(".")


@pytest.mark.parametrize(
    "raw", [raw for raw, _ in LISTS] + [raw for _, raw, _ in ANSWERS if "```" not in raw]
)
@pytest.mark.parametrize("most", [1, 2])
def test_an_answer_ends_where_its_sentences_do(raw: str, most: int) -> None:
    """What an engine leaves out must not be of the sentences that are kept."""
    later = f"{raw} The last sentence is of no use to anybody. Nor is this one."
    ended = next(
        later[:end] for end in range(len(later)) if is_enough(later[:end], chars=None, sentences=most)
    )
    kept = first_sentences(clean_summary(later, max_chars=400), most)
    assert first_sentences(clean_summary(ended, max_chars=400, whole=False), most) == kept


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "This section has the settings of a server."),
        ("en", "The engine behaves as described in the text."),
        ("ru", "Страница посвящена поиску по документам."),
        ("de", "Diese Seite richtet sich an Verwalter."),
        ("es", "Este apartado sirve a los administradores."),
        ("ja", "このページは管理者に向けたものです。"),
    ],
)
def test_an_answer_that_still_speaks_of_its_text_is_known(language: str, text: str) -> None:
    assert clean_summary(text, max_chars=280, language=language) == text
    assert speaks_of_itself(text, language=language)
    assert not speaks_of_itself("Der Server liest die Seite.", language="de")


def test_a_block_of_code_is_no_answer() -> None:
    assert clean_summary("```yaml\n---\ntitle: Retries\n---\n```", max_chars=280) == ""


def test_what_ends_no_sentence() -> None:
    assert split_sentences("1. Click the button. 2. Press enter.") == [
        "1. Click the button.",
        "2. Press enter.",
    ]
    assert split_sentences("The U.S. code, e.g. at https://a.b/c.d, is old. Use it.") == [
        "The U.S. code, e.g. at https://a.b/c.d, is old.",
        "Use it.",
    ]
    for begun in (
        "Use `a. b`, i.e. the first",
        "1. Add the repo",
        "See https://a.b/c.d/e",
        "The U.S. Department",
    ):
        assert not is_enough(begun, chars=None, sentences=1)


def test_sentences_are_counted_by_the_stops_of_every_script() -> None:
    urdu = ["یہ صفحہ کیش کے بارے میں ہے۔", "یہ بتاتا ہے کہ کیا ذخیرہ ہوتا ہے۔"]
    assert is_enough(" ".join(urdu), chars=None, sentences=1)
    assert not is_enough(urdu[0], chars=None, sentences=1)


def test_items_of_one_sentence_lose_the_stops_of_every_script() -> None:
    answer = "یہ قدم ہیں:\n\n1. فائل کھولیں۔\n2. فائل بند کریں۔"
    assert plain_text(answer) == "یہ قدم ہیں: فائل کھولیں; فائل بند کریں۔"
