"""Judging what was computed in a way that is tried once on this machine before it is relied on."""

import torch

_ROUNDING = 0.02  # of the length of a result in bfloat16


def is_right(got: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether two results differ by no more than rounding to bfloat16 explains; False where ``got`` holds a NaN."""
    return bool((got - wanted).norm() < _ROUNDING * wanted.norm())
