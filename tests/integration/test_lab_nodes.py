"""Nodes with a network of their own, and what befalls them: killed, stopped by EC2, cut off, rebooted, slow to let go of what they hold."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import lifecycle
from lab.agent import control
from lab.layout import Layout
from runner import member
from tests.integration.kube import Kube, container, is_ready, shell
from tests.integration.test_lab_agent_nodes import client, ec2, instance, redis, redis_set, volume

if TYPE_CHECKING:
    from mypy_boto3_ec2.client import EC2Client

__all__ = ["ec2"]  # a fixture

pytestmark = pytest.mark.integration

NODE, OTHER, ZONE = "node-b1", "node-b2", "us-east-1b"
DATA = [{"name": "data", "mountPath": "/data"}]


@pytest.fixture(scope="module")
def kube(lab: Layout) -> Iterator[Kube]:
    found = Kube(lab, "lab-nodes")
    found.ctl("create", "namespace", found.namespace)
    found.ctl("wait", "--for=create", "serviceaccount/default", "--timeout=20s")
    yield found
    found.ctl("delete", "namespace", found.namespace, "--timeout=60s")


@pytest.fixture
def directory(lab: Layout) -> Iterator[Path]:
    """The lab's folder; whatever a test has done to its nodes is over after it."""
    yield Path(lab.dir)
    for node in (NODE, OTHER):
        control.node_up(Path(lab.dir), node)
        control.slow_release(Path(lab.dir), node, 0)


def until(holds: Any, within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not so after {within:.0f} s"
        time.sleep(0.1)


def ready(kube: Kube, node: str) -> str:
    return str(next(one["status"] for one in kube.get("node", node)["status"]["conditions"] if one["type"] == "Ready"))


def answers(kube: Kube, address: str, node: str = "") -> str:
    """What the redis at *address* calls itself; "" where nobody answers."""
    try:
        return kube.inside(["timeout", "2", "redis-cli", "-h", address, "get", "node"], node).strip()
    except AssertionError:
        return ""


def links(kube: Kube, node: str) -> str:
    return kube.inside(["ip", "-brief", "link"], node)


def attach(kube: Kube, ec2: EC2Client, interface: dict[str, Any], node: str) -> str:
    """Attach *interface*, and do on the node what a member's init container does; the attachment's id."""
    made = ec2.attach_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"], InstanceId=instance(kube, node), DeviceIndex=3)
    until(lambda: "eth3" in links(kube, node))
    assert interface["MacAddress"] in links(kube, node)
    place(kube, interface["PrivateIpAddress"], node)
    return made["AttachmentId"]


def place(kube: Kube, address: str, node: str) -> None:
    """What a member's init container does once the device of its interface is there."""
    code = (
        "import socket, subprocess, ipaddress, pathlib; from runner import member;"
        f"network = next(member._networks(pathlib.Path('/proc/self/net/route')));"
        f"[subprocess.run(one, check=True) for one in member.commands('eth3', {address!r}, network, socket.if_nametoindex('eth3'))]"
    )
    root = Path(member.__file__).parent.parent
    kube.inside(["env", f"PYTHONPATH={root}", "python3", "-c", code], node)


def test_an_interfaces_address_is_in_the_node_that_has_it_and_in_no_other(kube: Kube, ec2: EC2Client) -> None:
    made = ec2.create_network_interface(SubnetId=kube.lab.aws.subnets[ZONE], PrivateIpAddress="10.200.32.99")["NetworkInterface"]
    address = "10.200.32.99"
    for node in (NODE, OTHER):
        script = "redis-server --save '' --protected-mode no --daemonize yes; sleep 1; redis-cli set node $NODE; exec sleep 1000"
        kube.pod(f"here-{node}", shell(script, image="redis:8.0", env=[{"name": "NODE", "value": node}]), nodeName=node, hostNetwork=True)
    hosts = {node: kube.ready(f"here-{node}")["status"]["podIP"] for node in (NODE, OTHER)}
    until(lambda: all(answers(kube, host) == node for node, host in hosts.items()))  # the same port, each in its own network
    assert answers(kube, address) == ""
    for node in (NODE, OTHER, NODE):  # back to where its rule was left behind
        attachment = attach(kube, ec2, made, node)
        other = OTHER if node == NODE else NODE
        assert answers(kube, address) == answers(kube, address, other) == answers(kube, address, "node-c1") == node
        assert answers(kube, address, node) == node
        assert address not in kube.inside(["ip", "address"], other)
        assert kube.inside(["ip", "rule", "list", "from", address], node).count("lookup") == 2
        ec2.detach_network_interface(AttachmentId=attachment)
        until(lambda node=node: "eth3" not in links(kube, node))  # type: ignore[misc]
        assert answers(kube, address) == ""
    ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[made["NetworkInterfaceId"]], WaiterConfig={"Delay": 1})
    ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
    kube.ctl("delete", "pod", *(f"here-{node}" for node in hosts), "--timeout=20s")


