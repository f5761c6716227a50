"""Compares the Triton kernels, in Triton's interpreter on the CPU, with the PyTorch reference.

Run as a program with TRITON_INTERPRET=1, which Triton reads when it is imported.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name
from triton.runtime import interpreter

from qsum_lsp.engines.torch import attention, fast, fast_prefill
from qsum_lsp.engines.torch.attention import Packed
from qsum_lsp.engines.torch.model import KvCache, Model, PrefillInput
from qsum_lsp.engines.torch.shape import ModelShape
from qsum_lsp.engines.torch.speculation import DraftModel, PromptLookup
from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.step import DecodeStep, EagerForward
from qsum_lsp.engines.torch.weights import load_model

CONTEXT = 256

_patch = interpreter._patch_lang_tensor


def _patch_for_numpy(tensor: type, scope: Any) -> None:
    """Triton 3.6 converts one-element arrays with int(), which NumPy 2.4 refuses."""
    _patch(tensor, scope)
    scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))


interpreter._patch_lang_tensor = _patch_for_numpy

CPU = torch.device("cpu")


def _prompt_state(model: Model, batch: int, *, kernels: bool) -> tuple[DecodeState, KvCache]:
    """``batch`` prompts of unequal length, prefilled, each with its own pages."""
    torch.manual_seed(7)
    state = DecodeState(batch, CONTEXT, (3,), CPU)
    cache = KvCache(model.shape, 1 + batch * CONTEXT // 16, model.dtype, CPU)
    lengths = [70 + 31 * row for row in range(batch)]
    lengths[0] = 9
    pieces, positions, write = [], [], []
    for row, length in enumerate(lengths):
        pages = torch.randperm(CONTEXT // 16) + 1 + row * CONTEXT // 16
        state.table[row, :] = pages.int()
        pieces.append(torch.randint(0, 30, (length,)).repeat(1)[:length])
        place = torch.arange(length)
        positions.append(place)
        write.append(pages[place // 16] * 16 + place % 16)
        state.history[row, :length] = pieces[-1].int()
        state.limit[row] = length + 40
    limits = torch.tensor([0, *lengths]).cumsum(0).int()
    packed = Packed(limits, limits, lengths, lengths)
    batch_input = PrefillInput(
        torch.cat(pieces), torch.cat(positions), torch.cat(write), None, packed, limits[1:].long() - 1
    )
    run = fast_prefill.prefill if kernels else Model.prefill
    first = run(model, batch_input, cache, attention.sdpa)
    state.start(torch.arange(batch), first, torch.tensor(lengths))
    return state, cache


def _steps(model: Model, batch: int, queries: int, *, kernels: bool) -> list[list[int]]:
    state, cache = _prompt_state(model, batch, kernels=kernels)
    drafter = PromptLookup(state, context=CONTEXT) if queries > 1 else None
    if kernels:
        forward = fast.FastForward(model, cache, state, batch, queries, dependent=False)
        step: DecodeStep = fast.FastStep(
            state, forward, batch=batch, queries=queries, drafter=drafter, dependent=False
        )
    else:
        layers = [layer.step for layer in model.layers]
        eager = EagerForward(model, cache, state, context=CONTEXT, layers=layers)
        step = DecodeStep(state, eager, batch=batch, queries=queries, drafter=drafter)
    step.rows.copy_(torch.arange(batch))
    for _ in range(6):
        step.run()
    return [state.history[row, : state.length[row]].tolist() for row in range(batch)]


def compare(folder: Path, quantization: str, batch: int, queries: int) -> None:
    """Fail unless kernels and reference decode the same tokens."""
    shape = ModelShape.read(folder)
    model = load_model(folder, shape, CPU, quantization=quantization, context=CONTEXT)
    with torch.inference_mode():
        wanted = _steps(model, batch, queries, kernels=False)
        got = _steps(model, batch, queries, kernels=True)
        if batch * queries == 1 and quantization == "none":
            same_bits(model)
    assert got == wanted, (quantization, batch, queries, got, wanted)


def same_bits(model: Model) -> None:
    """Fail unless a token's residual is the same alone, beside another row, and among drafts."""
    state, cache = _prompt_state(model, 2, kernels=False)
    rows = torch.arange(2)
    lengths = state.length[:2].tolist()

    def passed(batch: int, queries: int, rows: torch.Tensor, ahead: int = 0) -> torch.Tensor:
        places = state.length[rows].long()[:, None] - 1 + torch.arange(queries)
        tokens = state.history[rows[:, None], places].long()
        forward = fast.FastForward(model, cache, state, batch, queries, dependent=False)
        forward(rows, tokens, places, ahead)
        return forward.buffers.x.clone()

    state.history[:2, 60:] = torch.randint(0, 30, (2, CONTEXT - 60)).int()
    together = passed(2, 1, rows)
    drafts = passed(1, 4, rows[1:])
    for row in range(2):
        assert torch.equal(passed(1, 1, rows[row : row + 1])[0], together[row])
    for ahead in range(4):
        state.length[1] = lengths[1] + ahead
        assert torch.equal(passed(1, 1, rows[1:])[0], drafts[ahead])


