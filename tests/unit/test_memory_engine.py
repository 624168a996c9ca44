"""The engine in memory makes what is declared so: a second look at the fakes finds nothing to change."""

from typing import Any

import pytest

from providers.memory import MemoryCloud, MemoryCluster, MemoryEngine
from providers.memory.making import MANAGER
from providers.observe import observe
from reconciler import errors, kinds
from reconciler.diff import Context, diff
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observed
from reconciler.model.origin import Revision
from reconciler.model.outcome import Blocked, Done, Failed, Outcome
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service, VolumeSpec
from reconciler.ports import StackRun
from reconciler.resources import cloud, kubernetes
from stacks import redis, zookeeper

KINDS = kinds.kinds()
MEMBERS = [f"{name}/{name}-{ordinal}" for name in ("kv", "zk") for ordinal in range(3)]
REVISION = Revision("c" * 40, "t" * 40, "lab")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
SUBNETS = {zone: f"subnet-{zone[-1]}" for zone in ZONES}
ENVIRONMENT = Environment.model_validate(
    {
        "name": "lab",
        "zones": ZONES,
        "aws": {"vpc": "vpc-1", "subnets": SUBNETS, "securityGroups": ["sg-1"], "tags": {"team": "db"}},
        "dns": {"zone": "db.internal"},
    },
    by_alias=True,
    by_name=True,
)


def service(name: str, type_: Any, size: str = "10Gi", **more: Any) -> Service:
    volumes = {"data": VolumeSpec(size=Quantity.parse(size))}
    return Service(name=name, type=type_.name, version=type_.default_version, zones=ZONES, namespace="default", volumes=volumes, **more)


class Lab:
    """Two services and what they share, with everything in memory."""

    def __init__(self) -> None:
        self.cloud = MemoryCloud(subnets=SUBNETS, page=2)
        self.cluster = MemoryCluster()
        self.engine = MemoryEngine(self.cloud, self.cluster, KINDS)
        self.services: dict[str, tuple[Any, dict[str, Any]]] = {"kv": (redis, {}), "zk": (zookeeper, {"addresses": "elastic"})}
        self.size = "10Gi"

    def declared(self) -> dict[ResourceId, Resource]:
        shared = (cloud.hosted_zone(ENVIRONMENT), kubernetes.storage_class(ENVIRONMENT))
        own = [
            resource
            for name, (stack, more) in self.services.items()
            for resource in stack.resources(service(name, stack.SERVICE, self.size, **more), ENVIRONMENT)
        ]
        return {resource.id: resource for resource in (*shared, *own)}

    def changes(self) -> tuple[Change, ...]:
        desired = Desired(ENVIRONMENT, REVISION, resources=self.declared())
        return diff(desired, self.observed(), Context(KINDS, self.engine.stacks("lab")))

    def observed(self) -> Observed:
        return observe(ENVIRONMENT, KINDS, self.cloud, self.cluster)

    def apply(self) -> dict[ResourceId, Outcome]:
        outcomes: dict[ResourceId, Outcome] = {}
        for stack in (SHARED, *sorted({*self.services, *self.engine.held} - {SHARED})):
            changes = tuple(change for change in self.changes() if change.stack == stack and change.owner == "engine")
            resources = tuple(resource for resource in self.declared().values() if resource.stack == stack and resource.owner == "engine")
            attributes = {id: found[0].attributes for id, found in self.observed().live.items()}
            result = self.engine.up(StackRun(REVISION, stack, resources, changes, attributes), lambda *_: None)
            outcomes |= result.outcomes
        return outcomes

    def actions(self) -> dict[str, str]:
        return {str(change.id): change.action for change in self.changes() if change.owner == "engine" and change.action != "keep"}


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_what_was_applied_is_found_as_declared(lab: Lab) -> None:
    before = lab.actions()
    assert set(before.values()) == {"create"}
    assert all(isinstance(outcome, Done) for outcome in lab.apply().values())
    assert lab.actions() == {}
    assert {kind.partition("/")[0] for kind in before} == {"volume", "interface", "address", "record", "zone", "kubernetes"}


