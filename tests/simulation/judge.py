"""What must hold after every step, whatever befell; each with the row or trap of FireCamp's that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconciler.members.live import LEASE_PREFIX
from reconciler.resources import marks
from tests.simulation.town import MEMBERS, OUT, Town

OURS = {f"{member.fqdn}.": member.name for member in MEMBERS.values()}


class Broken(AssertionError):
    """Something that must never happen, did."""


class Judge:
    """Looks at each effect of a controller as it happens, and at everything after each step."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.says_placed: Callable[[str, str], bool] = lambda *_: False  # whether a reconciler has said so of a member and its Pod
        self._held = {one["spec"]["holderIdentity"] for one in town.leases.values()}  # the uids that ever held a member
        self.foreign = self._of_others()

    def claims(self, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> None:
        """F5, traps 1 and 2: owners are Pods of the member, each newer than the last, each with the next epoch."""
        name = after["metadata"]["name"].removeprefix(LEASE_PREFIX)
        old, new = (before or {"spec": {}})["spec"], after["spec"]
        holder, epoch, was = new.get("holderIdentity", ""), new["leaseTransitions"], old.get("holderIdentity", "")
        if not holder:
            raise Broken(f"{name} is given up while it is declared")
        if self._town.whose.get(holder) != name:
            raise Broken(f"F5: {name} is claimed for {holder}, which was never a Pod of it")
        if epoch != old.get("leaseTransitions", 0) + (holder != was):
            raise Broken(f"F5: the epoch of {name} goes from {old.get('leaseTransitions', 0)} to {epoch}")
        if was and self._town.born[holder] < self._town.born[was]:
            raise Broken(f"trap 1: {name} is taken from {was} for the older {holder}")
        self._held.add(holder)

    def points(self, before: Mapping[str, Mapping[str, Any]], changes: list[Mapping[str, Any]]) -> None:
        """F7, trap 10: only records of members, only to who held the member, and never from a newer Pod back to an older one."""
        for change in changes:
            record = change["ResourceRecordSet"]
            name = OURS.get(record["Name"])
            if name is None or record["Type"] != "A" or "SetIdentifier" in record:
                raise Broken(f"F7: {change['Action']} of {record['Name']}, which is not a member's")
            if change["Action"] == "DELETE":
                continue
            address = record["ResourceRecords"][0]["Value"]
            live = before.get(record["Name"], {"ResourceRecords": [{"Value": ""}]})["ResourceRecords"][0]["Value"]
            if self._town.whose.get(address) not in self._held:
                raise Broken(f"trap 1: {record['Name']} is pointed to {address}, whose Pod never held {name}")
            if self._town.born[address] < self._town.born.get(live, 0):
                raise Broken(f"F7: the record of {name} goes back from {live} to the older {address}")

    def attaches(self, interface: str) -> None:
        """F8: interfaces of others stay where they are."""
        if interface.removeprefix("eni-") not in self._town.names:
            raise Broken(f"F8: {interface}, which is not a member's, is attached")

    def detaches(self, attachment: str, *, force: bool, since: int) -> None:
        """F6, F8, traps 1 and 3: never from under the owner, and by force only where the machine was seen off *since* a turn."""
        for id, one in self._town.interfaces.items():
            held = one.get("Attachment", {})
            if held.get("AttachmentId") != attachment or held["Status"] == "detaching":
                continue
            name = id.removeprefix("eni-")
            if name not in self._town.names:
                raise Broken(f"F8: {id}, which is not a member's, is detached")
            machine = self._town.machines.get(held["InstanceId"].removeprefix("i-"))
            if force and machine and machine.on and machine.on_since <= since:
                raise Broken(f"trap 3: {id} is torn by force from {machine.name}, which is on")
            if self._is_owners(name, held):
                raise Broken(f"trap 1: {id} is detached from {held['InstanceId']} under the owner of {name}")

    def deletes(self, name: str, uid: str, since: int) -> None:
        """F13: only a Pod of an old revision is ever deleted; one that was old when it was read, at the turn *since*, may be new again."""
        found = self._town.pods.get(name)
        if found and uid in {"", found["metadata"]["uid"]} and self._town.current(name) and self._town.revised < since:
            raise Broken(f"F13: Pod {name} ({found['metadata']['uid']}), which is as declared, is deleted")

    def fences(self, name: str, taints: Iterable[Any], since: int) -> None:
        """Trap 3: only a machine that was seen off *since* a turn is said to be out of service."""
        machine = self._town.machines.get(name)
        if OUT in taints and machine and machine.on and machine.on_since <= since:
            raise Broken(f"trap 3: {name}, which is on, is said to be out of service")

    def takes(self, name: str, uid: str) -> None:
        """Trap 3: a Pod is taken away at once only where it is to end anyway, and nothing of it runs any more."""
        found = self._town.pods.get(name)
        if not uid or (found and found["metadata"]["uid"] == uid and "deletionTimestamp" not in found["metadata"]):
            raise Broken(f"trap 3: Pod {name} ({uid}) is taken away at once though nobody asked it to end")
        if on := [machine.name for machine in self._town.machines.values() if uid in machine.containers]:
            raise Broken(f"trap 3: Pod {name} ({uid}) is taken away at once while it runs on {on[0]}")

    def always(self) -> None:
        """Trap 2 and F6: one writer a volume. F7, F8, trap 27: what others have is as they left it."""
        for name in self._town.names:
            if len(writing := self._town.writers(name)) > 1:
                raise Broken(f"trap 2: {' and '.join(writing)} write to the volume of {name}")
        if self.foreign != self._of_others():
            raise Broken("F8: what others have has changed")

    def _is_owners(self, name: str, held: Mapping[str, Any]) -> bool:
        """Whether the Pod that holds the member is there and counts on it: it is not condemned, or somebody called the Pod placed."""
        lease = self._town.leases.get(f"{LEASE_PREFIX}{name}", {"spec": {}, "metadata": {}})
        owner = self._town.pod_of(lease["spec"].get("holderIdentity", ""))
        if owner is None or "deletionTimestamp" in owner["metadata"] or f"i-{owner['spec'].get('nodeName')}" != held["InstanceId"]:
            return False
        condemned = lease["metadata"].get("annotations", {}).get(marks.CONDEMNED) == held["AttachmentId"]
        return not condemned or self.says_placed(name, owner["metadata"]["uid"])

    def _of_others(self) -> tuple[Any, ...]:
        records = tuple(one for name, one in self._town.records.items() if name not in OURS)
        return (*records, self._town.interfaces["eni-other"])
