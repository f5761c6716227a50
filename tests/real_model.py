"""The real 0.5B model for tests: pulled once into a folder that outlives the run."""

import os
from pathlib import Path

import platformdirs
import pytest

from qsum_lsp import models
from qsum_lsp.errors import QsumError

ALIAS = "qwen2.5-coder-0.5b"
_FIRST_PULL_SECONDS = 1800


def kept_home() -> Path:
    """The ``QSUM_HOME`` that keeps the model between runs; ``QSUM_TEST_MODELS`` moves it."""
    configured = os.environ.get("QSUM_TEST_MODELS")
    return Path(configured).expanduser() if configured else platformdirs.user_cache_path("qsum-tests")


@pytest.fixture(scope="session")
def real_model_path() -> Path:
    """The verified file of the 0.5B model. Where it cannot be had the test fails and says why; it never skips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSUM_HOME", str(kept_home()))
        patch.delenv("QSUM_OFFLINE", raising=False)
        try:
            return models.pull(ALIAS)
        except QsumError as error:
            pytest.fail(f"The real model that these tests need cannot be had. {error}", pytrace=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the real model, and give the first such test the time of a download."""
    users = [item for item in items if "real_model_path" in getattr(item, "fixturenames", ())]
    for item in users:
        item.add_marker(pytest.mark.real_model)
    if users:
        users[0].add_marker(pytest.mark.timeout(_FIRST_PULL_SECONDS), append=False)
