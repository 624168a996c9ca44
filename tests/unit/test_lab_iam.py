"""The lab's IAM decides as AWS does for what the shipped policies use: resources, tags that are set and tags that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import reconciler
from lab.aws.policy import Touched, permits

POLICIES = Path(reconciler.__file__).with_name("policies")
VOLUME = "arn:aws:ec2:us-east-1:123456789012:volume/vol-1"
OURS = {"aws:resourcetag/reconciler/environment": ("lab",)}


def may(role: str, *needed: Touched) -> bool:
    return permits([(POLICIES / f"{role}.json").read_text()], needed)


def test_the_engine_deletes_only_what_carries_our_marks() -> None:
    assert may("apply", Touched("ec2:DeleteVolume", VOLUME, OURS))
    assert not may("apply", Touched("ec2:DeleteVolume", VOLUME, {"aws:resourcetag/name": ("theirs",)}))


def test_what_is_retained_or_protected_is_deleted_by_nobody() -> None:
    for mark, value in (("retained", "1c9e0d2"), ("protected", "true")):
        assert not may("apply", Touched("ec2:DeleteVolume", VOLUME, {**OURS, f"aws:resourcetag/reconciler/{mark}": (value,)}))


def test_the_engine_makes_only_what_is_marked_at_once() -> None:
    marked = {"aws:requesttag/reconciler/environment": ("lab",), "aws:tagkeys": ("reconciler/environment",)}
    new = VOLUME.replace("vol-1", "*")
    assert may("apply", Touched("ec2:CreateVolume", new, marked), Touched("ec2:CreateTags", new, {"ec2:createaction": ("CreateVolume",)}))
    assert not may("apply", Touched("ec2:CreateVolume", new))
    assert not may("apply", Touched("ec2:CreateTags", VOLUME, marked)), "tags on what others made"


def test_members_set_no_mark_but_the_one_that_retains() -> None:
    assert may("members", Touched("ec2:CreateTags", VOLUME, {**OURS, "aws:tagkeys": ("reconciler/retained",)}))
    assert not may("members", Touched("ec2:CreateTags", VOLUME, {**OURS, "aws:tagkeys": ("reconciler/retained", "reconciler/address")}))


def test_members_take_snapshots_of_our_volumes_and_delete_no_other() -> None:
    marked = {"aws:requesttag/reconciler/snapshot": ("kv/2026-01-01T00:00:00Z",), "aws:tagkeys": ("reconciler/snapshot",)}
    node, new = VOLUME.replace("volume/vol-1", "instance/i-1"), "arn:aws:ec2:us-east-1::snapshot/*"
    made = Touched("ec2:CreateTags", new, {**marked, "ec2:createaction": ("CreateSnapshots",)})
    for action in ("ec2:CreateSnapshot", "ec2:CreateSnapshots"):
        assert may("members", Touched(action, new, marked), Touched(action, VOLUME, {**marked, **OURS}), made)
        assert not may("members", Touched(action, new), Touched(action, VOLUME, OURS)), "one that nobody could find"
        assert not may("members", Touched(action, new, marked), Touched(action, VOLUME, marked)), "of a volume of others"
        assert not may("apply", Touched(action, new, marked))
    assert may("members", Touched("ec2:CreateSnapshots", node, marked))
    old = new.replace("*", "snap-1")
    assert may("members", Touched("ec2:DeleteSnapshot", old, {"aws:resourcetag/reconciler/snapshot": ("kv/2026-01-01T00:00:00Z",)}))
    assert not may("members", Touched("ec2:DeleteSnapshot", old, OURS))
    assert not may("members", Touched("ec2:CreateTags", old, marked)), "so that others' would count as ours"


def test_the_engine_makes_volumes_from_snapshots_of_a_set_only() -> None:
    old = "arn:aws:ec2:us-east-1::snapshot/snap-1"
    assert may("apply", Touched("ec2:CreateVolume", old, {"aws:resourcetag/reconciler/snapshot": ("kv/2026-01-01T00:00:00Z",)}))
    assert not may("apply", Touched("ec2:CreateVolume", old))


def test_members_change_address_records_only() -> None:
    zone = "arn:aws:route53:::hostedzone/Z1"
    records = "route53:changeresourcerecordsetsrecordtypes"
    assert may("members", Touched("route53:ChangeResourceRecordSets", zone, {records: ("A", "A")}))
    assert not may("members", Touched("route53:ChangeResourceRecordSets", zone, {records: ("A", "MX")}))


def test_members_stop_only_nodes_that_say_that_they_may_be_stopped() -> None:
    node = VOLUME.replace("volume/vol-1", "instance/i-1")
    assert may("members", Touched("ec2:StopInstances", node, {"aws:resourcetag/reconciler/node": ("true",)}))
    assert not may("members", Touched("ec2:StopInstances", node, {"aws:resourcetag/name": ("theirs",)}))
    for action in ("ec2:TerminateInstances", "ec2:StartInstances"):
        assert not may("members", Touched(action, node, {"aws:resourcetag/reconciler/node": ("true",)}))


def test_a_plan_writes_nothing() -> None:
    assert may("plan", Touched("ec2:DescribeVolumes"))
    for action in ("ec2:CreateVolume", "ec2:CreateTags", "route53:ChangeResourceRecordSets"):
        assert not may("plan", Touched(action, VOLUME, OURS))


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.json")), ids=lambda path: path.stem)
def test_a_policy_fits_into_one_managed_policy(path: Path) -> None:
    """6,144 characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
    assert len("".join(path.read_text().split())) <= 6144


def test_an_operator_that_the_lab_does_not_know_is_no_silent_yes() -> None:
    document = {
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}]
    }
    with pytest.raises(ValueError, match="IpAddress"):
        permits([json.dumps(document)], [Touched("ec2:DescribeVolumes")])
