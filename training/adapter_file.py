"""An adapter as llama.cpp reads it (https://github.com/ggml-org/llama.cpp, ``convert_lora_to_gguf.py``)."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from qsum_lsp.engines.torch.gguf_file import NAMES

_LLAMA_NAMES = {value: key for key, value in NAMES.items()}


def write_adapter(model: Any, path: Path, *, name: str) -> None:
    """Write the LoRA factors of a model of peft in half precision. Qwen2 and Qwen3 keep the order of their rows."""
    config = model.peft_config["default"]
    architecture = model.config.model_type
    if architecture not in ("qwen2", "qwen3"):
        raise ValueError(f"{architecture}: llama.cpp may order its rows differently")
    unfinished = path.with_name(path.name + ".unfinished")
    writer = gguf.GGUFWriter(str(unfinished), architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(name)
    writer.add_license("apache-2.0")
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config.lora_alpha))
    for full_name, parameter in model.state_dict().items():
        for factor in ("lora_A", "lora_B"):
            base, found, _ = full_name.removeprefix("base_model.model.").partition(f".{factor}.")
            if found:
                values = parameter.float().cpu().numpy().astype(np.float16)
                writer.add_tensor(f"{_llama_name(base)}.{factor.lower()}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)


def _llama_name(name: str) -> str:
    """``model.layers.3.self_attn.q_proj`` as ``blk.3.attn_q.weight``."""
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{_LLAMA_NAMES[rest]}.weight"
