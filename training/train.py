"""Train an adapter. Usage: ``python -m training.train MODEL.gguf --pages pairs.jsonl [--sections taught.jsonl] --out FOLDER``.

Writes ``adapter.gguf``, the best so far, and ``history.json`` as it goes on. ``pairs.jsonl`` and ``taught.jsonl`` have ``site``, ``messages`` and ``target``.
"""

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from training.adapter_file import write_adapter
from training.base import Base
from training.examples import encode_examples, held_out, read_records
from training.fit import History, Recipe, fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--sections", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="qsum summaries")
    parser.add_argument("--validation-share", type=float, default=0.1)
    parser.add_argument("--recipe", type=json.loads, default={}, help="what differs, as a JSON object")
    args = parser.parse_args()
    unknown = set(args.recipe) - {one.name for one in fields(Recipe)}
    if unknown:
        parser.error(f"the recipe has no {', '.join(sorted(unknown))}")
    recipe = Recipe(**args.recipe)

    base = Base.load(args.model)
    pages = read_records(args.pages)
    examples = encode_examples(base, pages, "page")
    if args.sections:
        examples += encode_examples(base, read_records(args.sections), "section")
    for_validation = held_out((page["site"] for page in pages), args.validation_share)
    train = [example for example in examples if example.site not in for_validation]
    valid = [example for example in examples if example.site in for_validation]
    if not train or not valid:
        parser.error("the sites are too few to hold some out")
    sites = {example.site for example in train}, {example.site for example in valid}
    print(
        f"{len(train)} examples of {len(sites[0])} sites, held out {len(valid)} of {len(sites[1])}",
        flush=True,
    )

    args.out.mkdir(parents=True, exist_ok=True)
    described = {
        "recipe": asdict(recipe),
        "train": len(train),
        "held out": len(valid),
        "sites": [*map(len, sites)],
        "held-out sites": sorted(for_validation),
    }

    def note(history: History) -> None:
        (args.out / "history.json").write_text(json.dumps(described | asdict(history), indent=1), "utf-8")

    def keep(model: Any, history: History) -> None:
        write_adapter(model, args.out / "adapter.gguf", name=args.name)
        note(history)

    history = fit(base, train, valid, recipe, keep)
    note(history)
    print(f"{history.seconds} s, {history.tokens} tokens, best at step {history.best_step}", flush=True)


if __name__ == "__main__":
    main()
