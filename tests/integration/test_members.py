"""Members on a real control plane: rendered manifests become working Redis and ZooKeeper, and follow their Pods to other nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lightkube.resources.core_v1 import Namespace, Node, Pod
from lightkube.types import PatchType

from lab import namespace
from lab.agent import control
from lab.aws.client import Switches
from lab.layout import Layout
from providers import together
from providers.aws import Aws
from providers.kubernetes import Kubernetes
from reconciler.members import listing
from reconciler.members.controller import Controller, Standing
from reconciler.members.live import OUT_OF_SERVICE
from reconciler.members.member import declared
from reconciler.members.snapshots.controller import Taker, read
from reconciler.model.desired import Desired
from reconciler.model.duration import Duration
from reconciler.model.environment import Environment
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, spell
from reconciler.model.service import Service, Snapshots
from tests import printed
from tests.clocks import WALL
from tests.integration.by_hand import TYPES, Hand

pytestmark = pytest.mark.integration

ZONE = "hand.internal"
WITHIN = 90.0
MISSED = 150.0  # 20 s until a node counts as one that does not answer, 30 s that its Pods tolerate, 20 s between two looks of who ends them
KV = Service(
    name="hkv",
    type="redis",
    version="8.0",
    namespace="hand",
    replicas=2,
    volumes={"data": {"size": "1Gi"}},
    options={"replTimeout": 5},
)
ZK = Service(
    name="hzk",
    type="zookeeper",
    version="3.8",
    namespace="hand",
    replicas=3,
    addresses="private",
    volumes={"data": {"size": "1Gi"}, "journal": {"size": "1Gi"}},
    options={"heap": "128Mi"},
)
BROKEN = Service(
    name="hbad",
    type="generic",
    version="1",
    namespace="hand",
    replicas=2,
    volumes={"data": {"size": "1Gi"}},
    options={"mounts": {"data": "/work"}},
    pod_template={"spec": {"containers": [{"name": "main", "image": "busybox:1.37", "command": ["sh", "-c", "echo missing key; exit 3"]}]}},
)


@pytest.fixture(scope="module")
def hand(lab: Layout) -> Iterator[Hand]:
    aws = {"vpc": lab.aws.vpc, "subnets": lab.aws.subnets, "security_groups": lab.aws.security_groups}
    made = Hand(
        lab, Environment(name="hand", zones=tuple(lab.zones), aws=aws, dns={"zone": ZONE}, sessions={"image": "reconciler/runner:0.1"})
    )
    yield made
    made.cluster.delete(Namespace, "hand")  # what runs in it ends with it
    made.close()


class Party:
    """A controller of members over the lab, with the members' credentials."""

    def __init__(self, hand: Hand) -> None:
        cloud = Aws(hand.lab.region, profile="members", endpoint=hand.lab.aws.endpoint, credentials_file=hand.lab.aws.credentials_file)
        self.hand = hand
        self.cluster, self.cloud = Kubernetes(hand.lab.kubernetes.kubeconfigs["members"]), cloud
        self.controller = Controller(self.cluster, self.cloud, WALL, hand.environment)

    def close(self) -> None:
        self.cluster.close()
        self.cloud.close()

    def until(self, service: Service, what: Callable[[Standing], bool], within: float = WITHIN) -> Standing:
        """Tick until *what* is so."""
        members, end = declared([service], self.hand.environment, TYPES), time.monotonic() + within
        while not what(standing := self.controller.tick(members)):
            assert time.monotonic() < end, standing.members
            time.sleep(0.3)
        return standing

    def settle(self, service: Service) -> Standing:
        """Tick until the service works."""
        return self.until(service, lambda standing: standing.services[service.name] == Done())


@pytest.fixture
def party(hand: Hand) -> Iterator[Party]:
    made = Party(hand)
    yield made
    made.close()


def inside(lab: Layout, *command: str) -> str:
    """What *command* prints inside the lab's namespaces."""
    return subprocess.run(
        namespace.entering(lab.pid, command, directory="/"), capture_output=True, text=True, check=True, timeout=30
    ).stdout


def address(hand: Hand, name: str) -> str:
    """Where Route53 says that *name* is."""
    zone = hand.route53.list_hosted_zones_by_name(DNSName=ZONE)["HostedZones"][0]["Id"]
    found = hand.route53.list_resource_record_sets(HostedZoneId=zone, StartRecordName=f"{name}.{ZONE}", StartRecordType="A", MaxItems="1")
    record = found["ResourceRecordSets"][0]
    assert record["Name"] == f"{name}.{ZONE}."
    return record["ResourceRecords"][0]["Value"]


