"""guess_language: nine samples, near relatives, mixed text, and any text at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsum_lsp.text.language import guess_language
from tests.text.samples import SAMPLES, Sample


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.language)
def test_each_sample_is_recognised(sample: Sample) -> None:
    assert guess_language(sample.text) == sample.language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "en"),
        ("12 34 !?", "en"),
        ("const a = (x) => x + 1; // la la", "en"),
        ("O cache guarda cada resumo em uma base de dados que não é partilhada com os outros.", "pt"),
        ("La cache conserva ogni riassunto in una base di dati che non è condivisa con gli altri.", "it"),
        ("De cache bewaart elke samenvatting in een database die niet met anderen wordt gedeeld.", "nl"),
        ("Кеш зберігає кожен підсумок у невеликій базі даних на диску, і її очищають.", "uk"),
        ("캐시는 완성된 요약을 디스크의 작은 데이터베이스에 저장합니다.", "ko"),
        ("حافظه نهان هر چکیده را در یک پایگاه داده کوچک نگه می‌دارد.", "fa"),
        ("Το αρχείο κρατά κάθε περίληψη στον δίσκο.", "el"),
        ("The word 東京 is the Japanese name of the city, and the rest of this text is English.", "en"),
        ("`CommonParams` と `Server` を設定してから run() を呼び出します。", "ja"),
    ],
)
def test_others(text: str, language: str) -> None:
    assert guess_language(text) == language


@given(st.text(max_size=500))
def test_any_text_has_a_two_letter_answer(text: str) -> None:
    assert len(guess_language(text)) == 2
