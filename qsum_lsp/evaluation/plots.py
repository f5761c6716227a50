"""Bar charts as SVG text, readable on light and dark pages."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from qsum_lsp.evaluation.measures import Interval

_LABELS = 170
_WIDTH = 720
_ROW = 30
_TOP = 40


def bar_chart(title: str, bars: Sequence[tuple[str, Interval]]) -> str:
    """Horizontal bars from 0, the first one in colour, with the intervals as whiskers."""
    highest = max(1.0, *(value.high for _, value in bars))
    scale = (_WIDTH - _LABELS - 60) / highest
    height = _TOP + _ROW * len(bars) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" width="{_WIDTH}">',
        f"<title>{escape(title)}</title>",
        '<g font-family="system-ui, sans-serif" font-size="14" fill="#777">',
        f'<text x="0" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (name, value) in enumerate(bars):
        top = _TOP + index * _ROW
        middle = top + _ROW / 2 - 4
        colour = "#2f6fdd" if index == 0 else "#9aa4b2"
        length = scale * max(0.0, value.mean)
        low, high = (_LABELS + scale * max(0.0, bound) for bound in (value.low, value.high))
        whisker = (
            f"M{low:.1f} {middle:.0f}H{high:.1f}M{low:.1f} {middle - 5:.0f}v10M{high:.1f} {middle - 5:.0f}v10"
        )
        parts += [
            f'<text x="{_LABELS - 10}" y="{middle + 5:.0f}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="{_ROW - 8}" fill="{colour}"/>',
            f'<path d="{whisker}" stroke="#e08a00" stroke-width="2" fill="none"/>',
            f'<text x="{high + 8:.1f}" y="{middle + 5:.0f}">{value.mean:.1f}</text>',
        ]
    return "\n".join((*parts, "</g>", "</svg>"))