def test_a_partitioned_nodes_processes_write_on_while_nobody_reaches_them(kube: Kube, ec2: EC2Client, directory: Path) -> None:
    disk = directory / "volumes" / volume(ec2, kube, "cut", ZONE)
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "cut"}}]
    script = "redis-server --save '' --protected-mode no --daemonize yes; while true; do date >> /data/beats; sleep 0.1; done"
    probe = {"tcpSocket": {"port": 6379}, "periodSeconds": 1, "failureThreshold": 1}
    kube.pod(
        "cut", shell(script, image="redis:8.0", volumeMounts=DATA, readinessProbe=probe, livenessProbe=probe | {"initialDelaySeconds": 3}),
        nodeName=NODE, volumes=claim, tolerations=[{"operator": "Exists"}],
    )  # fmt: skip
    pod = kube.ready("cut")
    uid, address = pod["metadata"]["uid"], pod["status"]["podIP"]
    assert redis(kube, pod, "set", "node", "there") == "OK"
    control.node_down(directory, NODE, "partitioned")
    begun = time.monotonic()
    assert (answers(kube, address), answers(kube, address, OTHER)) == ("", "")
    assert answers(kube, address, NODE) == "there"  # a node reaches its own Pods
    with pytest.raises(AssertionError):
        kube.inside(["timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/10.200.0.2/6443"], NODE)
    until(lambda: ready(kube, NODE) == "Unknown", within=90)
    beats = (disk / "beats").stat().st_size
    until(lambda: (disk / "beats").stat().st_size > beats + 100)
    assert time.monotonic() - begun > 5  # longer than its probes are patient
    control.node_up(directory, NODE)
    until(lambda: ready(kube, NODE) == "True")
    until(lambda: answers(kube, address) == "there")
    after = kube.ready("cut")
    assert (after["metadata"]["uid"], container(after)["restartCount"]) == (uid, 0)
    kube.ctl("delete", "pod", "cut", "--timeout=20s")


def test_a_rebooted_node_comes_back_by_itself_with_its_data_and_its_interfaces(kube: Kube, ec2: EC2Client, directory: Path) -> None:
    volume(ec2, kube, "data-boots-0", ZONE)
    made = ec2.create_network_interface(SubnetId=kube.lab.aws.subnets[ZONE], PrivateIpAddress="10.200.32.98")["NetworkInterface"]
    attachment = attach(kube, ec2, made, NODE)
    init = [shell("true", name="init")]
    kube.apply(redis_set("boots", nodeSelector={"kubernetes.io/hostname": NODE}, initContainers=init))
    kube.ctl("wait", "--for=create", "pod/boots-0", "--timeout=20s")
    first = kube.ready("boots-0")
    assert redis(kube, first, "set", "word", "kept") == "OK"
    mac = links(kube, NODE).split("eth0", 1)[1].split()[1]
    control.node_down(directory, NODE, "rebooting", seconds=8)
    assert answers(kube, first["status"]["podIP"]) == ""
    with pytest.raises(AssertionError):
        links(kube, NODE)
    second = kube.until("pod", "boots-0", lambda pod: container(pod)["restartCount"] == 1 and is_ready(pod))
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert container(second, "init")["restartCount"] == 1  # what it had set up is gone
    assert redis(kube, second, "get", "word") == "kept"
    until(lambda: made["MacAddress"] in links(kube, NODE))
    until(lambda: mac in links(kube, NODE))
    assert "10.200.32.98" not in kube.inside(["ip", "address"], NODE)  # its address is the init container's to set
    assert ec2.describe_instances(InstanceIds=[instance(kube, NODE)])["Reservations"][0]["Instances"][0]["State"]["Name"] == "running"
    ec2.detach_network_interface(AttachmentId=attachment)
    kube.ctl("delete", "statefulset", "boots")
    kube.ctl("wait", "--for=delete", "pod/boots-0", "--timeout=30s")


