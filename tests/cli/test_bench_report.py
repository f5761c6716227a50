"""The table and the picture of ``qsum bench``: what is compared, what is missing, and what overlaps."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from qsum_lsp.cli.bench import TECHNIQUES
from qsum_lsp.cli.bench_plot import NAMES, SECOND, TOP, WIDTH, axis, to_svg
from qsum_lsp.cli.bench_rows import Measured
from qsum_lsp.cli.bench_table import figure, to_markdown

SVG = "{http://www.w3.org/2000/svg}"


def row(name: str, rate: float, *, tokens: float = 64) -> Measured:
    whole = dict.fromkeys(("short", "medium", "long"), 20.0 + tokens * 1000 / rate)
    return Measured(
        name,
        warm_up_seconds=1.0,
        memory_mib=100.0,
        memory_of="reserved on the GPU",
        lengths={
            length: {
                "first token ms": 20.0,
                "token ms": 1000 / rate,
                "tok/s": rate,
                "whole ms": ms,
                "new tokens": tokens,
            }
            for length, ms in whole.items()
        },
    )


def cells(table: str, name: str) -> dict[str, str]:
    lines = [line[2:-2].split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return dict(zip(lines[0], next(line for line in lines if line[0] == name), strict=True))


def test_speed_is_compared_with_current_by_rate_and_by_whole_answer() -> None:
    found = cells(to_markdown([row("current", 50.0), row("fast", 100.0)]), "fast")
    assert found["times current, tokens/s"] == "2.00 / 2.00 / 2.00"
    assert found["times current, whole answer"] == "1.97 / 1.97 / 1.97"  # 1,300 ms against 660 ms


def test_answers_of_other_lengths_are_not_compared() -> None:
    found = cells(to_markdown([row("current", 50.0), row("brief", 50.0, tokens=30)]), "brief")
    assert found["times current, tokens/s"] == "1.00 / 1.00 / 1.00"
    assert found["times current, whole answer"] == ""


def test_the_reason_of_a_failure_is_one_cell() -> None:
    table = to_markdown([row("current", 50.0), Measured("bad", failed="a | b\nc")])
    line = next(line for line in table.splitlines() if line.startswith("| bad "))
    assert line.endswith("| failed: a \\| b c |")


def test_columns_without_figures_are_left_out() -> None:
    table = to_markdown([row("as configured", 50.0)])
    assert "times current" not in table
    assert "ROUGE" not in table
    assert "reserved on the GPU" in table


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0.9949, "0.99"), (9.99, "9.99"), (9.996, "10.0"), (99.96, "100"), (5e3, "5,000")]
)  # fmt: skip
def test_figures_have_three_digits(value: float | None, shown: str) -> None:
    assert figure(value) == shown


@pytest.mark.parametrize("values", [[54.0, 5000.0], [10.0], [1.0, 1e5], [99.0, 101.0]])
def test_axis_holds_all_values_with_few_ticks(values: list[float]) -> None:
    ticks = axis(values)
    assert ticks[0] < min(values)
    assert max(values) <= ticks[-1]
    assert 2 <= len(ticks) <= 7


def test_nothing_overlaps_in_the_picture() -> None:
    rates = [54.0 * (5000 / 54) ** (index / (len(TECHNIQUES) - 1)) for index in range(len(TECHNIQUES))]
    rows = [row(name, rate) for name, rate in zip(TECHNIQUES, rates, strict=True)]
    rows[7] = Measured("<bad>", failed="a reason that is far too long for the picture " * 9)
    picture = ET.fromstring(to_svg(rows))  # noqa: S314 - our own
    height = float(picture.attrib["height"])
    spans: dict[float, list[tuple[float, float]]] = {}
    for text in picture.iter(f"{SVG}text"):
        size = float(text.get("font-size", "13"))
        width = len(text.text or "") * size * 0.56  # a wide font's average
        x = float(text.attrib["x"]) - {"end": width, "middle": width / 2}.get(text.get("text-anchor", ""), 0)
        assert x >= 0, text.text
        assert x + width <= WIDTH, text.text
        assert float(text.attrib["y"]) < height
        if text.get("font-style"):
            assert x + width < SECOND
        spans.setdefault(float(text.attrib["y"]), []).append((x, x + width))
    for line in spans.values():
        assert all(one[1] <= other[0] for one, other in pairwise(sorted(line)))
    bars = [bar for bar in picture.iter(f"{SVG}rect") if bar.get("x")]
    assert len(bars) == 2 * (len(rows) - 1)
    assert {float(bar.attrib["x"]) for bar in bars} == {float(NAMES), float(SECOND)}
    assert all(float(bar.attrib["width"]) > 5 and float(bar.attrib["y"]) >= TOP for bar in bars)
