"""``qsum bench``: how fast the engine is on this machine, setting by setting."""

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import islice
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
    "own kernels and graphs": {"compile": "auto"},
    "prompt lookup": {"speculation": "prompt-lookup"},
    "draft model": {"speculation": "draft"},
    "eager attention": {"attention": "eager"},
    "flash-attn 2": {"attention": "flash_attention_2"},
    "nf4 weights": {"quantization": "nf4"},
    "int8 weights": {"quantization": "int8"},
    "bf16 weights": {"quantization": "none"},
    "compile reduce-overhead": {"compile": "reduce-overhead"},
    "all defaults": dict.fromkeys(CURRENT, "auto"),
    "all defaults and a draft model": dict.fromkeys(CURRENT, "auto") | {"speculation": "draft"},
    "all defaults, no speculation": dict.fromkeys(CURRENT, "auto") | {"speculation": "off"},
    "all defaults, nf4": dict.fromkeys(CURRENT, "auto") | {"quantization": "nf4"},
    "compile max-autotune": {"compile": "max-autotune"},
}
"""What each row changes of CURRENT; the last one takes longest to compile."""

LENGTHS = {"short": 100, "medium": 400, "long": 1500}
"""Words of the texts to summarise."""

NEW_TOKENS = 64
PAGES = 12
"""Pages that ROUGE is taken of."""

PATIENCE = 60.0
"""Seconds that a row is given to warm up."""

ENOUGH = 3.0
"""Seconds after which a measurement is not repeated again, if it was at least twice."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: seconds to load and warm up, then medians over repeats by length of the text.

    ``together`` are sections a second by how many are asked for at once. Where steps are compiled for each size by
    torch.compile, which takes seconds, only texts of medium length are measured, one at a time.
    """

    name: str
    warm_up_seconds: float
    memory_mib: float
    lengths: Mapping[str, Mapping[str, float]]
    together: Mapping[int, float]
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
              help="Write bench.json, bench.md and bench.svg there, after every row.")  # fmt: skip
@click.option("--seconds", type=float, metavar="N", help="Begin no further row after so many seconds.")
def bench(
    model: str | None,
    engine: str | None,
    only: Sequence[str],
    pages: Path | None,
    out: Path | None,
    seconds: float | None,
) -> None:
    """Measure the engine on this machine: each technique alone, then all together."""
    begun = time.monotonic()
    settings = Overrides.of(model=model, engine=engine).settings_for(Path.cwd()).values
    rows = TECHNIQUES if engine_name(settings) == "torch" else {"as configured": {}}
    chosen = {name: rows[name] for name in only or rows if name in rows}
    lines = pages.read_text(encoding="utf-8").splitlines() if pages else None
    texts = None
    if lines is not None:
        described = (page for page in map(json.loads, lines) if page.get("description"))
        texts = list(islice(described, PAGES))
    measured: list[Measured] = []
    for name, changes in chosen.items():
        if changes.get("speculation") == "draft" and settings.draft_model is None:
            say_error(f"{name}: not measured, because draft_model is not set")
            continue
        if seconds is not None and time.monotonic() - begun > seconds:
            say_error(f"{name}: not measured, because {seconds:.0f} seconds are over")
            continue
        variant = replace(settings, **CURRENT | changes) if name in TECHNIQUES else settings
        if changes.get("speculation") != "draft":  # auto would use it too
            variant = replace(variant, draft_model=None)
        try:
            measured.append(asyncio.run(_measure(name, variant, texts)))
        except (QsumError, EngineFailed) as error:
            say_error(f"{name}: {error}")
            continue
        medium = measured[-1].lengths["medium"]
        say_error(f"{name}: {medium['tok/s']:.1f} tokens/s, {time.monotonic() - begun:.0f} s so far")
        if out is not None:
            _write(measured, out)
    click.echo(to_markdown(measured))


