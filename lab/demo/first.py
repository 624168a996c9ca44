"""From a commit to running services and configured machines."""

from __future__ import annotations

import json
import re
import time

from lab.demo import outside, place
from lab.demo.beginning import MACHINES
from lab.demo.stage import Stage

ZONE = "db.internal"
_SLOW = "node07"
_PATIENCE = 10.0  # seconds for a write to reach a replica


def validate(stage: Stage) -> None:
    said = stage.reconcile("validate").stdout
    stage.check(said.strip() == "lab: valid", "the specs hold together: types, names, references, layers")


def plan(stage: Stage) -> None:
    stage.say("Nothing of it exists yet, so everything is to be added. A plan only reads: its credentials cannot write.")
    said = stage.reconcile("plan").stdout
    totals = re.search(r"^Plan: (\d+) to add, 0 to change, 0 to destroy\.$", said, re.MULTILINE)
    stage.check(totals and int(totals[1]) > 0, "all to add, nothing to change or destroy")


def apply(stage: Stage) -> None:
    stage.say("The engine makes what is declared, the members' names follow their Pods, Ansible sessions configure the machines:")
    stage.say("side by side. It ends when every Pod is Ready and every machine is configured.")
    began = place.engine_starts()
    stage.reconcile("apply", "--auto-approve", head=0, tail=0)
    stage.check(place.engine_starts() > began, "the engine was started")
    said = stage.reconcile("status").stdout
    stage.check(said.count("  Ready ") == len(said.splitlines()) - 1, "every service is Ready")
    rows = json.loads(stage.quietly("members", "--format", "json"))
    stage.reconcile("members")
    stage.check(rows and all(row["ready"] for row in rows), f"all {len(rows)} members are in their places")
    stage.run(["kubectl", "get", "pods", "-o", "wide", "--sort-by=.metadata.name"])


def use(stage: Stage) -> None:
    """A client that knows nothing of us: a name, an address, a Redis."""
    aws = outside.connect(place.running())
    stage.say("A client outside the reconciler: the member's address from Route53 with boto3, then Redis's own protocol.")
    primary = stage.ask(f"route53.list_resource_record_sets(…, StartRecordName='kv-0.{ZONE}')", lambda: aws.address(ZONE, f"kv-0.{ZONE}"))
    wrote = stage.reconcile("lab", "exec", "--", "redis-cli", "-h", primary, "SET", "greeting", "hello").stdout
    read = stage.reconcile("lab", "exec", "--", "redis-cli", "-h", primary, "GET", "greeting").stdout
    stage.check((wrote.strip(), read.strip()) == ("OK", "hello"), "what was written was read back")
    replica = stage.ask(f"route53.list_resource_record_sets(…, StartRecordName='kv-1.{ZONE}')", lambda: aws.address(ZONE, f"kv-1.{ZONE}"))
    stage.check(replica != primary and _arrives(stage, replica), f"and from the replica kv-1 at {replica}, which got it from kv-0")


def _arrives(stage: Stage, replica: str) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while stage.quietly("lab", "exec", "--", "redis-cli", "-h", replica, "GET", "greeting").strip() != "hello":
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def sessions(stage: Stage) -> None:
    """What the sessions did, and how node07 came round."""
    where = "a Kubernetes Job" if place.can_have_machines() else "a process"
    stage.say(f"Each session was {where} that ran ansible-playbook, layer by layer, and reported every host.")
    stage.reconcile("sessions", "list")
    stage.say(f"The first layer failed on {_SLOW} twice, by Ansible's own result, and was tried again until it succeeded:")
    failed = [row["name"] for row in json.loads(stage.quietly("sessions", "list", "--format", "json")) if row["succeeded"] == "false"]
    for name in reversed(failed):
        stage.shell(f"reconcile sessions logs {name} | grep -E 'fatal|not ready|failed=1'")
    stage.reconcile("components", "show", _SLOW)
    attempts = {name: _on(name, "srv/attempts") for name in MACHINES}
    slow = attempts.pop(_SLOW)
    stage.check(slow == "xxx" and set(attempts.values()) == {"x"}, f"{_SLOW} took three attempts, each of the others one")
    words = {row["id"]: row["status"] for row in json.loads(stage.quietly("components", "list", "--format", "json"))}
    stage.check(words == dict.fromkeys(MACHINES, "configured"), f"all {len(MACHINES)} machines are configured")
    stage.shell(f"cat {place.LAB}/hosts/{_SLOW}/etc/motd")
    stage.check(all(name in _on(name, "etc/motd") for name in MACHINES), "and each has the file that the last layer wrote")


def _on(machine: str, path: str) -> str:
    file = place.LAB / "hosts" / machine / path
    return file.read_text() if file.exists() else ""
