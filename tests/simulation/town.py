"""A cluster and an account in which members live: what there is, what is told of it, and what can befall it.

A Pod is what the API server tells; a container is what really runs, also on a machine that nobody can reach.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler import errors, kinds
from reconciler.members.live import FENCED
from reconciler.members.member import Member, declared
from reconciler.model.service import Service
from reconciler.resources import marks
from tests.unit.member_world import ENVIRONMENT, World

OUT = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
ZONES = {"a1": "us-east-1a", "a2": "us-east-1a", "a3": "us-east-1a", "b1": "us-east-1b"}
BAD = "bad"  # a revision whose containers cannot start
REMEMBERED = 4  # versions of what AWS may still tell
LATE = {"interfaces", "records", "leases"}  # lists that may be late; Pods, sets and nodes are read from a quorum
_KEPT = {name: name for name in ("pods", "nodes", "leases", "interfaces", "records")} | {"statefulsets": "sets"}
SERVICES = (
    Service(name="kv", type="redis", namespace="default", replicas=2, volumes={"data": {"size": "1Gi"}}),
    Service(name="db", type="redis", namespace="default", replicas=3, addresses="private", volumes={"data": {"size": "1Gi"}}),
)
MEMBERS: dict[str, Member] = {one.name: one for one in declared(SERVICES, ENVIRONMENT, kinds.service_types())}


@dataclass(slots=True)
class Container:
    """A member's container on a machine. *main* once the gate has let it in; it writes as long as it has its *disk*."""

    member: str
    uid: str
    ip: str
    main: bool = False
    disk: bool = True
    ending: bool = False


@dataclass(slots=True)
class Machine:
    """An instance. One that is on but not *connected* runs what it ran, and hears nothing."""

    name: str
    on: bool = True
    on_since: int = 0  # the turn
    connected: bool = True
    containers: dict[str, Container] = field(default_factory=dict)  # by the Pod's uid


@dataclass(slots=True)
class Volume:
    """On which machine it is, and the node that the member's mark on it names."""

    at: str = ""
    mark: str = ""


