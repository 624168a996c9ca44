"""A replica set's configuration: what the real server refuses of one, and what is read out of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.wire import Document

MEMBERS, VOTERS = 50, 7
_MEMBER: Document = {"arbiterOnly": False, "hidden": False, "priority": 1, "votes": 1}
_SETTINGS: Document = {"heartbeatIntervalMillis": 2000, "electionTimeoutMillis": 10000}


def filled(config: Mapping[str, Any], term: int) -> Document:
    """*config* with what it leaves out, as the server keeps it."""
    members = [{**_MEMBER, **one} for one in config.get("members", ())]
    given: Document = dict(config)
    return {"version": 1, **given, "term": term, "members": members, "settings": {**_SETTINGS, **given.get("settings", {})}}


def check(config: Document, set_name: str, role: str) -> None:
    """Raises Refusal: it cannot be a configuration of the set *set_name*, whose members were started with *role*."""
    for fault in (*_faults(config, set_name), *_misplaced(config, role)):
        raise Refusal(93, fault)


def _misplaced(config: Document, role: str) -> Iterator[str]:
    if role == "configsvr" and not config.get("configsvr"):
        yield "Nodes started with the --configsvr flag must have configsvr:true in their config"
    if role != "configsvr" and config.get("configsvr"):
        yield "Nodes being used for config servers must be started with the --configsvr flag"


def _faults(config: Document, set_name: str) -> Iterator[str]:
    members = config["members"]
    if config.get("_id") != set_name:
        yield f"Attempting to use a config for set {config.get('_id')}, but this node was started for {set_name}"
    if not 0 < len(members) <= MEMBERS:
        yield f"Replica set configuration contains {len(members)} members, but must have at least 1 and no more than {MEMBERS}"
    for key in ("_id", "host"):
        if len({one[key] for one in members}) < len(members):
            yield f"Found two member configurations with same {key} field"
    if any(one["arbiterOnly"] or one["hidden"] for one in members):
        yield "this stand-in has neither arbiters nor hidden members"
    if not 0 < len(voters(config)) <= VOTERS:
        yield f"Replica set configuration contains {len(voters(config))} voting members, but must be at least 1 and no more than {VOTERS}"
    if any(one["votes"] not in (0, 1) or (one["priority"] and not one["votes"]) for one in members):
        yield "Non-voting members must have priority 0"
    if not any(one["priority"] for one in members):
        yield "Replica set configuration must contain at least one non-arbiter member with priority > 0"


def check_change(old: Document, new: Document) -> None:
    """Raises Refusal: *new* cannot follow *old* without force."""
    if new["version"] <= old["version"]:
        raise Refusal(103, f"New and old configurations differ in version: {new['version']} must be greater than {old['version']}")
    if len(set(voters(old)) ^ set(voters(new))) > 1:
        raise Refusal(103, "Non force replica set reconfig can only add or remove at most 1 voting member.")


def age(config: Document | None) -> tuple[int, int]:
    """The greater one is the newer."""
    return (config["term"], config["version"]) if config else (-1, -1)


def hosts(config: Document) -> list[str]:
    return [one["host"] for one in config["members"]]


def voters(config: Document) -> list[str]:
    return [one["host"] for one in config["members"] if one["votes"]]


def majority(config: Document) -> int:
    return len(voters(config)) // 2 + 1


def of(config: Document, host: str) -> Document | None:
    """What *config* says of one member."""
    return next((one for one in config["members"] if one["host"] == host), None)
