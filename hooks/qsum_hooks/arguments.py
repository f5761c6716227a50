"""The arguments that a hook is given: options, then file names, with nothing between them."""

import os
from collections.abc import Iterable


def safe(arguments: Iterable[str]) -> list[str]:
    """``arguments`` with files whose names begin with a dash made paths, so that they are no options."""
    return [
        os.path.join(os.curdir, argument)
        if argument.startswith("-") and os.path.isfile(argument)
        else argument
        for argument in arguments
    ]
