"""What ``qsum check`` costs as a whole process, beside a process that only starts Python and imports click.

Sites are made of real documentation pages, nine in ten with a fresh summary. Every figure is the median of the
repetitions, which take turns so that a busy machine hits all alike.

    python benchmarks/check.py [--repeat 7]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qsum_lsp.front_matter import set_summary

PAGES = Path(__file__).parent.parent / "tests" / "data" / "docs-dev.jsonl"
SIZES = (10, 1000)


def write_site(root: Path, size: int) -> None:
    """``size`` pages in folders of fifty."""
    bodies = [json.loads(line)["body"] for line in PAGES.read_text(encoding="utf-8").splitlines()]
    for number in range(size):
        text = (
            f"---\ntitle: Page {number}\ntags: [a, b]\nweight: {number}\n---\n{bodies[number % len(bodies)]}"
        )
        if number % 10:
            text = set_summary(text, key="summary", summary="What it is about.")
        path = root / f"folder-{number // 50}" / f"page-{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))


def seconds(*command: str) -> float:
    """The wall-clock time of one process."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder:
        commands = {"start Python, import click": ("-c", "import click")}
        for size in SIZES:
            write_site(Path(folder, str(size)), size)
            commands[f"qsum check, {size} pages"] = ("-m", "qsum_lsp", "check", str(Path(folder, str(size))))
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeat):
            for name, command in commands.items():
                times[name].append(seconds(*command))
    base = statistics.median(next(iter(times.values())))
    print("| process | median | fastest | times the first |")
    print("|---|---|---|---|")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"| {name} | {middle * 1000:.0f} ms | {min(found) * 1000:.0f} ms | {middle / base:.1f} |")


if __name__ == "__main__":
    main()