def compare_drafts(model: Model) -> None:
    """Fail unless drafts are those of PyTorch, and a model that drafts for itself is always right."""
    state, cache = _prompt_state(model, 3, kernels=False)
    rows, queries = torch.arange(3), 4
    state.history[0, :10] = torch.tensor([5, 6, 7, 5, 6, 8, 9, 1, 5, 6])
    state.history[1, :101] = torch.randint(0, 12, (101,))
    looks_up = PromptLookup(state, context=CONTEXT)
    forward = fast.FastForward(model, cache, state, 3, queries, dependent=False)
    step = fast.FastStep(state, forward, batch=3, queries=queries, drafter=looks_up, dependent=False)
    wanted = looks_up(rows, queries - 1)
    assert wanted[0].tolist() == [7, 5, 6], "the longest match, and the earliest of them"
    step.rows.copy_(rows)
    step.run()
    assert torch.equal(step.tokens[:, 1:], wanted.long())

    state, cache = _prompt_state(model, 3, kernels=False)
    again = KvCache(model.shape, cache.pages, model.dtype, CPU)
    again.keys.copy_(cache.keys)
    again.values.copy_(cache.values)
    drafts = DraftModel(state, fast.FastForward(model, again, state, 3, 1, dependent=False))
    forward = fast.FastForward(model, cache, state, 3, queries, dependent=False)
    step = fast.FastStep(state, forward, batch=3, queries=queries, drafter=drafts, dependent=False)
    step.rows.copy_(rows)
    for _ in range(2):
        step.run()
        gained = step.output[:, 0].tolist()
        ended = [bool(done) for done in state.done[:3]]
        assert all(count == queries or over for count, over in zip(gained, ended, strict=True)), gained


def compare_gate_up() -> None:
    """Fail unless the fused products and activation are those of PyTorch, for tokens that fill no tile."""
    tokens, size, hidden = 150, 256, 128
    torch.manual_seed(5)
    h, weight = torch.randn(tokens, hidden), torch.randn(2 * size, hidden)
    gate, up = (h @ weight.t()).chunk(2, dim=-1)
    torch.testing.assert_close(fast_prefill.fused(weight, h, 3), F.silu(gate) * up, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    if sys.argv[1] == "gate-up":
        compare_gate_up()
    elif sys.argv[1] == "drafts":
        folder = Path(sys.argv[2])
        with torch.inference_mode():
            compare_drafts(
                load_model(folder, ModelShape.read(folder), CPU, quantization="none", context=CONTEXT)
            )
    else:
        fast.SKINNY_ROWS = int(sys.argv[6])
        compare(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
