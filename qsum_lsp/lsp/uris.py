"""URIs of documents."""

from pathlib import Path

from pygls.uris import to_fs_path, uri_scheme


def file_path(uri: str) -> Path | None:
    """The path of a ``file:`` URI; None for all others."""
    try:
        path = to_fs_path(uri) if uri_scheme(uri) == "file" else None
        return Path(path) if path and "\0" not in path else None
    except ValueError:
        return None
