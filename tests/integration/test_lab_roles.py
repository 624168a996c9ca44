"""Each identity may do what its job is, and is refused the rest: by IAM's policies in AWS, by RBAC in Kubernetes."""

from __future__ import annotations

import contextlib
import itertools
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import boto3
import lightkube
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from lightkube import codecs
from lightkube.models.core_v1 import Taint
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.batch_v1 import Job
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Node, Pod, Secret
from lightkube.types import PatchType

from lab import access
from lab.layout import Layout, Role
from tests.conftest import TESTING

pytestmark = pytest.mark.integration

ONCE = Config(retries={"total_max_attempts": 1}, user_agent_extra=TESTING)
numbers = itertools.count(1)


def _client(config: lightkube.KubeConfig) -> lightkube.Client:
    client = lightkube.Client(config, field_manager="test", trust_env=False)
    client._client._client.headers["User-Agent"] = TESTING
    return client


class Parties:
    """Clients of the lab, one for each role and service; closed together."""

    def __init__(self, lab: Layout) -> None:
        self._lab = lab
        self._open: dict[tuple[Role, str], Any] = {}

    def aws(self, role: Role, service: Any) -> Any:
        return self._kept(role, service, lambda: self._session(role).client(service, endpoint_url=self._lab.aws.endpoint, config=ONCE))

    def kubernetes(self, role: Role) -> lightkube.Client:
        config = lightkube.KubeConfig.from_file(self._lab.kubernetes.kubeconfigs[role])
        return cast("lightkube.Client", self._kept(role, "kubernetes", lambda: _client(config)))

    def close(self) -> None:
        for client in self._open.values():
            client.close()

    def _session(self, role: Role) -> boto3.Session:
        key, secret = access.read_credentials(Path(self._lab.aws.credentials_file), role)
        return boto3.Session(key, secret, region_name=self._lab.region)

    def _kept(self, role: Role, service: str, make: Callable[[], Any]) -> Any:
        if (role, service) not in self._open:
            self._open[role, service] = make()
        return self._open[role, service]


