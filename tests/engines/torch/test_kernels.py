"""The Triton kernels give what PyTorch gives, run by Triton's interpreter in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qsum_lsp.engines.torch.tilings import FEW_ROWS, choose_attention
from tests.engines.torch.tiny import save_model

pytest.importorskip("triton", reason="Triton exists for Linux only")


@pytest.mark.parametrize(
    ("family", "quantization", "rows", "queries", "skinny"),
    [
        ("qwen2", "none", 1, 1, 64),
        ("qwen3", "none", 2, 1, 64),
        ("llama", "none", 1, 4, 64),
        ("qwen3", "none", 2, 2, 0),
        ("qwen2", "nf4", 1, 1, 64),
        ("qwen2", "fp4", 2, 1, 64),
        ("llama", "int8", 1, 1, 64),
        ("qwen3", "int8", 2, 1, 64),
        ("qwen2", "none", 3, 3, 64),
        ("llama", "int8", 3, 3, 64),
        ("qwen3", "none", 3, 3, 0),
    ],
)
def test_decode_and_prefill(
    tmp_path: Path, family: str, quantization: str, rows: int, queries: int, skinny: int
) -> None:
    folder = save_model(tmp_path / family, family)
    interpret("decode", str(folder), quantization, str(rows), str(queries), str(skinny))


def test_drafts(tmp_path: Path) -> None:
    interpret("drafts", str(save_model(tmp_path / "qwen2", "qwen2")))


def test_products_and_activation_in_one_kernel() -> None:
    interpret("gate-up")


def test_few_tokens_are_cut_alike_and_many_make_enough_programs() -> None:
    assert len({choose_attention(m, 2 * m, 128) for m in range(1, FEW_ROWS + 1)}) == 1
    for pairs in (32, 128, 256, 512, 2048):
        for head_dim in (64, 128, 256):
            cut = choose_attention(pairs // 2, pairs, head_dim)
            assert pairs * cut.splits >= 256
            # a block of keys and values at a time is in shared memory, of which all GPUs have 99 KiB
            assert cut.block * head_dim * 4 <= 90 * 1024


def interpret(*arguments: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.engines.torch.interpreted", *arguments],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
