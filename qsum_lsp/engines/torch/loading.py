"""From options to an executor that is ready to answer."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from qsum_lsp import home
from qsum_lsp.engines.torch import attention
from qsum_lsp.engines.torch.executor import HOVER_SLOTS
from qsum_lsp.engines.torch.foreign import TransformersRunner
from qsum_lsp.engines.torch.memory import MIB, plan_memory
from qsum_lsp.engines.torch.model import KvCache, Model
from qsum_lsp.engines.torch.options import TorchOptions
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.shape import ModelShape, read_config, stop_ids, supported
from qsum_lsp.engines.torch.source import ModelSource
from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.steps import StepLibrary
from qsum_lsp.engines.torch.tokenizer import ChatTokenizer
from qsum_lsp.engines.torch.triton_path import TritonPath
from qsum_lsp.engines.torch.weights import compact, load_model
from qsum_lsp.errors import EngineUnavailable, OutOfDeviceMemory, UsageError
from qsum_lsp.settings.values import Quantization

_log = logging.getLogger(__name__)

TIGHT = 4096 * MIB
"""Memory under which cuBLAS gets workspaces of 8 MiB; it takes one of 32 for every stream of an H100 by itself."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that answers. ``description`` says for people what was chosen."""

    executor: Runner | TransformersRunner
    tokenizer: ChatTokenizer
    stops: tuple[int, ...]
    device: torch.device
    context_tokens: int
    prefill_tokens: int
    quantization: Quantization
    description: str


def choose_device(name: str) -> torch.device:
    """The device called ``name``; for ``auto`` CUDA, else Metal, else the CPU. Raises UsageError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"device = {name!r} is not a device of PyTorch: use auto, cuda, cuda:1, mps or cpu."
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable(f"device = {name!r}: PyTorch {torch.__version__} finds no CUDA device here.")
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def load(options: TorchOptions, source: ModelSource, context_tokens: int) -> Loaded:
    """Load everything that ``options`` ask for.

    Raises EngineUnavailable (files, packages, memory), UsageError (settings that contradict each other).
    """
    device = choose_device(options.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    _keep_compile_caches()
    folder = source.fetch()
    config = read_config(folder)
    # half a second for a vocabulary of 150,000, beside which weights can be copied
    beside = ThreadPoolExecutor(1, "qsum-tokenizer")
    tokenizer = beside.submit(ChatTokenizer, folder)
    beside.shutdown(wait=False)
    stops = stop_ids(folder, config)
    if not supported(config):
        foreign = TransformersRunner(
            folder, device, attention=options.attention, pages=options.max_batch * context_tokens // 16 + 1
        )
        text = f"{device}, {config.get('model_type')} through transformers, not optimised"
        return Loaded(
            foreign, tokenizer.result(), stops, device, context_tokens, options.prefill_tokens, "none", text
        )
    shape = ModelShape.read(folder)
    draft_source = _draft_source(options)
    draft_folder = draft_source.fetch() if draft_source else None
    draft_shape = ModelShape.read(draft_folder) if draft_folder else None
    if draft_folder is not None and not tokenizer.result().shares_ids(ChatTokenizer(draft_folder)):
        raise UsageError(
            f"draft_model = {options.draft_model!r} has another vocabulary than {options.model!r}: choose a smaller model "
            "of the same family."
        )
    plan = plan_memory(options, shape, draft_shape, device, context_tokens)
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, plan.limit / total), device)
        if plan.limit < TIGHT:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2:16:8")
            os.environ.setdefault("CUBLASLT_WORKSPACE_SIZE", "8192")
    name, attend = attention.choose(options.attention, device)
    # recorded prefills would keep dequantised matrices in a pool of their own
    flexible = name.startswith("flash") and plan.quantization == "none"
    try:
        model = load_model(
            folder,
            shape,
            device,
            quantization=plan.quantization,
            context=context_tokens + 64,
            adapter=source.adapter_weights(),
        )
        if plan.quantization != "none" and plan.limit < TIGHT:
            compact(model, device)
        _forget_blocks(device)
        cache = KvCache(shape, plan.pages, model.dtype, device)
        draft = None
        if draft_source is not None and draft_folder is not None and draft_shape is not None:
            small = load_model(
                draft_folder,
                draft_shape,
                device,
                quantization="none",
                context=context_tokens + 64,
                adapter=draft_source.adapter_weights(),
            )
            _forget_blocks(device)
            draft = small, KvCache(draft_shape, plan.pages, small.dtype, device)
    except torch.OutOfMemoryError as error:
        raise OutOfDeviceMemory(
            f"The model does not fit the {plan.limit // MIB} MiB that may be used on {device}: {error}"
        ) from error
    executor = _runner(
        options,
        model,
        cache,
        draft,
        stops,
        context_tokens,
        attend,
        flexible=flexible,
        quantization=plan.quantization,
    )
    text = f"{device}, {str(model.dtype).removeprefix('torch.')}, quantization {plan.quantization}, attention {name}"
    _log.info("Loaded %s: %s, %d pages of cache", source.name, text, plan.pages)
    return Loaded(
        executor,
        tokenizer.result(),
        stops,
        device,
        context_tokens,
        plan.prefill_tokens,
        plan.quantization,
        text,
    )


def _forget_blocks(device: torch.device) -> None:
    # what was read and then fused or quantised leaves holes, which the cache would break into smaller ones
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _draft_source(options: TorchOptions) -> ModelSource | None:
    if options.speculation != "draft" and not (options.speculation == "auto" and options.draft_model):
        return None
    if options.draft_model is None:
        raise UsageError("speculation = 'draft' needs draft_model.")
    return ModelSource.find(options.draft_model)


def _runner(
    options: TorchOptions,
    model: Model,
    cache: KvCache,
    draft: tuple[Model, KvCache] | None,
    stops: tuple[int, ...],
    context_tokens: int,
    attend: attention.Backend,
    *,
    flexible: bool,
    quantization: str,
) -> Runner:
    draft_tokens = 0 if options.speculation == "off" else options.draft_tokens
    if options.speculation == "auto" and quantization in ("nf4", "fp4"):
        draft_tokens = 0  # only single tokens are computed from packed 4-bit weights
    state = DecodeState(
        options.max_batch + HOVER_SLOTS, context_tokens + 16 + draft_tokens, stops, model.device
    )
    fast = TritonPath.find(model) if options.compile == "auto" else None
    steps = StepLibrary(
        model,
        cache,
        state,
        compile_mode=options.compile,
        draft=draft,
        fast=fast,
    )
    return Runner(
        model,
        cache,
        state,
        steps,
        attend=attend,
        flexible=flexible,
        draft=draft,
        draft_tokens=draft_tokens,
    )


def _keep_compile_caches() -> None:
    folder = home.compiled_folder()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))
