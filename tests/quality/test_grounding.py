"""The grounding check on small cases, and its precision and recall on pages that it was not tuned on."""

import pytest

from qsum_lsp.summaries.grounding import check_grounding
from tests.quality.false_claims import Claim, build_claims, half_of, rates

SOURCE = """Token cache

The cache keeps up to 5,000 tokens for 15 minutes. You must not share a cache between tenants. Ada Byron wrote the
first version in 2019; Version 2.4 needs Redis 7 or newer.

Reading from memory is faster than reading from disk. Set cache_ttl to change the lifetime. The cache does not
survive a restart. Only administrators can clear it with cachectl flush. Encryption is enabled by default.

See https://example.com/cache for seven more recipes.
"""


REPEATED = """
Click the pencil icon in the Name row of the table. A Change row follows it.

Each cluster of the server has an allowlist, configured through the Cloud Console. The HBA of Acme is a file.

Use scopes.json to limit the topics to specific applications. A consumerID is made up.

Starting a career in government is not as unusual as you think. The plugin of the editor adds automatic snippets for posts.
"""


@pytest.mark.parametrize(
    "summary",
    [
        "The cache keeps up to 5000 tokens for 15 minutes.",
        "Tenants must not share a cache.",
        "Only administrators can clear the cache with cachectl flush.",
        "Reading from memory is faster than from disk.",
        "Learn how to change the lifetime of cached tokens with cache_ttl.",
        "The cache does not survive restarts.",
        "Ada Byron wrote the first version in 2019.",
        "Caching of tokens, with 7 more recipes.",
        "Overview of the token cache.",
        "",
    ],
)
def test_true_summaries_are_grounded(summary: str) -> None:
    assert check_grounding(summary, SOURCE).problems == ()


@pytest.mark.parametrize(
    ("summary", "named"),
    [
        ("The cache keeps up to 5,001 tokens for 15 minutes.", "5,001"),
        ("The cache keeps up to 15 tokens for 5,000 minutes.", "15"),
        ("Version 2.5 needs Redis 7.", "2.5"),
        ("The first version is by Charles Byron.", "Charles"),
        ("Set cache_size to change the lifetime.", "cache_size"),
        ("See https://example.com/store for recipes.", "https://example.com/store"),
        ("The cache does survive a restart of the machine.", "not survive"),
        ("You must share a cache between tenants.", "not share"),
        ("The cache never keeps tokens.", "never"),
        ("Reading from disk is faster than reading from memory.", "other way round"),
        ("Reading from memory is slower than reading from disk.", "fast"),
        ("Encryption is disabled by default.", "enable"),
        ("Only tenants can share a cache.", "only"),
        ("The parser builds a syntax tree from grammar rules.", "parser"),
    ],
)
def test_what_a_small_change_makes_false_is_named(summary: str, named: str) -> None:
    assert named in "; ".join(check_grounding(summary, SOURCE).problems)


@pytest.mark.parametrize(
    ("summary", "named"),
    [
        ("Click the pencil icon in the Change row of the table.", "Name"),
        ("Each cluster of the server has an allowlist, configured through the HBA.", "Cloud Console"),
        ("Use consumerID to limit the topics to specific applications.", "scopes.json"),
        ("Starting a career in government is as unusual as you think.", "not as"),
        ("The plugin of the editor removes automatic snippets for posts.", "adds"),
    ],
)
def test_a_sentence_said_again_with_one_thing_altered_is_found(summary: str, named: str) -> None:
    assert any(f"says “{named}" in problem for problem in check_grounding(summary, REPEATED).problems)


@pytest.mark.parametrize(
    "summary",
    [
        "Click the pencil icon in the Name row of the table.",
        "Each cluster of the server has an allowlist that is configured through the Console.",
        "Starting a career in government is not as unusual as you think.",
        "It is limited to specific applications by scopes.json.",
    ],
)
def test_a_sentence_said_again_in_other_words_is_not(summary: str) -> None:
    assert check_grounding(summary, REPEATED).grounded


def test_the_site_s_own_name_needs_no_place_in_the_text() -> None:
    summary = "Learn how Acme caches tokens."
    assert check_grounding(summary, SOURCE).problems == ("the name Acme is not in the text",)
    assert check_grounding(summary, SOURCE, known_names=("Acme", "Docs")).grounded


def test_what_the_text_is_about_goes_with_anything_in_it() -> None:
    text = "We run Redis. A fast Redis needs memory, and Redis stays up. " * 2
    source = f"{SOURCE}\n{'Some other words stand here. ' * 6}\n{text}"
    assert check_grounding("Learn how administrators clear Redis tokens.", source).grounded


def test_a_name_behind_an_elided_article_stands_in_the_text() -> None:
    french = (
        "Les clients envoient leurs jetons avec chaque requête d'API. L'équipe d'Astro publie les versions."
    )
    assert check_grounding("L'API reçoit les jetons des clients avec chaque requête.", french).grounded
    assert check_grounding("Astro publie ses versions par l'équipe.", french).grounded
    assert not check_grounding("L'équipe de Redis publie les versions.", french).grounded


def test_a_german_noun_is_no_name() -> None:
    source = "Mit sichern legen Sie Kopien der Datenbank an. Sicherungen werden nachts erstellt und von Ihnen verwaltet."
    assert check_grounding("Beschreibt die Verwaltung von Sicherungen der Datenbank.", source).grounded
    reworded = "Beschreibt die Erstellung und Verwaltung von Sicherungen der Datenbank."
    assert check_grounding(reworded, source).grounded
    assert not check_grounding("Beschreibt Sicherungen der Datenbank mit Oracle.", source).grounded


def test_a_summary_in_another_language_is_refused() -> None:
    german = "Der Zwischenspeicher hält Anmeldedaten vor. Er überlebt keinen Neustart des Rechners."
    assert not check_grounding("Learn how the temporary storage keeps credentials.", german).grounded
    assert check_grounding("Der Zwischenspeicher überlebt keinen Neustart.", german).grounded
    assert not check_grounding("Der Zwischenspeicher überlebt einen Neustart.", german).grounded


def test_scripts_without_spaces_are_read_in_pairs() -> None:
    chinese = "缓存最多保留5000个令牌，时间为15分钟。重启后缓存不会保留。"
    assert check_grounding("缓存保留令牌15分钟。", chinese).grounded
    assert not check_grounding("缓存保留令牌25分钟。", chinese).grounded
    assert not check_grounding("解析器根据语法规则构建语法树。", chinese).grounded


@pytest.fixture(scope="module")
def claims() -> list[Claim]:
    return build_claims("test")


def test_most_false_claims_are_found_at_high_precision(claims: list[Claim]) -> None:
    """On the half of the pages that the check was not tuned on."""
    found = rates(claims)
    assert all(half_of(claim.page) == "test" for claim in claims)
    assert found.recall >= 0.8
    assert found.precision >= 0.95
    assert found.refused_true <= 0.06


def test_the_set_is_the_same_each_time(claims: list[Claim]) -> None:
    assert build_claims("test") == claims
    assert all(claim.text.casefold() not in claim.source.casefold() or claim.true for claim in claims)
