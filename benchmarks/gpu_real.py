"""Real weights on real pages: speculation, and what each setting gives and costs.

    python -m benchmarks.gpu_real MODEL_FOLDER PAGES.jsonl --out real.json [--parts speculation settings]

PAGES.jsonl has an object a line with ``body`` (Markdown) and ``description`` (its summary). The answers are kept
with the figures, so that ROUGE can be computed from the file.
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
    usual: dict[str, Any] = {"device": "cuda", "speculation": "off", "max_batch": 1, "context_tokens": 8192}
    torch.cuda.reset_peak_memory_stats()
    engine = TorchEngine(TorchOptions(model=str(folder), **(usual | settings)))
    await engine.load()
    begun = time.perf_counter()
    await engine.generate(requests[0])
    while engine.warming:
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
    peak = torch.cuda.max_memory_allocated() / 1e6
    await engine.aclose()
    torch.cuda.set_per_process_memory_fraction(1.0)
    return {
        "engine": detail,
        "decode tok/s": tokens / seconds,
        "first token ms": statistics.median(first) * 1000,
        "whole ms": statistics.median(whole) * 1000,
        "after the last text ms": statistics.median(tails) * 1000,
        "peak MB": peak,
        "warm-up s": warm_up,
        "answers": answers,
    }


async def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("pages", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="*", default=["speculation", "settings"])
    arguments = parser.parse_args()
    results: dict[str, Any] = {}

    async def measure(name: str, requests: list[GenerationRequest], **settings: Any) -> None:
        try:
            results[name] = await run(arguments.model, requests, **settings)
            print(name, {k: v for k, v in results[name].items() if k != "answers"}, flush=True)
        except Exception as error:
            results[name] = f"failed: {type(error).__name__}: {error}"[:1000]
            print(name, results[name], flush=True)
        arguments.out.write_text(json.dumps(results, indent=1))

    many, references = requests_of(arguments.pages, 40)
    results["references"] = references
    if "speculation" in arguments.parts:
        await measure("speculation off", many)
        for drafts in (7, 15):
            name = f"prompt lookup, {drafts} drafts"
            await measure(name, many, speculation="prompt-lookup", draft_tokens=drafts)
            if isinstance(results[name], dict):
                pairs = zip(results[name]["answers"], results["speculation off"]["answers"], strict=True)
                results[name]["same answers"] = sum(a == b for a, b in pairs)
                print(name, "same answers", results[name]["same answers"], "of", len(many), flush=True)
    if "settings" in arguments.parts:
        for name, settings in SETTINGS.items():
            await measure(name, many[:10], **settings)


if __name__ == "__main__":
    with torch.inference_mode():
        asyncio.run(main())
