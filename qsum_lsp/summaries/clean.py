"""What a model writes, made fit to be shown."""


def clean_summary(raw: str, *, max_chars: int, title: str = "", language: str = "en") -> str:
    """Plain prose of whole sentences within ``max_chars``, or empty where nothing usable is left.

    Markdown, links, images, HTML and control characters go; so do openings such as "This section". Nothing is
    added.
    """
    raise NotImplementedError
