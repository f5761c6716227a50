"""The proxies and certificates of the environment, which httpx reads when a client is made."""

from collections.abc import Callable
from typing import TypeVar

_Client = TypeVar("_Client")


class UnusableEnvironment(Exception):
    """What the environment says of proxies or certificates cannot be used; the text says why."""


def from_environment(make: Callable[[], _Client]) -> _Client:
    """The client of httpx that ``make`` makes. Raises UnusableEnvironment."""
    import httpx

    try:
        return make()
    # a package that SOCKS needs, a file of certificates, the scheme of a proxy, its address
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise UnusableEnvironment(str(error) or type(error).__name__) from error
