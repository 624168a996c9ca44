"""Volumes, network interfaces and nodes that fail, as the agent shows them. Pods are bound to one node where that matters."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from lab import access
from lab.agent import control
from lab.layout import Layout
from tests.integration.kube import Kube, container, is_ready, shell

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

pytestmark = pytest.mark.integration

NODE, ZONE = "node-c2", "us-east-1c"


@pytest.fixture(scope="module")
def kube(lab: Layout) -> Iterator[Kube]:
    found = Kube(lab, "agent-nodes")
    found.ctl("create", "namespace", found.namespace)
    found.ctl("wait", "--for=create", "serviceaccount/default", "--timeout=20s")
    yield found
    found.ctl("delete", "namespace", found.namespace, "--timeout=60s")


def client(lab: Layout) -> EC2Client:
    key, secret = access.read_credentials(Path(lab.aws.credentials_file), "judge")
    session = boto3.Session(key, secret, region_name=lab.region)
    return session.client("ec2", endpoint_url=lab.aws.endpoint)


@pytest.fixture(scope="module")
def ec2(lab: Layout) -> EC2Client:
    return client(lab)


def volume(ec2: EC2Client, kube: Kube, name: str, zone: str = ZONE) -> str:
    """An EBS volume with a PersistentVolume and a claim of *name* bound to each other."""
    handle = ec2.create_volume(AvailabilityZone=zone, Size=1, VolumeType="gp3")["VolumeId"]
    term = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3"}
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{kube.namespace}-{name}"},
            "spec": {
                **common,
                "capacity": {"storage": "1Gi"},
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": kube.namespace, "name": name},
                "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": handle, "fsType": "ext4"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {**common, "volumeName": f"{kube.namespace}-{name}", "resources": {"requests": {"storage": "1Gi"}}},
        },
    )
    return handle


def redis_set(name: str, **spec: Any) -> dict[str, Any]:
    redis = {
        "name": "main", "image": "redis:8.0", "args": ["--appendonly", "yes", "--appendfsync", "always"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}], "readinessProbe": {"exec": {"command": ["redis-cli", "ping"]}},
    }  # fmt: skip
    labels = {"app": name}
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 5, **spec, "containers": [redis]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def redis(kube: Kube, pod: dict[str, Any], *command: str) -> str:
    return kube.inside(["redis-cli", "-h", pod["status"]["podIP"], *command]).strip()


def instance(kube: Kube, node: str) -> str:
    return str(kube.get("node", node)["spec"]["providerID"].rpartition("/")[2])


def test_data_of_a_stateful_set_outlives_its_pod(kube: Kube, ec2: EC2Client) -> None:
    handle = volume(ec2, kube, "data-kept-0")
    kube.apply(redis_set("kept"))
    kube.ctl("wait", "--for=create", "pod/kept-0", "--timeout=20s")
    first = kube.ready("kept-0")
    attached = ec2.describe_volumes(VolumeIds=[handle])["Volumes"][0]["Attachments"]
    assert [one["InstanceId"] for one in attached] == [instance(kube, first["spec"]["nodeName"])]
    assert redis(kube, first, "set", "word", "kept") == "OK"
    kube.ctl("delete", "pod", "kept-0", "--timeout=30s")
    kube.ctl("wait", "--for=create", "pod/kept-0", "--timeout=20s")
    second = kube.ready("kept-0")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert redis(kube, second, "get", "word") == "kept"
    assert (Path(kube.lab.dir) / "volumes" / handle / "appendonlydir").is_dir()
    kube.ctl("delete", "statefulset", "kept", "--timeout=30s")
    kube.ctl("wait", "--for=delete", "pod/kept-0", "--timeout=30s")
    _until(lambda: ec2.describe_volumes(VolumeIds=[handle])["Volumes"][0]["State"] == "available")


def test_a_node_says_which_volumes_it_uses_until_a_moment_after_their_processes_are_gone(kube: Kube, ec2: EC2Client) -> None:
    handle = volume(ec2, kube, "used")
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "used"}}]
    kube.pod("uses", shell("sleep 1000", volumeMounts=[{"name": "data", "mountPath": "/data"}]), nodeName=NODE, volumes=claim)
    kube.ready("uses")
    assert f"kubernetes.io/csi/ebs.csi.aws.com^{handle}" in kube.get("node", NODE)["status"]["volumesInUse"]
    kube.ctl("delete", "pod", "uses", "--timeout=30s")
    kube.until("node", NODE, lambda node: not node["status"].get("volumesInUse"))


def test_a_claim_that_asks_for_more_gets_it_when_its_volume_has_it(kube: Kube, ec2: EC2Client) -> None:
    handle = volume(ec2, kube, "grows")
    kube.until("pvc", "grows", lambda claim: claim["status"].get("phase") == "Bound")
    ec2.get_waiter("volume_available").wait(VolumeIds=[handle], WaiterConfig={"Delay": 1})
    ec2.modify_volume(VolumeId=handle, Size=3)
    kube.ctl("patch", "pvc", "grows", "--patch", json.dumps({"spec": {"resources": {"requests": {"storage": "3Gi"}}}}))
    kube.until("pvc", "grows", lambda claim: claim["status"]["capacity"]["storage"] == "3Gi")
    assert kube.get("pv", f"{kube.namespace}-grows")["spec"]["capacity"]["storage"] == "3Gi"
    modified = ec2.describe_volumes_modifications(VolumeIds=[handle])["VolumesModifications"]
    assert [one["TargetSize"] for one in modified] == [3]


def test_a_claim_that_nobody_made_a_volume_for_gets_one_which_goes_with_it(kube: Kube, ec2: EC2Client) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}  # of the default class
    kube.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "asked"}, "spec": spec})
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "asked"}}]
    kube.pod("asks", shell("echo here > /data/file && sleep 1000", volumeMounts=[{"name": "data", "mountPath": "/data"}]), volumes=claim)
    zone = kube.get("node", kube.ready("asks")["spec"]["nodeName"])["metadata"]["labels"]["topology.kubernetes.io/zone"]
    name = kube.get("pvc", "asked")["spec"]["volumeName"]
    handle = kube.get("pv", name)["spec"]["csi"]["volumeHandle"]
    (made,) = ec2.describe_volumes(VolumeIds=[handle])["Volumes"]
    assert (made["AvailabilityZone"], made["Size"], made["VolumeType"]) == (zone, 2, "gp3")
    _until((Path(kube.lab.dir) / "volumes" / handle / "file").exists)
    kube.ctl("delete", "pod", "asks", "--timeout=30s")
    kube.ctl("delete", "pvc", "asked", "--timeout=30s")
    kube.ctl("wait", "--for=delete", f"pv/{name}", "--timeout=60s")
    _until(lambda: handle not in {one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]})


def test_a_pod_that_waits_for_its_volume_can_still_be_deleted(kube: Kube) -> None:
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "nobody-made-it"}}]
    kube.pod("early", shell("sleep 1000", volumeMounts=[{"name": "data", "mountPath": "/data"}]), nodeName=NODE, volumes=claim)
    said = {"type": "PodReadyToStartContainers", "status": "False", "message": 'persistentvolumeclaim "nobody-made-it" not found'}
    kube.until("pod", "early", lambda pod: any(said.items() <= one.items() for one in pod["status"].get("conditions", [])))
    kube.ctl("delete", "pod", "early", "--timeout=10s")


def test_an_attached_interface_is_on_its_node(kube: Kube, ec2: EC2Client) -> None:
    made = ec2.create_network_interface(SubnetId=kube.lab.aws.subnets[ZONE], PrivateIpAddress="10.200.48.77")["NetworkInterface"]
    look = f"grep -ls {made['MacAddress']} /sys/class/net/*/address"
    kube.pod(
        "placed",
        shell(f"until {look}; do sleep 0.1; done; while {look} > /dev/null; do sleep 0.1; done"),
        nodeName=NODE,
        hostNetwork=True,
        restartPolicy="Never",
    )
    kube.until("pod", "placed", lambda pod: container(pod)["state"].get("running"))
    assert kube.get("pod", "placed")["status"]["podIP"] == kube.get("pod", "placed")["status"]["hostIP"]
    attached = ec2.attach_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"], InstanceId=instance(kube, NODE), DeviceIndex=1)
    _until(lambda: kube.ctl("logs", "placed") == "/sys/class/net/eth1/address\n")
    ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
    kube.ended("placed")
    _until(
        lambda: (
            ec2.describe_network_interfaces(NetworkInterfaceIds=[made["NetworkInterfaceId"]])["NetworkInterfaces"][0]["Status"]
            == "available"
        )
    )
    ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])


def test_a_hung_node_says_nothing_while_its_processes_go_on(kube: Kube) -> None:
    kube.pod("hung", {"name": "main", "image": "redis:8.0"}, nodeName=NODE)
    pod = kube.ready("hung")
    control.node_down(Path(kube.lab.dir), NODE, "hung")
    try:
        kube.ctl("delete", "pod", "hung", "--wait=false")
        beat = _renewed(kube)
        time.sleep(7)
        assert _renewed(kube) == beat
        assert redis(kube, pod, "ping") == "PONG"
        assert "deletionTimestamp" in kube.get("pod", "hung")["metadata"]
    finally:
        control.node_up(Path(kube.lab.dir), NODE)
    kube.ctl("wait", "--for=delete", "pod/hung", "--timeout=20s")
    _until(lambda: _renewed(kube) != beat)


def test_a_dead_nodes_processes_are_gone_and_its_volume_can_go_elsewhere(kube: Kube, ec2: EC2Client) -> None:
    volume(ec2, kube, "data-moves-0")
    kube.apply(redis_set("moves", nodeSelector={"topology.kubernetes.io/zone": ZONE}))
    kube.ctl("wait", "--for=create", "pod/moves-0", "--timeout=20s")
    first = kube.ready("moves-0")
    home = first["spec"]["nodeName"]
    redis(kube, first, "set", "word", "moved")
    control.node_down(Path(kube.lab.dir), home, "dead")
    try:
        assert first["metadata"]["uid"] not in kube.inside(["ls", f"{kube.lab.dir}/agent/pods"])
        kube.until("node", home, lambda node: _ready(node) == "Unknown", within=60)
        kube.ctl("taint", "node", home, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
        kube.until("pod", "moves-0", lambda pod: is_ready(pod) and pod["spec"]["nodeName"] != home, within=90)
        second = kube.get("pod", "moves-0")
        assert redis(kube, second, "get", "word") == "moved"
    finally:
        kube.ctl("taint", "node", home, "node.kubernetes.io/out-of-service-", "--overwrite")
        control.node_up(Path(kube.lab.dir), home)
    kube.until("node", home, lambda node: _ready(node) == "True")
    kube.ctl("delete", "statefulset", "moves")
    kube.ctl("wait", "--for=delete", "pod/moves-0", "--timeout=30s")


def test_a_volume_taken_from_a_hung_node_by_force_is_written_by_nobody_there(kube: Kube, ec2: EC2Client) -> None:
    """The processes that used it are gone before another node may mount it."""
    handle = volume(ec2, kube, "data-torn-0")
    kube.apply(redis_set("torn", nodeSelector={"topology.kubernetes.io/zone": ZONE}))
    kube.ctl("wait", "--for=create", "pod/torn-0", "--timeout=20s")
    first = kube.ready("torn-0")
    home = first["spec"]["nodeName"]
    redis(kube, first, "set", "word", "before")
    control.node_down(Path(kube.lab.dir), home, "hung")
    try:
        kube.until("node", home, lambda node: _ready(node) == "Unknown", within=60)
        assert redis(kube, first, "get", "word") == "before"
        kube.ctl("taint", "node", home, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
        kube.until("pod", "torn-0", lambda pod: is_ready(pod) and pod["spec"]["nodeName"] != home, within=90)
        second = kube.get("pod", "torn-0")
        assert redis(kube, second, "get", "word") == "before"
        writers = kube.inside(["sh", "-c", f"grep -l {handle} /proc/[0-9]*/mountinfo 2>/dev/null | wc -l"])
        assert int(writers) == 1  # the new server alone
    finally:
        kube.ctl("taint", "node", home, "node.kubernetes.io/out-of-service-", "--overwrite")
        control.node_up(Path(kube.lab.dir), home)
    kube.until("node", home, lambda node: _ready(node) == "True")
    kube.ctl("delete", "statefulset", "torn")
    kube.ctl("wait", "--for=delete", "pod/torn-0", "--timeout=30s")


def test_a_pod_of_a_node_that_was_dead_starts_anew_with_it(kube: Kube) -> None:
    kube.pod("returns", shell("sleep 1000"), nodeName=NODE)
    kube.ready("returns")
    control.node_down(Path(kube.lab.dir), NODE, "dead")
    control.node_up(Path(kube.lab.dir), NODE)
    pod = kube.until("pod", "returns", lambda pod: container(pod)["restartCount"] == 1 and is_ready(pod))
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 137
    kube.ctl("delete", "pod", "returns", "--timeout=20s")


def test_a_node_that_is_not_there_is_named(kube: Kube) -> None:
    with pytest.raises(ValueError, match="node-z9"):
        control.node_down(Path(kube.lab.dir), "node-z9", "dead")


def _renewed(kube: Kube) -> str:
    return kube.ctl("get", "lease", NODE, "--namespace=kube-node-lease", "-o", "jsonpath={.spec.renewTime}")


def _ready(node: dict[str, Any]) -> str:
    return str(next(one["status"] for one in node["status"]["conditions"] if one["type"] == "Ready"))


def _until(holds: Any, within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, json.dumps({"waited": within})
        time.sleep(0.2)
