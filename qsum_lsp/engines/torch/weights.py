"""From a folder of safetensors to a model on its device, one tensor at a time."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open

from qsum_lsp.engines.torch.adapter import AdapterWeights
from qsum_lsp.engines.torch.linear import Dense, Linear, make_linear
from qsum_lsp.engines.torch.model import Layer, Model
from qsum_lsp.engines.torch.shape import ModelShape, rope_table
from qsum_lsp.errors import EngineUnavailable

PIECE = 32 << 20
"""Bytes that are on their way to the device at once."""


class Upload:
    """Brings tensors to a GPU through two pieces of pinned memory, several times faster than from mapped files.

    While one piece is on its way to the device the other is filled.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        pinned = device.type == "cuda"
        self._pieces = [torch.empty(PIECE, dtype=torch.uint8, pin_memory=pinned) for _ in range(2)]
        self._free = [torch.cuda.Event() for _ in range(2)] if pinned else []
        self._turn = 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """``tensor`` on the device."""
        found = torch.empty_like(tensor, device=self._device, memory_format=torch.contiguous_format)
        source, target = (each.reshape(-1).view(torch.uint8) for each in (tensor, found))
        for begin in range(0, source.numel(), PIECE):
            self._turn = 1 - self._turn
            part = source[begin : begin + PIECE]
            piece = self._pieces[self._turn][: part.numel()]
            if self._free:
                self._free[self._turn].synchronize()
            piece.copy_(part)
            target[begin : begin + PIECE].copy_(piece, non_blocking=True)
            if self._free:
                self._free[self._turn].record()
        return found


class TensorFiles:
    """The tensors of a folder by name, brought to ``device`` when asked for."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        index = folder / "model.safetensors.index.json"
        if index.exists():
            files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        else:
            single = folder / "model.safetensors"
            if not single.exists():
                raise EngineUnavailable(
                    f"{folder} has no model.safetensors; qsum loads weights from safetensors files only."
                )
            with safe_open(single, framework="pt") as opened:
                files = dict.fromkeys(opened.keys(), single.name)
        self._files: dict[str, str] = files
        self._upload = Upload(device) if device.type == "cuda" else None
        where = "cpu" if self._upload else str(device)
        self._opened = {
            name: safe_open(folder / name, framework="pt", device=where) for name in set(files.values())
        }

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def get(self, name: str) -> torch.Tensor:
        """The tensor called ``name`` as saved."""
        tensor: torch.Tensor = self._opened[self._files[name]].get_tensor(name)
        return self._upload(tensor) if self._upload else tensor


def compute_dtype(shape: ModelShape, device: torch.device) -> torch.dtype:
    """bfloat16 on accelerators; on the CPU float32 where the weights were saved so."""
    if device.type == "cpu" and "float32" in shape.saved_dtype:
        return torch.float32
    return torch.bfloat16


def weight_bytes(shape: ModelShape, quantization: str, dtype: torch.dtype) -> int:
    """Memory of the weights once loaded."""
    layer = shape.hidden * (shape.q_size + 2 * shape.kv_size)
    layer += shape.hidden * shape.q_size + 3 * shape.hidden * shape.intermediate
    per_weight = {"none": dtype.itemsize, "int8": 1.0, "nf4": 0.5625, "fp4": 0.5625}[quantization]
    embeddings = shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    return int(layer * shape.layers * per_weight) + embeddings * dtype.itemsize


def load_model(
    folder: Path,
    shape: ModelShape,
    device: torch.device,
    *,
    quantization: str,
    context: int,
    adapter: AdapterWeights | None = None,
) -> Model:
    """The model saved in ``folder``; quantises matrix by matrix, so that the peak stays near the result.

    ``adapter`` is added to the weights before they are fused or quantised.
    """
    files = TensorFiles(folder, device)
    dtype = compute_dtype(shape, device)

    def get(name: str) -> torch.Tensor:
        tensor = files.get(name)
        return (adapter.merged(name, tensor) if adapter else tensor).to(dtype)

    return build_model(shape, get, files.__contains__, device, quantization, context)


def compact(model: Model, device: torch.device) -> None:
    """Lay the tensors of ``model`` out anew, by way of the host.

    Quantised matrices end up in what is left of the blocks that held the saved ones, so that memory between them
    stays reserved and cannot be used for anything larger.
    """
    places = [
        (module._buffers, name, tensor)
        for module in model.modules()
        for name, tensor in module._buffers.items()
        if tensor is not None
    ]
    on_host = {id(tensor): tensor.cpu() for _, _, tensor in places}
    keys = [(buffers, name, id(tensor)) for buffers, name, tensor in places]
    for buffers, name, key in keys:
        buffers[name] = on_host[key]
    places.clear()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    placed = {key: held.to(device) for key, held in on_host.items()}
    for buffers, name, key in keys:
        buffers[name] = placed[key]


def build_model(
    shape: ModelShape,
    get: Callable[[str], torch.Tensor],
    has: Callable[[str], bool],
    device: torch.device,
    quantization: str,
    context: int,
) -> Model:
    """A model of tensors that ``get`` gives by their transformers name, in the compute dtype."""

    def optional(name: str) -> torch.Tensor | None:
        return get(name) if has(name) else None

    layers = []
    for index in range(shape.layers):
        prefix = f"model.layers.{index}."

        def fused(*names: str, at: str = prefix) -> Linear:
            weights = [get(f"{at}{name}.weight") for name in names]
            biases = [optional(f"{at}{name}.bias") for name in names]
            return make_linear(weights, biases, quantization)

        layers.append(
            Layer(
                shape,
                qkv=fused("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                out=fused("self_attn.o_proj"),
                gate_up=fused("mlp.gate_proj", "mlp.up_proj"),
                down=fused("mlp.down_proj"),
                input_norm=get(f"{prefix}input_layernorm.weight"),
                post_norm=get(f"{prefix}post_attention_layernorm.weight"),
                q_norm=optional(f"{prefix}self_attn.q_norm.weight"),
                k_norm=optional(f"{prefix}self_attn.k_norm.weight"),
            )
        )
    embedding = get("model.embed_tokens.weight")
    head = embedding if shape.tied or not has("lm_head.weight") else get("lm_head.weight")
    return Model(
        shape,
        embedding=embedding,
        layers=layers,
        norm=get("model.norm.weight"),
        head=Dense(head, None),
        rope=rope_table(shape, context, device),
    ).eval()
