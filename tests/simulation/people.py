"""What people and fate do to a town, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.town import BAD, MEMBERS, OUT, ZONES, Town

Deed = Callable[[Town], str]  # does it where it can be done; words for it, "" where nothing was done


def end_a_pod(town: Town) -> str:
    name = town.dice.choice(town.names)
    town.end(name)
    return f"{name} is to end"


def turn_off(town: Town) -> str:
    machine = town.machines[town.dice.choice(list(town.machines))]
    if machine.on:
        town.turn_off(machine.name)
    return f"{machine.name} is off"


def turn_on(town: Town) -> str:
    """Back, and no longer out of service: that is what one has to take away first, unless a reconciler said so."""
    off = [name for name, machine in town.machines.items() if not machine.on]
    for name in off[:1]:
        if name in town.nodes and not town.is_fenced(name):
            town.taint(name)
        town.turn_on(name)
    return f"{off[0]} is on" if off else ""


def put_out_of_service(town: Town) -> str:
    """As the manual says: only what is proved to be off."""
    off = [name for name, machine in town.machines.items() if not machine.on and name in town.nodes]
    for name in off[:1]:
        if not town.is_out(town.nodes[name]):
            town.taint(name, OUT)
    return f"{off[0]} is out of service" if off else ""


def terminate(town: Town) -> str:
    """One is always left, though it may be in another zone."""
    name = town.dice.choice(list(town.machines))
    if len(town.machines) == 1:
        return ""
    town.terminate(name)
    return f"{name} is terminated"


def join(town: Town) -> str:
    gone = [name for name in ZONES if name not in town.machines and name not in town.nodes]
    for name in gone[:1]:
        town.machine(name)
    return f"{gone[0]} joins" if gone else ""


def cut_off(town: Town) -> str:
    machine = town.machines[town.dice.choice(list(town.machines))]
    machine.connected = False
    return f"{machine.name} is cut off"


def connect(town: Town) -> str:
    away = [machine for machine in town.machines.values() if not machine.connected]
    for machine in away[:1]:
        machine.connected = True
    return f"{away[0].name} is heard of again" if away else ""


def force(town: Town) -> str:
    """Somebody deletes a Pod by force that hangs on a node that is not heard of; its container may run on."""
    for name, found in town.pods.items():
        machine = town.machines.get(found["spec"].get("nodeName", ""))
        if "deletionTimestamp" in found["metadata"] and machine and not machine.connected:
            del town.pods[name]
            return f"{name} on {machine.name} is deleted by force"
    return ""


def meddle(town: Town) -> str:
    """Somebody points a member's record elsewhere, or takes it away."""
    followers = [f"{MEMBERS[name].fqdn}." for name in town.names if MEMBERS[name].follows]
    here = [name for name in followers if name in town.records]
    if not here:
        return ""
    records = dict(town.records)
    was = records.pop(here[0])
    if town.dice.random() < 0.5:
        records[here[0]] = {**was, "ResourceRecords": [{"Value": "192.0.2.9"}]}
    town.records = records
    return f"{here[0]} is {'elsewhere' if here[0] in records else 'away'}"


def pull_out(town: Town) -> str:
    """Somebody detaches a member's interface."""
    for name in town.names:
        attachment = town.interfaces.get(f"eni-{name}", {}).get("Attachment")
        if attachment and attachment["Status"] == "attached":
            town.call("ec2", "detach_network_interface", AttachmentId=attachment["AttachmentId"], Force=False)
            return f"eni-{name} is pulled out"
    return ""


def roll_out(town: Town) -> str:
    """A commit that cannot start, or the next that can."""
    town.declare(BAD if town.revision != BAD and town.dice.random() < 0.5 else f"r{town.turn + 2}")
    return f"revision {town.revision}"


THEMES: tuple[tuple[Deed, ...], ...] = (
    (turn_off, put_out_of_service, turn_on),
    (terminate, join),
    (cut_off, force, connect),
    (meddle, pull_out),
    (roll_out,),
    (turn_off, put_out_of_service, turn_on, terminate, join, cut_off, force, connect, meddle, pull_out, roll_out),
)


def make_good(town: Town) -> None:
    """All is put right that no program puts right."""
    if town.revision == BAD:
        town.declare(f"r{town.turn + 2}")
    for name in ZONES:
        if name not in town.machines:
            town.nodes.pop(name, None)
            town.machine(name)
        elif not town.machines[name].on:
            town.turn_on(name)
        town.machines[name].connected = True
        if not town.is_fenced(name):
            town.taint(name)
