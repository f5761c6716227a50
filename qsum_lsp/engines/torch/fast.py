"""The decode step as a few Triton kernels a layer; gives what ``model`` and ``step`` give."""

import math

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from qsum_lsp.engines.torch.fast_prefill import add_norm, best_token, swiglu
from qsum_lsp.engines.torch.kernels import attention as attention_kernels
from qsum_lsp.engines.torch.kernels import elementwise, fixed_attention, held, linear, packed
from qsum_lsp.engines.torch.linear import BLOCK, Dense, Linear, Quantized4
from qsum_lsp.engines.torch.model import KvCache, Layer, Model
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.speculation import NGRAM, PromptLookup
from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.step import DecodeStep, Drafter, Forward
from qsum_lsp.engines.torch.tilings import FEW_ROWS, Epilogue, choose_attention, choose_tiling, power_of_two

SKINNY_ROWS = 64
"""Rows up to which the weights are read by own kernels; above, cuBLAS uses the tensor cores better."""


class Workspace:
    """Buffers of one step's forward pass over ``m`` rows; all are written before they are read."""

    def __init__(self, model: Model, m: int, *, parts: int) -> None:
        shape, device, dtype = model.shape, model.device, model.dtype

        def empty(*sizes: int, kind: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.empty(sizes, dtype=kind, device=device)

        width = shape.q_size + 2 * shape.kv_size
        self.x = empty(m, shape.hidden)
        self.h = empty(m, shape.hidden, kind=dtype)
        self.qkv = empty(m, width)
        self.attended = empty(m, shape.q_size, kind=dtype)
        self.activation = empty(m, shape.intermediate, kind=dtype)
        self.picked = empty(m, kind=torch.int64)
        self.part_acc = empty(parts * shape.head_dim)
        self.part_max = empty(parts)
        self.part_sum = empty(parts)
        self.counters = torch.zeros(max(m * shape.kv_heads, 4096), dtype=torch.int32, device=device)


class FastForward:
    """The forward pass of a decode step over ``batch`` rows of ``queries`` tokens; see ``step.Forward``.

    ``dependent`` launches each kernel while the one before still runs (programmatic dependent launch), so that it
    can read its weights ahead.
    """

    def __init__(
        self,
        model: Model,
        cache: KvCache,
        state: DecodeState,
        batch: int,
        queries: int,
        *,
        dependent: bool,
    ) -> None:
        self.model, self.cache, self.state = model, cache, state
        self.batch, self.queries, self.m = batch, queries, batch * queries
        self.dependent = dependent
        shape = model.shape
        self._skinny = self.m <= SKINNY_ROWS and _readable(model, self.m)
        group = shape.heads // shape.kv_heads
        self._few_rows = self.m <= FEW_ROWS
        self._rows_padded = max(16, power_of_two(queries * group))
        self._cut = choose_attention(self.m, batch * shape.kv_heads, shape.head_dim)
        parts = self.m * power_of_two(group) if self._few_rows else batch * self._rows_padded
        self.buffers = Workspace(model, self.m, parts=parts * shape.kv_heads * self._cut.splits)
        self._pdl = {"launch_pdl": True} if dependent else {}
        if self._skinny:
            self._prepare()

    def _prepare(self) -> None:
        shape, device = self.model.shape, self.model.device
        self._tilings = {}
        layer = self.model.layers[0]
        wanted: list[tuple[str, Linear, int, Epilogue]] = [
            ("qkv", layer.qkv, 1, "scaled"),
            ("out", layer.out, 1, "residual"),
            ("gate_up", layer.gate_up, 2, "swiglu"),
            ("down", layer.down, 1, "residual"),
            ("head", self.model.head, 1, "argmax"),
        ]
        partials = 1
        for name, weight, halves, epilogue in wanted:
            n = weight.out_features // halves
            tiling = choose_tiling(n, weight.in_features, self.m, epilogue, _format(weight))
            self._tilings[name] = tiling
            if tiling.splits > 1:
                tiles = -(-n // tiling.outputs(epilogue))
                partials = max(partials, tiles * tiling.splits * tiling.rows * self._m_padded)
        blocks = [-(-shape.hidden // self._tilings[name].rows) for name in ("out", "down")]
        self._count = power_of_two(max(blocks))
        self._ssq = torch.empty(self.m, self._count, dtype=torch.float32, device=device)
        self._ssq_blocks = {"out": blocks[0], "down": blocks[1], "embed": 1}
        self._partials = torch.empty(partials, dtype=torch.float32, device=device)
        self._head_blocks = -(-shape.vocabulary // self._tilings["head"].rows)
        self._best = torch.empty(self.m, self._head_blocks, dtype=torch.float32, device=device)
        self._index = torch.empty(self.m, self._head_blocks, dtype=torch.int32, device=device)

    @property
    def _m_padded(self) -> int:
        return max(8 if self._few_rows else 16, power_of_two(self.m))

    def __call__(
        self,
        rows: torch.Tensor,
        tokens: torch.Tensor,
        positions: torch.Tensor,  # noqa: ARG002 - the kernels know them from the rows' lengths
        ahead: int = 0,
    ) -> torch.Tensor:
        picked = self._few(rows, tokens, ahead) if self._skinny else self._many(rows, tokens, ahead)
        return picked.view(self.batch, self.queries)

    def _few(self, rows: torch.Tensor, tokens: torch.Tensor, ahead: int) -> torch.Tensor:
        model, work, shape = self.model, self.buffers, self.model.shape
        layers: list[Layer] = list(model.layers)
        elementwise.embed[(self.m,)](
            tokens, model.embedding, layers[0].input_norm, work.x, work.h, self._ssq,
            HIDDEN=shape.hidden, HP=power_of_two(shape.hidden), COUNT=self._count, PDL=self.dependent, **self._pdl,
        )  # fmt: skip
        norm = "embed"
        for index, layer in enumerate(layers):
            self._product("qkv", layer.qkv, work.h, "scaled", out=work.qkv, norm=norm)
            self._attend(index, layer, rows, ahead, work.qkv)
            self._product("out", layer.out, work.attended, "residual", gain=layer.post_norm)
            self._gate_up(layer.gate_up)
            gain = layers[index + 1].input_norm if index + 1 < len(layers) else model.norm
            self._product("down", layer.down, work.activation, "residual", gain=gain)
            norm = "down"
        self._product("head", model.head, work.h, "argmax", out=self._best, norm=norm)
        elementwise.pick[(self.m,)](
            self._best, self._index, work.picked, self._head_blocks, BLOCK=4096, PDL=self.dependent,
            num_warps=8, **self._pdl,
        )  # fmt: skip
        return work.picked

    def _gate_up(self, weight: Linear) -> None:
        work, shape = self.buffers, self.model.shape
        if self._few_rows or not isinstance(weight, Dense) or weight.bias is not None:
            self._product("gate_up", weight, work.h, "swiglu", out=work.activation, norm="out")
            return
        # cuBLAS is faster at the largest product even though the norm and the activation are then a kernel of their own
        size = shape.intermediate
        elementwise.silu_mul[(self.m, -(-size // 2048))](
            weight(work.h), self._ssq, work.activation, self._ssq_blocks["out"], shape.norm_eps, SIZE=size, BLOCK=2048,
            WIDTH=shape.hidden, COUNT=self._count, NORM=True, num_warps=4,
        )  # fmt: skip

    def _product(
        self,
        name: str,
        weight: Linear,
        h: torch.Tensor,
        epilogue: Epilogue,
        *,
        out: torch.Tensor | None = None,
        norm: str = "embed",
        gain: torch.Tensor | None = None,
    ) -> None:
        work, tiling = self.buffers, self._tilings[name]
        kind = _format(weight)
        n = weight.out_features // (2 if epilogue == "swiglu" else 1)
        data, scales, codes = _parts(weight)
        before = weight.bias, self._ssq, work.x, gain, work.h, self._ssq, work.qkv if out is None else out
        blocks = -(-n // tiling.outputs(epilogue))
        constants = {
            "N": n,
            "K": weight.in_features,
            "WIDTH": self.model.shape.hidden,
            "ROWS": tiling.rows,
            "EPILOGUE": epilogue,
            "BIAS": weight.bias is not None,
            "COUNT": self._count,
            "PDL": self.dependent,
            "num_warps": tiling.warps,
        }
        eps, count = self.model.shape.norm_eps, self._ssq_blocks[norm]
        if kind == "4bit":
            packed.gemv[(blocks,)](
                h, data, scales, codes, *before, count, eps, KP=power_of_two(weight.in_features), **constants, **self._pdl
            )  # fmt: skip
            return
        shared = {"MP": self._m_padded, "BK": tiling.block, "SPLITS": tiling.splits, "FORMAT": kind}
        if tiling.chunks:
            held.held[(blocks, tiling.splits)](
                h, data, scales, *before, self._partials, work.counters, self.m, count, eps, STRIPES=tiling.warps,
                CHUNKS=tiling.chunks, **shared, **constants, **self._pdl,
            )  # fmt: skip
        else:
            linear.skinny[(blocks, tiling.splits)](
                h, data, scales, *before, self._index, self._partials, work.counters, self.m, count, eps,
                STAGES=tiling.stages, **shared, **constants, **self._pdl,
            )  # fmt: skip

    def _attend(self, index: int, layer: Layer, rows: torch.Tensor, ahead: int, qkv: torch.Tensor) -> None:
        model, work, shape = self.model, self.buffers, self.model.shape
        group = shape.heads // shape.kv_heads
        arguments = (
            qkv, model.cos, model.sin, layer.q_norm, layer.k_norm, self.cache.keys[index], self.cache.values[index],
            self.state.table, self.state.length, rows, work.attended, work.part_acc, work.part_max, work.part_sum,
            work.counters, self.state.table.stride(0), ahead, shape.norm_eps, 1 / math.sqrt(shape.head_dim),
        )  # fmt: skip
        shared = {
            "HEADS": shape.heads,
            "KV_HEADS": shape.kv_heads,
            "HALF": shape.head_dim // 2,
            "QUERIES": self.queries,
            "SPLITS": self._cut.splits,
            "BLOCK": self._cut.block,
            "PAGE": PAGE_TOKENS,
            "NORM": layer.q_norm is not None,
            "STAGES": self._cut.stages,
            "PDL": self.dependent,
            "num_warps": self._cut.warps,
        }
        if self._few_rows:
            fixed_attention.attend[(self.m, shape.kv_heads, self._cut.splits)](
                *arguments, QP=max(16, power_of_two(self.queries)), MP=max(16, power_of_two(group)), GP=power_of_two(group), **shared, **self._pdl
            )  # fmt: skip
        else:
            attention_kernels.attend[(shape.kv_heads, self.batch, self._cut.splits)](
                *arguments, QP=power_of_two(self.queries), MP=self._rows_padded, **shared, **self._pdl
            )  # fmt: skip

    def _many(self, rows: torch.Tensor, tokens: torch.Tensor, ahead: int) -> torch.Tensor:
        model, work, eps = self.model, self.buffers, self.model.shape.norm_eps
        layers: list[Layer] = list(model.layers)
        work.x.copy_(F.embedding(tokens.flatten(), model.embedding))
        add_norm(None, work.x, layers[0].input_norm, work.h, eps)
        for index, layer in enumerate(layers):
            self._attend(index, layer, rows, ahead, layer.qkv(work.h))
            add_norm(layer.out(work.attended), work.x, layer.post_norm, work.h, eps)
            activation = swiglu(layer.gate_up(work.h))
            gain = layers[index + 1].input_norm if index + 1 < len(layers) else model.norm
            add_norm(layer.down(activation), work.x, gain, work.h, eps)
        return best_token(work.h, model.head)


class FastStep(DecodeStep):
    """A decode step whose bookkeeping is two kernels; see ``step.DecodeStep``."""

    def __init__(
        self,
        state: DecodeState,
        forward: Forward,
        *,
        batch: int,
        queries: int,
        drafter: Drafter | None,
        dependent: bool,
    ) -> None:
        super().__init__(state, forward, batch=batch, queries=queries, drafter=drafter)
        self.tokens = torch.zeros((batch, queries), dtype=torch.int64, device=state.device)
        self.positions = torch.zeros((batch, queries), dtype=torch.int64, device=state.device)
        self._dependent = dependent
        self._pdl = {"launch_pdl": True} if dependent else {}

    def run(self) -> None:
        """Advance every row by one step."""
        state, queries = self.state, self.queries
        drafts, look_up = self.tokens, isinstance(self.drafter, PromptLookup)
        if self.drafter is not None and not look_up:
            drafts = self.drafter(self.rows, queries - 1).contiguous()
        elementwise.begin[(self.batch,)](
            self.rows, state.history, state.length, drafts, self.tokens, self.positions,
            state.history.stride(0), state.context - 1, QUERIES=queries, QP=power_of_two(queries), LOOKUP=look_up,
            NGRAM=NGRAM, BLOCK=1024, PDL=self._dependent, num_warps=4, **self._pdl,
        )  # fmt: skip
        picked = self.forward(self.rows, self.tokens, self.positions)
        elementwise.accept[(self.batch,)](
            self.rows, state.history, state.length, state.limit, state.done, state.stops, self.tokens, picked,
            self.output, state.history.stride(0), state.stops.shape[0], state.context - 1, QUERIES=queries,
            QP=power_of_two(queries), SP=power_of_two(state.stops.shape[0]), PDL=self._dependent, num_warps=1, **self._pdl,
        )  # fmt: skip


def _readable(model: Model, m: int) -> bool:
    # 4-bit weights are read as they are for one row only, and if a row is whole blocks that share a scale
    layer = model.layers[0]
    weights = (layer.qkv, layer.out, layer.gate_up, layer.down)
    return all(not isinstance(w, Quantized4) or (m == 1 and w.in_features % BLOCK == 0) for w in weights)


def _format(weight: Linear) -> str:
    return "dense" if isinstance(weight, Dense) else "4bit" if isinstance(weight, Quantized4) else "8bit"


def _parts(weight: Linear) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    if isinstance(weight, Dense):
        return weight.weight, None, None
    if isinstance(weight, Quantized4):
        return weight.packed, weight.scales, weight.codes
    return weight.codes, weight.scales, None
