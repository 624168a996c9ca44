"""What Kubernetes does in a town by itself, in small steps.

The StatefulSet controller, the scheduler, kubelets with the members' gate, the node lifecycle controller, the attach-detach controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulation.town import BAD, MEMBERS, ZONES, Container, Machine, Town
from tests.unit.member_world import pod

PATIENCE = 0.7  # of the controllers that wait for nodes to answer again, and of who collects Pods of those that are off


class Kubernetes:
    """All its controllers; nothing is kept here, everything is in the town."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def go_on(self) -> None:
        """Everything that Kubernetes does, once."""
        for name in self.town.machines:
            self.kubelet(name)
        self.monitor()
        self.stateful_sets()
        self.schedule()
        self.attach_volumes()
        for name in self.town.machines:
            self.kubelet(name)

    def stateful_sets(self) -> None:
        """Makes Pods that are missing. It ends none: sets of ours are `OnDelete`."""
        for service in {MEMBERS[name].service: None for name in self.town.names}:
            mine = [name for name in self.town.names if MEMBERS[name].service == service]
            self.town.stateful_set(service, len(mine), self.town.revision)
            for name in mine:
                if name not in self.town.pods:
                    self.town.put(pod(name, self.town.new("uid-{}", name), revision=self.town.revision, phase="Pending"))

    def schedule(self) -> None:
        for found in list(self.town.pods.values()):
            usable = self._usable(MEMBERS[found["metadata"]["name"]].zone)
            if not found["spec"].get("nodeName") and usable and "deletionTimestamp" not in found["metadata"]:
                self.town.put({**found, "spec": {"nodeName": self.town.dice.choice(usable)}})

    def kubelet(self, name: str, *, patient: bool = False) -> None:
        """A machine does what it is told, and lets in whom the gate lets in; *patient*: some gate there has waited for its minute."""
        machine = self.town.machines[name]
        if not machine.on:
            return
        if machine.connected:
            self._end_containers(machine)
            self._start_containers(machine)
        for one in machine.containers.values():
            if (
                not one.main
                and not one.ending
                and self.town.revision_of(one.member) != BAD
                and self._lets_in(machine, one, patient=patient)
            ):
                one.main = True
                self.town.volumes[one.member].mark = name
        if machine.connected:
            self._report(machine)

    def monitor(self) -> None:
        """Pods of nodes out of service are to end, in time those of others that are not heard of; they are collected at times."""
        for name, node in list(self.town.nodes.items()):
            machine = self.town.machines.get(name)
            if machine is None:
                del self.town.nodes[name]
            elif self.town.hears(machine) != self.town.is_up(node):
                self.town.changed(name, status={"conditions": [{"type": "Ready", "status": str(self.town.hears(machine))}]})
        for name, found in list(self.town.pods.items()):
            node = self.town.nodes.get(found["spec"].get("nodeName", ""))
            if not found["spec"].get("nodeName"):
                continue
            is_collected = node is not None and self.town.is_out(node) and "deletionTimestamp" in found["metadata"]
            if node is None or (is_collected and self.town.dice.random() >= PATIENCE):
                del self.town.pods[name]
            elif self.town.is_out(node) or (not self.town.is_up(node) and self.town.dice.random() >= PATIENCE):
                self.town.end(name)

    def attach_volumes(self) -> None:
        """A volume goes to its Pod's machine once the last one has let go of it; from one that is not heard of it is torn after a while."""
        for member, volume in self.town.volumes.items():
            wanted = self.town.pods.get(member, {"spec": {}})["spec"].get("nodeName", "")
            if volume.at and volume.at != wanted:
                machine, node = self.town.machines.get(volume.at), self.town.nodes.get(volume.at)
                held = [one for one in machine.containers.values() if one.member == member] if machine else []
                if machine and self.town.hears(machine) and held:
                    continue  # the kubelet says that it is in use
                if (
                    node
                    and not (machine and self.town.hears(machine))
                    and not self.town.is_out(node)
                    and self.town.dice.random() < PATIENCE
                ):
                    continue  # six minutes are not over yet
                for one in held:
                    one.disk = False
                volume.at = ""
            elif not volume.at and wanted in self.town.machines:
                volume.at = wanted

    def _usable(self, zone: str) -> list[str]:
        def fits(node: Mapping[str, Any]) -> bool:
            return self.town.is_up(node) and not node["spec"].get("taints")

        return [name for name, node in self.town.nodes.items() if name in self.town.machines and ZONES[name] == zone and fits(node)]

    def _end_containers(self, machine: Machine) -> None:
        for uid, one in list(machine.containers.items()):
            found = self.town.pods.get(one.member)
            known = found is not None and found["metadata"]["uid"] == uid
            if known and "deletionTimestamp" not in found["metadata"]:
                continue
            if one.ending:
                del machine.containers[uid]
                if known:
                    del self.town.pods[one.member]
            one.ending = True
        for name, found in list(self.town.pods.items()):
            there = found["spec"].get("nodeName") == machine.name
            if there and "deletionTimestamp" in found["metadata"] and found["metadata"]["uid"] not in machine.containers:
                del self.town.pods[name]

    def _start_containers(self, machine: Machine) -> None:
        for name, found in self.town.pods.items():
            uid = found["metadata"]["uid"]
            if found["spec"].get("nodeName") != machine.name or uid in machine.containers or self.town.volumes[name].at != machine.name:
                continue
            if "deletionTimestamp" not in found["metadata"] and all(one.member != name for one in machine.containers.values()):
                machine.containers[uid] = Container(name, uid, self.town.new("10.0.0.{}", uid))

    def _report(self, machine: Machine) -> None:
        for one in machine.containers.values():
            found = self.town.pods.get(one.member)
            if found and found["metadata"]["uid"] == one.uid and found["spec"].get("nodeName") == machine.name:
                status = self._status(one)
                if status != found["status"]:
                    self.town.pods[one.member] = {**found, "status": status}

    def _status(self, one: Container) -> dict[str, Any]:
        ready = [{"type": "Ready", "status": str(one.main and not one.ending)}]
        state: dict[str, Any] = {"running": {}} if one.main else {"waiting": {"reason": "PodInitializing"}}
        if self.town.revision_of(one.member) == BAD:
            state = {"waiting": {"reason": "CrashLoopBackOff"}}
        containers = [{"name": "main", "ready": one.main, "state": state}]
        return {"phase": "Running", "podIP": one.ip, "conditions": ready, "containerStatuses": containers}

    def _lets_in(self, machine: Machine, one: Container, *, patient: bool) -> bool:
        """The gate of `runner/member.py`: reachable under its name or address, or it has waited for long on the node where it last ran."""
        return self.town.is_reachable(machine, one) or (patient and self.town.volumes[one.member].mark == machine.name)
