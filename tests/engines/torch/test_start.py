"""What happens before and while a model is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from qsum_lsp.engines.torch import ahead, gguf_file, weights
from qsum_lsp.engines.torch.shape import ModelShape
from qsum_lsp.engines.torch.source import ModelSource
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


def test_a_gguf_file_is_converted_anew_where_another_of_its_name_and_size_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[bytes] = []

    def convert(gguf: Path, folder: Path) -> None:
        converted.append(gguf.read_bytes())
        folder.mkdir()
        (folder / "config.json").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(gguf_file, "convert", convert)
    for run, weights_of_run in (("first", b"{1}"), ("second", b"{2}"), ("first", b"{1}"), ("first", b"{3}")):
        (tmp_path / run).mkdir(exist_ok=True)
        path = tmp_path / run / "model.gguf"
        path.write_bytes(weights_of_run)
        source = ModelSource.find(str(path))
        assert (source.fetch() / "config.json").read_bytes() == weights_of_run
        assert source.config_path == source.fetch() / "config.json"
    assert converted == [b"{1}", b"{2}", b"{3}"]


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
