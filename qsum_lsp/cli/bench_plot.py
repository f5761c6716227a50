"""The rows of ``qsum bench`` as a picture: tokens a second, and how long a whole answer takes."""

import math
import textwrap
from collections.abc import Sequence
from html import escape

from qsum_lsp.cli.bench_rows import LENGTHS, NEW_TOKENS, Measured
from qsum_lsp.cli.bench_table import explanation, figure, gain

WIDTH = 1060
NAMES = 240
"""Where the bars of the first panel begin; the rows' names end before it."""

PANEL = 270
"""Pixels of a logarithmic axis."""

SECOND = 660
"""Where the bars of the second panel begin."""

TOP, STEP, BAR = 96, 26, 17
MOST_TICKS = 7
LONGEST_REASON = 66


def to_svg(rows: Sequence[Measured]) -> str:
    """Two panels of bars on logarithmic axes, for texts of medium length; a row without figures says why."""
    base = next((row.lengths for row in rows if row.name == "current"), {})
    bottom = TOP + len(rows) * STEP
    how = f"One request at a time: a text of {LENGTHS['medium']:,} words, an answer of {NEW_TOKENS} tokens."
    how += " Axes are logarithmic."
    if base:
        how += " In brackets: how many times as fast as current."
    title = "How fast each technique is by itself, and all together"
    parts = [
        f'<rect width="{WIDTH}" height="{bottom + 30}" fill="white"/>',
        f'<text x="16" y="26" font-size="17" font-weight="bold">{title}</text>',
        f'<text x="16" y="47" fill="#555">{how}</text>',
    ]
    for index, row in enumerate(rows):
        y = TOP + index * STEP + STEP // 2 + 5
        parts.append(f'<text x="{NAMES - 10}" y="{y}" text-anchor="end">{escape(row.name)}</text>')
    for left, key, title in (
        (NAMES, "tok/s", "Tokens a second: longer is faster"),
        (SECOND, "whole ms", "Milliseconds to the whole answer: shorter is faster"),
    ):
        values = [row.lengths.get("medium", {}).get(key) or 0.0 for row in rows]
        if not any(values):
            continue
        ticks = axis([value for value in values if value])
        parts.append(f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>')
        for tick in ticks:
            x = left + _place(tick, ticks)
            parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#ddd"/>')
            parts.append(
                f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" font-size="11" fill="#555">'
                f"{tick:,g}</text>"
            )
        for index, (row, value) in enumerate(zip(rows, values, strict=True)):
            if value:
                y = TOP + index * STEP + (STEP - BAR) // 2
                times = gain(row, base, "medium", key)
                label = figure(value) + (f" ({figure(times)}×)" if times else "")
                colour = "#777" if row.name == "current" else "#47a"
                width = _place(value, ticks)
                parts.append(
                    f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'
                    f'<text x="{left + width + 6:.1f}" y="{y + 13}">{label}</text>'
                )
        parts.append(f'<path d="M{left} {TOP}V{bottom}" stroke="#333"/>')
    for index, row in enumerate(rows):
        if "medium" not in row.lengths:
            reason = textwrap.shorten(explanation(row), LONGEST_REASON, placeholder=" …")
            y = TOP + index * STEP + STEP // 2 + 5
            parts.append(
                f'<text x="{NAMES + 6}" y="{y}" font-size="11" font-style="italic" fill="#a33" '
                f'stroke="white" stroke-width="4" paint-order="stroke">{escape(reason)}</text>'
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 30}" width="{WIDTH}" '
        f'height="{bottom + 30}" font-family="sans-serif" font-size="13">{"".join(parts)}</svg>\n'
    )


def axis(values: Sequence[float]) -> list[float]:
    """Ticks of a logarithmic axis that begins below the least and ends above the greatest of ``values``."""
    low, high = min(values) / 1.3, max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        first = max(index for index, tick in enumerate(ticks) if tick <= low)
        last = min(index for index, tick in enumerate(ticks) if tick >= high)
        if last - first < MOST_TICKS:
            break
    return ticks[first : last + 1]


def _place(value: float, ticks: Sequence[float]) -> float:
    return PANEL * math.log(value / ticks[0]) / math.log(ticks[-1] / ticks[0])
