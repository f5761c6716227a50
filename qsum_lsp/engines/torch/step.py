"""One decode step: draft, compute, accept, all on the device and in fixed shapes, so that it can be captured."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from qsum_lsp.engines.torch.model import KvCache, Model, StepPlaces
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.state import DecodeState


class Forward(Protocol):
    """Computes the likeliest successors [B, Q] of tokens [B, Q] at positions [B, Q] of the slots ``rows`` [B].

    The first position of each row is ``ahead`` after its last known token. The result stands until the next call.
    """

    def __call__(
        self, rows: torch.Tensor, tokens: torch.Tensor, positions: torch.Tensor, ahead: int = 0
    ) -> torch.Tensor: ...


class Drafter(Protocol):
    """Guesses the tokens [B, Q - 1] after the last one of the slots ``rows`` [B]."""

    def __call__(self, rows: torch.Tensor, count: int) -> torch.Tensor: ...


class EagerForward:
    """The reference decoder over at most ``context`` tokens a row; ``layers`` are ``Layer.step``, perhaps compiled."""

    def __init__(
        self,
        model: Model,
        cache: KvCache,
        state: DecodeState,
        *,
        context: int,
        layers: Sequence[Callable[..., torch.Tensor]],
    ) -> None:
        self.model, self.cache, self.state, self.layers = model, cache, state, layers
        self.context = min(-(-context // PAGE_TOKENS), state.table.shape[1]) * PAGE_TOKENS
        self._offsets = torch.arange(PAGE_TOKENS, device=state.device)
        self._seen = torch.arange(self.context, device=state.device)

    def __call__(
        self,
        rows: torch.Tensor,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        ahead: int = 0,  # noqa: ARG002 - the positions say it
    ) -> torch.Tensor:
        state, model = self.state, self.model
        pages = state.table[rows, : self.context // PAGE_TOKENS].long()
        page = pages.gather(1, (positions // PAGE_TOKENS).clamp(max=pages.shape[1] - 1))
        page = torch.where(state.done[rows, None] == 0, page, 0)
        write = (page * PAGE_TOKENS + positions % PAGE_TOKENS).flatten()
        context = (pages[:, :, None] * PAGE_TOKENS + self._offsets).flatten(1)
        mask = (self._seen <= positions[:, :, None])[:, None]
        flat = positions.flatten()
        places = StepPlaces(model.cos[flat], model.sin[flat], write, context, mask)
        x = F.embedding(tokens.flatten(), model.embedding)
        for layer, keys, values in zip(self.layers, self.cache.keys, self.cache.values, strict=True):
            x = layer(x, keys, values, places)
        return model.pick(x).view_as(tokens)


class DecodeStep:
    """``queries`` tokens for each of ``batch`` rows: the last known token and ``queries - 1`` drafts after it.

    Set ``rows`` (slots, int64 [batch]), then call ``run``; ``output`` int32 [batch, queries + 1] holds how many
    tokens each row gained, then the tokens. A draft is kept exactly where it equals the greedy choice.
    """

    def __init__(
        self, state: DecodeState, forward: Forward, *, batch: int, queries: int, drafter: Drafter | None
    ) -> None:
        self.state, self.forward, self.drafter = state, forward, drafter
        self.batch, self.queries = batch, queries
        device = state.device
        self.rows = torch.full((batch,), state.idle_slot, dtype=torch.int64, device=device)
        self.output = torch.zeros((batch, queries + 1), dtype=torch.int32, device=device)
        self._ahead = torch.arange(queries, device=device)

    def run(self) -> None:
        """Advance every row by one step."""
        state, rows = self.state, self.rows
        length = state.length[rows].long()
        last = state.history[rows, length - 1][:, None].long()
        if self.drafter is not None and self.queries > 1:
            drafts = self.drafter(rows, self.queries - 1).long()
            tokens = torch.cat((last, drafts), dim=1)
        else:
            tokens = last
        positions = ((length - 1)[:, None] + self._ahead).clamp(max=state.context - 1)
        picked = self.forward(rows, tokens, positions)
        self._accept(length, tokens[:, 1:], picked)

    def _accept(self, length: torch.Tensor, drafts: torch.Tensor, picked: torch.Tensor) -> None:
        state, rows = self.state, self.rows
        kept = (drafts == picked[:, :-1]).long().cumprod(dim=1).sum(dim=1) + 1
        stop = (picked[:, :, None] == state.stops).any(dim=2)  # isin of many ids would wait for the device
        until_stop = torch.where(stop.any(dim=1), stop.long().argmax(dim=1) + 1, self.queries)
        count = torch.minimum(torch.minimum(kept, until_stop), state.limit[rows] - length)
        count = torch.where(state.done[rows] == 0, count, 0)
        places = (length[:, None] + self._ahead).clamp(max=state.context - 1)
        before = state.history[rows[:, None], places]
        new = torch.where(self._ahead < count[:, None], picked.int(), before)
        state.history.index_put_((rows[:, None], places), new)
        state.length.index_copy_(0, rows, (length + count).int())
        over = (stop & (self._ahead < count[:, None])).any(dim=1) | (length + count >= state.limit[rows])
        state.done.index_copy_(0, rows, torch.maximum(state.done[rows], over.int()))
        self.output.copy_(torch.cat((count[:, None].int(), picked.int()), dim=1))
