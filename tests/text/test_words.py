"""words: what counts as one, script by script."""

import pytest

from qsum_lsp.text.words import content_words, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Store's keys, twice-told.", ["the", "store's", "keys", "twice", "told"]),
        ("摘要缓存", ["摘要", "要缓", "缓存"]),
        ("缓", ["缓"]),
        ("用GGUF文件", ["用", "gguf", "文件"]),
        ("सारांश कैश", ["सारांश", "कैश"]),
        ("Кэш сводок", ["кэш", "сводок"]),
        ("cafe\u0301", ["café"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_elided_articles_are_no_part_of_a_word() -> None:
    assert words("L'API d’Astro, qu'un dell'utente o'clock don't l'") == [
        "api", "astro", "un", "utente", "o'clock", "don't", "l",
    ]  # fmt: skip


def test_content_words_leave_out_function_words_and_fold_english_endings() -> None:
    assert content_words("The caches are caching cached files.", "en") == ["cach", "cach", "cach", "fil"]
    assert content_words("Der Cache ist in der Datei.", "de") == ["cache", "datei"]
