"""Decode steps for every size of batch: built when needed, captured as CUDA graphs once they are warm."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch

from qsum_lsp.engines.torch.graphs import Pool, record
from qsum_lsp.engines.torch.linear import Quantized4
from qsum_lsp.engines.torch.model import KvCache, Model
from qsum_lsp.engines.torch.plain_records import PlainRecords
from qsum_lsp.engines.torch.speculation import DraftModel, PromptLookup
from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.step import DecodeStep, Drafter, EagerForward, Forward
from qsum_lsp.engines.torch.triton_path import TritonPath
from qsum_lsp.settings.values import Compile

BUCKETS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256)
"""Rows that an optimised step has; a smaller batch is filled up with idle rows."""

SMALLEST_CONTEXT = 512

RECORDED_TOKENS = 32768
"""Rows times context of the largest plain step that is recorded: its graph keeps a layer's keys and values of all
those tokens, up to some 200 MB, and the larger a step, the less of its time is the host's."""

COMPILED_LAYER = {
    "default": "default",
    "reduce-overhead": "default",
    "max-autotune": "max-autotune-no-cudagraphs",
}
"""The mode of torch.compile for a layer. In the last two the engine captures the whole step itself, in place of
the graphs that Inductor would make of every layer."""

COMPILED_SIZES = 1024
"""Sizes of steps that torch.compile may compile; its own limit is 8, and then it runs what it has not compiled as it is."""


@dataclass(frozen=True, slots=True)
class StepKey:
    """What a step is made for; ``context`` 0 is any length, ``optimised`` False plain eager PyTorch.

    ``recorded`` plain steps run from CUDA graphs once their size comes again.
    """

    rows: int
    queries: int
    context: int
    optimised: bool
    recorded: bool = False


