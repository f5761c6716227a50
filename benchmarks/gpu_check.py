"""Is what the GPU says right? Graph against eager, teacher forcing against float32, batch mates, memory.

    python -m benchmarks.gpu_check MODEL_FOLDER [--data PAGES.jsonl] --out check.json

Without ``--data`` the prompts are random tokens. Needs transformers for the float32 and bfloat16 references.
"""

import argparse
import asyncio
import json
import random
from pathlib import Path
from typing import Any

import torch

from qsum_lsp.engines.protocol import GenerationRequest, Message
from qsum_lsp.engines.torch import TorchEngine, TorchOptions
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.sequence import RunningSequence
from qsum_lsp.engines.torch.step import DecodeStep

NEW = 64


def prompts_of(data: Path | None, count: int) -> list[str]:
    """Texts to continue: sections of real pages, or random words of a random model."""
    chance = random.Random(5)
    if data is None:
        return [
            " ".join(f"w{chance.randrange(150000)}" for _ in range(chance.randrange(200, 700)))
            for _ in range(count)
        ]
    texts: list[str] = []
    for line in data.read_text(encoding="utf-8").splitlines():
        page = json.loads(line)
        text = page["body"]
        texts += [part for part in text.split("\n## ") if 400 < len(part) < 4000]
    return [f"{text}\n\nSummarise this in one or two short sentences." for text in texts[:count]]


def request(text: str, new: int = NEW) -> GenerationRequest:
    """One user message."""
    return GenerationRequest(messages=(Message("user", text),), source=text, max_new_tokens=new)


async def warm(engine: TorchEngine) -> Runner:
    """Load, wait until everything is optimised, and hand out the runner."""
    await engine.load()
    while engine.warming:
        await asyncio.sleep(0.1)
    assert engine._loaded is not None
    assert isinstance(engine._loaded.executor, Runner)
    return engine._loaded.executor


