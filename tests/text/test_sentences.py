"""Sentence boundaries."""

from types import SimpleNamespace

import pytest
import sentencex

from qsum_lsp.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("language", "unit", "sentences"),
    [
        ("zh", "数据存储。", ["数据存储。"]),
        ("ja", "「保存します！」次へ。", ["「保存します！」", "次へ。"]),
        ("en", "Ab!Cd?", ["Ab!", "Cd?"]),
    ],
)
def test_long_text_without_blanks_is_given_to_sentencex_in_stretches(
    language: str, unit: str, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = 0
    whole = sentencex.segment

    def segment(language: str, text: str) -> list[str]:
        nonlocal longest
        longest = max(longest, len(text))
        return list(whole(language, text))

    assert split_sentences(unit * 20, language) == sentences * 20
    monkeypatch.setattr("qsum_lsp.text.sentences.sentencex", SimpleNamespace(segment=segment))
    assert split_sentences(unit * 5000, language) == sentences * 5000
    assert longest < 5000
