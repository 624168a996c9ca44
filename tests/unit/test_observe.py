"""Observing: everything that can be read is, each reading failing alone; records are known to be ours by what else is."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from providers.memory import MemoryCloud, MemoryCluster
from providers.observe import observe
from reconciler import errors, kinds
from reconciler.diff import marking
from reconciler.model.address import ResourceId, parse
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, Observed, Scope
from reconciler.ports import ObjectKind, Payload
from reconciler.resources import kubernetes, marks

KINDS = kinds.kinds()
ENVIRONMENT = Environment.model_validate({"name": "lab", "zones": ("us-east-1a",), "dns": {"zone": "db.internal"}})


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud(subnets={"us-east-1a": "subnet-1"}, page=2)


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


def tagged(kind: str, address: str, environment: str = "lab") -> list[dict[str, Any]]:
    pairs = {marks.ENVIRONMENT: environment, marks.SERVICE: "kv", marks.ADDRESS: address}
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}]


def make_volume(cloud: MemoryCloud, address: str, environment: str = "lab") -> str:
    asked = {"AvailabilityZone": "us-east-1a", "Size": 10, "VolumeType": "gp3"}
    return str(cloud.call("ec2", "create_volume", **asked, TagSpecifications=tagged("volume", address, environment))["VolumeId"])


def make_zone(cloud: MemoryCloud, name: str = "db.internal", reference: str = "c", *, private: bool = True) -> str:
    network = {"VPC": {"VPCId": "vpc-1"}} if private else {}
    made = cloud.call("route53", "create_hosted_zone", Name=name, CallerReference=reference, **network)
    return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")


def make_record(cloud: MemoryCloud, zone: str, name: str, kind: str = "A", value: str = "10.0.0.1") -> None:
    record = {"Name": name, "Type": kind, "TTL": 5, "ResourceRecords": [{"Value": value}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)


def make_lease(cluster: MemoryCluster, member: str, service: str = "kv", name: str = "") -> None:
    metadata = {
        "name": name or f"member-{member}",
        "namespace": "default",
        "labels": marks.labels("lab", service),
        "annotations": {marks.ADDRESS: f"record/lab/{member}.db.internal"},
    }
    cluster.create(kubernetes.LEASE, {"metadata": metadata, "spec": {"holderIdentity": "uid"}})


def look(cloud: Any, cluster: Any) -> Observed:
    return observe(ENVIRONMENT, KINDS, cloud, cluster)


def seen(observed: Observed) -> set[str]:
    return {str(id) for id in observed.live}


def test_every_page_of_our_volumes_is_seen_and_nobody_elses(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    ours = {f"volume/lab/kv/kv-{number}/data" for number in range(5)}
    for address in ours:
        make_volume(cloud, address)
    make_volume(cloud, "volume/other/kv/kv-0/data", "other")
    observed = look(cloud, cluster)
    assert seen(observed) == ours
    assert not observed.unread
    assert cloud.calls["describe_volumes"] == 1  # in bulk: pages, never one call a volume


def test_two_volumes_of_one_address_are_both_seen(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    ids = {make_volume(cloud, "volume/lab/kv/kv-0/data") for _ in range(2)}
    found = look(cloud, cluster).live[ResourceId("volume", "lab", "kv", "kv-0/data")]
    assert {one.live_id for one in found} == ids


@pytest.mark.parametrize("state", ["deleting", "deleted"])
def test_a_volume_that_is_being_deleted_is_gone(cloud: MemoryCloud, cluster: MemoryCluster, state: str) -> None:
    cloud.ec2.volumes[make_volume(cloud, "volume/lab/kv/kv-0/data")]["State"] = state
    assert seen(look(cloud, cluster)) == set()


def test_what_cannot_be_read_is_unread_with_the_reason_and_the_rest_is_kept(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    make_volume(cloud, "volume/lab/kv/kv-0/data")
    make_zone(cloud)
    cloud.fail("describe_volumes", errors.TransientError("AWS refused: RequestLimitExceeded"))
    cluster.fail("list statefulsets", errors.ProviderError("Forbidden", status=403))
    observed = look(cloud, cluster)
    assert observed.unread == {
        Scope("volume", "lab"): "AWS refused: RequestLimitExceeded",
        Scope("kubernetes", "lab", "StatefulSet/"): "Forbidden",
    }
    assert seen(observed) == {"zone/lab/db.internal"}
    assert observed.why_unread(parse("volume/lab/kv/kv-0/data")) == "AWS refused: RequestLimitExceeded"
    assert observed.why_unread(parse("kubernetes/lab/kv/Service/default/kv")) == ""


def test_half_a_list_is_no_list(cluster: MemoryCluster) -> None:
    class Half(MemoryCloud):
        def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
            for number, page in enumerate(super().pages(service, operation, **arguments)):
                if number:
                    raise errors.TransientError("the second page did not come")
                yield page

    cloud = Half(page=2)
    for number in range(3):
        make_volume(cloud, f"volume/lab/kv/kv-{number}/data")
    observed = look(cloud, cluster)
    assert seen(observed) == set()
    assert observed.unread == {Scope("volume", "lab"): "the second page did not come"}


def test_an_answer_that_cannot_be_understood_hides_nothing_else(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    del cloud.ec2.volumes[make_volume(cloud, "volume/lab/kv/kv-0/data")]["Size"]
    make_zone(cloud)
    observed = look(cloud, cluster)
    assert observed.unread == {Scope("volume", "lab"): "the answer could not be understood (KeyError: 'Size')"}
    assert seen(observed) == {"zone/lab/db.internal"}


def test_readings_run_side_by_side(cloud: MemoryCloud) -> None:
    together = threading.Barrier(4, timeout=10)

    class Waiting(MemoryCluster):
        def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Iterator[Payload]:
            if kind.kind in {"Service", "ConfigMap", "StatefulSet", "Lease"}:
                together.wait()  # each waits for the three others
            return super().list(kind, namespace=namespace, selector=selector)

    assert not look(cloud, Waiting()).unread


def test_without_a_zone_there_are_no_records(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    make_zone(cloud, "elsewhere.internal", "other")
    observed = look(cloud, cluster)
    assert not observed.unread
    assert seen(observed) == set()


def test_a_public_zone_of_the_name_is_another_zone(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    public = make_zone(cloud, reference="public", private=False)
    private = make_zone(cloud, reference="private")
    for zone in (public, private):
        make_record(cloud, zone, f"{zone}.db.internal")
    observed = look(cloud, cluster)
    assert [one.live_id for one in observed.live[parse("zone/lab/db.internal")]] == [private]
    assert seen(observed) == {"zone/lab/db.internal", f"record/lab/{private}.db.internal".lower()}


def test_two_zones_of_one_name_are_for_a_person_to_see(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    ids = {make_zone(cloud, reference=reference) for reference in ("a", "b")}
    assert {one.live_id for one in look(cloud, cluster).live[parse("zone/lab/db.internal")]} == ids


def test_only_records_that_could_be_ours_are_seen(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    zone = make_zone(cloud)
    make_record(cloud, zone, "kv-0.db.internal")
    make_record(cloud, zone, "kv-0.db.internal", "TXT", '"note"')
    make_record(cloud, zone, "kv-1.db.internal", "CNAME", "elsewhere.")
    found = {str(id): one.fields["type"] for id, (one,) in look(cloud, cluster).live.items() if id.kind == "record"}
    assert found == {"record/lab/kv-0.db.internal": "A", "record/lab/kv-1.db.internal": "CNAME"}


def test_a_record_is_ours_by_the_lease_of_its_member(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    zone = make_zone(cloud)
    for member in ("kv-0", "kv-1", "kv-2"):
        make_record(cloud, zone, f"{member}.db.internal")
    make_lease(cluster, "kv-0")
    make_lease(cluster, "kv-1", name="something-else")
    marked = {id.name: (one.marked, one.stack) for id, (one,) in look(cloud, cluster).live.items() if id.kind == "record"}
    assert marked == {"kv-0.db.internal": (True, "kv"), "kv-1.db.internal": (False, ""), "kv-2.db.internal": (False, "")}


def test_without_the_leases_no_record_can_be_judged(cloud: MemoryCloud, cluster: MemoryCluster) -> None:
    make_record(cloud, make_zone(cloud), "kv-0.db.internal")
    cluster.fail("list leases", errors.TransientError("etcd is away"))
    assert look(cloud, cluster).unread == {Scope("record", "lab"): "etcd is away"}


def test_a_record_is_ours_by_the_interface_of_its_member() -> None:
    interface = Observation(ResourceId("interface", "lab", "zk", "zk-0"), "eni-1", {}, stack="zk")
    foreign = Observation(ResourceId("interface", "lab", "-", "eni-2"), "eni-2", {}, marked=False, stack="zk")
    records = [
        Observation(ResourceId("record", "lab", "", f"{name}.db.internal"), name, {"type": kind}, marked=False)
        for name, kind in (("zk-0", "A"), ("eni-2", "A"), ("zk-1", "A"))
    ]
    marked = marking.mark([interface, foreign, *records], "db.internal", {})
    assert [(one.live_id, one.marked, one.stack) for one in marked[2:]] == [("zk-0", True, "zk"), ("eni-2", False, ""), ("zk-1", False, "")]


def test_a_cname_in_the_way_is_not_ours() -> None:
    record = Observation(ResourceId("record", "lab", "", "kv-0.db.internal"), "r", {"type": "CNAME"}, marked=False)
    assert marking.mark([record], "db.internal", {str(record.id): "kv"}) == [record]
