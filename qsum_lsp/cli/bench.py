"""``qsum bench``: how fast the engine is on this machine, setting by setting."""

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import click
import psutil

from qsum_lsp.cli.options import Overrides
from qsum_lsp.cli.terminal import say_error
from qsum_lsp.engines.protocol import Engine, EngineFailed, GenerationRequest, Message
from qsum_lsp.errors import QsumError
from qsum_lsp.service import create_local_engine, engine_name
from qsum_lsp.settings import Settings
from qsum_lsp.text.sentences import split_sentences

CURRENT: dict[str, Any] = {
    "quantization": "fp4",
    "attention": "sdpa",
    "compile": "default",
    "speculation": "off",
}
"""What the speed-ups are measured against: 4-bit weights and torch.compile in its default mode, one at a time."""

TECHNIQUES: dict[str, dict[str, Any]] = {
    "current": {},
    "no compile": {"compile": "off"},
    "compile reduce-overhead": {"compile": "reduce-overhead"},
    "compile max-autotune": {"compile": "max-autotune"},
    "own kernels and graphs": {"compile": "auto"},
    "eager attention": {"attention": "eager"},
    "flash-attn 2": {"attention": "flash_attention_2"},
    "fastest attention": {"attention": "auto"},
    "bf16 weights": {"quantization": "none"},
    "nf4 weights": {"quantization": "nf4"},
    "int8 weights": {"quantization": "int8"},
    "prompt lookup": {"speculation": "prompt-lookup"},
    "draft model": {"speculation": "draft"},
    "all defaults": dict.fromkeys(CURRENT, "auto"),
}
LENGTHS = {"short": 100, "medium": 400, "long": 1500}
"""Words of the texts to summarise."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: seconds to load and warm up, then medians over repeats by length of the text."""

    name: str
    load_seconds: float
    memory_mib: float
    lengths: Mapping[str, Mapping[str, float]]
    together: float
    detail: str
    rouge_1: float | None = None
    rouge_l: float | None = None


@click.command()
@click.option("--model", metavar="M", help="An alias, a path, or a hub name.")
@click.option("--engine", type=click.Choice(["auto", "llama", "torch"]), help="What runs the model.")
@click.option("--only", multiple=True, type=click.Choice(list(TECHNIQUES)), help="Measure these rows alone.")
@click.option("--pages", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="DATA.jsonl",
              help="Pages with body and description: adds ROUGE-1 and ROUGE-L.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write bench.json, bench.md and bench.svg there.")  # fmt: skip
def bench(
    model: str | None, engine: str | None, only: Sequence[str], pages: Path | None, out: Path | None
) -> None:
    """Measure the engine on this machine: each technique alone, then all together."""
    settings = Overrides.of(model=model, engine=engine).settings_for(Path.cwd()).values
    rows = TECHNIQUES if engine_name(settings) == "torch" else {"as configured": {}}
    chosen = {name: rows[name] for name in only or rows if name in rows}
    lines = pages.read_text(encoding="utf-8").splitlines()[:20] if pages else None
    texts = [json.loads(line) for line in lines] if lines is not None else None
    measured: list[Measured] = []
    for name, changes in chosen.items():
        if name == "draft model" and settings.draft_model is None:
            say_error("draft model: not measured, because draft_model is not set")
            continue
        variant = replace(settings, **CURRENT | changes) if name in TECHNIQUES else settings
        try:
            measured.append(asyncio.run(_measure(name, variant, texts)))
        except (QsumError, EngineFailed) as error:
            say_error(f"{name}: {error}")
            continue
        click.echo(
            to_markdown(measured[-1:]) if len(measured) == 1 else to_markdown(measured[-1:]).splitlines()[-1]
        )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        rows_json = [{field: getattr(row, field) for field in Measured.__slots__} for row in measured]
        (out / "bench.json").write_text(json.dumps(rows_json, indent=1), encoding="utf-8")
        (out / "bench.md").write_text(to_markdown(measured) + "\n", encoding="utf-8")
        (out / "bench.svg").write_text(to_svg(measured), encoding="utf-8")


async def _measure(name: str, settings: Settings, pages: Sequence[Mapping[str, str]] | None) -> Measured:
    engine = create_local_engine(settings)
    try:
        begun = time.perf_counter()
        await engine.generate(_request(LENGTHS["medium"], 0))
        while "getting faster" in engine.status().detail:  # noqa: ASYNC110 - the engine has no event for it
            await asyncio.sleep(0.2)
        load = time.perf_counter() - begun
        lengths = {length: await _alone(engine, words) for length, words in LENGTHS.items()}
        begun = time.perf_counter()
        await asyncio.gather(*(engine.generate(_request(LENGTHS["medium"], 50 + n)) for n in range(8)))
        together = 8 / (time.perf_counter() - begun)
        status = engine.status()
        memory = status.memory_bytes or psutil.Process().memory_info().rss
        quality = await _quality(engine, pages) if pages is not None else {}
        return Measured(name, load, memory / (1 << 20), lengths, together, status.detail, **quality)
    finally:
        await engine.aclose()


