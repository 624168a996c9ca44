"""A lab for each module of end-to-end tests: an environment is one lab's. Two cores bear two labs that wait, and one that kills."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab import lifecycle
from lab.error import LabError
from tests.e2e.workshop import Workshop


@pytest.fixture(scope="session")
def lab_can_run() -> None:
    """Leave out what can't run here, and say why; where CI is set, nothing is left out."""
    try:
        lifecycle.require()
    except LabError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, lab_can_run: None) -> Iterator[Workshop]:
    """A working directory where the environment `lab` finds a lab of its own."""
    directory = tmp_path_factory.mktemp("workshop")
    place = directory / ".reconcile" / "lab"
    running, _ = lifecycle.up(place)
    yield Workshop(directory, running)
    lifecycle.down(place)
