"""Precision and recall of the grounding check on true and false summaries of the development pages.

Run: ``python -m benchmarks.grounding``
"""

from typing import Literal

from tests.quality.false_claims import build_claims, rates

HALVES: tuple[Literal["development", "test"], ...] = ("development", "test")


def main() -> None:
    """Print a table for each half of the pages."""
    for half in HALVES:
        claims = build_claims(half)
        found = rates(claims)
        true = sum(claim.true for claim in claims)
        print(f"{half} half: {true} true, {len(claims) - true} false; found {found.recall:.1%} of the false,")
        print(
            f"precision {found.precision:.1%} ({found.balanced_precision:.1%} were there as many true as false),"
        )
        print(f"true ones refused {found.refused_true:.1%}")
        for kind, (total, hits) in found.by_kind.items():
            print(f"| {kind} | {total} | {hits / total:.0%} |")
        print()


if __name__ == "__main__":
    main()