async def _alone(engine: Engine, words: int) -> dict[str, float]:
    first, rates, whole = [], [], []
    for repeat in range(4):
        stamps: list[float] = []
        begun = time.perf_counter()

        def note(_text: str, seen: list[float] = stamps) -> None:
            seen.append(time.perf_counter())

        done = await engine.generate(_request(words, 10 + repeat), on_text=note)
        whole.append(time.perf_counter() - begun)
        if stamps and done.new_tokens > 1 and stamps[-1] > stamps[0]:
            first.append(stamps[0] - begun)
            rates.append((done.new_tokens - 1) / (stamps[-1] - stamps[0]))
    return {
        "first token ms": statistics.median(first) * 1000 if first else 0.0,
        "tok/s": statistics.median(rates) if rates else 0.0,
        "whole ms": statistics.median(whole) * 1000,
    }


def _request(words: int, seed: int) -> GenerationRequest:
    subjects = ("the parser", "the cache", "a worker", "the index", "this option", "the server", "a client")
    verbs = ("reads", "checks", "stores", "sends", "rejects", "renames", "compresses")
    objects = ("each record", "the settings file", "old entries", "every request", "the result", "its state")
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < words:
        n = len(sentences) * 5 + seed
        sentences.append(f"In step {n}, {subjects[n % 7]} {verbs[n // 2 % 7]} {objects[n // 3 % 6]}.")
    text = " ".join(sentences)
    question = f"{text}\n\nSummarise the text above in two sentences."
    return GenerationRequest(messages=(Message("user", question),), source=text, max_new_tokens=96)


async def _quality(engine: Engine, pages: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Means over the pages that have a description. Raises UsageError where rouge-score is missing."""
    from qsum_lsp.evaluation.measures import Rouge

    rouge = Rouge()
    references, answers = [], []
    for page in pages:
        if not page.get("description"):
            continue
        text = " ".join(split_sentences(page["body"]))[:6000]
        question = f"{text}\n\nSummarise the text above in one or two short sentences. Only the summary."
        done = await engine.generate(
            GenerationRequest(messages=(Message("user", question),), source=text, max_new_tokens=96)
        )
        references.append(page["description"])
        answers.append(done.text)
    if not answers:
        return {}
    scores = rouge.scores(references, answers)
    return {"rouge_1": float(scores["ROUGE-1"].mean()), "rouge_l": float(scores["ROUGE-L"].mean())}


def to_markdown(rows: Sequence[Measured]) -> str:
    """A table: times in milliseconds, rates in tokens and sections a second."""
    head = (
        "| technique | warm-up s | memory MiB | first token ms, short | medium | long | tok/s, short | medium | long "
        "| whole ms, medium | 8 at once, sections/s | ROUGE-1 | ROUGE-L |"
    )
    lines = [head, "|---" * 13 + "|"]
    for row in rows:
        firsts = [f"{row.lengths[length]['first token ms']:.1f}" for length in LENGTHS]
        rates = [f"{row.lengths[length]['tok/s']:.1f}" for length in LENGTHS]
        rouge = ["" if score is None else f"{score:.1f}" for score in (row.rouge_1, row.rouge_l)]
        cells = [
            row.name, f"{row.load_seconds:.1f}", f"{row.memory_mib:.0f}", *firsts, *rates,
            f"{row.lengths['medium']['whole ms']:.0f}", f"{row.together:.2f}", *rouge,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def to_svg(rows: Sequence[Measured]) -> str:
    """Bars of the tokens a second on texts of medium length."""
    top = max((row.lengths["medium"]["tok/s"] for row in rows), default=1.0) or 1.0
    bars = []
    for index, row in enumerate(rows):
        rate = row.lengths["medium"]["tok/s"]
        y = 20 + index * 26
        bars.append(
            f'<text x="190" y="{y + 13}" text-anchor="end">{escape(row.name)}</text>'
            f'<rect x="200" y="{y}" width="{rate / top * 400:.1f}" height="18" fill="#4477aa"/>'
            f'<text x="{206 + rate / top * 400:.1f}" y="{y + 13}">{rate:.1f} tok/s</text>'
        )
    height = 30 + len(rows) * 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" font-family="sans-serif" '
        f'font-size="13">{"".join(bars)}</svg>\n'
    )
