"""The store that keeps nothing."""

from collections.abc import Mapping, Sequence


class NoStore:
    """Every summary is made anew: what ``--no-cache`` asks for."""

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:  # noqa: ARG002 — TextStore's signature
        """Nothing is known."""
        return {}

    def put_many(self, values: Mapping[str, str]) -> None:
        """Nothing is kept."""
