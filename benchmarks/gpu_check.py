"""Is what the GPU says right? Batch mates, teacher forcing against float32, recorded steps, memory.

    python -m benchmarks.gpu_check MODEL_FOLDER [--data PAGES.jsonl] --out check.json [--parts …]

Without ``--data`` the prompts are random tokens. Needs transformers for the float32 and bfloat16 references. The file
is written after every part, and a part that fails leaves the others alone. On a machine without CUDA everything runs
on the CPU, which tells only whether the script works.
"""

import argparse
import asyncio
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qsum_lsp.engines.protocol import GenerationRequest, Message
from qsum_lsp.engines.torch import TorchEngine, TorchOptions
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.sequence import RunningSequence
from qsum_lsp.engines.torch.step import DecodeStep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NEW = 48
COUNT = 64
TIE = 0.125
"""Logits from 16 to 32 are this far apart in bfloat16; answers whose best two are no farther apart may differ."""

PARTS = ("mates", "recorded", "forced", "cancelled")


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


class Reference:
    """What transformers says about the same tokens."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        from transformers import AutoModelForCausalLM

        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(DEVICE).eval()

    def logits(self, tokens: list[int], start: int) -> torch.Tensor:
        """Logits [n, vocabulary] after each token from the one before ``start`` on, without the last token's."""
        with torch.inference_mode():
            keep = len(tokens) - start + 1
            output = self._model(torch.tensor([tokens], device=DEVICE), logits_to_keep=keep)
            logits: torch.Tensor = output.logits[0, :-1].float()
            return logits


