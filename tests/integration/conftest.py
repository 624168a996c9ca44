"""One lab for every integration test of a session. Tests share it: each uses names of its own and leaves nothing that others could meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import lifecycle
from lab.layout import Layout


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    directory = tmp_path_factory.mktemp("lab")
    running, _ = lifecycle.up(directory)
    yield running
    lifecycle.down(directory)
