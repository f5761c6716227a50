"""Real weights on real pages: speculation, and what each setting gives and costs.

    python -m benchmarks.gpu_real MODEL_FOLDER PAGES.jsonl --out real.json [--parts speculation settings] [--draft MODEL]

PAGES.jsonl has an object a line with ``body`` (Markdown) and ``description`` (its summary). The answers are kept
with the figures; ROUGE needs rouge-score.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from qsum_lsp.engines.protocol import GenerationRequest, Message
from qsum_lsp.engines.torch import TorchEngine, TorchOptions

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RULES = (
    "You write summaries of documentation. Use only facts stated in the text. Write plain prose: no lists, no "
    "headings, no code, no links. Never begin with 'This section' or 'This page'."
)
SETTINGS: dict[str, dict[str, Any]] = {
    "eager PyTorch (compile off)": {"compile": "off"},
    "attention sdpa": {"attention": "sdpa"},
    "attention eager": {"attention": "eager"},
    "nf4": {"quantization": "nf4"},
    "fp4": {"quantization": "fp4"},
    "int8": {"quantization": "int8"},
    "all: Triton kernels, graphs, flash attention": {},
}


def requests_of(pages: Path, count: int) -> tuple[list[GenerationRequest], list[str]]:
    """Requests over pages of 1,500 to 6,000 characters, and the summaries that their authors wrote."""
    found, references = [], []
    for line in pages.read_text(encoding="utf-8").splitlines():
        page = json.loads(line)
        if 1500 <= len(page["body"]) <= 6000 and page.get("description"):
            text = (
                f"<text>\n{page['body'].strip()}\n</text>\n\nSummarise the text in one or two short sentences, at most "
                "40 words. Answer with the summary only."
            )
            messages = (Message("system", RULES), Message("user", text))
            found.append(GenerationRequest(messages=messages, source=page["body"], max_new_tokens=96))
            references.append(page["description"])
    return found[:count], references[:count]


async def run(folder: Path, requests: list[GenerationRequest], **settings: Any) -> dict[str, Any]:
    """One request after the other: the answers, and the rate of decoding after the first token."""
    usual: dict[str, Any] = {"device": DEVICE, "speculation": "off", "max_batch": 1, "context_tokens": 8192}
    if DEVICE == "cuda":
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.reset_peak_memory_stats()
    engine = TorchEngine(TorchOptions(model=str(folder), **(usual | settings)))
    try:
        return await measured(engine, requests)
    finally:
        await engine.aclose()


async def measured(engine: TorchEngine, requests: list[GenerationRequest]) -> dict[str, Any]:
    """What ``run`` finds on ``engine``."""
    await engine.load()
    begun = time.perf_counter()
    await engine.generate(requests[0])
    while engine.warming and time.perf_counter() < begun + 60:
        await asyncio.sleep(0.05)
    warm_up = time.perf_counter() - begun
    await engine.generate(requests[1])
    answers, first, tokens, seconds, whole, tails = [], [], 0, 0.0, [], []
    for request in requests:
        stamps: list[float] = []
        begun = time.perf_counter()
        done = await engine.generate(request, on_text=lambda _, s=stamps: s.append(time.perf_counter()))
        whole.append(time.perf_counter() - begun)
        first.append(stamps[0] - begun)
        tokens += done.new_tokens - 1
        seconds += whole[-1] - first[-1]
        tails.append(begun + whole[-1] - stamps[-1])
        answers.append(done.text)
    detail = engine.status().detail
    peak = torch.cuda.max_memory_allocated() / 1e6 if DEVICE == "cuda" else 0.0
    return {
        "engine": detail,
        "decode tok/s": tokens / seconds,
        "new tokens": tokens + len(requests),
        "first token ms": statistics.median(first) * 1000,
        "whole ms": statistics.median(whole) * 1000,
        "after the last text ms": statistics.median(tails) * 1000,
        "peak MB": peak,
        "warm-up s": warm_up,
        "answers": answers,
    }


def rouge(references: list[str], answers: list[str]) -> dict[str, float]:
    """ROUGE-1 and ROUGE-L of the answers; nothing where rouge-score is missing."""
    from qsum_lsp.errors import UsageError
    from qsum_lsp.evaluation.measures import Rouge

    try:
        scores = Rouge().scores(references[: len(answers)], answers)
    except UsageError:
        return {}
    return {name: round(float(scores[name].mean()), 2) for name in ("ROUGE-1", "ROUGE-L")}


async def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("pages", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="*", default=["speculation", "settings"])
    parser.add_argument("--draft", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}

    async def measure(name: str, requests: list[GenerationRequest], **settings: Any) -> None:
        begun = time.perf_counter()
        try:
            found = await run(arguments.model, requests, **settings)
            results[name] = found | rouge(references, found["answers"])
            off = results.get("speculation off")
            if settings.get("speculation") and isinstance(off, dict):
                pairs = zip(found["answers"], off["answers"], strict=False)
                results[name]["same answers"] = sum(a == b for a, b in pairs)
                results[name]["times speculation off"] = found["decode tok/s"] / off["decode tok/s"]
            print(name, {k: v for k, v in results[name].items() if k != "answers"}, flush=True)
        except Exception as error:
            results[name] = f"failed: {type(error).__name__}: {error}"[:1000]
            print(name, results[name], flush=True)
        print(round(time.perf_counter() - begun, 1), "s", flush=True)
        arguments.out.write_text(json.dumps(results, indent=1))

    many, references = requests_of(arguments.pages, 40)
    results["references"] = references
    if "speculation" in arguments.parts:
        await measure("speculation off", many)
        for drafts in (3, 4, 7, 15):
            name = f"prompt lookup, {drafts} drafts"
            await measure(name, many, speculation="prompt-lookup", draft_tokens=drafts)
        for drafts in (3, 7) if arguments.draft else ():
            name = f"draft model, {drafts} drafts"
            draft = str(arguments.draft)
            await measure(name, many[:15], speculation="draft", draft_model=draft, draft_tokens=drafts)
    if "settings" in arguments.parts:
        for name, settings in SETTINGS.items():
            await measure(name, many[:10], **settings)


if __name__ == "__main__":
    with torch.inference_mode():
        asyncio.run(main())
