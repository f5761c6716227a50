"""What the device knows of the requests being decoded, so that it needs no host between two steps."""

from collections.abc import Sequence

import torch

from qsum_lsp.engines.torch.pages import PAGE_TOKENS


class DecodeState:
    """One row a slot, and two rows that belong to nobody.

    ``idle_slot`` fills up batches and is never decoded; ``spare_slot`` takes what a prefill reports before its
    prompt's end.

    ``history`` [slots, context]: the tokens so far; ``length`` [slots]: how many, the last one not in the
    cache yet; ``limit``: the length at which to stop; ``done``: 1 where nothing more is to be decoded;
    ``table`` [slots, pages]: the pages of the cache; ``stops``: ids that end an answer. All int32.
    """

    def __init__(self, slots: int, context: int, stops: Sequence[int], device: torch.device) -> None:
        self.slots, self.context = slots, context
        self.idle_slot = slots
        self.spare_slot = slots + 1

        def zeros(*sizes: int) -> torch.Tensor:
            return torch.zeros(sizes, dtype=torch.int32, device=device)

        self.history = zeros(slots + 2, context)
        self.length = zeros(slots + 2) + 1
        self.limit = zeros(slots + 2)
        self.done = zeros(slots + 2) + 1
        self.table = zeros(slots + 2, -(-context // PAGE_TOKENS))
        self.stops = torch.tensor(list(stops) or [-1], dtype=torch.int32, device=device)
        self.device = device

    def start(self, rows: torch.Tensor, first: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Begin decoding ``rows`` [n] with the token that followed each prompt of ``lengths``; returns it."""
        first = first.to(torch.int32)
        self.history.index_put_((rows, lengths), first)
        self.length.index_copy_(0, rows, (lengths + 1).to(torch.int32))
        over = torch.isin(first, self.stops) | (lengths + 1 >= self.limit[rows])
        self.done.index_copy_(0, rows, over.to(torch.int32))
        return first