@pytest.fixture(scope="module")
def parties(lab: Layout) -> Iterator[Parties]:
    opened = Parties(lab)
    yield opened
    opened.close()


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Whatever happens inside is refused for want of rights, not for another fault."""
    with pytest.raises((ClientError, lightkube.ApiError)) as caught:
        yield
    error: Any = caught.value
    said = error.status.code if isinstance(error, lightkube.ApiError) else error.response["Error"]["Code"]
    assert said in {"UnauthorizedOperation", "AccessDenied", 403}


def upsert(lab: Layout, client: Any) -> Any:
    name = f"role-{next(numbers)}.db.example.internal"
    record = {"Name": name, "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": "10.200.128.1"}]}
    (zone,) = lab.aws.hosted_zones.values()
    return client.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    )


def marked(kind: str) -> Any:
    """What is made has to carry our marks at once: the engine may make nothing else."""
    return [{"ResourceType": kind, "Tags": [{"Key": "reconciler/environment", "Value": "roles"}]}]


def volume_of(parties: Parties, lab: Layout, role: Role = "engine") -> str:
    made = parties.aws(role, "ec2").create_volume(AvailabilityZone=lab.zones[0], Size=1, TagSpecifications=marked("volume"))
    return str(made["VolumeId"])


def named(kind: str) -> dict[str, str]:
    return {"name": f"role-{kind}-{next(numbers)}"}


POD: Mapping[str, Any] = {"containers": [{"name": "main", "image": "busybox", "command": ["true"]}], "restartPolicy": "Never"}


def job() -> Any:
    # suspended: what this file tests is who may make it
    return codecs.from_dict(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": named("job"), "spec": {"suspend": True, "template": {"spec": POD}}}
    )


def stateful_set() -> Any:
    labels = {"app": "role"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": POD["containers"]}}
    spec = {"serviceName": "role", "replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return codecs.from_dict({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": named("set"), "spec": spec})


def secret() -> Any:
    return codecs.from_dict({"apiVersion": "v1", "kind": "Secret", "metadata": named("secret"), "stringData": {"password": "made once"}})


def lease() -> Any:
    return codecs.from_dict(
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": named("lease"), "spec": {"holderIdentity": "a"}}
    )


def config_map() -> Any:
    return codecs.from_dict({"apiVersion": "v1", "kind": "ConfigMap", "metadata": named("config"), "data": {}})


class TestReconciler:
    def test_it_reads_all_it_plans_for_in_aws(self, parties: Parties, lab: Layout) -> None:
        assert parties.aws("reconciler", "ec2").describe_volumes()["Volumes"] is not None
        assert parties.aws("reconciler", "ec2").describe_network_interfaces()["NetworkInterfaces"]
        zones = parties.aws("reconciler", "route53").list_hosted_zones()["HostedZones"]
        assert [zone["Name"] for zone in zones] == [f"{name}." for name in lab.aws.hosted_zones]

    def test_it_writes_nothing_in_aws(self, parties: Parties, lab: Layout) -> None:
        ec2, subnet = parties.aws("reconciler", "ec2"), lab.aws.subnets[lab.zones[0]]
        writes: list[Callable[[], Any]] = [
            lambda: ec2.create_volume(AvailabilityZone=lab.zones[0], Size=1),
            lambda: ec2.create_tags(Resources=[subnet], Tags=[{"Key": "a", "Value": "b"}]),
            lambda: ec2.create_network_interface(SubnetId=subnet),
            lambda: ec2.allocate_address(Domain="vpc"),
            lambda: upsert(lab, parties.aws("reconciler", "route53")),
            lambda: parties.aws("reconciler", "iam").create_access_key(UserName="judge"),
        ]
        for write in writes:
            with refused():
                write()

    @pytest.mark.parametrize("make", [stateful_set, config_map])
    def test_it_declares_nothing_in_kubernetes(self, parties: Parties, make: Callable[[], Any]) -> None:
        with refused():
            parties.kubernetes("reconciler").create(make())
        with refused():
            parties.kubernetes("reconciler").apply(make(), force=True)

    def test_it_makes_a_binding_once_and_never_changes_it(self, parties: Parties) -> None:
        client, binding = parties.kubernetes("reconciler"), secret()
        client.create(binding)
        assert client.get(Secret, binding.metadata.name).data
        with refused():
            client.patch(Secret, binding.metadata.name, {"stringData": {"password": "other"}}, patch_type=PatchType.MERGE)
        with refused():
            client.delete(Secret, binding.metadata.name)

    def test_it_reads_no_secret_outside_the_environments_namespaces(self, parties: Parties) -> None:
        assert list(parties.kubernetes("reconciler").list(Pod, namespace="*")) is not None
        with refused():
            list(parties.kubernetes("reconciler").list(Secret, namespace="kube-system"))

    def test_it_holds_leases_and_runs_jobs(self, parties: Parties) -> None:
        client, held, session = parties.kubernetes("reconciler"), lease(), job()
        client.create(held)
        client.patch(Lease, held.metadata.name, {"spec": {"holderIdentity": "b"}}, patch_type=PatchType.MERGE)
        client.create(session)
        client.delete(Job, session.metadata.name)
        with refused():
            client.create(lease(), namespace="kube-system")


class TestEngine:
    def test_it_writes_what_stacks_declare(self, parties: Parties, lab: Layout) -> None:
        ec2 = parties.aws("engine", "ec2")
        ec2.create_tags(Resources=[volume_of(parties, lab)], Tags=[{"Key": "team", "Value": "storage"}])
        made = ec2.create_network_interface(SubnetId=lab.aws.subnets[lab.zones[0]], TagSpecifications=marked("network-interface"))
        ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterface"]["NetworkInterfaceId"])
        upsert(lab, parties.aws("engine", "route53"))
        declared = stateful_set()
        parties.kubernetes("engine").apply(declared, force=True)
        parties.kubernetes("engine").delete(StatefulSet, declared.metadata.name)

    def test_it_makes_nothing_without_marks_and_touches_nothing_of_others(self, parties: Parties, lab: Layout) -> None:
        ec2, judge = parties.aws("engine", "ec2"), parties.aws("judge", "ec2")
        theirs = judge.create_volume(AvailabilityZone=lab.zones[0], Size=1)["VolumeId"]
        judge.get_waiter("volume_available").wait(VolumeIds=[theirs], WaiterConfig={"Delay": 1})
        writes: list[Callable[[], Any]] = [
            lambda: ec2.create_volume(AvailabilityZone=lab.zones[0], Size=1),
            lambda: ec2.delete_volume(VolumeId=theirs),
            lambda: ec2.modify_volume(VolumeId=theirs, Size=2),
            lambda: ec2.create_tags(Resources=[theirs], Tags=[{"Key": "reconciler/environment", "Value": "roles"}]),
        ]
        for write in writes:
            with refused():
                write()
        judge.delete_volume(VolumeId=theirs)

    def test_it_never_deletes_what_is_retained(self, parties: Parties, lab: Layout) -> None:
        volume = volume_of(parties, lab)
        parties.aws("members", "ec2").create_tags(Resources=[volume], Tags=[{"Key": "reconciler/retained", "Value": "1c9e0d2"}])
        with refused():
            parties.aws("engine", "ec2").delete_volume(VolumeId=volume)

    def test_it_moves_no_member_and_gives_itself_no_rights(self, parties: Parties) -> None:
        with refused():
            parties.aws("engine", "ec2").attach_network_interface(DeviceIndex=1, InstanceId="i-1", NetworkInterfaceId="eni-1")
        with refused():
            parties.aws("engine", "iam").put_user_policy(UserName="engine", PolicyName="more", PolicyDocument="{}")
        with refused():
            parties.kubernetes("engine").patch(Node, "node-a1", {"metadata": {"labels": {"a": "b"}}}, patch_type=PatchType.MERGE)


class TestMembers:
    def test_it_follows_pods_in_route53_and_marks_what_is_retained(self, parties: Parties, lab: Layout) -> None:
        volume = volume_of(parties, lab)
        upsert(lab, parties.aws("members", "route53"))
        parties.aws("members", "ec2").create_tags(Resources=[volume], Tags=[{"Key": "reconciler/retained", "Value": "1c9e0d2"}])

    def test_it_makes_and_destroys_nothing_in_aws(self, parties: Parties, lab: Layout) -> None:
        volume = volume_of(parties, lab)
        with refused():
            volume_of(parties, lab, "members")
        with refused():
            parties.aws("members", "ec2").delete_volume(VolumeId=volume)

    def test_it_fences_nodes_and_scales_sets_and_declares_none(self, parties: Parties) -> None:
        client, declared = parties.kubernetes("members"), stateful_set()
        parties.kubernetes("engine").create(declared)
        client.patch(StatefulSet, declared.metadata.name, {"spec": {"replicas": 0}}, patch_type=PatchType.MERGE)
        taint = Taint(key="role-test", effect="PreferNoSchedule")
        for taints in ([taint.to_dict()], None):
            client.patch(Node, "node-c2", {"spec": {"taints": taints}}, patch_type=PatchType.MERGE)
        with refused():
            client.create(stateful_set())
        with refused():
            client.delete(StatefulSet, declared.metadata.name)
        with refused():
            list(client.list(Secret))
        parties.kubernetes("engine").delete(StatefulSet, declared.metadata.name)


def test_made_up_keys_open_nothing(lab: Layout) -> None:
    session = boto3.Session("AKIAMADEUP", "no", region_name=lab.region)
    with (
        contextlib.closing(session.client("ec2", endpoint_url=lab.aws.endpoint, config=ONCE)) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.describe_volumes()
    assert caught.value.response["Error"]["Code"] == "AuthFailure"


def test_a_stranger_to_the_api_server_sees_nothing(lab: Layout) -> None:
    trusted = ssl.create_default_context(cafile=str(Path(lab.dir) / "pki" / "ca.crt"))
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        urllib.request.urlopen(f"{lab.kubernetes.server}/api/v1/namespaces/default/configmaps", context=trusted)
    caught.value.close()
