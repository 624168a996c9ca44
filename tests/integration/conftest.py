"""One lab for every integration test of a session. Tests share it: each uses names of its own and leaves nothing that others could meet."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab import lifecycle
from lab.error import LabError
from lab.layout import Layout


@pytest.fixture(scope="session")
def lab_can_run() -> None:
    """Leave out what can't run here, and say why; where CI is set, nothing is left out."""
    try:
        lifecycle.require()
    except LabError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, lab_can_run: None) -> Iterator[Layout]:
    directory = tmp_path_factory.mktemp("lab")
    running, _ = lifecycle.up(directory)
    yield running
    lifecycle.down(directory)