def move(hand: Hand, name: str) -> tuple[str, str]:
    """Have *name* run elsewhere: the node it was on, and the uid of its old Pod."""
    pod = hand.cluster.get(Pod, name, namespace="hand")
    node = str(pod.spec and pod.spec.nodeName)
    hand.cluster.patch(Node, node, {"spec": {"unschedulable": True}}, patch_type=PatchType.MERGE)
    hand.cluster.delete(Pod, name, namespace="hand")
    return node, str(pod.metadata and pod.metadata.uid)


def uncordon(hand: Hand, node: str) -> None:
    hand.cluster.patch(Node, node, {"spec": {"unschedulable": None}}, patch_type=PatchType.MERGE)


def renewed(name: str, old: str) -> Callable[[Standing], bool]:
    """Whether another Pod has taken over, and works."""
    return lambda standing: standing.members[name] == Done() and standing.live.running(name)[0].uid != old


def test_redis_replicates_by_name_and_a_moved_member_keeps_data_and_name(hand: Hand, party: Party) -> None:
    hand.apply([KV])
    before = party.settle(KV).live.running("hkv-0")[0]
    assert address(hand, "hkv-0") == before.ip
    client = ["redis-cli", "-h", before.ip]
    assert inside(hand.lab, *client, "set", "colour", "blue").strip() == "OK"
    assert inside(hand.lab, *client, "wait", "1", "10000").strip() == "1"

    node, uid = move(hand, "hkv-0")
    after = party.until(KV, renewed("hkv-0", uid)).live.running("hkv-0")[0]
    uncordon(hand, node)
    assert (after.node != node, after.ip != before.ip) == (True, True)
    assert address(hand, "hkv-0") == after.ip
    assert inside(hand.lab, "redis-cli", "-h", after.ip, "get", "colour").strip() == "blue"
    assert eventually(lambda: "connected_slaves:1" in inside(hand.lab, "redis-cli", "-h", after.ip, "info", "replication"))


