"""Answer every page in every way, with the torch engine loaded once.

Usage: ``python -m benchmarks.strategies.generate MODEL PAGES OUT [--adapter FILE] [--context 1024]``. MODEL is a GGUF file or a
folder, PAGES has ``body``, ``description``, ``title``, ``repo`` and ``path`` a line. OUT gets WAY.jsonl, as ``qsum eval --from`` reads
it, ``costs.json`` with the seconds and tokens of each way, and ``prompts.jsonl`` for ``training.answer --samples``.
"""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.strategies.ways import (
    OPTIONS,
    Narrow,
    Subject,
    by_strategy,
    neighbours,
    request,
    room_of,
    subjects,
    tree,
    truncated,
    with_examples,
)
from qsum_lsp.engines.protocol import Engine
from qsum_lsp.evaluation.pages import read_pages
from qsum_lsp.evaluation.predictions import Prediction, append_prediction, start_predictions
from qsum_lsp.settings.values import Strategy
from qsum_lsp.summaries.prompt import PromptInput, build_prompt

CUTTING: tuple[Strategy, ...] = ("semantic", "sliding", "hierarchical")
Way = Callable[[Subject], Awaitable[Prediction]]


def main() -> None:
    """Load the engine, and take one way after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("pages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument(
        "--context", type=int, default=1024, help="tokens of the context that long pages do not fit"
    )
    parser.add_argument("--ways", nargs="*", help="only these")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found = subjects(read_pages(args.pages), args.pages)
    write_prompts(found, args.out / "prompts.jsonl")
    from qsum_lsp.engines.torch import TorchEngine, TorchOptions

    async def run() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = merged(args.model, args.adapter, Path(scratch)) if args.adapter else args.model
            engine = TorchEngine(TorchOptions(model=str(folder)))
            try:
                await measure(engine, found, args.out, context=args.context, only=args.ways)
            finally:
                await engine.aclose()

    asyncio.run(run())


def write_prompts(found: Sequence[Subject], path: Path) -> None:
    """The product's request for each page, for several answers to one prompt."""
    with path.open("w", encoding="utf-8") as sink:
        for subject in found:
            prompt = build_prompt(
                PromptInput(
                    headings=subject.node.headings,
                    markdown=subject.node.content(),
                    max_chars=OPTIONS.page_max_chars,
                    is_page=True,
                )
            )
            messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
            sink.write(json.dumps({"id": subject.page.id, "messages": messages}, ensure_ascii=False) + "\n")


async def measure(
    engine: Engine, found: Sequence[Subject], out: Path, *, context: int, only: Sequence[str] | None = None
) -> None:
    """Each way over its pages, all pages of a way at once."""
    narrow = Narrow(engine, context)
    room = await room_of(narrow)
    counts = await engine.count_tokens([subject.node.content() for subject in found])
    # a page with a sentence for itself gets that one from every strategy
    cut = [
        one for one, count in zip(found, counts, strict=True) if count > room and not one.has_own_statement
    ]
    print(
        f"{len(cut)} of {len(found)} pages are over {room} tokens and have no sentence for themselves",
        flush=True,
    )
    parted = [subject for subject in found if len(subject.node.children) > 1]
    ways: list[tuple[str, Sequence[Subject], Way]] = [
        ("product", found, lambda one: by_strategy(engine, one, one.options)),
        ("request", found, lambda one: request(engine, one)),
        ("tree", parted, lambda one: tree(engine, one)),
        (f"truncated-{context}", cut, lambda one: truncated(narrow, one)),
        (f"headings-{context}", [one for one in cut if one in parted], lambda one: tree(narrow, one)),
        *(
            (f"{name}-{context}", cut, lambda one, name=name: by_strategy(narrow, one, replace(one.options, strategy=name)))
            for name in CUTTING
        ),
        *(
            (
                f"examples-{count}",
                [one for one in found if neighbours(one, found, 1)],
                lambda one, count=count: request(engine, one, change=with_examples(neighbours(one, found, count))),
            )
            for count in (3, 6)
        ),
    ]  # fmt: skip
    await request(engine, found[0])  # loads the model
    costs: dict[str, dict[str, float]] = {}
    for name, pages, way in ways:
        if (only and name not in only) or not pages:
            continue
        started = time.perf_counter()
        made = await asyncio.gather(*(way(one) for one in pages))
        seconds = time.perf_counter() - started
        start_predictions(out / f"{name}.jsonl")
        for one in made:
            append_prediction(replace(one, seconds=round(seconds / len(made), 4)), out / f"{name}.jsonl")
        costs[name] = {
            "pages": len(made),
            "seconds": round(seconds, 2),
            "prompt tokens": sum(one.prompt_tokens for one in made),
            "new tokens": sum(one.new_tokens for one in made),
        }
        print(name, costs[name], flush=True)
        (out / "costs.json").write_text(json.dumps(costs, indent=1), "utf-8")


def merged(model: Path, adapter: Path, folder: Path) -> Path:
    """``folder`` filled with the weights of ``model`` and the adapter's updates added to them."""
    from safetensors.torch import load_file, save_file

    from qsum_lsp.engines.torch.adapter import AdapterWeights
    from qsum_lsp.engines.torch.source import convert_gguf

    base = convert_gguf(model) if model.suffix == ".gguf" else model
    weights = AdapterWeights(adapter)
    for file in base.iterdir():
        if file.suffix == ".safetensors":
            tensors = {name: weights.merged(name, tensor) for name, tensor in load_file(file).items()}
            save_file(tensors, folder / file.name, metadata={"format": "pt"})
        elif file.is_file():
            shutil.copy(file, folder / file.name)
    return folder


if __name__ == "__main__":
    main()