class Town(World):
    """Everything there is; *names* are its members. `pods`, `nodes`, `leases`, `records` and `interfaces` are what is told of it."""

    def __init__(self, names: tuple[str, ...], dice: random.Random) -> None:
        super().__init__()
        self.dice = dice
        self.names = names
        self.revision, self.revised = "r1", 0  # the one declared, and the turn since which it is
        self.turn = 0
        self.under_way: list[tuple[str, Callable[[], object]]] = []  # calls whose callers wait no longer
        self.machines: dict[str, Machine] = {}
        self.volumes = {name: Volume() for name in names}
        self.born: dict[str, int] = {}  # the serial of each uid and address that a Pod ever had
        self.whose: dict[str, str] = {}  # the member of each uid, the uid of each address
        self.version = 0  # grows with whatever a list would tell
        self.past: dict[str, deque[tuple[Mapping[str, Any], ...]]] = {kind: deque(maxlen=REMEMBERED) for kind in _KEPT}
        for name in ZONES:
            self.machine(name)
        for name in names:
            if not MEMBERS[name].follows:
                self.interface(name, MEMBERS[name].service)
        self.foreign()
        self.remember()

    def another(self, dice: random.Random) -> Town:
        """A copy that goes its own way. What is in it is replaced, never changed; only machines and volumes are."""
        made = copy.copy(self)
        made.dice = dice
        made.under_way, made.calls = [], []
        for name in ("pods", "nodes", "leases", "interfaces", "records", "sets", "instances", "born", "whose"):
            setattr(made, name, dict(getattr(self, name)))
        made.past = {kind: deque(found, maxlen=REMEMBERED) for kind, found in self.past.items()}
        made.machines, made.volumes = copy.deepcopy((self.machines, self.volumes))
        return made

    def foreign(self) -> None:
        """What others have: records, one of them weighted, and an interface that takes up a place."""
        plain = {"Type": "A", "TTL": 5, "ResourceRecords": [{"Value": "192.0.2.1"}]}
        self.records["www.db.internal."] = {"Name": "www.db.internal.", **plain}
        self.records["blue.db.internal."] = {"Name": "blue.db.internal.", "SetIdentifier": "blue", "Weight": 1, **plain}
        held = {"AttachmentId": "eni-attach-other", "InstanceId": "i-a1", "DeviceIndex": 1, "Status": "attached", "made": 0}
        tags = [{"Key": marks.ENVIRONMENT, "Value": "other"}, {"Key": marks.ADDRESS, "Value": "interface/other/db/db-0"}]
        self.interfaces["eni-other"] = {"NetworkInterfaceId": "eni-other", "TagSet": tags, "Attachment": held}

    def machine(self, name: str) -> None:
        """A new machine joins, of that name."""
        self.machines[name] = Machine(name, on_since=self.turn)
        self.node(name, ZONES[name])

    # what is told of it

    def remember(self) -> None:
        """Keep what AWS may still tell for a while."""
        for kind in self.past:
            now = self._all(kind)
            if not self.past[kind] or self.past[kind][-1] != now:
                self.past[kind].append(now)
                self.version += 1

    def told(self, kind: str, *, late: bool) -> tuple[Mapping[str, Any], ...]:
        """What a list answers; *late*: as of some earlier moment."""
        return self.dice.choice(self.past[kind]) if late and kind in LATE else self._all(kind)

    def _all(self, kind: str) -> tuple[Mapping[str, Any], ...]:
        found: Mapping[str, Mapping[str, Any]] = getattr(self, _KEPT[kind]) if kind in _KEPT else {}
        return tuple(found.values())

    def _attach_network_interface(self, NetworkInterfaceId: str, InstanceId: str, DeviceIndex: int) -> None:  # noqa: N803 - AWS's names
        if InstanceId.removeprefix("i-") not in self.machines:
            raise errors.ProviderError("no such instance", code="InvalidInstanceID.NotFound")
        held = [one["Attachment"] for one in self.interfaces.values() if "Attachment" in one]
        if any((one["InstanceId"], one["DeviceIndex"]) == (InstanceId, DeviceIndex) for one in held):
            raise errors.ProviderError("an interface is attached there already", code="InvalidParameterValue")
        super()._attach_network_interface(NetworkInterfaceId, InstanceId, DeviceIndex)

    # what people and fate do

    def end(self, name: str) -> None:
        """A Pod is to end, gracefully."""
        found = self.pods.get(name)
        if found and not found["spec"].get("nodeName"):
            del self.pods[name]
        elif found and "deletionTimestamp" not in found["metadata"]:
            self.put({**found, "metadata": {**found["metadata"], "deletionTimestamp": "2026-11-22T00:00:00Z"}})

    def declare(self, revision: str) -> None:
        """Of every set; that its controller has not seen it yet is told."""
        self.revision, self.revised = revision, self.turn
        for name, one in self.sets.items():
            self.sets[name] = {**one, "metadata": {**one["metadata"], "generation": one["metadata"]["generation"] + 1}}

    def turn_off(self, name: str) -> None:
        self.machines[name].on = False
        self.machines[name].containers.clear()
        self.instances[f"i-{name}"] = "stopped"

    def turn_on(self, name: str) -> None:
        self.machines[name].on, self.machines[name].connected, self.machines[name].on_since = True, True, self.turn
        self.instances[f"i-{name}"] = "running"

    def terminate(self, name: str) -> None:
        """The instance is no more, and with it its attachments."""
        self.turn_off(name)
        del self.machines[name]
        self.instances[f"i-{name}"] = "terminated"
        for id, one in self.interfaces.items():
            if one.get("Attachment", {}).get("InstanceId") == f"i-{name}" and id != "eni-other":
                self.interfaces[id] = {key: value for key, value in one.items() if key != "Attachment"}

    def taint(self, name: str, *taints: Mapping[str, str]) -> None:
        self.changed(name, spec={**self.nodes[name]["spec"], "taints": list(taints)})

    def changed(self, node: str, **parts: Mapping[str, Any]) -> None:
        """Another version of a node, which whoever read the last can't overwrite."""
        was = self.nodes[node]
        self.nodes[node] = {**was, **parts, "metadata": {**was["metadata"], "resourceVersion": str(self._next())}}

    def is_fenced(self, node: str) -> bool:
        """Whether a reconciler says that it is out of service: then one takes that away as well."""
        return FENCED in self.nodes[node]["metadata"].get("annotations", {})

    def writers(self, member: str) -> list[str]:
        """The Pods whose containers can write to the member's volume at this moment."""
        volume = self.volumes[member]
        here = self.machines.get(volume.at)
        if here is None or not here.on:
            return []
        return [one.uid for one in here.containers.values() if one.member == member and one.main and one.disk]

    def placed(self, member: str) -> bool:
        """Whether it runs, is reachable under its name or address, and its Lease says so."""
        found = self.pods.get(member)
        if found is None or "deletionTimestamp" in found["metadata"] or not self.is_ready(member):
            return False
        lease = self.leases.get(f"member-{member}")
        machine = self.machines.get(found["spec"]["nodeName"])
        running = machine.containers.get(found["metadata"]["uid"]) if machine else None
        owned = bool(lease) and lease["spec"].get("holderIdentity") == found["metadata"]["uid"]
        return bool(machine and running and running.main and owned and self.is_reachable(machine, running))

    def current(self, member: str) -> bool:
        return self.revision_of(member) == self.revision

    def is_up(self, node: Mapping[str, Any]) -> bool:
        """As told: what it really is, `hears` says."""
        return bool(node["status"]["conditions"][0]["status"] == "True")

    def is_out(self, node: Mapping[str, Any]) -> bool:
        return OUT in node["spec"].get("taints", ())

    def pod_of(self, uid: str) -> Mapping[str, Any] | None:
        return next((one for one in self.pods.values() if one["metadata"]["uid"] == uid), None)

    # parts

    def put(self, body: dict[str, Any]) -> None:
        self.pods[body["metadata"]["name"]] = body

    def new(self, form: str, whose: str) -> str:
        number = self._next()
        name = form.format(number)
        self.born[name], self.whose[name] = number, whose
        return name

    def revision_of(self, name: str) -> str:
        found = self.pods.get(name)
        return found["metadata"]["labels"]["controller-revision-hash"] if found else ""

    def is_ready(self, name: str) -> bool:
        return any(one["type"] == "Ready" and one["status"] == "True" for one in self.pods[name]["status"].get("conditions", ()))

    def hears(self, machine: Machine) -> bool:
        return machine.on and machine.connected

    def is_reachable(self, machine: Machine, one: Container) -> bool:
        if MEMBERS[one.member].follows:
            record = self.records.get(f"{MEMBERS[one.member].fqdn}.")
            return bool(record) and record["Type"] == "A" and record["ResourceRecords"] == [{"Value": one.ip}]
        attachment = self.interfaces[f"eni-{one.member}"].get("Attachment", {})
        return (attachment.get("InstanceId"), attachment.get("Status")) == (f"i-{machine.name}", "attached")
