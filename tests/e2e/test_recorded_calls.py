"""What the whole run's labs put down of our roles' calls: nothing was asked for that the shipped policies don't give. Runs last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import access, control_plane
from lab.aws.record import FILE
from reconciler.resources import installed
from tests.conftest import LAST, TESTING

pytestmark = [pytest.mark.e2e, LAST]
# test_observe_lab.py writes with the product's own clients, to see AWS and Kubernetes refuse it
MEANT = {"reconciler ec2:CreateVolume", "reconciler create configmaps"}
SHIPPED = {"reconciler-pass", *access.BOUND.values(), *(installed.role_name("lab", role) for role in installed.ROLES)}
EVERYBODYS = ("system:discovery", "system:basic-user", "system:public-info-viewer", "system:service-account-issuer-discovery")


@pytest.fixture(scope="module")
def labs(run_of_labs: Path) -> list[Path]:
    """The folders of all labs of the run."""
    return [path.parent for path in run_of_labs.rglob(control_plane.AUDIT)]


def lines(path: Path) -> Iterator[dict[str, object]]:
    """What was put down; a lab that was killed may have left half a line."""
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def test_no_call_to_aws_was_outside_its_roles_policy(labs: list[Path]) -> None:
    """The lab enforces the shipped policies; what it denied must have been meant."""
    calls = [call for lab in labs for call in lines(lab / "aws" / FILE)]
    ours = {str(call["user"]) for call in calls if call["client"] == "reconciler"}
    outside = {f"{call['user']} {call['action']}" for call in calls if call["denied"] and call["client"] != TESTING}
    assert ours, "the product asked AWS for nothing: this would prove nothing"
    assert sorted(outside - MEANT) == []


def test_no_call_to_the_api_server_was_outside_its_roles_rules(labs: list[Path]) -> None:
    """Each was allowed by a role that we ship, by one that a service declares for its own members, or by what everybody may see.

    Refusals that are meant say so. A server that has just started knows no roles yet: for a moment it refuses what it allows later.
    """
    refused, allowed, roles = set(), set(), set()
    for event in (event for lab in labs for event in lines(lab / control_plane.AUDIT)):
        told: Any = event.get("annotations") or {}
        reason = str(told.get("authorization.k8s.io/reason", ""))
        role, declared = reason.partition('ClusterRole "')[2].partition('"')[0], ' of Role "' in reason
        if told.get("authorization.k8s.io/decision") == "allow" and (declared or role in {*SHIPPED, *EVERYBODYS}):
            roles.add(role)
            allowed.add(_asked(event))
        elif event.get("userAgent") != TESTING:
            refused.add(_asked(event))
    assert roles & SHIPPED, "no shipped role was used: this would prove nothing"
    assert sorted(refused - allowed - MEANT) == []


def _asked(event: Any) -> str:
    """Who wanted to do what to which kind of thing."""
    at = event.get("objectRef") or {}
    kind = "/".join(at[part] for part in ("apiGroup", "resource", "subresource") if at.get(part))
    return f"{event['user']['username']} {event['verb']} {kind or event['requestURI']}"
