"""Options of the whole test run: which generated world the end-to-end tests build, and how often they kill the reconciler."""

from __future__ import annotations

import pytest

SEED = 20261122
KILLS = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reconciler")
    group.addoption("--seed", type=int, default=SEED, metavar="N", help=f"generate the end-to-end world from N (default {SEED})")
    group.addoption("--kills", type=int, default=KILLS, metavar="N", help=f"kill the reconciler N times (default {KILLS})")


def pytest_report_header(config: pytest.Config) -> str:
    return f"end-to-end world: --seed {config.getoption('--seed')} --kills {config.getoption('--kills')}"


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """What the end-to-end world is generated from."""
    chosen: int = pytestconfig.getoption("--seed")
    return chosen


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> int:
    """How often the reconciler is killed."""
    chosen: int = pytestconfig.getoption("--kills")
    return chosen