def test_a_grown_volume_grows_with_its_claim_and_nothing_else(lab: Lab) -> None:
    lab.apply()
    lab.size = "20Gi"
    disks = {f"volume/lab/{member}/data" for member in MEMBERS}
    claims = {f"kubernetes/lab/{member.split('/')[0]}/PersistentVolumeClaim/default/data-{member.split('/')[1]}" for member in MEMBERS}
    assert set(lab.actions()) == disks | claims
    assert set(lab.actions().values()) == {"update"}
    lab.apply()
    assert lab.actions() == {}
    assert {volume["Size"] for volume in lab.cloud.ec2.volumes.values()} == {20}


def test_a_shrunk_volume_is_refused_with_both_sizes(lab: Lab) -> None:
    lab.apply()
    lab.size = "5Gi"
    refused = [change for change in lab.changes() if change.id.kind == "volume"]
    assert refused
    assert all(change.action == "refuse" and change.reason.endswith("size 10Gi -> 5Gi: a volume cannot shrink") for change in refused)


def test_drift_on_every_kind_is_found_and_healed(lab: Lab) -> None:
    lab.apply()
    volume = next(iter(lab.cloud.ec2.volumes))
    lab.cloud.call("ec2", "create_tags", Resources=[volume], Tags=[{"Key": "team", "Value": "other"}])
    lab.cluster.patch(kubernetes.KINDS["StatefulSet"], "kv", {"spec": {"replicas": 7}}, namespace="default")
    lab.cluster.delete(kubernetes.KINDS["PodDisruptionBudget"], "zk", namespace="default")
    found = lab.actions()
    assert found.pop("kubernetes/lab/zk/PodDisruptionBudget/default/zk") == "create"
    assert found.pop("kubernetes/lab/kv/StatefulSet/default/kv") == "update"
    assert list(found.values()) == ["update"]
    lab.apply()
    assert lab.actions() == {}


def test_what_is_no_longer_declared_goes_and_its_volumes_stay(lab: Lab) -> None:
    lab.apply()
    del lab.services["zk"]
    assert set(lab.actions().values()) == {"delete", "forget"}
    lab.apply()
    ours = {change.id.kind for change in lab.changes() if change.stack == "zk"}
    assert ours == {"volume"}
    assert len(lab.cloud.ec2.volumes) == 6
    assert not lab.cloud.ec2.interfaces
    assert "zk" not in lab.engine.stacks("lab")


def test_a_label_taken_out_of_the_spec_is_taken_off_the_object(lab: Lab) -> None:
    lab.apply()
    name = ResourceId("kubernetes", "lab", "kv", "StatefulSet/default/kv")
    fields: Any = lab.declared()[name].fields
    metadata = {**fields["metadata"], "labels": {**fields["metadata"]["labels"], "extra": "x"}}
    lab.cluster.apply(kubernetes.KINDS["StatefulSet"], {**fields, "metadata": metadata}, MANAGER)
    assert lab.actions() == {str(name): "update"}
    lab.apply()
    found: Any = lab.cluster.get(kubernetes.KINDS["StatefulSet"], "kv", namespace="default")
    assert "extra" not in found["metadata"]["labels"]


def test_a_failure_blocks_only_what_needs_it(lab: Lab) -> None:
    lab.cloud.fail("create_network_interface", errors.TransientError("no", code="RequestLimitExceeded"))
    outcomes = {str(id): outcome for id, outcome in lab.apply().items()}
    assert outcomes["interface/lab/zk/zk-0"] == Failed("no", retryable=True)
    assert outcomes["record/lab/zk-0.db.internal"] == Blocked("interface/lab/zk/zk-0")
    assert outcomes["volume/lab/zk/zk-0/data"] == Done()
    lab.cloud.heal()
    lab.apply()
    assert lab.actions() == {}