class StepLibrary:
    """All decode steps of one model. ``fast`` makes those of the Triton kernels, where they run."""

    def __init__(
        self,
        model: Model,
        cache: KvCache,
        state: DecodeState,
        *,
        compile_mode: Compile,
        draft: tuple[Model, KvCache] | None,
        fast: TritonPath | None,
    ) -> None:
        self._model, self._cache, self._state = model, cache, state
        self._draft, self._fast = draft, fast
        cuda = state.device.type == "cuda"
        self._compiles = compile_mode in COMPILED_LAYER
        self._optimises = self._compiles or (compile_mode == "auto" and fast is not None)
        self.captures = cuda and self._optimises and compile_mode != "default"
        # 4-bit weights are multiplied as they are for one token only; recorded, the matrices that are unpacked for
        # several would take memory for good
        self._one_only = compile_mode == "auto" and isinstance(model.layers[0].out, Quantized4)
        self._layers: list[Callable[..., torch.Tensor]] = [layer.step for layer in model.layers]
        if self._compiles:
            mode = COMPILED_LAYER[compile_mode]
            self._layers = [torch.compile(step, dynamic=False, mode=mode) for step in self._layers]
            self._fast = None
            _prepare_compiler()
        self._compiling = threading.Lock()
        self._steps: dict[StepKey, DecodeStep] = {}
        self._graphs: dict[StepKey, torch.cuda.CUDAGraph] = {}
        self._pool: Pool | None = None
        self._stream = torch.cuda.Stream(state.device) if cuda else None
        self.plain_records: PlainRecords[StepKey, DecodeStep] | None = None
        if cuda and self._optimises:
            self.plain_records = PlainRecords(self._record_plain)

    @property
    def any_context(self) -> bool:
        """True where optimised steps serve contexts of any length."""
        return self._fast is not None

    def optimises(self, tokens: int) -> bool:
        """True where steps of ``tokens`` tokens are compiled or recorded."""
        return self._optimises and (tokens == 1 or not self._one_only)

    def key(
        self, batch: int, queries: int, context: int, *, optimised: bool, recorded: bool = False
    ) -> StepKey:
        """The key of the smallest step that serves ``batch`` rows of up to ``context`` tokens.

        ``recorded`` asks for a plain step of one of few sizes, where such steps can be recorded.
        """
        rows = next((size for size in BUCKETS if size >= batch), batch)
        bound = max(SMALLEST_CONTEXT, 1 << (context - 1).bit_length())
        if optimised:
            return StepKey(rows, queries, 0 if self._fast is not None else bound, optimised=True)
        willing = self.plain_records is not None and self.plain_records.willing
        if recorded and willing and rows * bound <= RECORDED_TOKENS:
            return StepKey(rows, queries, bound, optimised=False, recorded=True)
        return StepKey(batch, queries, -(-context // 64) * 64, optimised=False)

    def get(self, key: StepKey) -> DecodeStep:
        """The step for ``key``, captured or not."""
        if key.recorded and self.plain_records is not None:
            return self.plain_records.step(key, lambda: self._build(key, self._state))
        step = self._steps.get(key)
        if step is None:
            step = self._build(key, self._state)
            if key.optimised:
                self._steps[key] = step
        return step

    def run(self, key: StepKey, step: DecodeStep) -> None:
        """Launch ``step``, by its graph where there is one."""
        if key.recorded and self.plain_records is not None:
            self.plain_records.run(key)
            return
        graph = self._graphs.get(key)
        if graph is None:
            step.run()
        else:
            graph.replay()

    def capture(self, key: StepKey) -> bool:
        """Record the step for ``key`` as a CUDA graph, once; it must have been rehearsed.

        False where that must wait, because meanwhile layers run without what was compiled for them.
        """
        if self.captured(key):
            return True
        if not self._compiles:
            self._capture(key)
            return True
        if not self._compiling.acquire(blocking=False):
            return False
        try:
            self._capture(key)
        finally:
            self._compiling.release()
        return True

    def _capture(self, key: StepKey) -> None:
        step = self.get(key)
        rows = step.rows.clone()  # it may have run before, while another step was compiled
        step.rows.fill_(self._state.idle_slot)
        try:
            step.run()  # allocates and initialises what a capture may not
            graph = record(step.run, self._pool, self._stream)
        finally:
            step.rows.copy_(rows)
        if self._pool is None:
            self._pool = graph.pool()
        self._graphs[key] = graph

    def captured(self, key: StepKey) -> bool:
        """True where nothing is left to do for ``key``."""
        return key in self._graphs or not self.captures

    def drop_graphs(self) -> None:
        """Give all graphs and their memory back."""
        self._graphs.clear()
        self._steps.clear()
        self._pool = None
        if self.plain_records is not None:
            self.plain_records.drop()

    def _record_plain(self, launch: Callable[[], None], pool: Pool | None) -> torch.cuda.CUDAGraph:
        # on the stream of optimised steps, beside which plain ones never run: they share cuBLAS's workspace
        try:
            return record(launch, pool, self._stream)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()  # PyTorch does so by itself, but not while anything is recorded
        return record(launch, pool, self._stream)

    def rehearse(self, key: StepKey) -> None:
        """Run a step of this size for nobody, so that everything it needs is compiled; any thread may do so."""
        if self._compiles:
            _prepare_compiler()
        with self._compiling if self._compiles else contextlib.nullcontext():
            state = DecodeState(key.rows, max(key.context, 64), (), self._state.device)
            self._build(key, state).run()
            if self._state.device.type == "cuda":
                torch.cuda.current_stream().synchronize()

    def _build(self, key: StepKey, state: DecodeState) -> DecodeStep:
        drafter: Drafter | None = None
        if key.queries > 1:
            if self._draft is None:
                drafter = PromptLookup(state, context=key.context or state.context)
            else:
                draft, cache = self._draft
                layers = [layer.step for layer in draft.layers]
                drafter = DraftModel(state, self._forward(draft, cache, state, key, layers, queries=1))
        forward = self._forward(self._model, self._cache, state, key, self._layers, queries=key.queries)
        make = self._fast.step if key.optimised and self._fast is not None else DecodeStep
        return make(state, forward, batch=key.rows, queries=key.queries, drafter=drafter)

    def _forward(
        self,
        model: Model,
        cache: KvCache,
        state: DecodeState,
        key: StepKey,
        layers: list[Callable[..., torch.Tensor]],
        *,
        queries: int,
    ) -> Forward:
        if key.optimised and self._fast is not None:
            return self._fast.forward(model, cache, state, key.rows, queries)
        if not key.optimised:
            layers = [layer.step for layer in model.layers]
        return EagerForward(model, cache, state, context=key.context, layers=layers)


def _prepare_compiler() -> None:
    """Settings of torch.compile, which hold for the thread that makes them."""
    torch._dynamo.config.recompile_limit = COMPILED_SIZES
    torch._dynamo.config.accumulated_recompile_limit = COMPILED_SIZES
    # a compiled layer that is called while another thread compiles runs as it is; else it fails
    torch._dynamo.config.error_on_nested_fx_trace = False
