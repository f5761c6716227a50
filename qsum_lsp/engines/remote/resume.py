"""Streaming across repeated attempts."""

from collections.abc import Callable

from qsum_lsp.engines.protocol import OnText


def resumable(on_text: OnText | None) -> Callable[[], OnText | None]:
    """Call the result before each attempt: its callback passes on only what goes beyond the earlier ones.

    Greedy answers repeat themselves, so a reader sees one text; should they differ, the completion counts.
    """
    if on_text is None:
        return lambda: None
    delivered = 0

    def attempt() -> OnText:
        seen = 0

        def forward(piece: str) -> None:
            nonlocal seen, delivered
            seen += len(piece)
            fresh = seen - delivered
            if fresh > 0:
                delivered = seen
                on_text(piece[-fresh:])

        return forward

    return attempt
