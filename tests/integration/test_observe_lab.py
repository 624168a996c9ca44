"""The reconciler's own credentials see everything of an environment and can change none of it."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from lab.layout import HOSTED_ZONE, Layout, Role
from providers.aws import Aws
from providers.kubernetes import Kubernetes
from providers.leases import ClusterLeases
from providers.observe import observe
from reconciler import errors, kinds
from reconciler.model.address import parse
from reconciler.model.environment import Environment
from reconciler.resources import kubernetes, marks

pytestmark = pytest.mark.integration

NAME = "observe-lab"


def aws(lab: Layout, role: Role) -> Aws:
    file = lab.aws.credentials_file
    return Aws(lab.region, profile=lab.aws.profiles[role], endpoint=lab.aws.endpoint, credentials_file=file, patience=20)


@pytest.fixture
def environment(lab: Layout) -> Environment:
    return Environment.model_validate({"name": NAME, "zones": lab.zones, "dns": {"zone": HOSTED_ZONE}})


@pytest.fixture
def judge(lab: Layout) -> Iterator[Aws]:
    with closing(aws(lab, "judge")) as found:
        yield found


@pytest.fixture
def judge_cluster(lab: Layout) -> Iterator[Kubernetes]:
    with closing(Kubernetes(lab.kubernetes.kubeconfigs["judge"])) as found:
        yield found


@pytest.fixture
def cloud(lab: Layout) -> Iterator[Aws]:
    with closing(aws(lab, "reconciler")) as found:
        yield found


@pytest.fixture
def cluster(lab: Layout) -> Iterator[Kubernetes]:
    with closing(Kubernetes(lab.kubernetes.kubeconfigs["reconciler"])) as found:
        yield found


def tagged(kind: str, address: str) -> list[dict[str, Any]]:
    pairs = {marks.ENVIRONMENT: NAME, marks.SERVICE: "kv", marks.ADDRESS: address}
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}]


@pytest.fixture
def made(lab: Layout, judge: Aws, judge_cluster: Kubernetes) -> Iterator[set[str]]:
    """One thing of each kind, and the addresses that they have."""
    zone, name = lab.zones[0], f"observed-0.{HOSTED_ZONE}"
    disk = {"AvailabilityZone": zone, "Size": 1, "TagSpecifications": tagged("volume", f"volume/{NAME}/kv/observed-0/data")}
    volume = judge.call("ec2", "create_volume", **disk)["VolumeId"]
    network = {"SubnetId": lab.aws.subnets[zone], "TagSpecifications": tagged("network-interface", f"interface/{NAME}/kv/observed-0")}
    interface = judge.call("ec2", "create_network_interface", **network)["NetworkInterface"]["NetworkInterfaceId"]
    told = {"Domain": "vpc", "TagSpecifications": tagged("elastic-ip", f"address/{NAME}/kv/observed-0")}
    address = judge.call("ec2", "allocate_address", **told)["AllocationId"]
    record = {"Name": name, "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": "10.200.16.99"}]}
    change(judge, lab, "CREATE", record)
    environment = Environment.model_validate({"name": NAME, "zones": lab.zones})
    manifest: Any = kubernetes.storage_class(environment).fields
    judge_cluster.create(kubernetes.KINDS["StorageClass"], manifest)
    yield {
        f"volume/{NAME}/kv/observed-0/data",
        f"interface/{NAME}/kv/observed-0",
        f"address/{NAME}/kv/observed-0",
        f"record/{NAME}/{name}",
        f"zone/{NAME}/{HOSTED_ZONE}",
        f"kubernetes/{NAME}/-/StorageClass/-/{manifest['metadata']['name']}",
    }
    judge_cluster.delete(kubernetes.KINDS["StorageClass"], manifest["metadata"]["name"])
    change(judge, lab, "DELETE", record)
    judge.call("ec2", "release_address", AllocationId=address)
    judge.call("ec2", "delete_network_interface", NetworkInterfaceId=interface)
    while judge.call("ec2", "describe_volumes", VolumeIds=[volume])["Volumes"][0]["State"] == "creating":
        time.sleep(0.1)
    judge.call("ec2", "delete_volume", VolumeId=volume)


def change(cloud: Aws, lab: Layout, action: str, record: dict[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    cloud.call("route53", "change_resource_record_sets", HostedZoneId=lab.aws.hosted_zones[HOSTED_ZONE], ChangeBatch=batch)


def test_everything_of_an_environment_is_seen(environment: Environment, cloud: Aws, cluster: Kubernetes, made: set[str]) -> None:
    observed = observe(environment, kinds.kinds(), cloud, cluster)
    assert observed.unread == {}
    assert made <= {str(id) for id in observed.live}
    (record,) = observed.live[parse(f"record/{NAME}/observed-0.{HOSTED_ZONE}")]
    assert (record.marked, record.stack) == (True, "kv")  # by its member's interface
    (zone,) = observed.live[parse(f"zone/{NAME}/{HOSTED_ZONE}")]
    assert not zone.marked
    assert zone.fields["vpc"]


def test_aws_itself_refuses_what_those_credentials_would_write(lab: Layout, cloud: Aws) -> None:
    with pytest.raises(errors.ProviderError, match=r"UnauthorizedOperation|AccessDenied"):
        cloud.call("ec2", "create_volume", AvailabilityZone=lab.zones[0], Size=1)


def test_kubernetes_itself_refuses_what_those_credentials_would_write(cluster: Kubernetes) -> None:
    with pytest.raises(errors.ProviderError, match="Forbidden") as caught:
        cluster.create(kubernetes.KINDS["ConfigMap"], {"metadata": {"name": "no", "namespace": "default"}})
    assert caught.value.status == 403


def test_those_credentials_hold_leases(cluster: Kubernetes) -> None:
    with ClusterLeases(cluster, "default").hold(NAME, duration=30) as held:
        assert not held.lost