class Check:
    """One warm engine, the texts it is asked about, and what was found."""

    def __init__(self, engine: TorchEngine, runner: Runner, folder: Path, texts: list[str]) -> None:
        self.engine, self.runner, self.folder, self.texts = engine, runner, folder, texts
        loaded, scheduler = engine.device_thread.loaded, engine.device_thread.scheduler
        assert loaded is not None
        assert scheduler is not None
        self.tokenizer, self.scheduler = loaded.tokenizer, scheduler
        self._sequences: dict[tuple[int, ...], RunningSequence] = {}
        submit = self.scheduler.submit

        def remember(sequence: RunningSequence) -> None:
            self._sequences[tuple(sequence.prompt)] = sequence
            submit(sequence)

        self.scheduler.submit = remember  # type: ignore[method-assign]
        self.prompts = [self.tokenizer.encode_chat((Message("user", text),)) for text in texts]
        self.together: list[list[int]] = []
        self.first: dict[int, int] = {}
        self._references: dict[torch.dtype, Reference] = {}

    def reference(self, dtype: torch.dtype) -> Reference:
        """Transformers' model in ``dtype``."""
        if dtype not in self._references:
            self._references[dtype] = Reference(self.folder, dtype)
        return self._references[dtype]

    async def answers(self, indices: list[int]) -> list[list[int]]:
        """The tokens of the answers to some of the texts, asked for at once."""
        requests = [
            GenerationRequest(messages=(Message("user", self.texts[i]),), source=self.texts[i], max_new_tokens=NEW)
            for i in indices
        ]  # fmt: skip
        await asyncio.gather(*(self.engine.generate(request) for request in requests))
        return [self._sequences[tuple(self.prompts[i])].answer for i in indices]

    async def mates(self) -> dict[str, Any]:
        """How many answers change with the requests beside them, and how near the two choices were."""
        every = list(range(len(self.texts)))
        self.together = await self.answers(every)
        ways = {"64 at once, again": await self.answers(every), "8 at once": [], "alone, prompt lookup": []}
        for start in range(0, len(every), 8):
            ways["8 at once"] += await self.answers(every[start : start + 8])
        for index in every:
            ways["alone, prompt lookup"] += await self.answers([index])
        found: dict[str, Any] = {}
        for name, answers in ways.items():
            pairs = list(zip(self.prompts, self.together, answers, strict=True))
            gaps = [self.gap(*pair) for pair in pairs if pair[1] != pair[2]]
            found[f"{name} against 64 at once"] = {
                "answers": len(answers),
                "that differ": len(gaps),
                f"by a tie in bfloat16 (logits at most {TIE} apart)": sum(gap <= TIE for gap in gaps),
                "logit gaps at the first difference": sorted(round(gap, 3) for gap in gaps),
            }
        return found

    def gap(self, prompt: list[int], one: list[int], other: list[int]) -> float:
        """How far apart float32 sees the two tokens with which two answers begin to differ."""
        at = next(
            (i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
            min(len(one), len(other)),
        )
        if at >= min(len(one), len(other)):
            return float("inf")  # one answer goes on where the other ended without a stop token
        tokens = prompt + one[: at + 1]
        logits = self.reference(torch.float32).logits(tokens, len(tokens) - 1)[-1]
        return abs(float(logits[one[at]] - logits[other[at]]))

    async def recorded(self) -> dict[str, Any]:
        """Tokens that differ between recorded steps and the same kernels launched one by one; must be 0."""
        runner, state = self.runner, self.runner.state
        found = {}
        for batch in (1, 8, COUNT):
            self.prefilled([prompt[:200] for prompt in self.prompts[:batch]])
            key = runner.steps.key(batch, 1, 1024, optimised=True)
            runner.steps.capture(key)
            step = runner.steps.get(key)
            step.rows.copy_(torch.arange(batch, device=DEVICE))
            histories = []
            for recorded in (True, False):
                state.length[:batch] = 17
                state.limit[:batch] = 200
                state.done[:batch] = 0
                synchronize()
                for _ in range(32):
                    if recorded:
                        runner.steps.run(key, step)
                    else:
                        step.run()
                synchronize()
                histories.append(state.history[:batch, :49].clone())
            state.done[:batch] = 1
            found[f"{batch} rows, of {batch * 32} tokens"] = int((histories[0] != histories[1]).sum())
        self.forget()
        return found

    def prefilled(self, prompts: list[list[int]]) -> None:
        """Prompts in the cache, one a slot, eight a pass."""
        page, state = 1, self.runner.state
        for begin in range(0, len(prompts), 8):
            parts = []
            for slot, prompt in list(enumerate(prompts))[begin : begin + 8]:
                pages = list(range(page, page + (len(prompt) + NEW) // 16 + 2))
                page = pages[-1] + 1
                running = RunningSequence(
                    prompt=prompt, limit=len(prompt) + NEW, priority=0, on_tokens=lambda _: None,
                    on_finish=lambda _: None, on_failure=lambda _: None, slot=slot, pages=pages,
                )  # fmt: skip
                parts.append(PrefillPart(running, 0, len(prompt), first=True))
            for part, row in zip(parts, self.runner.prefill(parts).wait(), strict=True):
                self.first[part.sequence.slot] = row[0]
        synchronize()
        assert page <= self.runner.pages
        state.done[: len(prompts)] = 1

    def forget(self) -> None:
        """The engine's pages were overwritten: what it shared is void."""
        self.scheduler._pool.clear()

    def picks(self, step: DecodeStep, indices: list[int]) -> torch.Tensor:
        """What the engine picks at each place of the answers [len(indices), NEW], the answer so far being given."""
        state, count = self.runner.state, len(indices)
        self.prefilled([self.prompts[i] for i in indices])
        rows = torch.arange(count, device=DEVICE)
        for slot, index in enumerate(indices):
            whole = self.prompts[index] + self.together[index] + [0] * (NEW - len(self.together[index]))
            state.history[slot, : len(whole)] = torch.tensor(whole, dtype=torch.int32)
        state.done[:count] = 0
        step.rows.copy_(rows)
        begins = torch.tensor([len(self.prompts[i]) for i in indices], device=DEVICE)
        found = [torch.tensor([self.first[slot] for slot in range(count)])]
        for ahead in range(NEW - 1):
            places = (begins + ahead)[:, None]
            tokens = state.history[rows[:, None], places].long()
            state.length[:count] = (places[:, 0] + 1).int()
            found.append(step.forward(rows, tokens, places)[:, 0].cpu().clone())
        state.done[:count] = 1
        return torch.stack(found, dim=1)

    async def forced(self) -> dict[str, Any]:
        """The share of tokens that are float32's choice under teacher forcing: the engine's, and transformers' in bf16."""
        if not self.together:
            self.together = await self.answers(list(range(len(self.texts))))
        picks, margins = {}, torch.zeros(len(self.texts), NEW)
        inside = torch.zeros(len(self.texts), NEW, dtype=torch.bool)
        for dtype in (torch.float32, torch.bfloat16):
            model = self.reference(dtype)
            picks[dtype] = torch.zeros(len(self.texts), NEW, dtype=torch.long)
            for index, (prompt, answer) in enumerate(zip(self.prompts, self.together, strict=True)):
                logits = model.logits(prompt + answer, len(prompt))
                picks[dtype][index, : len(answer)] = logits.argmax(dim=-1).cpu()
                inside[index, : len(answer)] = True
                if dtype == torch.float32:
                    top = logits.topk(2).values
                    margins[index, : len(answer)] = (top[:, 0] - top[:, 1]).cpu()
        wanted, theirs = picks[torch.float32], picks[torch.bfloat16]
        found: dict[str, Any] = {}
        runner = self.runner
        for batch, count in ((1, 12), (8, COUNT), (COUNT, COUNT)):
            ways = {"kernels": runner.steps.get(runner.steps.key(batch, 1, 2048, optimised=True))}
            if batch == 8:
                ways["PyTorch"] = runner.steps.get(runner.steps.key(batch, 1, 2048, optimised=False))
            for name, step in ways.items():
                begins = range(0, min(count, len(self.texts)), batch)
                mine = torch.cat([self.picks(step, list(range(b, b + batch))) for b in begins])
                where = inside[: len(mine)]
                same = (mine == wanted[: len(mine)])[where]
                wrong = margins[: len(mine)][where][~same]
                found[f"{name}, {batch} rows"] = {
                    "tokens": int(where.sum()),
                    "as float32": round(float(same.float().mean()), 5),
                    "transformers' bf16 as float32, the same tokens": round(
                        float((theirs == wanted)[: len(mine)][where].float().mean()), 5
                    ),
                    "differ": len(wrong),
                    f"of these ties (at most {TIE} apart)": int((wrong <= TIE).sum()),
                    "farthest apart": round(float(wrong.max()), 4) if len(wrong) else 0.0,
                }
        self.forget()
        return found

    async def cancelled(self) -> dict[str, Any]:
        """Memory before and after 1,000 cancelled requests; the prefills recorded for new sizes are counted apart."""
        await self._cancel(10)
        before = await self._state()
        await self._cancel(40)
        return {"before": before, "after 1,000 cancelled requests": await self._state()}

    async def _cancel(self, rounds: int) -> None:
        for round_ in range(rounds):
            requests = [
                GenerationRequest(messages=(Message("user", text),), source=text, max_new_tokens=200)
                for text in self.texts[:25]
            ]
            tasks = [asyncio.create_task(self.engine.generate(request)) for request in requests]
            await asyncio.sleep(0.01 * (round_ % 4))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self.answers([0])

    async def _state(self) -> dict[str, int]:
        until = time.monotonic() + 10
        while not (self.scheduler.idle and not self.engine.warming) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        return {
            "bytes allocated": torch.cuda.memory_allocated() if DEVICE == "cuda" else 0,
            "bytes reserved": torch.cuda.memory_reserved() if DEVICE == "cuda" else 0,
            "free pages": self.scheduler.free_pages,
            "prefill graphs": len(self.runner.prefills._graphs),
        }


def synchronize() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


async def main() -> None:
    """Run the parts and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"torch": torch.__version__}
    if DEVICE == "cuda":
        found["device"] = torch.cuda.get_device_name()
    options = TorchOptions(
        model=str(arguments.model), device=DEVICE, speculation="prompt-lookup", max_batch=COUNT
    )
    engine = TorchEngine(options)
    begun = time.monotonic()
    await engine.load()
    while engine.warming and time.monotonic() < begun + 90:
        await asyncio.sleep(0.05)
    runner = engine.device_thread.runner
    assert runner is not None
    found |= {"engine": engine.status().detail, "warm-up s": round(time.monotonic() - begun, 1)}
    check = Check(engine, runner, arguments.model, prompts_of(arguments.data, COUNT))
    for name in arguments.parts:
        measure: Callable[[], Awaitable[dict[str, Any]]] = getattr(check, name)
        begun = time.monotonic()
        try:
            found[name] = await measure()
        except Exception as error:
            found[name] = f"failed: {error!r}"[:2000]
        print(name, round(time.monotonic() - begun, 1), "s", json.dumps(found[name], indent=1), flush=True)
        arguments.out.write_text(json.dumps(found, indent=1))
    await engine.aclose()


if __name__ == "__main__":
    with torch.inference_mode():
        asyncio.run(main())
