"""Pipe tables (GitHub Flavored Markdown 0.29, 4.10) inside of what CommonMark takes for a paragraph."""

import re
from collections.abc import Sequence

_DELIMITER_ROW = re.compile(r"\|?+[ \t]*+:?-++:?[ \t]*+(?>(?:\|[ \t]*+:?-++:?[ \t]*+)*)\|?+[ \t]*+$")
_CELL_END = re.compile(r"(?<!\\)\|")


def find_table(lines: Sequence[str]) -> int | None:
    """The index of a table's header row among the ``lines`` of a paragraph; the table goes on to the last line."""
    for index in range(1, len(lines)):
        delimiters, header = lines[index], lines[index - 1]
        if (
            "|" in header
            and "-" in delimiters
            and _DELIMITER_ROW.match(delimiters)
            and len(cells(header)) == len(cells(delimiters))
        ):
            return index - 1
    return None


def cells(row: str) -> list[str]:
    """The cells of one row, white space around them left out."""
    row = row.strip(" \t").removeprefix("|")
    if row.endswith("|") and not row.endswith("\\|"):
        row = row[:-1]
    return [cell.strip(" \t").replace("\\|", "|") for cell in _CELL_END.split(row)]
