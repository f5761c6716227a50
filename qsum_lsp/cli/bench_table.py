"""The rows of ``qsum bench`` as a Markdown table."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from qsum_lsp.cli.bench_rows import LENGTHS, NEW_TOKENS, Measured

LONGEST_REASON = 240
"""Characters of a failure in the table; the JSON has all of it."""


def to_markdown(rows: Sequence[Measured]) -> str:
    """What is measured, and a table. Columns for which no row has a figure are left out."""
    base = next((row.lengths for row in rows if row.name == "current"), {})
    sizes = sorted({size for row in rows for size in row.together})
    of = " or ".join(dict.fromkeys(row.memory_of for row in rows if row.memory_of and _ran(row)))
    columns = {
        "technique": [row.name for row in rows],
        "warm-up s": [figure(row.warm_up_seconds) for row in rows],
        "memory MiB": [figure(row.memory_mib) if _ran(row) else "" for row in rows],
        "first token ms": [_by_length(row.lengths, "first token ms") for row in rows],
        "tokens/s": [_by_length(row.lengths, "tok/s") for row in rows],
        "times current, tokens/s": [_by_length(_gains(row, base, "tok/s"), "tok/s") for row in rows],
        "whole answer ms": [_by_length(row.lengths, "whole ms") for row in rows],
        "times current, whole answer": [
            _by_length(_gains(row, base, "whole ms"), "whole ms") for row in rows
        ],
        f"{' / '.join(map(str, sizes))} at once, sections/s": [
            _joined(row.together.get(size) for size in sizes) for row in rows
        ],
        "ROUGE-1 / L": [_joined((row.rouge_1, row.rouge_l)) for row in rows],
        "detail": [_cell(explanation(row)) for row in rows],
    }
    shown = {title: cells for title, cells in columns.items() if any(cells)}
    lines = ["| " + " | ".join(shown) + " |", "|---" * len(shown) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in zip(*shown.values(), strict=True)]
    words = " / ".join(f"{name} ({count:,} words)" for name, count in LENGTHS.items())
    notes = [f"One request at a time, answers of {NEW_TOKENS} tokens. Three figures: {words} texts."]
    if of:
        notes.append(f"Memory is the highest seen, {of}.")
    if base:
        notes.append("Times current: how many times as fast as the row current.")
    if sizes:
        notes.append("At once is measured where torch.compile does not compile each size of a batch.")
    return "\n".join([" ".join(notes), "", *lines])


def explanation(row: Measured) -> str:
    """Why figures are missing, or else what the engine says of itself."""
    told = [f"failed: {textwrap.shorten(row.failed, LONGEST_REASON, placeholder=' …')}"] if row.failed else []
    return "; ".join([*told, *row.left_out, *([row.detail] if row.detail else [])])


def gain(row: Measured, base: Mapping[str, Mapping[str, float]], length: str, key: str) -> float | None:
    """How many times as fast as ``base`` by ``key`` on texts of ``length``; None where that cannot be said.

    Whole answers are compared where they have the same number of tokens.
    """
    own, other = row.lengths.get(length, {}), base.get(length, {})
    if not own.get(key) or not other.get(key):
        return None
    if key != "whole ms":
        return own[key] / other[key]
    return other[key] / own[key] if own["new tokens"] == other["new tokens"] else None


def figure(value: float | None) -> str:
    """``value`` with three digits, or all before the point; empty for None."""
    if value is None:
        return ""
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{digits}f}"


def _ran(row: Measured) -> bool:
    return row.warm_up_seconds is not None


def _gains(
    row: Measured, base: Mapping[str, Mapping[str, float]], key: str
) -> dict[str, Mapping[str, float]]:
    found = {length: gain(row, base, length, key) for length in LENGTHS}
    return {length: {key: value} for length, value in found.items() if value is not None}


def _by_length(lengths: Mapping[str, Mapping[str, float]], key: str) -> str:
    return _joined(lengths.get(length, {}).get(key) for length in LENGTHS)


def _joined(values: Iterable[float | None]) -> str:
    cells = [figure(value) or "–" for value in values]
    return "" if all(cell == "–" for cell in cells) else " / ".join(cells)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
