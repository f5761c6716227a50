"""Does a summary stand in its source? Numbers, names, code, negations and comparisons are held against it."""

from dataclasses import dataclass


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
    raise NotImplementedError
