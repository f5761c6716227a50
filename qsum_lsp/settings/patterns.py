"""File patterns as git has them."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


@lru_cache(maxsize=64)
def compile_patterns(patterns: tuple[str, ...]) -> "GitIgnoreSpec":
    """``patterns`` as the lines of one ``.gitignore``. Raises ValueError where one of them is no pattern."""
    from pathspec import GitIgnoreSpec  # few commits need it

    try:
        return GitIgnoreSpec.from_lines(patterns)
    except re.error as error:
        raise ValueError(str(error)) from error


def is_pattern(line: str) -> bool:
    """Whether git would make anything of ``line``: not of one that ends with a backslash, for example."""
    try:
        compile_patterns((line,))
    except ValueError:
        return False
    return True