def test_a_volume_goes_to_its_next_node_only_when_the_old_one_has_let_go(kube: Kube, ec2: EC2Client, directory: Path) -> None:
    handle = volume(ec2, kube, "data-sticks-0", ZONE)
    kube.apply(redis_set("sticks", nodeSelector={"topology.kubernetes.io/zone": ZONE}))
    kube.ctl("wait", "--for=create", "pod/sticks-0", "--timeout=20s")
    first = kube.ready("sticks-0")
    home = first["spec"]["nodeName"]
    redis(kube, first, "set", "word", "late")
    control.slow_release(directory, home, 8)
    kube.ctl("cordon", home)
    kube.ctl("delete", "pod", "sticks-0", "--timeout=20s")
    gone = time.monotonic()

    def attachment() -> list[tuple[str, str]]:
        found = ec2.describe_volumes(VolumeIds=[handle])["Volumes"][0]["Attachments"]
        return [(one["InstanceId"], one["State"]) for one in found]

    until(lambda: attachment() == [(instance(kube, home), "detaching")])
    kube.ctl("wait", "--for=create", "pod/sticks-0", "--timeout=20s")
    second = kube.ready("sticks-0")
    assert time.monotonic() - gone > 8
    kube.ctl("uncordon", home)
    assert second["spec"]["nodeName"] != home
    assert redis(kube, second, "get", "word") == "late"
    kube.ctl("delete", "statefulset", "sticks")
    kube.ctl("wait", "--for=delete", "pod/sticks-0", "--timeout=30s")


def state(kube: Kube, ec2: EC2Client) -> str:
    return ec2.describe_instances(InstanceIds=[instance(kube, NODE)])["Reservations"][0]["Instances"][0]["State"]["Name"]


def test_a_killed_node_is_gone_and_its_instance_is_what_it_is_told_to_be(kube: Kube, ec2: EC2Client, directory: Path) -> None:
    kube.pod("killed", {"name": "main", "image": "redis:8.0"}, nodeName=NODE)
    address = kube.ready("killed")["status"]["podIP"]
    control.node_down(directory, NODE, "dead")
    assert state(kube, ec2) == "running"  # nobody has told EC2
    assert (answers(kube, address), answers(kube, address, OTHER)) == ("", "")
    with pytest.raises(ValueError, match="is dead already"):
        control.node_down(directory, NODE, "partitioned")
    control.node_up(directory, NODE)
    kube.until("pod", "killed", lambda pod: container(pod)["restartCount"] == 1 and is_ready(pod))
    control.node_down(directory, NODE, "dead", fate="stopped")
    until(lambda: state(kube, ec2) == "stopped")
    control.node_up(directory, NODE)
    until(lambda: state(kube, ec2) == "running")
    kube.until("pod", "killed", lambda pod: container(pod)["restartCount"] == 2 and is_ready(pod))


def test_what_ec2_stops_is_off_and_what_it_starts_is_back(kube: Kube, ec2: EC2Client, directory: Path) -> None:
    """Whoever has a node's instance stopped may rely on it: when EC2 says `stopped`, nothing runs there."""
    kube.pod("stopped", {"name": "main", "image": "redis:8.0"}, nodeName=NODE)
    uid = kube.ready("stopped")["metadata"]["uid"]
    ec2.stop_instances(InstanceIds=[instance(kube, NODE)])
    until(lambda: state(kube, ec2) == "stopped")
    with pytest.raises(AssertionError):
        links(kube, NODE)
    assert uid not in kube.inside(["ls", f"{directory}/agent/pods"])
    ec2.start_instances(InstanceIds=[instance(kube, NODE)])
    kube.until("pod", "stopped", lambda pod: container(pod)["restartCount"] == 1 and is_ready(pod))
    kube.ctl("delete", "pod", "stopped", "killed", "--timeout=20s")


def test_a_terminated_instances_node_never_comes_back_and_lets_go_of_all(tmp_path: Path) -> None:
    """In a lab of its own: other tests want their node back."""
    running, _ = lifecycle.up(tmp_path)
    try:
        kube, cloud = Kube(running, "default"), client(running)
        made = cloud.create_network_interface(SubnetId=running.aws.subnets[ZONE], PrivateIpAddress="10.200.32.99")["NetworkInterface"]
        attach(kube, cloud, made, NODE)
        control.node_down(tmp_path, NODE, "dead", fate="terminated")
        until(lambda: state(kube, cloud) == "terminated")
        with pytest.raises(ValueError, match="is terminated: it can't come back"):
            control.node_up(tmp_path, NODE)
        cloud.get_waiter("network_interface_available").wait(
            NetworkInterfaceIds=[made["NetworkInterfaceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
        attach(kube, cloud, made, OTHER)
    finally:
        lifecycle.down(tmp_path)


def test_nothing_of_the_nodes_is_seen_on_the_outer_machine(kube: Kube) -> None:
    inside = {line.split()[0] for line in kube.inside(["ip", "-brief", "link"]).splitlines()} - {"lo"}
    told = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    outside = {line.split()[0] for line in told.splitlines()}
    assert inside
    assert not inside & outside
