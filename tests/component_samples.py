"""Small desired and remembered component states for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.components.target import Target
from reconciler.model.component import Components
from reconciler.model.componentstate import Applied, ComponentState, Entry
from reconciler.model.configuration import Configuration, Layer
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment, Sessions
from reconciler.model.hostlist import HostList
from reconciler.model.origin import Revision

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return NOW.timestamp() + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def commit(letter: str) -> str:
    return letter * 40


def entry(signature: str, status: Applied, number: int = 0) -> Entry:
    return Entry(f"https://git/{number}", "site.yml", commit("a"), signature, status, "s", NOW)


def component(*layers: str, configuration: str = "c", id: str = "n1", **fields: object) -> ComponentState:
    return ComponentState(id, configuration=configuration, layers=layers, **fields)  # type: ignore[arg-type]


def target(*layers: str, id: str = "n1", **fields: object) -> Target:
    return Target(id, "c", layers, **fields)  # type: ignore[arg-type]


def configuration(*commits: str, name: str = "compute") -> Configuration:
    """A layer for each of *commits*, each in a repository of its own."""
    layers = tuple(Layer(clone_url=f"https://git/layer{index}", playbook="site.yml", commit=one) for index, one in enumerate(commits))
    return Configuration(name=name, layers=layers)


def components(*ranges: str, desired: str = "compute", **fields: object) -> Components:
    return Components(name="nodes", ids=HostList.parse(*ranges), desired_configuration=desired, **fields)  # type: ignore[arg-type]


def desired(*documents: Components, configurations: tuple[Configuration, ...] = (), **sessions: object) -> Desired:
    environment = Environment(name="lab", zones=("us-east-1a",), sessions=Sessions(**sessions))  # type: ignore[arg-type]
    return Desired(environment, Revision("", "", "lab"), configurations={one.name: one for one in configurations}, components=documents)
