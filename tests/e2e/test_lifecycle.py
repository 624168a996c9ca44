"""Initialisation and rolling restarts with real servers: a kill costs nothing, who leads comes last, a bad revision costs one member."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.lab_world import judge
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
APPLY = ("apply", "--auto-approve", "--timeout", "4m")
FOLDER = "specs/lab"
ENVIRONMENT = (
    "apiVersion: reconciler/v1\nkind: Environment\nmetadata: {name: lab}\n"
    "spec: {zones: [us-east-1a, us-east-1b, us-east-1c], dns: {zone: roll.internal}}\n"
)
ZOOKEEPER = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: zk}}
spec:
  type: zookeeper
  replicas: 3
  addresses: elastic
  stopped: {stopped}
  volumes: {{data: {{size: 1Gi}}}}
  options: {{auth: true, password: {{name: zk-given, key: password}}, heap: 64Mi, tickTime: {tick}}}
"""
GENERIC = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: web}}
spec:
  type: generic
  replicas: 3
  resources: {{requests: {{cpu: {cpu}}}}}
  podTemplate:
    spec:
      containers: [{{name: web, image: "python:3.11", command: [python, -c, "{program}"]}}]
"""
WORKS = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"


RING = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: ring}}
spec:
  type: redis
  replicas: 6
  volumes: {{data: {{size: 1Gi}}}}
  options: {{shards: 3, auth: true, nodeTimeout: 4, maxmemory: {memory}}}
"""
# What a client of a cluster does: it knows one name, and is led to the others. {verb} is set or get.
CLIENT = """\
import sys, redis
ring = redis.cluster.RedisCluster(host="ring-0.roll.internal", port=6379, password=sys.argv[1], decode_responses=True)
keys = [f"key-{n}" for n in range(100)]
if sys.argv[2] == "set":
    assert all(ring.set(key, key.upper()) for key in keys)
    ring.execute_command("WAIT", "1", "5000", target_nodes="primaries")
print(sum(ring.get(key) == key.upper() for key in keys), ring.cluster_info(target_nodes="random")["cluster_state"])
"""


ZNODE = """\
import sys
from kazoo.client import KazooClient
login = {"mechanism": "DIGEST-MD5", "username": "admin", "password": sys.argv[3]}
client = KazooClient(f"{sys.argv[1]}.roll.internal:2181", sasl_options=login)
client.start(timeout=30)
if sys.argv[2] == "set":
    client.create("/written", b"kept")
client.sync("/written")
print(client.get("/written")[0].decode())
client.stop()
"""


GIVEN = "one\"two\\three ${user.home} `four`=:#'$"  # what might mean something in the files that it is written to
# Who reads the root of each of three members: with the password, with another, as a stranger.
READERS = """\
import sys, kazoo.exceptions
from kazoo.client import KazooClient
def read(member, login):
    once = {"connection_retry": {"max_tries": 0}, "command_retry": {"max_tries": 0}}
    client = KazooClient(f"{member}.roll.internal:2181", sasl_options=login, **once)
    try:
        client.start(timeout=20)
        return "in" if client.get_children("/") else "empty"
    except (kazoo.exceptions.KazooException, client.handler.timeout_exception) as refused:
        return type(refused).__name__
    finally:
        client.stop()
        client.close()
for member in ("zk-0", "zk-1", "zk-2"):
    logins = [{"mechanism": "DIGEST-MD5", "username": "admin", "password": sys.argv[1] + end} for end in ("", "x")]
    print(member, *(read(member, login) for login in (*logins, None)))
"""


def zookeeper(*, tick: int = 1500, stopped: bool = False) -> str:
    return ZOOKEEPER.format(tick=tick, stopped=str(stopped).lower())


def web(program: str, cpu: str = "10m") -> str:
    return GENERIC.format(program=program, cpu=cpu)


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    files = {"environment.yaml": ENVIRONMENT, "zk.yaml": zookeeper(tick=2000), "web.yaml": web(WORKS)}
    files["ring.yaml"] = RING.format(memory="32Mi")
    return workshop.repository("config", {f"{FOLDER}/{name}": text for name, text in files.items()})


