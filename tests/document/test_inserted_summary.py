"""The quote with a section's summary is found below its heading, whatever stands there."""

import pytest

from qsum_lsp.document.inserted_summary import find_inserted_summary, without_inserted_summary

QUOTE = "> **Summary:** What it says."


@pytest.mark.parametrize("before", ["", "\n", "\r\n\r\n", "\r\r \t\r", "\n  ", "\r\n" * 5000])
def test_a_quote_behind_blank_lines_is_found(before: str) -> None:
    found = find_inserted_summary(f"{before}{QUOTE}\r\n> More.\r\n\r\nText.", 0, 10**6)
    blank = before.rstrip(" ")
    assert found == (len(blank), len(before) + len(QUOTE) + len("\r\n> More."))


@pytest.mark.parametrize(
    "below", ["Text.", "\r\n" * 5000 + "Text.", "\n" * 5000, f"Text.\n\n{QUOTE}", f"\n    {QUOTE}"]
)
def test_anything_else_stays(below: str) -> None:
    assert find_inserted_summary(below, 0, len(below)) is None
    assert without_inserted_summary(below) == below
