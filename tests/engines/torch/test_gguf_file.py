"""What a GGUF file says of its model, in the words of transformers."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from transformers import AutoTokenizer

from qsum_lsp.engines.torch.gguf_file import convert
from qsum_lsp.engines.torch.shape import ModelShape, read_config, rope_table, supported
from qsum_lsp.errors import EngineUnavailable

BASE, DIM, HEADS = 500000.0, 64, 2


class NoTokenizer:
    """Stands in for the one that transformers makes of the file."""

    eos_token_id = 0

    def save_pretrained(self, folder: Path) -> None:
        pass

    def get_vocab(self) -> dict[str, int]:
        return {}


def _file(path: Path, factors: Sequence[float]) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_embedding_length(DIM * HEADS)
    writer.add_feed_forward_length(256)
    writer.add_block_count(0)
    writer.add_head_count(HEADS)
    writer.add_context_length(131072)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(BASE)
    writer.add_tensor("token_embd.weight", np.zeros((8, DIM * HEADS), dtype=np.float32))
    if factors:
        writer.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _factors(factor: float) -> list[float]:
    """As llama.cpp's converter writes them for Llama 3.1 and later."""
    found = []
    for place in range(0, DIM, 2):
        wavelength = 2 * math.pi * BASE ** (place / DIM)
        if wavelength < 8192 / 4:
            found.append(1.0)
        elif wavelength > 8192:
            found.append(factor)
        else:
            smooth = (8192 / wavelength - 1) / 3
            found.append(1 / ((1 - smooth) / factor + smooth))
    return found


@pytest.fixture(autouse=True)
def _no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *_, **__: NoTokenizer())


@pytest.mark.parametrize("factor", [None, 8.0, 32.0])
def test_rotary_frequencies_are_scaled_as_the_file_says(tmp_path: Path, factor: float | None) -> None:
    factors = [] if factor is None else _factors(factor)
    folder = tmp_path / "converted"
    convert(_file(tmp_path / "model.gguf", factors), folder)
    assert supported(read_config(folder))
    frequencies = torch.tensor([BASE ** (-place / DIM) for place in range(0, DIM, 2)])
    angles = torch.outer(torch.arange(3000.0), frequencies / torch.tensor(factors or [1.0]))
    cos, sin = rope_table(ModelShape.read(folder), 3000, torch.device("cpu"))
    torch.testing.assert_close(cos, angles.cos(), atol=1e-3, rtol=0)
    torch.testing.assert_close(sin, angles.sin(), atol=1e-3, rtol=0)


def test_factors_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path / "model.gguf", [1.0 + place for place in range(DIM // 2)])
    with pytest.raises(EngineUnavailable, match=r"model\.gguf scales its rotary embedding"):
        convert(path, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()
