"""What each kind registers with the engine: held against Pulumi's own SDKs, with a monitor that records in place of the engine."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, settings
from pulumi_kubernetes import apps, core, networking, policy, rbac, storage

from reconciler import kinds
from reconciler.model import address
from reconciler.model.resource import Resource
from reconciler.resources import kubernetes

pytestmark = pytest.mark.filterwarnings("ignore:aws.ec2:DeprecationWarning")  # the SDK's own, of a resource that nobody here uses
KINDS = kinds.kinds()
TAGS = {"reconciler/environment": "lab"}


class Recorder(pulumi.runtime.Mocks):
    """Stands where the engine's monitor stands, and keeps what it is given."""

    def __init__(self) -> None:
        self.registered: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.registered.append(args)
        return f"id-of-{args.name}", {
            **args.inputs,
            "privateIp": "10.0.0.9",
            "macAddress": "02:00",
            "publicIp": "203.0.113.1",
            "zoneId": "Z1",
        }

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"no kind asks the engine anything: {args.token}")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def _leave_no_loop() -> None:
    """The SDK's mock monitor makes a loop for the thread that it answers in, and leaves it open."""
    asyncio.get_event_loop().close()


def declared(recorder: Recorder, name: str, fields: Mapping[str, Any]) -> tuple[mocks.MockResourceArgs, dict[str, Any]]:
    """What is registered for a resource, and the values of its attributes."""
    id = address.parse(name)

    async def run() -> dict[str, Any]:
        mocks.set_mocks(recorder, project="reconciler", stack="lab.kv", preview=False)
        outputs = KINDS[id.kind].declare(Resource(id, fields, "kv"), fields, pulumi.ResourceOptions())
        made = outputs[""]
        assert isinstance(made, pulumi.CustomResource)
        await made.id.future()
        found = {attribute: await pulumi.Output.from_input(output).future() for attribute, output in outputs.items() if attribute}
        await asyncio.get_running_loop().run_in_executor(None, _leave_no_loop)
        settings.reset_options()
        return found

    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as pool:
        runner.get_loop().set_default_executor(pool)
        attributes = runner.run(run())
    registered = recorder.registered.pop()
    assert registered.name == name
    return registered, attributes


def test_a_volume_has_its_size_in_whole_gib(recorder: Recorder) -> None:
    fields = {"size": "100Gi", "type": "gp3", "zone": "us-east-1a", "encrypted": True, "iops": 4000, "tags": TAGS}
    made, attributes = declared(recorder, "volume/lab/kv/kv-0/data", fields)
    assert made.typ == "aws:ebs/volume:Volume"
    assert made.inputs == {
        "availabilityZone": "us-east-1a",
        "size": 100,
        "type": "gp3",
        "encrypted": True,
        "iops": 4000,
        "tags": TAGS,
    }
    assert attributes == {"id": "id-of-volume/lab/kv/kv-0/data", "zone": "us-east-1a"}


def test_a_volume_that_is_made_from_a_snapshot_names_it(recorder: Recorder) -> None:
    fields = {"size": "100Gi", "type": "gp3", "zone": "us-east-1a", "encrypted": True, "snapshot": "snap-1", "tags": TAGS}
    made, _ = declared(recorder, "volume/lab/kv/kv-0/data", fields)
    assert made.inputs["snapshotId"] == "snap-1"
    assert "snapshot" not in KINDS["volume"].recall(made.inputs), "nothing declares it again, so nothing is told of it as drift"


def test_an_interface_has_its_subnet_and_groups(recorder: Recorder) -> None:
    fields = {"subnet": "subnet-1", "security_groups": ["sg-1"], "tags": TAGS}
    made, attributes = declared(recorder, "interface/lab/zk/zk-0", fields)
    assert made.typ == "aws:ec2/networkInterface:NetworkInterface"
    assert made.inputs == {"subnetId": "subnet-1", "securityGroups": ["sg-1"], "description": "interface/lab/zk/zk-0", "tags": TAGS}
    assert attributes == {"id": "id-of-interface/lab/zk/zk-0", "private_ip": "10.0.0.9", "mac_address": "02:00"}


