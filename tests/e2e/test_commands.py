"""The commands that look, `destroy`, and the gate: one small service in a lab, from its first day to its last."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.e2e.one_service import ENVIRONMENT, PATH, SERVICE
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
# The engine, asked for a stack without resources by a plan that says nothing of deletions.
WITHOUT_A_PLAN = """
import sys
from reconciler import bootstrap
from reconciler.ports import StackRun
with bootstrap.home("lab") as home:
    _, desired = home.world(sys.argv[1], None)
    home.engine.up(StackRun(desired.revision, "kv", (), ()), lambda *said: print(*said))
"""


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    made = workshop.repository("config", {"specs/lab/environment.yaml": ENVIRONMENT, PATH: SERVICE})
    workshop.reconcile("apply", "--repo", made.bare, "--auto-approve")
    return made


def rows(workshop: Workshop, config: Repository, command: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(workshop.reconcile(command, "--repo", config.bare, "--format", "json").stdout)
    return found


def test_status_says_synced_ready_and_why_not(workshop: Workshop, config: Repository) -> None:
    (row,) = rows(workshop, config, "status")
    assert (row["service"], row["synced"], row["ready"], row["configured"], row["reason"]) == ("kv", "Synced", "Ready", "-", "")
    workshop.kubectl("delete", "poddisruptionbudget", "kv")
    (row,) = rows(workshop, config, "status")
    assert row["synced"] == "OutOfSync"
    assert row["reason"].startswith("1 to do: kubernetes/lab/kv/PodDisruptionBudget/default/kv")
    workshop.reconcile("apply", "--repo", config.bare, "--auto-approve")


def test_members_say_where_they_run(workshop: Workshop, config: Repository) -> None:
    (row,) = rows(workshop, config, "members")
    pod = json.loads(workshop.kubectl("get", "pod", "kv-0", "-o", "json"))
    assert (row["member"], row["zone"], row["record"], row["ready"]) == ("kv-0", "us-east-1a", "kv-0.db.internal", True)
    assert (row["node"], row["address"]) == (pod["spec"]["nodeName"], pod["status"]["podIP"])
    assert "kv-0.db.internal" in workshop.reconcile("members", "--repo", config.bare).stdout


def test_an_address_is_explained_with_its_line_its_owners_and_its_last_apply(workshop: Workshop, config: Repository) -> None:
    words = ("explain", "volume/lab/kv/kv-0/data", "--repo", str(config.bare))
    told = json.loads(workshop.reconcile(*words, "--format", "json").stdout)
    assert (told["declared"]["by"], told["engine"], told["plan"]["action"]) == ("kv", True, "keep")
    assert told["declared"]["origin"].startswith(f"{PATH}:")
    assert [one["id"] for one in told["live"]] == [workshop.aws.volume("volume/lab/kv/kv-0/data")["VolumeId"]]
    assert told["applied"]["deed"] == "create"
    assert {row["path"]: row["source"] for row in told["fields"]}["size"].startswith(f"{PATH}:")
    assert "size" in workshop.reconcile(*words).stdout


@pytest.mark.parametrize(
    "words",
    [("catalog",), ("volumes",), ("validate",), ("components", "list"), ("configurations", "list"), ("sessions", "list"), ("plan",)],
)
def test_every_list_is_printed_as_its_schema_says(workshop: Workshop, config: Repository, words: tuple[str, ...]) -> None:
    json.loads(workshop.reconcile(*words, "--repo", config.bare, "--format", "json").stdout)  # held against it by the workshop


def test_an_orphan_is_found_by_its_tags_and_told_before_anything_goes(workshop: Workshop, config: Repository) -> None:
    """A volume with our marks that no document declares and the engine does not know, as a lost state leaves one."""
    marks = {"address": "volume/lab/ghost/ghost-0/data", "environment": "lab", "service": "ghost"}
    tags = [{"Key": f"reconciler/{name}", "Value": value} for name, value in marks.items()]
    made = workshop.aws.ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    (row,) = (one for one in rows(workshop, config, "volumes") if one["id"] == made)
    assert (row["service"], row["member"], row["name"], row["state"]) == ("ghost", "ghost-0", "data", "orphaned")
    told = workshop.reconcile("plan", "--repo", config.bare).stdout
    assert "volume/lab/ghost/ghost-0/data will be forgotten (no longer declared; it is kept)  # data is kept" in told
    workshop.aws.ec2.delete_volume(VolumeId=made)


def test_history_is_what_was_applied_newest_first(workshop: Workshop, config: Repository) -> None:
    entries = rows(workshop, config, "history")
    commit = config.git("rev-parse", "HEAD").stdout.strip()
    assert entries[-1]["summary"]["add"] == 10
    assert all(entry["result"] == "converged" and commit.startswith(entry["revision"]) for entry in entries)
    assert entries == sorted(entries, key=lambda entry: entry["time"], reverse=True)


def test_the_real_engine_does_nothing_that_the_plan_does_not_say(workshop: Workshop, config: Repository) -> None:
    said = workshop.run(sys.executable, "-c", WITHOUT_A_PLAN, config.bare).stdout
    assert "kv failed the engine would delete " in said
    assert "the plan says keep " in said
    assert workshop.aws.volume("volume/lab/kv/kv-0/data")["State"] == "in-use"
    assert "No changes." in workshop.reconcile("plan", "--repo", config.bare).stdout


def test_what_is_declared_is_not_destroyed_and_what_is_not_goes_but_for_its_data(workshop: Workshop, config: Repository) -> None:
    refused = workshop.reconcile("destroy", "--service", "kv", "--repo", config.bare, "--auto-approve", code=1)
    assert f"{PATH}:1:1 still declares kv" in refused.stderr
    assert "kv-0" in workshop.kubectl("get", "pods")
    config.commit("Remove kv", {PATH: None})
    config.push("main")
    unasked = workshop.reconcile("destroy", "--service", "kv", "--repo", config.bare, code=1)
    assert "nobody approved" in unasked.stderr
    workshop.reconcile("destroy", "--service", "kv", "--repo", config.bare, "--auto-approve")
    assert "kv" not in workshop.kubectl(
        "get", "pods,statefulsets,configmaps,poddisruptionbudgets", "-l", "reconciler/service=kv", "-o", "name"
    )
    (row,) = rows(workshop, config, "volumes")
    volume = workshop.aws.volume("volume/lab/kv/kv-0/data")
    assert (row["id"], row["service"], row["member"], row["name"], row["state"]) == (volume["VolumeId"], "kv", "kv-0", "data", "retained")
    workshop.aws.ec2.get_waiter("volume_available").wait(VolumeIds=[volume["VolumeId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
