"""Time for real processes."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test starts servers, which takes longer on a busy machine."""
    for item in items:
        if "tests/lsp/" in item.nodeid and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(180))
