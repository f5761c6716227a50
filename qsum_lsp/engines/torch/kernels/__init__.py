"""Triton kernels of the decode step and the prefill."""
