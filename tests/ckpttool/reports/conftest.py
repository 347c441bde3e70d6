"""What the tests of all reports are held to."""

from __future__ import annotations

import pytest

from tests.builders import verified


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> verified.Results:
    return verified.results(tmp_path_factory.mktemp("verified"))
