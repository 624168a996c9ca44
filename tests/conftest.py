"""Options of the whole test run: which generated world the end-to-end tests build, and how often they kill the reconciler."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no times", settings(), deadline=None)  # no test asserts one, and machines are shared
settings.load_profile("no times")
os.environ["RECONCILE_CACHE"] = ""  # a test keeps nothing in the user's own folders; those that test keeping say where

TESTING = "refusals-are-tested"  # how clients call themselves whose refusals are meant
LAST = pytest.mark.last
SEED = 20261122
KILLS = 20
DRY_RUNS = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reconciler")
    group.addoption("--seed", type=int, default=SEED, metavar="N", help=f"generate the end-to-end world from N (default {SEED})")
    group.addoption("--kills", type=int, default=KILLS, metavar="N", help=f"kill the reconciler at N random moments (default {KILLS})")
    what = f"compare the diff with N dry runs of each kind (default {DRY_RUNS})"
    group.addoption("--dry-runs", type=int, default=DRY_RUNS, metavar="N", help=what)
    group.addoption(
        "--labs", type=Path, default=None, metavar="DIR", help="judge the labs that an earlier run left in DIR (default: this run's)"
    )
    group.addoption("--boundary", type=int, default=None, metavar="K", help="of the kills at boundaries, only the one at effect K")
    group.addoption("--kill", type=int, default=None, metavar="I", help="of the kills at random moments, only the I-th (from 0)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that judge the whole run come at its end, where there is something to judge: an end-to-end test that uses a lab."""
    last = [item for item in items if item.get_closest_marker("last")]
    others = [item for item in items if not item.get_closest_marker("last")]
    items[:] = [*others, *last] if any(item.get_closest_marker("e2e") for item in others) else others


def pytest_report_header(config: pytest.Config) -> str:
    return f"end-to-end world: --seed {config.getoption('--seed')} --kills {config.getoption('--kills')}"


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """What the end-to-end world is generated from."""
    chosen: int = pytestconfig.getoption("--seed")
    return chosen


@pytest.fixture(scope="session")
def run_of_labs(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the labs are whose calls are judged."""
    chosen: Path | None = pytestconfig.getoption("--labs")
    return chosen or tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def boundary(pytestconfig: pytest.Config) -> int | None:
    """The one boundary to kill at; None for all."""
    chosen: int | None = pytestconfig.getoption("--boundary")
    return chosen


@pytest.fixture(scope="session")
def only_kill(pytestconfig: pytest.Config) -> int | None:
    """The one random kill to carry out; None for all."""
    chosen: int | None = pytestconfig.getoption("--kill")
    return chosen


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> int:
    """How often the reconciler is killed."""
    chosen: int = pytestconfig.getoption("--kills")
    return chosen
