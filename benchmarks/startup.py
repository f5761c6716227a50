"""How long ``qsum`` takes as a whole process: ``--version``, ``outline``, and a ``summarize`` that asks no engine.

``python benchmarks/startup.py [PAGE.md]`` prints the median of several runs, and the share of it that the bare
interpreter takes. The page (the README) is summarised once without a model before the runs are counted.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 15
LIMITS_MS = {"--version": 150, "outline": 300, "summarize (cached)": 500}


def main() -> None:
    """Measure and print."""
    page = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent.parent / "README.md")
    qsum = [sys.executable, "-m", "qsum_lsp"]
    summarize = [*qsum, "summarize", page, "--engine", "extractive"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "--version": [*qsum, "--version"],
        "outline": [*qsum, "outline", page],
        "summarize (cached)": summarize,
    }
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "QSUM_HOME": home}
        subprocess.run(summarize, env=environment, check=True, capture_output=True)
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(RUNS):  # in turn, so that a busy moment hits all of them
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, env=environment, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - started)
    print("| whole process | median ms | least ms | limit ms |\n|---|---|---|---|")
    for name, times in seconds.items():
        limit = LIMITS_MS.get(name, "")
        print(f"| {name} | {statistics.median(times) * 1000:.0f} | {min(times) * 1000:.0f} | {limit} |")


if __name__ == "__main__":
    main()
