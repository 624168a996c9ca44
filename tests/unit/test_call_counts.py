"""How often a plan asks AWS and the API server: requirements, so counted here for every commit; benchmarks/ counts at real servers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from providers.kubernetes import CHUNK
from providers.memory import MemoryCloud, MemoryCluster
from providers.observe import observe
from reconciler.model.desired import Desired
from reconciler.model.quantity import Quantity
from reconciler.model.value import Ref
from reconciler.ports import ObjectKind, Payload
from reconciler.resources import kubernetes, marks
from tests.memory_world import KINDS, desired

MOST = 120
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: service-{0}}}
spec:
  type: generic
  replicas: 1
  volumes: {{data: {{size: 1Gi}}}}
  options: {{mounts: {{data: /data}}}}
  podTemplate: {{spec: {{containers: [{{name: main, image: "main:1"}}]}}}}
"""


class CountedCloud(MemoryCloud):
    """An account whose every page is counted as the call that it is."""

    def __init__(self) -> None:
        super().__init__(page=1000)  # as many as a call may ask for; how many it asks for is the adapters' affair
        self.asked: Counter[str] = Counter()

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        for number, page in enumerate(super().pages(service, operation, **arguments)):
            self.asked[operation] += bool(number)  # the first is counted as the call that it is
            yield page

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        self.asked[operation] += 1
        return super().call(service, operation, **arguments)


class CountedCluster(MemoryCluster):
    """A cluster whose every chunk is counted as the call that it is."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Iterator[Payload]:
        found = list(super().list(kind, namespace=namespace, selector=selector))
        self.asked[kind.plural] += max(1, math.ceil(len(found) / CHUNK))
        return iter(found)


def live(count: int) -> tuple[Desired, CountedCloud, CountedCluster]:
    """*count* services as they are declared, with what the members make of them."""
    wanted = desired("---\n".join(SERVICE.format(number) for number in range(count)))
    cloud, cluster = CountedCloud(), CountedCluster()
    zone = cloud.call("route53", "create_hosted_zone", Name="db.internal", CallerReference="here", HostedZoneConfig={"PrivateZone": True})
    place, changes = zone["HostedZone"]["Id"], list[dict[str, Any]]()
    for resource in wanted.resources.values():
        fields: Mapping[str, Any] = resource.fields
        match resource.id.kind:
            case "volume":
                tags = [{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in fields["tags"].items()]}]
                size = Quantity.parse(fields["size"]).gib
                cloud.call("ec2", "create_volume", AvailabilityZone=fields["zone"], Size=size, TagSpecifications=tags)
            case "kubernetes":
                cluster.put(kubernetes.KINDS[fields["kind"]], plain(fields))
            case "record":
                body = {"Name": resource.id.name, "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": "10.0.0.1"}]}
                changes.append({"Action": "UPSERT", "ResourceRecordSet": body})
                metadata = {"name": f"member-{resource.stack}-0", "namespace": "default", "labels": marks.labels("lab", resource.stack)}
                cluster.put(kubernetes.LEASE, {"metadata": metadata})
    cloud.call("route53", "change_resource_record_sets", HostedZoneId=place, ChangeBatch={"Changes": changes})
    cloud.asked.clear()
    return wanted, cloud, cluster


def plain(value: Any) -> Any:
    match value:
        case Ref():
            return "vol-1"
        case Mapping():
            return {name: plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def calls(count: int) -> int:
    wanted, cloud, cluster = live(count)
    observed = observe(wanted.environment, KINDS, cloud, cluster)
    assert not observed.unread
    assert sum(id.kind in {"volume", "kubernetes"} for id in observed.live) >= 6 * count
    return sum(cloud.asked.values()) + sum(cluster.asked.values())


@pytest.fixture(scope="module")
def counts() -> dict[int, int]:
    return {count: calls(count) for count in (1, 500, 1000)}


def test_a_thousand_services_are_observed_in_a_hundred_and_twenty_calls(counts: dict[int, int]) -> None:
    assert counts[1000] <= MOST


def test_calls_grow_with_pages_and_not_with_services(counts: dict[int, int]) -> None:
    assert counts[500] - counts[1] <= 500 / 50
    assert counts[1000] - counts[500] <= 500 / 50
    assert counts[1000] > counts[1]
