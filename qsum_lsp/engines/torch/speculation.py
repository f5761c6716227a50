"""Guesses for speculative decoding; a wrong guess costs time, never the result."""

import torch

from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.step import Forward

NGRAM = 3


class PromptLookup:
    """The tokens that followed the longest earlier occurrence of the last ones (up to three, the earliest first).

    Prompt lookup decoding (Saxena, 2023): a summary repeats its source, and more of its beginning than of its end.
    Looks at the first ``context`` tokens.
    """

    def __init__(self, state: DecodeState, *, context: int) -> None:
        self.state = state
        self._index = torch.arange(min(context, state.context), device=state.device)

    def __call__(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        size = self._index.shape[0]
        history = self.state.history[rows, :size]
        length = self.state.length[rows, None].long()
        run = torch.ones_like(history, dtype=torch.bool)
        matched = torch.zeros_like(history, dtype=torch.int64)
        for back in range(NGRAM):
            wanted = history.gather(1, (length - 1 - back).clamp(min=0, max=size - 1))
            shifted = history.roll(back, dims=1)
            run = run & (shifted == wanted) & (self._index >= back)
            matched += run
        usable = self._index < length - 1
        score = torch.where(usable, (matched + 1) * size - self._index, 0)
        found = score.argmax(dim=1, keepdim=True)
        places = found + 1 + torch.arange(count, device=history.device)
        return history.gather(1, places.clamp(max=size - 1))


class DraftModel:
    """A smaller model of the same vocabulary that decodes ahead (Leviathan et al., 2023, greedy case)."""

    def __init__(self, state: DecodeState, forward: Forward) -> None:
        self.state, self.forward = state, forward

    def __call__(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        length = self.state.length[rows].long()
        token = self.state.history[rows, length - 1][:, None].long()
        drafts = []
        # one step more than drafts are wanted, so that the last draft's keys and values are known as well
        for ahead in range(count + 1):
            positions = (length[:, None] - 1 + ahead).clamp(max=self.state.context - 1)
            token = self.forward(rows, token, positions, ahead).long()
            drafts.append(token.clone())  # the next pass writes to the same place
        return torch.cat(drafts[:count], dim=1)