def test_an_address_goes_to_its_interface(recorder: Recorder) -> None:
    made, attributes = declared(recorder, "address/lab/zk/zk-0", {"interface": "eni-1", "tags": TAGS})
    assert made.typ == "aws:ec2/eip:Eip"
    assert made.inputs == {"domain": "vpc", "networkInterface": "eni-1", "tags": TAGS}
    assert attributes == {"id": "id-of-address/lab/zk/zk-0", "public_ip": "203.0.113.1"}


def test_a_record_may_take_the_place_of_one_that_is_there(recorder: Recorder) -> None:
    made, _ = declared(recorder, "record/lab/zk-0.db.internal", {"zone": "Z1", "type": "A", "ttl": 5, "values": ["10.0.0.9"]})
    assert made.typ == "aws:route53/record:Record"
    assert made.inputs == {
        "zoneId": "Z1",
        "name": "zk-0.db.internal",
        "type": "A",
        "ttl": 5,
        "records": ["10.0.0.9"],
        "allowOverwrite": True,
    }


def test_a_zone_stays_in_the_networks_of_others(recorder: Recorder) -> None:
    fields = {"name": "db.internal", "tags": TAGS, "vpc": "vpc-1", "other_networks": ["vpc-2/eu-west-1"]}
    made, _ = declared(recorder, "zone/lab/db.internal", fields)
    assert made.inputs["vpcs"] == [{"vpcId": "vpc-1"}, {"vpcId": "vpc-2", "vpcRegion": "eu-west-1"}]


def test_an_alias_leads_to_a_name_in_a_zone(recorder: Recorder) -> None:
    alias = {"name": "lb.elb.amazonaws.com", "zone": "Z35", "health": True}
    made, _ = declared(recorder, "record/lab/api.db.internal", {"zone": "Z1", "type": "A", "alias": alias})
    assert made.inputs["aliases"] == [{"name": "lb.elb.amazonaws.com", "zoneId": "Z35", "evaluateTargetHealth": True}]
    assert made.inputs.keys().isdisjoint({"ttl", "records"})
    assert KINDS["record"].recall(made.inputs) == {"zone": "Z1", "type": "A", "alias": alias}


@pytest.mark.parametrize("private", [True, False])
def test_a_zone_belongs_to_its_network(recorder: Recorder, private: bool) -> None:
    fields = {"name": "db.internal", "tags": TAGS, **({"vpc": "vpc-1"} if private else {})}
    made, attributes = declared(recorder, "zone/lab/db.internal", fields)
    assert made.typ == "aws:route53/zone:Zone"
    assert made.inputs["name"] == "db.internal"
    assert made.inputs.get("vpcs") == ([{"vpcId": "vpc-1"}] if private else None)
    assert attributes == {"zone_id": "Z1"}


@pytest.mark.parametrize(
    ("version", "kind", "token"),
    [
        ("v1", "Service", "kubernetes:core/v1:Service"),
        ("apps/v1", "StatefulSet", "kubernetes:apps/v1:StatefulSet"),
        ("storage.k8s.io/v1", "StorageClass", "kubernetes:storage.k8s.io/v1:StorageClass"),
    ],
)
def test_an_object_is_registered_as_the_manifest_that_it_is(recorder: Recorder, version: str, kind: str, token: str) -> None:
    manifest = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "kv"},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True},
    }
    made, _ = declared(recorder, f"kubernetes/lab/kv/{kind}/-/kv", manifest)
    assert (made.typ, made.inputs) == (token, manifest)


def test_the_typed_sdk_has_every_token_that_we_make(recorder: Recorder) -> None:
    modules = {
        "apps/v1": apps.v1,
        "v1": core.v1,
        "policy/v1": policy.v1,
        "networking.k8s.io/v1": networking.v1,
        "rbac.authorization.k8s.io/v1": rbac.v1,
        "storage.k8s.io/v1": storage.v1,
    }
    for kind in kubernetes.OBSERVED:
        typed = getattr(modules[kind.api_version], kind.kind)
        made, _ = declared(
            recorder, f"kubernetes/lab/kv/{kind.kind}/-/kv", {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
        )
        assert made.typ == typed.pulumi_type, kind
