"""Commits, drift and faults in any order, against the world in memory: whatever befell, the next applies make it what git declares.

Short by default. `make model N=2000 SEED=7` runs N examples from a seed; what fails is shrunk, and its steps are printed.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from providers.memory.fault import Blow
from tests.memory_world import ZONES
from tests.model.passing import Trouble
from tests.model.place import Place
from tests.model.town import WRITTEN, Service

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "100"))
SEED = int(os.environ.get("MODEL_SEED", "20261122"))
SECONDS = 10  # an example at most, on a busy machine
NAMES = ("a", "b", "c")
BLOWS: tuple[Blow, ...] = ("kill-before", "kill-after", "error-before", "error-after", "stop")
FAILING = (
    "describe_volumes",
    "describe_network_interfaces",
    "describe_addresses",
    "list_resource_record_sets",
    "list_hosted_zones_by_name",
    "list statefulsets",
    "list configmaps",
    "list leases",
    "list pods",
    "create_volume",
    "create_network_interface",
    "allocate_address",
    "associate_address",
    "modify_volume",
    "create_tags",
    "change_resource_record_sets",
    "apply statefulsets",
    "create leases",
)


class Everything(RuleBasedStateMachine):
    """Services by name; every rule is a commit, something that others do, or a run."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Place()

    @rule(
        name=st.sampled_from(NAMES),
        type_=st.sampled_from(WRITTEN),
        replicas=st.integers(1, 3),
        size=st.integers(1, 20),
        zones=st.permutations(ZONES),
        addresses=st.sampled_from(("none", "private", "elastic")),
    )
    def declare(self, name: str, type_: str, replicas: int, size: int, zones: list[str], addresses: str) -> None:
        self.place.declare(Service(name, type_, replicas, size, tuple(zones), addresses))

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.place.remove(self._any(data))

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), replicas=st.integers(1, 4))
    def scale(self, data: st.DataObject, replicas: int) -> None:
        self.place.change(self._any(data), replicas=replicas)

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), size=st.integers(1, 40))
    def resize(self, data: st.DataObject, size: int) -> None:
        self.place.change(self._any(data), size=size)

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), addresses=st.sampled_from(("none", "private", "elastic")))
    def readdress(self, data: st.DataObject, addresses: str) -> None:
        self.place.change(self._any(data), addresses=addresses)

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), option=st.integers(64, 66))
    def configure(self, data: st.DataObject, option: int) -> None:
        self.place.change(self._any(data), option=option)

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), stopped=st.booleans())
    def stop_or_start(self, data: st.DataObject, stopped: bool) -> None:
        self.place.change(self._any(data), stopped=stopped)

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), broken=st.booleans())
    def write_badly(self, data: st.DataObject, broken: bool) -> None:
        self.place.change(self._any(data), broken=broken)

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), file=st.sampled_from(("moved", "elsewhere/moved")))
    def move_file(self, data: st.DataObject, file: str) -> None:
        self.place.move(self._any(data), file)

    @precondition(lambda self: self.place.town.services)
    @rule(data=st.data(), protect=st.booleans())
    def protect(self, data: st.DataObject, protect: bool) -> None:
        self.place.change(self._any(data), protect=protect)

    @rule(shallow=st.booleans())
    def clone(self, shallow: bool) -> None:
        self.place.clone(shallow=shallow)

    @rule(ttl=st.integers(3, 9))
    def set_ttl(self, ttl: int) -> None:
        self.place.set_ttl(ttl)

    @rule(number=st.integers(0, 10_000))
    def disturb(self, number: int) -> None:
        self.place.outsider.disturb(number)

    @rule()
    def plan_twice(self) -> None:
        self.place.plan_twice()

    @rule()
    def apply(self) -> None:
        self.place.apply(Trouble())

    @rule(blow=st.sampled_from(BLOWS), number=st.integers(1, 60))
    def apply_struck(self, blow: Blow, number: int) -> None:
        self.place.apply(Trouble(blow=blow, number=number))

    @rule(failing=st.sampled_from(FAILING), times=st.integers(1, 5))
    def apply_refused(self, failing: str, times: int) -> None:
        self.place.apply(Trouble(failing=failing, times=times))

    @rule(late=st.sampled_from((1.0, 10.0, 20.0)), blow=st.sampled_from((None, *BLOWS)), number=st.integers(1, 60))
    def apply_with_late_describes(self, late: float, blow: Blow | None, number: int) -> None:
        self.place.apply(Trouble(late=late, blow=blow, number=number))

    @rule()
    def apply_beside_another(self) -> None:
        self.place.apply(Trouble(locked=True))

    def teardown(self) -> None:
        self.place.converge()

    def _any(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.place.town.services)), label="service")


@pytest.mark.timeout(max(300, SECONDS * EXAMPLES))
def test_whatever_befalls_the_world_becomes_what_git_declares() -> None:
    print(f"{EXAMPLES} examples from seed {SEED}")  # noqa: T201 - how to repeat it
    machine = seed(SEED)(Everything)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=int(os.environ.get("MODEL_STEPS", "20")),
            deadline=None,
            database=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
