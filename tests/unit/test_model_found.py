"""What the model has found, each as the few steps that it was shrunk to; and the parts that came of it, alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from providers.intents import Intents
from providers.leftover import Sweeping
from providers.memory import MemoryCloud
from reconciler import errors
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.origin import Revision
from reconciler.model.outcome import Blocked, Done, Failed
from reconciler.ports import StackResult, StackRun
from tests.memory_world import SUBNETS, ZONES
from tests.model import look
from tests.model.passing import Trouble
from tests.model.place import Place
from tests.model.town import Service

PEACE = Trouble()


def placed(*services: Service) -> Place:
    place = Place()
    for service in services:
        place.declare(service)
    return place


def test_a_zone_that_no_service_needs_any_more_is_forgotten_once() -> None:
    place = placed(Service("a", "generic", 1, 1))
    place.apply(PEACE)
    place.remove("a")
    place.converge()
    assert place.world.cloud.route53.zones


@pytest.mark.parametrize("blow", ["kill-before", "error-after"])
def test_what_a_dead_run_made_goes_where_no_commit_declares_it_any_more(blow: str) -> None:
    """Struck at every third effect in turn, and then the service is declared no more."""
    for number in range(1, 60, 3):
        place = placed(Service("a", "redis", 1, 1, addresses="elastic"), Service("b", "generic", 1, 1))
        place.apply(Trouble(blow=blow, number=number))  # type: ignore[arg-type]
        place.remove("a")
        place.converge()


def test_the_name_of_an_interface_goes_before_it_though_the_engine_does_not_know_it() -> None:
    """Else nobody would know whose it was."""
    place = placed(Service("a", "generic", 1, 1, addresses="private"), Service("b", "generic", 1, 1))
    for number in itertools.count(1):
        place.apply(Trouble(blow="kill-before", number=number))
        effects = place.world.cloud.fate.effects
        if effects[-1] == "end create record/lab/a-0.db.internal":
            break
        place = placed(*place.town.services.values())
    place.remove("a")
    place.converge()
    assert "a-0.db.internal" not in look.records(place.world)


def test_the_record_of_a_stopped_member_stays_as_it_is_until_a_pod_comes() -> None:
    place = placed(Service("a", "generic", 1, 1))
    place.apply(PEACE)
    place.change("a", stopped=True)
    place.set_ttl(9)
    place.converge()
    assert look.records(place.world)["a-0.db.internal"]["TTL"] == 5
    place.change("a", stopped=False)
    place.converge()
    assert look.records(place.world)["a-0.db.internal"]["TTL"] == 9


@pytest.mark.parametrize("late", [0.0, 20.0])
@pytest.mark.parametrize("blow", ["error-before", "error-after", "kill-before", "kill-after"])
def test_an_address_is_allocated_once_whatever_becomes_of_the_answer(blow: str, late: float) -> None:
    """Struck at every other effect in turn; the next apply comes at once, while describes are still late."""
    for number in range(1, 30, 2):
        place = placed(Service("a", "generic", 1, 1, addresses="elastic"))
        place.apply(Trouble(blow=blow, number=number, late=late, hurried=True))  # type: ignore[arg-type]
        place.apply(Trouble(late=late))
        place.converge()
        assert len([one for one in place.world.cloud.ec2.addresses.values() if look.ADDRESS in look.tags(one)]) == 1


def test_a_service_that_gets_no_address_is_left_alone_and_others_are_not() -> None:
    place = placed(Service("a", "generic", 1, 1, addresses="elastic"), Service("b", "generic", 1, 1))
    place.apply(Trouble(failing="allocate_address", times=99))
    assert {one["metadata"]["name"] for one in look.objects(place.world, "StatefulSet")} == {"b"}
    assert not [address for address in look.things(place.world) if "/a/" in address]
    place.converge()


def test_what_is_kept_while_the_repository_is_not_whole_is_left_as_others_made_it() -> None:
    place = placed(Service("a", "generic", 2, 1, addresses="private"))
    place.apply(PEACE)
    place.change("a", replicas=1)
    place.clone(shallow=True)
    zone = next(iter(place.world.cloud.route53.records.values()))
    zone["a-1.db.internal", "A", ""] |= {"TTL": 299}
    interface = look.things(place.world)["interface/lab/a/a-1"][0]
    place.world.cloud.ec2.create_tags([look.id_of(interface)], [{"Key": "team", "Value": "nobody"}])
    place.apply(PEACE)  # the judge refuses whatever the plan does not say
    assert zone["a-1.db.internal", "A", ""]["TTL"] == 299
    assert look.tags(interface)["team"] == "nobody"
    place.converge()


class Engine:
    """Ends every change it is given as told, and counts its runs."""

    def __init__(self, outcome: Done | Failed) -> None:
        self.outcome, self.runs = outcome, 0

    def up(self, run: StackRun, progress: object) -> StackResult:
        self.runs += 1
        return StackResult({change.id: self.outcome for change in run.changes if change.acts})

    def forget(self, environment: str, stack: str, ids: object) -> None:
        raise AssertionError(f"{environment} {stack} {ids}")


class Record:
    """Holds one interface."""

    known = ResourceId("interface", "lab", "a", "a-0")

    def stacks(self, environment: str) -> dict[str, frozenset[ResourceId]]:
        return {"a": frozenset({self.known})}


def swept(engine: Engine, cloud: MemoryCloud, *live: str) -> StackResult:
    """A run that deletes what the engine knows, and *live* things that it does not."""
    strays = [
        Change(ResourceId("interface", "lab", "a", f"a-{n}"), "delete", "engine", "", "a", live_id=id) for n, id in enumerate(live, 1)
    ]
    changes = (Change(Record.known, "delete", "engine", "", "a", live_id="eni-known"), *strays)
    sweeping = Sweeping(engine, Record(), lambda: cloud, lambda: pytest.fail("no cluster is needed"))  # type: ignore[arg-type]
    return sweeping.up(StackRun(Revision("c", "t", "lab"), "a", (), changes), lambda *_: None)


def test_leftovers_go_once_their_stack_has_ended_well() -> None:
    cloud = MemoryCloud(subnets=SUBNETS, instances={"i-a": ZONES[0]})
    made = cloud.call("ec2", "create_network_interface", SubnetId=SUBNETS[ZONES[0]])["NetworkInterface"]["NetworkInterfaceId"]
    cloud.call("ec2", "attach_network_interface", NetworkInterfaceId=made, InstanceId="i-a", DeviceIndex=1)
    engine = Engine(Done())
    result = swept(engine, cloud, made, "eni-that-is-gone")
    assert set(result.outcomes.values()) == {Done()}
    assert not cloud.ec2.interfaces
    assert engine.runs == 1


def test_leftovers_stay_where_their_stack_has_failed() -> None:
    cloud = MemoryCloud(subnets=SUBNETS)
    made = cloud.call("ec2", "create_network_interface", SubnetId=SUBNETS[ZONES[0]])["NetworkInterface"]["NetworkInterfaceId"]
    result = swept(Engine(Failed("no")), cloud, made)
    assert result.outcomes[ResourceId("interface", "lab", "a", "a-1")] == Blocked("a")
    assert made in cloud.ec2.interfaces


def test_a_leftover_that_is_refused_to_go_is_a_failure_of_its_own() -> None:
    cloud = MemoryCloud(subnets=SUBNETS)
    made = cloud.call("ec2", "create_network_interface", SubnetId=SUBNETS[ZONES[0]])["NetworkInterface"]["NetworkInterfaceId"]
    cloud.fail("delete_network_interface", errors.ProviderError("in use", code="InvalidParameterValue"))
    result = swept(Engine(Done()), cloud, made)
    assert result.outcomes[ResourceId("interface", "lab", "a", "a-1")] == Failed("in use", retryable=True)


def test_an_intent_outlives_its_process_and_is_of_one_environment(tmp_path: Path) -> None:
    mine, other = ResourceId("address", "lab", "a", "a-0"), ResourceId("address", "other", "a", "a-0")
    Intents(tmp_path / "making").begin(mine)
    Intents(tmp_path / "making").begin(other)
    assert Intents(tmp_path / "making").pending("lab") == {mine}
    Intents(tmp_path / "making").clear("lab")
    assert Intents(tmp_path / "making").pending("lab") == frozenset()
    Intents(tmp_path / "making").end(other)
    assert Intents(tmp_path / "making").pending("other") == frozenset()
    assert Intents(tmp_path / "nowhere").pending("lab") == frozenset()
