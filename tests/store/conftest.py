"""Where the tests' stores are."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "summaries.sqlite3"