def _write(measured: Sequence[Measured], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{field: getattr(row, field) for field in Measured.__slots__} for row in measured]
    (folder / "bench.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (folder / "bench.md").write_text(to_markdown(measured) + "\n", encoding="utf-8")
    (folder / "bench.svg").write_text(to_svg(measured), encoding="utf-8")


async def _measure(name: str, settings: Settings, pages: Sequence[Mapping[str, str]] | None) -> Measured:
    engine = create_local_engine(settings)
    every_size = settings.compile in ("off", "auto")
    try:
        begun = time.perf_counter()
        await engine.generate(_request(LENGTHS["medium"], 0))
        until = begun + PATIENCE
        while "getting faster" in engine.status().detail and time.perf_counter() < until:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.2)
        warm_up = time.perf_counter() - begun
        lengths = {
            length: await _alone(engine, words)
            for length, words in LENGTHS.items()
            if every_size or length == "medium"
        }
        status = engine.status()
        on_gpu = (status.device or "").startswith("cuda")
        sizes = ((8, 64) if on_gpu else (8,)) if every_size else ()
        together = {size: await _together(engine, size) for size in sizes}
        status = engine.status()
        memory = status.memory_bytes or psutil.Process().memory_info().rss
        quality = await _quality(engine, pages) if pages is not None and every_size else {}
        return Measured(name, warm_up, memory / (1 << 20), lengths, together, status.detail, **quality)
    finally:
        await engine.aclose()


async def _together(engine: Engine, size: int) -> float:
    """Sections a second, of ``size`` asked for at once; the second time, when the engine has seen the size."""
    for repeat in range(2):
        begun = time.perf_counter()
        requests = [_request(LENGTHS["medium"], 50 + repeat * size + n) for n in range(size)]
        await asyncio.gather(*(engine.generate(request) for request in requests))
        seconds = time.perf_counter() - begun
        if seconds > 2 * ENOUGH:
            break
    return size / seconds


async def _alone(engine: Engine, words: int) -> dict[str, float]:
    first: list[float] = []
    rates: list[float] = []
    whole: list[float] = []
    started = time.perf_counter()
    while len(whole) < 2 or (len(whole) < 5 and time.perf_counter() < started + ENOUGH):
        stamps: list[float] = []
        begun = time.perf_counter()

        def note(_text: str, seen: list[float] = stamps) -> None:
            seen.append(time.perf_counter())

        done = await engine.generate(_request(words, 10 + len(whole)), on_text=note)
        whole.append(time.perf_counter() - begun)
        if stamps and done.new_tokens > 1 and stamps[-1] > stamps[0]:
            first.append(stamps[0] - begun)
            rates.append((done.new_tokens - 1) / (stamps[-1] - stamps[0]))
    # a first request of a size may still prepare something
    first, rates, whole = (values[1:] if len(values) > 2 else values for values in (first, rates, whole))
    return {
        "first token ms": statistics.median(first) * 1000 if first else 0.0,
        "token ms": 1000 / statistics.median(rates) if rates else 0.0,
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
    return GenerationRequest(messages=(Message("user", question),), source=text, max_new_tokens=NEW_TOKENS)


async def _quality(engine: Engine, pages: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Means over the pages that have a description. Raises UsageError where rouge-score is missing."""
    from qsum_lsp.evaluation.measures import Rouge

    def question(page: Mapping[str, str]) -> GenerationRequest:
        text = " ".join(split_sentences(page["body"]))[:6000]
        asked = f"{text}\n\nSummarise the text above in one or two short sentences. Only the summary."
        return GenerationRequest(messages=(Message("user", asked),), source=text, max_new_tokens=96)

    rouge = Rouge()
    done = await asyncio.gather(*(engine.generate(question(page)) for page in pages))
    if not done:
        return {}
    scores = rouge.scores([page["description"] for page in pages], [completion.text for completion in done])
    return {"rouge_1": float(scores["ROUGE-1"].mean()), "rouge_l": float(scores["ROUGE-L"].mean())}


def to_markdown(rows: Sequence[Measured]) -> str:
    """A table: times in milliseconds, rates in tokens and sections a second."""
    sizes = sorted({size for row in rows for size in row.together})
    base = next((row.lengths["medium"]["tok/s"] for row in rows if row.name == "current"), 0.0)
    titles = [
        "technique", "warm-up s", "memory MiB", "first token ms, short", "medium", "long", "tok/s, short", "medium",
        "long", "times current", "whole ms, medium", *(f"{size} at once, sections/s" for size in sizes), "ROUGE-1",
        "ROUGE-L",
    ]  # fmt: skip
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for row in rows:
        firsts = [_figure(row.lengths.get(length, {}).get("first token ms")) for length in LENGTHS]
        rates = [_figure(row.lengths.get(length, {}).get("tok/s")) for length in LENGTHS]
        medium = row.lengths["medium"]
        cells = [
            row.name, _figure(row.warm_up_seconds), f"{row.memory_mib:.0f}", *firsts, *rates,
            f"{medium['tok/s'] / base:.2f}" if base else "", f"{medium['whole ms']:.0f}",
            *(f"{row.together[size]:.2f}" if size in row.together else "" for size in sizes),
            _figure(row.rouge_1), _figure(row.rouge_l),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


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
