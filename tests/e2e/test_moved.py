"""A service that gets another name, and one that comes back, through the real engine: the judge finds the same things as before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.judge import Judge
from tests.e2e.lab_world import judge
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
APPLY = ("apply", "--auto-approve", "--allow-deletes", "100", "--timeout", "3m")
ENVIRONMENT = "apiVersion: reconciler/v1\nkind: Environment\nmetadata: {name: lab}\nspec: {zones: [us-east-1a, us-east-1b, us-east-1c]}\n"
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: redis
  version: "8.0"
  replicas: 2
  addresses: private
  volumes: {{data: {{size: 1Gi}}}}
  {more}
"""
FOLDER = "specs/lab"


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    made = workshop.repository("config", {f"{FOLDER}/environment.yaml": ENVIRONMENT, f"{FOLDER}/kv.yaml": service("kv")})
    workshop.reconcile(*APPLY, "--repo", made.clone)
    return made


@pytest.fixture(scope="module")
def looking(workshop: Workshop, config: Repository) -> Judge:
    return judge(workshop)


def service(name: str, more: str = "") -> str:
    return SERVICE.format(name=name, more=more)


def everything(looking: Judge) -> dict[str, Any]:
    """What a move must not make anew, as outsiders know it."""
    return {
        "volumes": sorted(one["VolumeId"] for found in looking.volumes().values() for one in found),
        "interfaces": sorted(one["NetworkInterfaceId"] for address, found in looking.interfaces().items() if address for one in found),
        "objects": {
            kind: {name: one["metadata"]["uid"] for name, one in looking.objects(kind, "reconciler/environment=lab").items()}
            for kind in ("statefulsets", "pods", "services", "configmaps", "persistentvolumeclaims", "persistentvolumes")
        },
    }


def test_a_service_of_a_new_name_keeps_all_that_it_has(workshop: Workshop, config: Repository, looking: Judge) -> None:
    before = everything(looking)
    assert before["volumes"]
    config.commit("Rename kv", {f"{FOLDER}/kv.yaml": None, f"{FOLDER}/sessions.yaml": service("sessions", "movedFrom: {name: kv}")})
    plan = workshop.reconcile("plan", "--repo", config.clone).stdout
    assert "# volume/lab/kv/kv-0/data has moved to volume/lab/sessions/kv-0/data (kv was renamed sessions)" in plan
    assert "will be created" not in plan
    assert "destroyed" not in plan
    workshop.reconcile(*APPLY, "--repo", config.clone)
    assert everything(looking) == before
    assert sorted(looking.volumes()) == ["volume/lab/sessions/kv-0/data", "volume/lab/sessions/kv-1/data"]
    assert workshop.reconcile("plan", "--repo", config.clone, "--detailed-exitcode").stdout.startswith("No changes.")
    stacks = {path.stem for path in (workshop.directory / ".reconcile/lab/reconciler/engine/.pulumi/stacks/reconciler").glob("*.json")}
    assert stacks == {"lab.sessions", "lab.shared_"}


def test_what_was_removed_comes_back_when_it_is_asked_for(workshop: Workshop, config: Repository, looking: Judge) -> None:
    volumes = everything(looking)["volumes"]
    config.commit("Remove it", {f"{FOLDER}/sessions.yaml": None})
    workshop.reconcile(*APPLY, "--repo", config.clone)
    assert everything(looking)["volumes"] == volumes
    back = "movedFrom: {name: kv}\n  restoreFrom: {retained: true}"
    config.commit("Declare it again", {f"{FOLDER}/sessions.yaml": service("sessions", "movedFrom: {name: kv}")})
    refused = workshop.reconcile("plan", "--repo", config.clone).stdout
    assert "it is not taken back by itself: say restoreFrom: {retained: true}" in refused
    config.commit("Take its data back", {f"{FOLDER}/sessions.yaml": service("sessions", back)})
    workshop.reconcile(*APPLY, "--repo", config.clone)
    assert everything(looking)["volumes"] == volumes
    assert not any(tag["Key"] == "reconciler/retained" for found in looking.volumes().values() for one in found for tag in one["Tags"])
    told = json.loads(workshop.reconcile("volumes", "--repo", config.clone, "--format", "json").stdout)
    assert {one["state"] for one in told} == {"bound"}
    assert workshop.reconcile("plan", "--repo", config.clone, "--detailed-exitcode").stdout.startswith("No changes.")


def test_data_that_spec_and_flag_give_up_is_deleted(workshop: Workshop, config: Repository, looking: Judge) -> None:
    given_up = service("sessions", "movedFrom: {name: kv}\n  deletionPolicy: Delete")
    config.commit("Give its data up", {f"{FOLDER}/sessions.yaml": given_up})
    workshop.reconcile(*APPLY, "--repo", config.clone)
    config.commit("Remove it for good", {f"{FOLDER}/sessions.yaml": None})
    assert "it is kept)  # data is kept; --allow-delete-data would delete it" in workshop.reconcile("plan", "--repo", config.clone).stdout
    told = workshop.reconcile(*APPLY, "--allow-delete-data", "--repo", config.clone)
    assert "its spec said deletionPolicy: Delete)  # irreversible: its data is deleted" in told.stdout
    assert not looking.volumes()
    assert json.loads(workshop.reconcile("volumes", "--repo", config.clone, "--format", "json").stdout) == []
    assert workshop.reconcile("plan", "--repo", config.clone, "--detailed-exitcode").stdout.startswith("No changes.")
