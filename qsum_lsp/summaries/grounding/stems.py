"""Words without their endings, and words of one family."""

from functools import lru_cache

SHORTEST_STEM = 4
"""Letters that a stem has at least, and that the stems of one family begin with alike."""

_ENGLISH_ENDINGS = [
    "ations", "ation", "ments", "ment", "ingly", "ities", "ity", "able", "ions", "ally", "ings", "ing", "ion",
    "ers", "ors", "ies", "ied", "al", "ed", "er", "es", "or", "ly", "s", "e", "y",
]  # fmt: skip


@lru_cache(maxsize=16384)  # the words of one site, which come again and again
def stem(word: str) -> str:
    """``word`` without the commonest English endings, at least four letters long; other words as they are."""
    if not word.isascii() or len(word) <= SHORTEST_STEM:
        return word
    cut = word
    for _ in range(2):
        ending = next(
            (e for e in _ENGLISH_ENDINGS if cut.endswith(e) and len(cut) - len(e) >= SHORTEST_STEM), None
        )
        if ending is None:
            break
        cut = cut[: -len(ending)]
    return cut


def are_of_one_family(one: str, other: str) -> bool:
    """Whether two stems begin alike for most of their length."""
    shorter, longer = sorted((one, other), key=len)
    common = 0
    for a, b in zip(shorter, longer, strict=False):
        if a != b:
            break
        common += 1
    return common >= max(SHORTEST_STEM, 0.7 * len(shorter), 0.6 * len(longer))