def eventually(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + WITHIN
    while not (so := what()) and time.monotonic() < end:
        time.sleep(0.5)
    return so


def srvr(hand: Hand, host: str) -> str:
    return inside(hand.lab, "bash", "-c", f"exec 3<>/dev/tcp/{host}/2181; printf srvr >&3; cat <&3")


def answers(hand: Hand, node: str, hosts: Iterable[str]) -> list[str]:
    """What the members say of themselves to a Pod on *node*."""
    asked = "".join(f"timeout 10 bash -c 'exec 3<>/dev/tcp/{host}/2181 && printf srvr >&3 && grep ^Mode: <&3'\n" for host in hosts)
    container = {"name": "asks", "image": "zookeeper:3.8", "command": ["bash", "-c", asked]}
    spec = {"nodeName": node, "restartPolicy": "Never", "containers": [container]}
    metadata = {"generateName": "asks-", "namespace": "hand"}
    made = hand.cluster.create(Pod.from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    name = str(made.metadata and made.metadata.name)

    def phase() -> str:
        status = hand.cluster.get(Pod, name, namespace="hand").status
        return str(status and status.phase)

    assert eventually(lambda: phase() in ("Succeeded", "Failed"))
    return [line.strip() for line in hand.cluster.log(name, namespace="hand")]


def test_zookeeper_has_a_quorum_and_a_moved_member_keeps_its_address(hand: Hand, party: Party) -> None:
    hand.apply([ZK])
    party.settle(ZK)
    hosts = {name: address(hand, name) for name in ("hzk-0", "hzk-1", "hzk-2")}
    modes = sorted(line for host in hosts.values() for line in srvr(hand, host).splitlines() if line.startswith("Mode: "))
    assert modes == ["Mode: follower", "Mode: follower", "Mode: leader"]

    before = interface(hand, "hzk-1")
    node, uid = move(hand, "hzk-1")
    party.until(ZK, renewed("hzk-1", uid))
    uncordon(hand, node)
    live = party.controller.look(declared([ZK], hand.environment, TYPES)).live
    after = interface(hand, "hzk-1")
    assert after["PrivateIpAddress"] == before["PrivateIpAddress"] == address(hand, "hzk-1")
    assert after["Attachment"]["InstanceId"] == live.nodes[live.running("hzk-1")[0].node].instance
    assert after["Attachment"]["InstanceId"] != before["Attachment"]["InstanceId"]
    assert "Mode: follower" in srvr(hand, hosts["hzk-1"])
    told = answers(hand, node, [live.running(name)[0].ip for name in hosts])
    assert sum(line.endswith("connect: Connection refused") for line in told) == len(hosts), "they listen on none of their nodes' addresses"
    assert not any("Mode" in line for line in told)
    for where in (node, live.running("hzk-1")[0].node, live.running("hzk-0")[0].node):
        assert modes == sorted(answers(hand, where, hosts.values())), "Pods of the members' nodes are clients too, as of the one it left"


def test_the_volumes_of_a_member_are_taken_in_one_call_of_the_members_role(hand: Hand, party: Party) -> None:
    hand.apply([ZK])
    party.settle(ZK)
    taker = Taker(party.cloud, WALL, TYPES, together.run)
    service = ZK.model_copy(update={"snapshots": Snapshots(every=Duration.parse("1h"), keep=1)})
    switches = Switches(hand.lab.aws.endpoint)
    switches.forget_calls()
    told = taker.tick(Desired(hand.environment, Revision("", "", "hand"), services=(service,)), {"hzk": Done()})
    assert [(how, words.partition(", ")[2]) for _, how, words in told] == [("done", "of 6 volumes")]
    made = switches.writes(user="members")
    assert set(made) == {"ec2:CreateSnapshots"}
    assert len(made) <= 3, "one for each node"
    assert eventually(lambda: read(party.cloud, hand.environment).newest("hzk") is not None)
    (found,) = read(party.cloud, hand.environment).sets["hzk"]
    assert sorted(found.parts) == [f"-{number}/{name}" for number in range(3) for name in ("data", "journal")]
    folders = [Path(hand.lab.dir) / "snapshots" / one.id for part, one in found.parts.items() if part.endswith("/data")]
    assert all(list(folder.rglob("currentEpoch")) for folder in folders), "with what ZooKeeper has on each"


def interface(hand: Hand, member: str) -> Any:
    wanted: Any = [{"Name": "tag:reconciler/address", "Values": [f"interface/hand/hzk/{member}"]}]
    return hand.ec2.describe_network_interfaces(Filters=wanted)["NetworkInterfaces"][0]


def test_a_first_deployment_that_crashes_says_why_and_its_mend_reaches_every_member(hand: Hand, party: Party) -> None:
    hand.apply([BROKEN])
    said = party.until(BROKEN, lambda standing: all("stays up" in str(one) for one in standing.members.values()))
    assert "it ended with code 3" in str(said.members["hbad-0"])
    assert "missing key" in str(said.members["hbad-0"])
    mended = {"spec": {"containers": [{"name": "main", "image": "busybox:1.37", "command": ["sh", "-c", "exec sleep 1000"]}]}}
    service = BROKEN.model_copy(update={"pod_template": mended})
    hand.apply([service])
    party.settle(service)


GONE, HUNG = (KV.model_copy(update={"name": name, "replicas": 1}) for name in ("hgone", "hhung"))
TORN = GONE.model_copy(update={"name": "htorn", "addresses": "private"})  # its interface is torn from the dead instance


def place(hand: Hand, node: str) -> tuple[str, str]:
    """The instance of a node, and its zone."""
    spec = hand.cluster.get(Node, node).spec
    zone, instance = str(spec and spec.providerID).rsplit("/", 2)[1:]
    return instance, zone


def is_fenced(hand: Hand, node: str) -> bool:
    spec = hand.cluster.get(Node, node).spec
    return any(taint.key == OUT_OF_SERVICE for taint in (spec.taints if spec else None) or ())


@pytest.mark.parametrize("service", [GONE, TORN], ids=["by-name", "with-an-interface"])
def test_a_member_of_a_dead_node_comes_up_elsewhere_with_its_data_once_ec2_says_that_it_is_off(
    hand: Hand, party: Party, service: Service
) -> None:
    hand.apply([service])
    name = f"{service.name}-0"
    before, old = party.settle(service).live.running(name)[0], address(hand, name)
    assert inside(hand.lab, "redis-cli", "-h", old, "set", "colour", "green").strip() == "OK"

    machine = [place(hand, before.node)[0]]
    control.node_down(Path(hand.lab.dir), before.node, "dead")
    try:
        said = party.until(service, lambda standing: before.node in standing.live.unreachable)
        assert "runs and may still write" in spell(said.members[name])
        assert not is_fenced(hand, before.node), "EC2 says that it runs"
        hand.ec2.stop_instances(InstanceIds=machine)
        after = party.until(service, renewed(name, before.uid), MISSED).live.running(name)[0]
        assert is_fenced(hand, before.node)
    finally:
        hand.ec2.start_instances(InstanceIds=machine)
        control.node_up(Path(hand.lab.dir), before.node)
    assert (after.node != before.node, place(hand, after.node)[1]) == (True, place(hand, before.node)[1])
    assert address(hand, name) == (old if service is TORN else after.ip)
    assert inside(hand.lab, "redis-cli", "-h", address(hand, name), "get", "colour").strip() == "green"
    party.until(service, lambda _: not is_fenced(hand, before.node), MISSED)


def test_a_hung_node_keeps_its_member_until_a_person_fences_it(hand: Hand, party: Party, tmp_path: Path) -> None:
    hand.apply([HUNG])
    before = party.settle(HUNG).live.running("hhung-0")[0]
    assert inside(hand.lab, "redis-cli", "-h", before.ip, "set", "colour", "red").strip() == "OK"
    members, machine = declared([HUNG], hand.environment, TYPES), [place(hand, before.node)[0]]
    control.node_down(Path(hand.lab.dir), before.node, "hung")
    try:
        party.until(HUNG, lambda standing: bool(standing.live.unreachable) and standing.live.running("hhung-0")[0].terminating, MISSED)
        end = time.monotonic() + 10
        party.until(HUNG, lambda _: time.monotonic() > end)
        (row,) = listing.rows(members, party.controller.look(members), time.time())
        assert row.node == before.node
        since = datetime.fromisoformat(silent_since(hand, before.node))
        assert row.reason.startswith("waiting "), row.reason
        assert f"until node {before.node} answers again" in row.reason
        assert {one.type: age for one, age in row.conditions}["OldOwnerReleased"] == pytest.approx(
            (datetime.now(UTC) - since).total_seconds(), abs=5
        )
        assert inside(hand.lab, "redis-cli", "-h", before.ip, "get", "colour").strip() == "red"
        assert not is_fenced(hand, before.node)

        (told,) = json.loads(person(hand, tmp_path, "members", "--format", "json"))
        assert printed.faults("members", [told]) == []
        assert f"until node {before.node} answers again" in told["reason"]
        assert {one["type"]: one["reason"] for one in told["conditions"]}["OldOwnerReleased"] == "NodeUnreachable"

        said = person(hand, tmp_path, "fence", before.node, "--auto-approve")
        assert f"its instance {machine[0]} is running" in said
        assert "Members there: hand/hhung-0" in said
        assert hand.ec2.describe_instances(InstanceIds=machine)["Reservations"][0]["Instances"][0]["State"]["Name"] == "stopped"
        after = party.until(HUNG, renewed("hhung-0", before.uid), MISSED).live.running("hhung-0")[0]
    finally:
        hand.ec2.start_instances(InstanceIds=machine)
        control.node_up(Path(hand.lab.dir), before.node)
    assert after.node != before.node
    assert inside(hand.lab, "redis-cli", "-h", after.ip, "get", "colour").strip() == "red"
    party.until(HUNG, lambda _: not is_fenced(hand, before.node), MISSED)


def silent_since(hand: Hand, node: str) -> str:
    """When the node ceased to answer, as Kubernetes says."""
    status = hand.cluster.get(Node, node).status
    ready = next(one for one in (status.conditions if status else None) or () if one.type == "Ready")
    assert ready.lastTransitionTime
    return ready.lastTransitionTime.isoformat()


def person(hand: Hand, folder: Path, *words: str) -> str:
    """What a command says to a person, who has the environment with the hung member's service in *folder*."""
    lab = hand.lab
    specs = folder / "specs" / "hand"
    specs.mkdir(parents=True, exist_ok=True)
    aws = f"{{endpoint: '{lab.aws.endpoint}', profile: reconciler, vpc: {lab.aws.vpc}}}"
    kubernetes = f"{{kubeconfig: {lab.kubernetes.kubeconfigs['reconciler']}}}"
    members = f"{{profile: members, kubeconfig: {lab.kubernetes.kubeconfigs['members']}}}"
    spec = f"{{zones: [{', '.join(lab.zones)}], aws: {aws}, dns: {{zone: {ZONE}}}, kubernetes: {kubernetes}, members: {members}}}"
    (specs / "environment.yaml").write_text(f"apiVersion: reconciler/v1\nkind: Environment\nmetadata: {{name: hand}}\nspec: {spec}\n")
    member = f"{{type: redis, version: '8.0', namespace: hand, replicas: 1, zones: [{lab.zones[0]}], volumes: {{data: {{size: 1Gi}}}}}}"
    (specs / "hhung.yaml").write_text(f"apiVersion: reconciler/v1\nkind: Service\nmetadata: {{name: hhung}}\nspec: {member}\n")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    command = [sys.executable, "-m", "reconciler", *words, "-e", "hand", "--repo", str(folder)]
    own = {"AWS_SHARED_CREDENTIALS_FILE": lab.aws.credentials_file, "RECONCILE_DIR": str(folder / "home")}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=os.environ | own, cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