def forced(runner: Runner, step: DecodeStep, sequences: list[list[int]], starts: list[int]) -> torch.Tensor:
    """The picks [rows, NEW] of ``step``'s forward pass when the history is given; the first comes from the prefill."""
    state = runner.state
    from qsum_lsp.engines.torch.executor import PrefillPart

    parts, page = [], 1
    for slot, (sequence, start) in enumerate(zip(sequences, starts, strict=True)):
        pages = list(range(page, page + len(sequence) // 16 + 2))
        page = pages[-1] + 1
        running = RunningSequence(
            prompt=sequence[:start], limit=len(sequence) + 1, priority=0,
            on_tokens=lambda _: None, on_finish=lambda _: None, on_failure=lambda _: None, slot=slot, pages=pages,
        )  # fmt: skip
        parts.append(PrefillPart(running, 0, start, first=True))
    first = torch.tensor(runner.prefill(parts).wait())
    picks = [first[:, 0]]
    rows = torch.arange(len(sequences), device=state.device)
    for slot, sequence in enumerate(sequences):
        state.history[slot, : len(sequence)] = torch.tensor(sequence, dtype=torch.int32)
    state.done[rows] = 0
    step.rows.copy_(rows)
    begins = torch.tensor(starts, device=state.device)
    for ahead in range(NEW - 1):
        positions = (begins + ahead)[:, None]
        tokens = state.history[rows[:, None], positions].long()
        state.length[rows] = (positions[:, 0] + 1).int()
        with torch.inference_mode():
            picks.append(step.forward(rows, tokens, positions)[:, 0].cpu().clone())
    return torch.stack(picks, dim=1)


def reference_picks(folder: Path, sequences: list[list[int]], starts: list[int], dtype: torch.dtype) -> Any:
    """What transformers picks at the same places, and how far the best two logits are apart."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).cuda().eval()
    picks, margins = [], []
    for sequence, start in zip(sequences, starts, strict=True):
        with torch.inference_mode():
            logits = (
                model(torch.tensor([sequence], device="cuda")).logits[0, start - 1 : start - 1 + NEW].float()
            )
        top = logits.topk(2).values
        picks.append(logits.argmax(dim=-1).cpu())
        margins.append((top[:, 0] - top[:, 1]).cpu())
    del model
    torch.cuda.empty_cache()
    return torch.stack(picks), torch.stack(margins)


async def main() -> None:
    """Run all checks and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--no-reference", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    texts = prompts_of(arguments.data, 64)
    options = TorchOptions(
        model=str(arguments.model), device="cuda", speculation="prompt-lookup", max_batch=64
    )
    engine = TorchEngine(options)
    runner = await warm(engine)
    found["engine"] = engine.status().detail

    alone = [await engine.generate(request(text)) for text in texts]
    together = await asyncio.gather(*(engine.generate(request(text)) for text in texts))
    eights = []
    for start in range(0, 64, 8):
        eights += await asyncio.gather(*(engine.generate(request(text)) for text in texts[start : start + 8]))
    found["same text, alone (speculative) and 64 at once"] = sum(
        a.text == b.text for a, b in zip(alone, together, strict=True)
    )
    found["same text, 8 at once and 64 at once"] = sum(
        a.text == b.text for a, b in zip(eights, together, strict=True)
    )
    found["of"] = len(texts)

    assert engine._loaded is not None
    tokenizer = engine._loaded.tokenizer
    sequences, starts = [], []
    for text, completion in zip(texts, together, strict=True):
        prompt = tokenizer.encode_chat((Message("user", text),))
        answer = tokenizer.encode_chat((Message("user", completion.text),))
        answer = (
            (answer * NEW)[:NEW]
            if arguments.data is None
            else tokenizer._tokenizer.encode(completion.text).ids
        )
        sequences.append(prompt + (answer + [0] * NEW)[:NEW])
        starts.append(len(prompt))
    reference = None
    if not arguments.no_reference:
        reference, margins = reference_picks(arguments.model, sequences, starts, torch.float32)
        theirs, _ = reference_picks(arguments.model, sequences, starts, torch.bfloat16)
        found["forced: transformers bf16 = float32"] = float((theirs == reference).float().mean())
    for batch in (1, 8, 64):
        picks = []
        key = runner.steps.key(batch, 1, 1024, optimised=True)
        step = runner.steps.get(key)
        eager = runner.steps.get(runner.steps.key(batch, 1, 2048, optimised=False))
        plain = []
        for begin in range(0, len(sequences) if batch > 1 else 8, batch):
            chosen = slice(begin, begin + batch)
            picks.append(forced(runner, step, sequences[chosen], starts[chosen]))
            if begin < 8:
                plain.append(forced(runner, eager, sequences[chosen], starts[chosen]))
        mine = torch.cat(picks)
        own = torch.cat(plain)
        found[f"forced: kernels = eager, {batch} rows"] = float((mine[: len(own)] == own).float().mean())
        if reference is not None:
            same = mine == reference[: len(mine)]
            found[f"forced: kernels = float32, {batch} rows"] = float(same.float().mean())
            found[f"forced: transformers bf16 = float32, the same {len(mine)}"] = float(
                (theirs[: len(mine)] == reference[: len(mine)]).float().mean()
            )
            wrong = margins[: len(mine)][~same]
            found[f"largest margin at a difference, {batch} rows"] = float(wrong.max()) if len(wrong) else 0.0

    # graph against the same kernels launched one by one: not a bit may differ
    differences = 0
    for batch in (1, 8, 64):
        key = runner.steps.key(batch, 1, 1024, optimised=True)
        step = runner.steps.get(key)
        step.rows.copy_(torch.arange(batch, device="cuda"))
        histories = []
        for graphed in (True, False):
            for _slot in range(batch):
                runner.state.length[:batch] = 17
                runner.state.limit[:batch] = 200
                runner.state.done[:batch] = 0
            with torch.inference_mode():
                for _ in range(32):
                    if graphed:
                        runner.steps.run(key, step)
                    else:
                        step.run()
            torch.cuda.synchronize()
            histories.append(runner.state.history[:batch, :49].clone())
        differences += int((histories[0] != histories[1]).sum())
    found["tokens that differ, graph and the same kernels launched"] = differences

    before = torch.cuda.memory_allocated(), engine._scheduler.free_pages if engine._scheduler else 0
    for round_ in range(40):
        tasks = [asyncio.create_task(engine.generate(request(texts[n], 200))) for n in range(25)]
        await asyncio.sleep(0.01 * (round_ % 4))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await engine.generate(request(texts[0]))
    await asyncio.sleep(0.5)  # the last step launched still holds the last request's pages
    after = torch.cuda.memory_allocated(), engine._scheduler.free_pages if engine._scheduler else 0
    found["bytes allocated before and after 1,000 cancelled requests"] = [before[0], after[0]]
    found["free pages before and after"] = [before[1], after[1]]
    await engine.aclose()
    arguments.out.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    with torch.inference_mode():
        asyncio.run(main())
