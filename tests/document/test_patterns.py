"""What regular expressions may not use, because a supported Python gets it wrong."""

import re
from pathlib import Path

import qsum_lsp

PACKAGE = Path(qsum_lsp.__file__).parent
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{\d*,?\d*\})\+")


def test_no_group_is_repeated_possessively() -> None:
    # before Python 3.11.5 such a group fails where something in it has to be tried another way (gh-106052);
    # an atomic group around the repetition is the same and right
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert found == []
