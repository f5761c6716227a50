"""``qsum bench``: how fast the engine is on this machine, setting by setting."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from qsum_lsp.cli.bench_plot import to_svg
from qsum_lsp.cli.bench_rows import Measured, measure
from qsum_lsp.cli.bench_table import to_markdown
from qsum_lsp.cli.models import pull_with_progress
from qsum_lsp.cli.options import Overrides
from qsum_lsp.cli.terminal import say_error
from qsum_lsp.evaluation.measures import Rouge
from qsum_lsp.evaluation.pages import read_pages
from qsum_lsp.service import engine_name, model_to_pull
from qsum_lsp.settings import Settings

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
    "flash-attn 3": {"attention": "flash_attention_3"},
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

ROW_SECONDS = 240.0
"""What a row of a technique may take from loading to its last figure; what is missing then is left out."""

CONFIGURED_SECONDS = 900.0
"""The same for the one row of an engine that has no techniques to choose from."""

PAGES = 12
"""Pages that ROUGE is taken of."""


@click.command()
@click.option("--model", metavar="M", help="An alias, a path, or a hub name.")
@click.option("--engine", type=click.Choice(["auto", "llama", "torch"]), help="What runs the model.")
@click.option("--only", multiple=True, type=click.Choice(list(TECHNIQUES)), help="Measure these rows alone.")
@click.option("--pages", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="DATA.jsonl",
              help="Pages with body and description: adds ROUGE-1 and ROUGE-L.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write bench.json, bench.md and bench.svg there, after every row.")  # fmt: skip
@click.option("--seconds", type=float, metavar="N", help="Begin no further row after so many seconds.")
@click.pass_context
def bench(
    context: click.Context,
    model: str | None,
    engine: str | None,
    only: Sequence[str],
    pages: Path | None,
    out: Path | None,
    seconds: float | None,
) -> None:
    """Measure the engine on this machine: each technique alone, then all together.

    Exit code 1 where a row that --only asks for failed.
    """
    begun = time.monotonic()
    settings = Overrides.of(model=model, engine=engine).settings_for(Path.cwd()).values
    texts = None
    if pages is not None:
        Rouge()  # says now what is missing for it
        texts = read_pages(pages)[:PAGES]
    missing = model_to_pull(settings)
    if missing is not None:
        pull_with_progress(missing)
    techniques = TECHNIQUES if engine_name(settings) == "torch" else {"as configured": {}}
    rows: list[Measured] = []
    for name in dict.fromkeys(only) or techniques:
        if name not in techniques:
            row = Measured(name, failed="the engine is not torch, whose techniques these are")
        elif techniques[name].get("speculation") == "draft" and settings.draft_model is None:
            row = Measured(name, failed="draft_model is not set")
        elif seconds is not None and time.monotonic() - begun > seconds:
            row = Measured(name, left_out=[f"not measured, because {seconds:.0f} seconds were over"])
        else:
            limit = ROW_SECONDS if name in TECHNIQUES else CONFIGURED_SECONDS
            row = asyncio.run(measure(name, _variant(settings, name), texts, limit))
        rows.append(row)
        say_error(f"{_news(row)} ({time.monotonic() - begun:.0f} s so far)")
        if out is not None:
            _write(rows, out)
    click.echo(to_markdown(rows))
    if only and any(row.failed for row in rows):
        context.exit(1)


def _variant(settings: Settings, name: str) -> Settings:
    if name not in TECHNIQUES:
        return settings
    changed = replace(settings, **CURRENT | TECHNIQUES[name])
    # auto would use a draft model too
    return changed if changed.speculation == "draft" else replace(changed, draft_model=None)


def _news(row: Measured) -> str:
    medium = row.lengths.get("medium")
    found = [f"{medium['tok/s']:.1f} tokens/s"] if medium else []
    found += [f"failed: {row.failed}"] if row.failed else []
    return f"{row.name}: " + "; ".join([*found, *row.left_out])


def _write(rows: Sequence[Measured], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    (folder / "bench.md").write_text(to_markdown(rows) + "\n", encoding="utf-8")
    (folder / "bench.svg").write_text(to_svg(rows), encoding="utf-8")
