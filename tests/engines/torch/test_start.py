"""What happens before and while a model is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from qsum_lsp.engines.torch import ahead, weights
from qsum_lsp.engines.torch.shape import ModelShape
from tests.engines.torch.tiny import options

CPU = torch.device("cpu")


def test_work_ahead_imports_no_pytorch_and_needs_no_gpu(qwen: Path) -> None:
    code = (
        "import sys\n"
        "from qsum_lsp.engines.torch import TorchOptions, ahead\n"
        "threads = ahead.begin(TorchOptions(model=sys.argv[1]))\n"
        "for thread in threads: thread.join()\n"
        "print(len(threads), 'torch' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(qwen)], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("2 False\n", "")


def test_on_the_cpu_no_context_is_created(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(ahead, "create_context", asked.append)
    for device in ("cpu", "mps", "cuda:1", "auto"):
        for thread in ahead.begin(options(qwen, device=device)):
            thread.join()
    assert asked == [1, 0]


@pytest.mark.parametrize("sizes", [(1,), (7, 3), (50,), (25, 2), (333, 5)])
def test_upload_in_pieces(monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]) -> None:
    monkeypatch.setattr(weights, "PIECE", 100)
    upload = weights.Upload(CPU)
    tensors = [torch.randn(sizes).to(kind) for kind in (torch.bfloat16, torch.float32, torch.int8)]
    for tensor in (*tensors, *tensors):
        found = upload(tensor)
        assert torch.equal(found, tensor)
        assert found.data_ptr() != tensor.data_ptr()


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_a_model_laid_out_anew_is_the_same(qwen: Path, quantization: str) -> None:
    shape = ModelShape.read(qwen)
    model = weights.load_model(qwen, shape, CPU, quantization=quantization, context=64)
    before = {name: tensor.clone() for name, tensor in model.named_buffers()}
    weights.compact(model, CPU)
    after = dict(model.named_buffers())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert model.embedding.data_ptr() == model.head.weight.data_ptr()  # one tensor still