@pytest.fixture(scope="module")
def applied(workshop: Workshop, config: Repository) -> Repository:
    """The first apply, killed as soon as the cluster's members are being introduced; the second one goes on."""
    workshop.kubectl("create", "secret", "generic", "zk-given", f"--from-literal=password={GIVEN}")
    running = begun(workshop, config)
    until(lambda: any("introduce" in does for does in turns(workshop)))
    kill(running)
    workshop.reconcile(*APPLY, "--repo", config.clone)
    return config


def begun(workshop: Workshop, config: Repository) -> subprocess.Popen[bytes]:
    """An apply in a process group of its own."""
    command, quiet = [sys.executable, "-m", "reconciler", *APPLY, "--repo", str(config.clone)], subprocess.DEVNULL
    return subprocess.Popen(command, cwd=workshop.directory, env=workshop.environment, start_new_session=True, stdout=quiet, stderr=quiet)


def kill(running: subprocess.Popen[bytes]) -> None:
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def until(holds: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def turns(workshop: Workshop, what: str = "initialise") -> list[str]:
    """What was asked of the cluster and done to it so far; of *what*, its Jobs' label."""
    told = workshop.kubectl("get", "jobs", "-l", f"reconciler/service=ring,reconciler/{what}", "-o", "json")
    return [one["metadata"]["annotations"]["reconciler/does"] for one in json.loads(told)["items"]]


def client(workshop: Workshop, verb: str) -> str:
    """How many keys of a hundred the cluster has, and how it finds itself."""
    return workshop.reconcile("lab", "exec", "--", sys.executable, "-c", CLIENT, password(workshop), verb).stdout.strip()


def password(workshop: Workshop) -> str:
    return base64.b64decode(workshop.kubectl("get", "secret", "ring-auth", "-o", "jsonpath={.data.password}")).decode()


def primaries(workshop: Workshop) -> set[str]:
    """Who holds slots, as the cluster's table of nodes has it."""
    script = "REDISCLI_AUTH=$0 redis-cli --no-auth-warning -h ring-0.roll.internal cluster nodes"
    told = workshop.reconcile("lab", "exec", "--", "bash", "-c", script, password(workshop)).stdout
    lines = [line.split() for line in told.splitlines()]
    return {line[1].split(",")[1].partition(".")[0] for line in lines if "master" in line[2] and len(line) > 8}


def pods(workshop: Workshop, service: str) -> dict[str, dict[str, Any]]:
    told = workshop.kubectl("get", "pods", "-l", f"reconciler/set={service}", "-o", "json")
    return {one["metadata"]["name"]: one for one in json.loads(told)["items"]}


def wanted(workshop: Workshop, service: str) -> str:
    return workshop.kubectl("get", "statefulset", service, "-o", "jsonpath={.status.updateRevision}")


def current(workshop: Workshop, service: str) -> dict[str, str]:
    """The uids of those at the new revision that work, by member."""
    revision = wanted(workshop, service)
    there = {name: pod for name, pod in pods(workshop, service).items() if not pod["metadata"].get("deletionTimestamp")}
    new = {name: pod for name, pod in there.items() if pod["metadata"]["labels"]["controller-revision-hash"] == revision}
    return {name: pod["metadata"]["uid"] for name, pod in new.items() if ready(pod)}


def ready(pod: dict[str, Any]) -> str:
    """Since when it works; "" while it does not."""
    return next(
        (one["lastTransitionTime"] for one in pod["status"].get("conditions", ()) if (one["type"], one["status"]) == ("Ready", "True")), ""
    )


def leader(workshop: Workshop) -> str:
    script = 'exec 3<>"/dev/tcp/$0.roll.internal/2181" && printf srvr >&3 && cat <&3'
    told = {name: workshop.reconcile("lab", "exec", "--", "bash", "-c", script, name).stdout for name in ("zk-0", "zk-1", "zk-2")}
    (found,) = (name for name, words in told.items() if "Mode: leader" in words)
    return found


def test_a_cluster_is_put_together_though_whoever_began_it_is_killed(workshop: Workshop, applied: Repository) -> None:
    assert client(workshop, "set") == "100 ok"
    told = workshop.reconcile("plan", "--repo", applied.clone, "--detailed-exitcode").stdout
    assert told.startswith("No changes.")


def test_a_primary_that_goes_loses_no_acknowledged_write(workshop: Workshop, applied: Repository) -> None:
    workshop.kubectl("delete", "pod", "ring-0", "--grace-period=0", "--force")
    workshop.reconcile(*APPLY, "--repo", applied.clone)
    assert client(workshop, "get") == "100 ok"


def test_a_cluster_keeps_its_data_while_all_its_members_restart(workshop: Workshop, applied: Repository) -> None:
    """Primaries restart last, each once a replica of its shard, restarted before, has taken over from it."""
    before = {name: pod["metadata"]["uid"] for name, pod in pods(workshop, "ring").items()}
    leading = primaries(workshop)
    applied.commit("More memory", {f"{FOLDER}/ring.yaml": RING.format(memory="48Mi")})
    running, done = begun(workshop, applied), set[str]()
    while running.poll() is None:
        done.update(turns(workshop, "leader"))
        time.sleep(0.2)
    assert running.returncode == 0
    assert "have replicas take over" in done  # who leads now is theirs to say: a slow machine may elect once more
    after = current(workshop, "ring")
    assert len(after) == 6
    assert not set(after.values()) & set(before.values())
    assert client(workshop, "get") == "100 ok"
    made = {name: pod["metadata"]["creationTimestamp"] for name, pod in pods(workshop, "ring").items()}
    assert set(sorted(made, key=lambda name: made[name])[3:]) == leading


def test_a_cluster_that_shrinks_loses_no_key_whoever_leads(workshop: Workshop, applied: Repository) -> None:
    """F14, the way down: those who leave hand over what they lead and are forgotten, and only then do their Pods go."""
    leaving = {"ring-3", "ring-4", "ring-5"}
    assert primaries(workshop) & leaving
    before = {name: pod["metadata"]["uid"] for name, pod in pods(workshop, "ring").items() if name not in leaving}
    applied.commit("Fewer", {f"{FOLDER}/ring.yaml": RING.format(memory="48Mi").replace("replicas: 6", "replicas: 3")})
    assert "# stops ring-5, ring-4, ring-3, drained first" in workshop.reconcile("plan", "--repo", applied.clone).stdout
    told = workshop.reconcile(*APPLY, "--repo", applied.clone).stderr
    assert "ring: waiting until ring-5, ring-4, ring-3 may go" in told
    assert {name: pod["metadata"]["uid"] for name, pod in pods(workshop, "ring").items()} == before
    assert primaries(workshop) == set(before)
    assert client(workshop, "get") == "100 ok"


def test_each_zookeeper_takes_its_password_and_refuses_strangers(workshop: Workshop, applied: Repository) -> None:
    told = workshop.reconcile("lab", "exec", "--", sys.executable, "-c", READERS, GIVEN).stdout.splitlines()
    found = {member: words for member, *words in map(str.split, told)}
    assert found.keys() == {"zk-0", "zk-1", "zk-2"}
    for entered, wrong, stranger in found.values():
        assert (entered, stranger) == ("in", "SessionClosedRequireSaslError")
        assert wrong in ("AuthFailedError", "ConnectionLoss", "SessionClosedRequireSaslError")


def test_who_leads_restarts_last_and_a_kill_in_between_costs_nothing(workshop: Workshop, applied: Repository) -> None:
    config = applied
    leads, before = leader(workshop), {name: pod["metadata"]["uid"] for name, pod in pods(workshop, "zk").items()}
    config.commit("Tick otherwise", {f"{FOLDER}/zk.yaml": zookeeper()})
    running = begun(workshop, config)
    went: dict[str, str] = {}

    def one_went() -> bool:
        went.clear()
        went.update(current(workshop, "zk"))
        return len(went) == 1 and set(went.values()).isdisjoint(before.values())

    until(one_went)
    kill(running)
    workshop.reconcile(*APPLY, "--repo", config.clone)
    after = pods(workshop, "zk")
    assert current(workshop, "zk").keys() == after.keys() == before.keys()
    assert went.items() <= current(workshop, "zk").items()  # who was restarted before the kill is not restarted again
    order = sorted(after, key=lambda name: after[name]["metadata"]["creationTimestamp"])
    assert order[-1] == leads
    assert all(after[later]["metadata"]["creationTimestamp"] >= ready(after[first]) for first, later in pairwise(order))


def test_a_member_whose_volume_is_gone_gets_another_which_the_others_fill(workshop: Workshop, applied: Repository) -> None:
    """The volume is torn away and deleted by somebody in AWS; nothing is done about it until a person says so."""
    victim = next(name for name in ("zk-2", "zk-1") if name != leader(workshop))
    assert znode(workshop, victim, "set") == "kept"
    before = {name: pod["metadata"]["uid"] for name, pod in pods(workshop, "zk").items()}
    was = tear_away(workshop, victim)
    told = workshop.reconcile("plan", "--repo", applied.clone).stdout
    assert f"(spec.csi.volumeHandle {was}) is gone, and its data with it" in told
    assert "--allow-delete-data has a new one made, which the other members of zk fill" in told
    workshop.reconcile(*APPLY, "--allow-delete-data", "--allow-deletes", "9", "--repo", applied.clone)
    after = current(workshop, "zk")
    assert {name for name, uid in after.items() if uid != before[name]} == {victim}
    assert znode(workshop, victim, "get") == "kept"
    handle = workshop.kubectl("get", "pv", f"lab-{victim}-data", "-o", "jsonpath={.spec.csi.volumeHandle}")
    assert handle not in {"", was}
    assert workshop.reconcile("plan", "--repo", applied.clone, "--detailed-exitcode").stdout.startswith("No changes.")


def tear_away(workshop: Workshop, member: str) -> str:
    """Detach and delete a member's volume as somebody with every right in AWS does; what it was called."""
    ec2 = judge(workshop).ec2
    (volume,) = judge(workshop).volumes()[f"volume/lab/zk/{member}/data"]
    id = str(volume["VolumeId"])
    ec2.detach_volume(VolumeId=id, Force=True)
    until(lambda: not ec2.describe_volumes(VolumeIds=[id])["Volumes"][0]["Attachments"])
    ec2.delete_volume(VolumeId=id)
    until(lambda: not judge(workshop).volumes().get(f"volume/lab/zk/{member}/data"))
    return id


def znode(workshop: Workshop, member: str, verb: str) -> str:
    """What a client that knows only *member* reads; with the verb set it writes before."""
    return workshop.reconcile("lab", "exec", "--", sys.executable, "-c", ZNODE, member, verb, GIVEN).stdout.strip()


def test_a_drain_takes_one_voter_of_three_and_its_elastic_address_goes_with_it(workshop: Workshop, applied: Repository) -> None:
    """Nobody places members meanwhile: who was taken waits for the next apply, and until then no other may be taken."""
    before, address = pods(workshop, "zk"), elastic(workshop, "zk-1")
    node, other = (before[name]["spec"]["nodeName"] for name in ("zk-1", "zk-2"))
    drain = ("--pod-selector=reconciler/set=zk", "--ignore-daemonsets", "--delete-emptydir-data")
    workshop.kubectl("drain", node, *drain, "--timeout=60s")
    refused = workshop.run("kubectl", "drain", other, *drain, "--timeout=8s", code=1).stderr
    workshop.kubectl("uncordon", other)
    assert "Cannot evict pod as it would violate the pod's disruption budget" in refused
    workshop.reconcile(*APPLY, "--repo", applied.clone)
    workshop.kubectl("uncordon", node)
    after = pods(workshop, "zk")
    assert after["zk-1"]["spec"]["nodeName"] != node
    assert {name for name in after if after[name]["metadata"]["uid"] != before[name]["metadata"]["uid"]} == {"zk-1"}
    now = elastic(workshop, "zk-1")
    assert (now["PublicIp"], now["PrivateIpAddress"], now["NetworkInterfaceId"]) == (
        address["PublicIp"],
        address["PrivateIpAddress"],
        address["NetworkInterfaceId"],
    )
    assert now["InstanceId"] != address["InstanceId"]
    assert znode(workshop, "zk-1", "get") == "kept"


def elastic(workshop: Workshop, member: str) -> dict[str, Any]:
    """A member's elastic address as EC2 has it, with the instance that its interface is attached to."""
    wanted = [{"Name": "tag:reconciler/address", "Values": [f"address/lab/zk/{member}"]}]
    ec2 = judge(workshop).ec2
    (found,) = ec2.describe_addresses(Filters=wanted)["Addresses"]
    (interface,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[found["NetworkInterfaceId"]])["NetworkInterfaces"]
    return {**found, "InstanceId": interface["Attachment"]["InstanceId"]}


def test_a_service_that_is_stopped_and_started_has_all_that_was_its_own(workshop: Workshop, applied: Repository) -> None:
    applied.commit("Stop zk", {f"{FOLDER}/zk.yaml": zookeeper(stopped=True)})
    workshop.reconcile(*APPLY, "--repo", applied.clone)
    assert not pods(workshop, "zk")
    volumes = {name: found[0] for name, found in judge(workshop).volumes().items() if name.startswith("volume/lab/zk/")}
    assert len(volumes) == 3
    assert workshop.reconcile("plan", "--repo", applied.clone, "--detailed-exitcode").stdout.startswith("No changes.")
    applied.commit("Start zk", {f"{FOLDER}/zk.yaml": zookeeper()})
    workshop.reconcile(*APPLY, "--repo", applied.clone)
    assert {znode(workshop, name, "get") for name in pods(workshop, "zk")} == {"kept"}
    now = judge(workshop).volumes()
    assert {name: now[name][0]["VolumeId"] for name in volumes} == {name: one["VolumeId"] for name, one in volumes.items()}


def test_other_resources_reach_a_running_service_one_member_after_the_other(workshop: Workshop, applied: Repository) -> None:
    before = current(workshop, "web")
    applied.commit("More cpu", {f"{FOLDER}/web.yaml": web(WORKS, cpu="20m")})
    assert "restarts web-2, web-1, web-0" in workshop.reconcile("plan", "--repo", applied.clone).stdout
    workshop.reconcile(*APPLY, "--repo", applied.clone)
    after = pods(workshop, "web")
    assert current(workshop, "web").keys() == before.keys() == after.keys()
    assert {one["spec"]["containers"][0]["resources"]["requests"]["cpu"] for one in after.values()} == {"20m"}
    order = sorted(after, key=lambda name: after[name]["metadata"]["creationTimestamp"])
    assert all(after[later]["metadata"]["creationTimestamp"] >= ready(after[first]) for first, later in pairwise(order))


def test_a_bad_revision_costs_one_member_and_a_mended_one_goes_on(workshop: Workshop, applied: Repository) -> None:
    config = applied
    before = current(workshop, "web")
    assert len(before) == 3
    config.commit("Break it", {f"{FOLDER}/web.yaml": web("raise SystemExit(7)")})
    told = workshop.reconcile("apply", "--auto-approve", "--timeout", "25s", "--repo", config.clone, code=6)
    assert "web-2" in told.stdout + told.stderr
    after = pods(workshop, "web")
    assert {name: after[name]["metadata"]["uid"] for name in ("web-0", "web-1")} == {name: before[name] for name in ("web-0", "web-1")}
    assert all(ready(after[name]) for name in ("web-0", "web-1"))
    config.commit("Mend it", {f"{FOLDER}/web.yaml": web(f"{WORKS};")})
    workshop.reconcile(*APPLY, "--repo", config.clone)
    assert len(current(workshop, "web")) == 3
    assert workshop.reconcile("plan", "--repo", config.clone, "--detailed-exitcode").stdout.startswith("No changes.")
