"""A report as Markdown with plots beside it, and as one HTML file with the plots in it."""

import html
from collections.abc import Sequence
from pathlib import Path

from qsum_lsp.errors import FileError
from qsum_lsp.evaluation.plots import bar_chart
from qsum_lsp.evaluation.report import Bars, Heading, Paragraph, Part, Table

TITLE = "Summaries against descriptions written by people"

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .7rem; text-align: left; vertical-align: top; }
td:not(:first-child) { font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
"""


def write_report(parts: Sequence[Part], folder: Path) -> None:
    """``report.md``, its plots and ``report.html`` in ``folder``. Raises FileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(to_markdown(parts), "utf-8")
        (folder / "report.html").write_text(to_html(parts), "utf-8")
        for part in parts:
            if isinstance(part, Bars):
                (folder / f"{part.name}.svg").write_text(bar_chart(part.title, part.bars), "utf-8")
    except OSError as error:
        raise FileError(f"{folder}: the report cannot be written ({error}).") from error


def to_markdown(parts: Sequence[Part]) -> str:
    """The report as GitHub Flavored Markdown."""
    pieces = [f"# {TITLE}"]
    for part in parts:
        match part:
            case Heading(text):
                pieces.append(f"## {text}")
            case Paragraph(text):
                pieces.append(text)
            case Table(columns, rows):
                lines = [columns, ["---"] * len(columns), *rows]
                pieces.append("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))
            case Bars(name, title, _):
                pieces.append(f"![{title}]({name}.svg)")
    return "\n\n".join(pieces) + "\n"


def to_html(parts: Sequence[Part]) -> str:
    """The report as one HTML document that loads nothing."""
    pieces = []
    for part in parts:
        match part:
            case Heading(text):
                pieces.append(f"<h2>{html.escape(text)}</h2>")
            case Paragraph(text):
                pieces.append(f"<p>{html.escape(text)}</p>")
            case Table(columns, rows):
                head = "".join(f"<th>{html.escape(cell)}</th>" for cell in columns)
                body = "\n".join(
                    f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
                )
                pieces.append(f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>")
            case Bars(_, title, bars):
                pieces.append(bar_chart(title, bars))
    joined = "\n".join(pieces)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{TITLE}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{TITLE}</h1>\n{joined}\n</body>\n</html>\n"
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
