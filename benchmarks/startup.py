"""How long commands that ask no engine take as whole processes.

``python -m benchmarks.startup [PAGE.md] [--runs 15]`` runs ``qsum --version``, ``outline``, ``summarize`` on a page whose
summaries are all cached, and the pre-commit hook on a page whose summary is fresh, in turn. The page (the README)
is summarised once without a model before the runs are counted.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import ROOT, in_turn, installed_environment, print_table
from qsum_lsp.front_matter import set_summary

LIMITS_MS = {"qsum --version": 150, "qsum outline": 300, "qsum summarize (cached)": 500, "hook (fresh)": 300}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", default=str(ROOT / "README.md"))
    parser.add_argument("--runs", type=int, default=15)
    given = parser.parse_args()
    qsum = [sys.executable, "-m", "qsum_lsp"]
    summarize = [*qsum, "summarize", given.page, "--engine", "extractive"]
    with installed_environment() as environment:
        fresh = Path(environment["QSUM_HOME"], "page.md")
        fresh.parent.mkdir()
        text = Path(given.page).read_text(encoding="utf-8")
        fresh.write_text(set_summary(text, key="summary", summary="What it is about."), encoding="utf-8")
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import click'": [sys.executable, "-c", "import click"],
            "qsum --version": [*qsum, "--version"],
            "qsum outline": [*qsum, "outline", given.page],
            "qsum summarize (cached)": summarize,
            "hook (fresh)": [sys.executable, "-m", "qsum_hooks.summaries", str(fresh)],
        }
        subprocess.run(summarize, env=environment, check=True, capture_output=True)
        print_table(in_turn(commands, environment, runs=given.runs), LIMITS_MS)


if __name__ == "__main__":
    main()
