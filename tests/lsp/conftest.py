"""Time for real processes, and the scripted engine."""

from collections.abc import Iterator

import pytest

from tests.scripted_server import ScriptedServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test starts servers, which takes longer on a busy machine."""
    for item in items:
        if "tests/lsp/" in item.nodeid and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture
def engine() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted
