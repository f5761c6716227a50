"""What the outline of a page costs, as ratios to mistune's own parse of the same page in the same run.

Pages are joined from real documentation until they have the size asked for. Every figure is the median of the
repetitions, which take turns so that a busy machine hits all alike.

    python benchmarks/outline.py [--megabytes 1] [--repeat 5]
"""

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import mistune
from mistune.block_parser import BlockParser

from qsum_lsp.document import parse, split_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES = Path(__file__).parent.parent / "tests" / "data" / "docs-dev.jsonl"


def page_of(characters: int) -> str:
    """Real pages one after the other, cut at ``characters``."""
    with PAGES.open(encoding="utf-8") as file:
        bodies = [json.loads(line)["body"] for line in file]
    parts: list[str] = []
    size = 0
    for body in itertools.cycle(bodies):
        if size >= characters:
            break
        parts.append(body + "\n\n")
        size += len(body) + 2
    return "".join(parts)[:characters]


def mistune_blocks(text: str) -> None:
    """Run the block parser of mistune alone."""
    parser = BlockParser()
    state = parser.state_cls()
    state.process(text)
    parser.parse(state)


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--megabytes", type=float, default=1.0)
    arguments.add_argument("--repeat", type=int, default=5)
    options = arguments.parse_args()
    page = page_of(int(options.megabytes * 1_000_000))
    page_10 = page_of(int(options.megabytes * 10_000_000))
    to_ast = mistune.create_markdown(renderer=None)
    jobs: dict[str, Callable[[], object]] = {
        "mistune, blocks and inline": lambda: to_ast(page),
        "mistune, blocks alone": lambda: mistune_blocks(page),
        "outline": lambda: parse(page),
        "outline, ten times the text": lambda: parse(page_10),
        "blocks of a reader": lambda: split_blocks(page),
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(options.repeat):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{len(page):,} characters, {len(list(parse(page).walk())):,} sections, median of {options.repeat}")
    for name, value in median.items():
        print(f"{name:30} {value:8.3f} s")
    outline = median["outline"]
    print(
        f"outline / mistune              {outline / median['mistune, blocks and inline']:8.2f}   (at most 1.5)"
    )
    print(f"outline / mistune, blocks      {outline / median['mistune, blocks alone']:8.2f}")
    print(
        f"ten times the text / once      {median['outline, ten times the text'] / outline:8.2f}   (at most 12)"
    )


if __name__ == "__main__":
    main()
