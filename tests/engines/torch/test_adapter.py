"""An adapter's file against peft, which made it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from qsum_lsp import models
from qsum_lsp.engines.torch.adapter import AdapterWeights
from qsum_lsp.engines.torch.shape import ModelShape
from qsum_lsp.engines.torch.source import ModelSource
from qsum_lsp.engines.torch.weights import load_model
from qsum_lsp.errors import EngineUnavailable
from tests.engines.torch.tiny import words
from training.adapter_file import write_adapter

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CPU = torch.device("cpu")


def make_adapter(folder: Path, path: Path) -> torch.Tensor:
    """Write a random adapter of every kind of matrix to ``path``; peft's logits [T, V] for a prompt with it."""
    torch.manual_seed(3)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=MODULES)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:  # what half precision holds exactly
                parameter.copy_((torch.randn_like(parameter) * 0.1).half().float())
        write_adapter(model, path, name="test")
        logits: torch.Tensor = model(torch.tensor([words(20, 0)])).logits[0]
        return logits


def test_merged_weights_compute_what_peft_computes(qwen: Path, tmp_path: Path) -> None:
    path = tmp_path / "adapter.gguf"
    expected = make_adapter(qwen, path)
    model = AutoModelForCausalLM.from_pretrained(qwen)
    adapter = AdapterWeights(path)
    plain = model(torch.tensor([words(20, 0)])).logits[0]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(adapter.merged(name, parameter))
    torch.testing.assert_close(model(torch.tensor([words(20, 0)])).logits[0], expected, rtol=1e-4, atol=1e-4)
    assert (plain - expected).abs().max() > 0.1


def test_the_engine_fuses_merged_weights(qwen: Path, tmp_path: Path) -> None:
    path = tmp_path / "adapter.gguf"
    make_adapter(qwen, path)
    shape, adapter = ModelShape.read(qwen), AdapterWeights(path)
    plain = load_model(qwen, shape, CPU, quantization="none", context=64)
    adapted = load_model(qwen, shape, CPU, quantization="none", context=64, adapter=adapter)
    reference = AutoModelForCausalLM.from_pretrained(qwen).state_dict()
    states = torch.eye(shape.hidden)
    for index in range(shape.layers):
        prefix = f"model.layers.{index}.mlp."
        names = [f"{prefix}gate_proj.weight", f"{prefix}up_proj.weight"]
        expected = torch.cat([adapter.merged(name, reference[name]) for name in names]).T
        torch.testing.assert_close(adapted.layers[index].gate_up(states), expected)
        assert not torch.equal(plain.layers[index].gate_up(states), expected)


def test_cached_summaries_of_model_and_adapter_are_apart(qwen: Path) -> None:
    source = ModelSource.find(str(qwen))
    digests = {
        replace(source, adapter=adapter).digest()
        for adapter in (None, models.Adapter("a.gguf", "1" * 64), models.Adapter("a.gguf", "2" * 64))
    }
    assert len(digests) == 3


def test_a_file_that_is_no_adapter(tmp_path: Path) -> None:
    path = tmp_path / "adapter.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 60)
    with pytest.raises(EngineUnavailable, match="no adapter in GGUF form"):
        AdapterWeights(path)
