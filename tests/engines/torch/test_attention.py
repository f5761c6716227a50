"""Which attention is chosen, and that one which is wrong is not."""

import sys

import pytest
import torch

from qsum_lsp.engines.torch import attention
from qsum_lsp.engines.torch.attention import Packed

CPU = torch.device("cpu")


def flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, packed: Packed) -> torch.Tensor:
    """What a flash attention gives: zeros for queries that have no keys."""
    out = torch.zeros_like(q)
    seen = [(n, m) for n, m in zip(packed.q_lengths, packed.k_lengths, strict=True) if m]
    rows = sum(n for n, _ in seen)
    shorter = Packed(packed.q_starts, packed.k_starts, [n for n, _ in seen], [m for _, m in seen])
    out[:rows] = attention.eager(q[:rows], k, v, shorter)
    return out


def from_the_first_key(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, packed: Packed) -> torch.Tensor:
    """A mask that starts at the first key, as FlashAttention before 2.1 had it."""
    out = torch.zeros_like(q)
    row = column = 0
    for n, m in zip(packed.q_lengths, packed.k_lengths, strict=True):
        limits = torch.tensor([0])
        part = Packed(limits, limits, [n], [n])
        if m:
            columns = slice(column, column + n)
            out[row : row + n] = attention.sdpa(q[row : row + n], k[columns], v[columns], part)
        row, column = row + n, column + m
    return out


def not_a_number(q: torch.Tensor, *_: object) -> torch.Tensor:
    return torch.full_like(q, float("nan"))


def refuses(*_: object) -> torch.Tensor:
    raise RuntimeError("not built with flash attention")


def test_one_that_is_right_is_used() -> None:
    assert attention.agrees(flash, CPU)


@pytest.mark.parametrize("wrong", [from_the_first_key, not_a_number, refuses])
def test_one_that_is_wrong_or_fails_is_not(wrong: attention.Backend) -> None:
    assert not attention.agrees(wrong, CPU)


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU, as far as the choice looks at it, without flash-attn."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    for module in ("flash_attn", "flash_attn.cute", "flash_attn_interface", "fa3_fwd_interface"):
        monkeypatch.setitem(sys.modules, module, None)
    return torch.device("cuda")


@pytest.mark.parametrize("wanted", ["auto", "flash_attention_2"])
def test_pytorchs_own_stands_in_for_flash_attn(
    wanted: attention.Attention, hopper: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "agrees", lambda *_: True)
    name, _ = attention.choose(wanted, hopper)
    assert name == "flash_attention_2 of PyTorch"


def test_without_any_it_is_sdpa_or_an_error(hopper: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "agrees", lambda *_: False)
    assert attention.choose("auto", hopper) == ("sdpa", attention.sdpa)
    with pytest.raises(attention.EngineUnavailable, match="flash_attn"):
        attention.choose("flash_attention_2", hopper)
    with pytest.raises(attention.EngineUnavailable, match="flash_attention_3"):
        attention.choose("flash_attention_3", hopper)


def test_layers_share_their_masks() -> None:
    q, k = torch.randn(30, 4, 16), torch.randn(100, 2, 16)
    limits = torch.tensor([0, 30], dtype=torch.int32)
    packed = Packed(limits, limits, [30], [100])
    first = attention.sdpa(q, k, k, packed)
    mask = packed.masks[30, 100]
    torch.testing.assert_close(attention.eager(q, k, k, packed), first)
    assert packed.masks[30, 100] is mask
