"""The text of an answer while it grows."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel

from qsum_lsp.engines.torch.tokenizer import ChatTokenizer

LINES = "Naïve café 😀🇩🇪. 你好，世界。 The engine keeps a model warm.\nAn answer goes on.  Twice.\n"


def _byte_level() -> Tokenizer:
    """As of Qwen: every token is made of bytes."""
    tokenizer = Tokenizer(models.BPE({letter: n for n, letter in enumerate(ByteLevel.alphabet())}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _byte_fallback(*more: decoders.Decoder) -> Tokenizer:
    """As of Gemma and, with the strip of the first blank, of Llama 2: bytes stand for unknown characters alone."""
    words = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"abcdefghilmnoprstuvwyETAN.\n,",
        "▁the",
        "é",
    ]
    vocabulary = {word: n for n, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *more]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


KINDS = {
    "qwen": _byte_level(),
    "gemma": _byte_fallback(),
    "llama 2": _byte_fallback(decoders.Strip(" ", 1, 0)),
}


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tokenizer, ChatTokenizer]:
    """One of the library's, and ours around it."""
    theirs = KINDS[request.param]
    theirs.add_special_tokens([AddedToken("<end>", special=True)])
    theirs.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({}), "utf-8")
    return theirs, ChatTokenizer(tmp_path)


def _pieces(tokenizer: ChatTokenizer, ids: Sequence[int], chance: random.Random) -> tuple[list[str], str]:
    """The text of ``ids`` that come a few at a time."""
    text, pieces = tokenizer.answer_text(), []
    at = 0
    while at < len(ids):
        count = chance.randint(1, 4)
        pieces.append(text.add(list(ids[at : at + count])))
        at += count
    return pieces, str(text)


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text.replace(" ", "▁") if tokenizer.token_to_id("▁") else text).ids)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_are_the_text_and_end_after_characters(
    tokenizer: tuple[Tokenizer, ChatTokenizer], seed: int
) -> None:
    theirs, ours = tokenizer
    chance = random.Random(seed)  # noqa: S311
    said = LINES[seed:].lstrip() + LINES * 2
    ids = _ids(theirs, said)
    pieces, text = _pieces(ours, ids, chance)
    assert text == "".join(pieces) == theirs.decode(ids) == said
    assert not any("\ufffd" in piece for piece in pieces)


def test_special_tokens_and_half_a_character_at_the_end_are_no_text(
    tokenizer: tuple[Tokenizer, ChatTokenizer],
) -> None:
    theirs, ours = tokenizer
    ids = _ids(theirs, "The end 😀")
    end = theirs.token_to_id("<end>")
    chance = random.Random(1)  # noqa: S311
    assert _pieces(ours, [*ids, end], chance)[1] == "The end 😀"
    assert _pieces(ours, [*ids[:-2], end], chance)[1] == "The end "


def test_bytes_that_are_no_text_do_not_end_the_answer(tokenizer: tuple[Tokenizer, ChatTokenizer]) -> None:
    theirs, ours = tokenizer
    size = theirs.get_vocab_size()
    for seed in range(200):
        chance = random.Random(seed)  # noqa: S311
        noise = [chance.randrange(size) for _ in range(40)]
        assert _pieces(ours, [*noise, *_ids(theirs, " then the end.")], chance)[1].endswith("then the end.")
