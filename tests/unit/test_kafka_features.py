"""Kafka after an upgrade: what its own tool says of the features in use, and when those of the new release are finalised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.model.initialise import Script
from stacks import kafka
from tests.unit.test_kafka import service
from tests.unit.test_kafka_login import INNER, run, secrets, values, word
from tests.unit.test_stacks import ENVIRONMENT, changed

# As 4.1.1 says it of a cluster that was formatted by 4.0.
DESCRIBED = """\
Feature: eligible.leader.replicas.version\\tSupportedMinVersion: 0\\tSupportedMaxVersion: 1\\tFinalizedVersionLevel: 0\\tEpoch: 40
Feature: group.version\\tSupportedMinVersion: 0\\tSupportedMaxVersion: 1\\tFinalizedVersionLevel: 1\\tEpoch: 40
Feature: metadata.version\\tSupportedMinVersion: 3.3-IV3\\tSupportedMaxVersion: 4.1-IV1\\tFinalizedVersionLevel: 4.0-IV3\\tEpoch: 40
"""


def look(folder: Path, described: str) -> dict[str, object]:
    (folder / "kafka-features.sh").write_text(f"#!/bin/sh\necho \"$*\" >> {folder}/words\nprintf '{described}'\n")
    (folder / "kafka-features.sh").chmod(0o755)
    said: dict[str, object] = json.loads(run(folder, kafka.initialise(service(), ENVIRONMENT).look.text.replace(kafka._BIN, str(folder))))
    return said


@pytest.mark.parametrize(("described", "finalised"), [(DESCRIBED, "4.0-IV3"), ("", "")])
def test_a_look_reads_the_level_that_is_in_use(tmp_path: Path, described: str, finalised: str) -> None:
    assert look(tmp_path, described) == {"access": {}, "finalised": finalised}


@pytest.mark.parametrize(
    ("version", "finalised", "then"),
    [
        ("4.1.1", "4.0-IV3", "finalise the features of 4.1"),
        ("4.1.0", "3.9-IV0", "finalise the features of 4.1"),
        ("4.10.0", "4.9-IV2", "finalise the features of 4.10"),
        ("4.1.1", "4.1-IV1", None),
        ("4.1.1", "4.2-IV0", None),  # somebody else's: nothing is taken back
        ("4.1.1", "", "it says which release's features it uses"),
    ],
)
def test_the_features_of_an_earlier_release_give_way_and_never_those_of_a_later_one(version: str, finalised: str, then: str | None) -> None:
    found = kafka.initialise(changed(service(), version=version), ENVIRONMENT).next({"access": {}, "finalised": finalised})
    assert (found.does if isinstance(found, Script) else found) == then


def test_a_look_at_who_asks_for_a_password_reads_it_as_a_member(tmp_path: Path) -> None:
    secrets(tmp_path)
    wanted = kafka.initialise(service(1, auth=True, controllers=1), ENVIRONMENT)
    tools = {
        "broker-api-versions": "printf 'localhost:9092 (id: 0) -> (\\n'",
        "features": f'while [ "$1" != --command-config ]; do shift; done; cp "$2" {tmp_path}/with; printf "{DESCRIBED}"',
    }
    for name, does in tools.items():
        (tmp_path / f"kafka-{name}.sh").write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / f"kafka-{name}.sh").chmod(0o755)
    script = wanted.look.text.replace(kafka._BIN, str(tmp_path)).replace("events-0.db.internal", "localhost")
    said = json.loads(run(tmp_path, script.replace("timeout 10", "timeout 1")))
    assert said == {"access": {"events-0": "silent"}, "finalised": "4.0-IV3"}  # nobody listens there
    entry = values(tmp_path / "with")
    assert (entry["sasl.mechanism"], word(entry["sasl.jaas.config"], "password")) == ("PLAIN", INNER)


def test_the_step_asks_once_for_all_features_of_the_release(tmp_path: Path) -> None:
    look(tmp_path, DESCRIBED)
    step = kafka.initialise(service(), ENVIRONMENT).next({"access": {}, "finalised": "4.0-IV3"})
    assert isinstance(step, Script)
    run(tmp_path, step.text.replace(kafka._BIN, str(tmp_path)))
    asked = "--bootstrap-server events-0.db.internal:9092,events-1.db.internal:9092,events-2.db.internal:9092"
    assert (tmp_path / "words").read_text().splitlines() == [f"{asked} describe", f"{asked} upgrade --release-version 4.1"]


def test_who_is_open_to_strangers_is_closed_before_anything_is_finalised() -> None:
    wanted = kafka.initialise(service(auth=True), ENVIRONMENT)
    names = [f"events-{n}" for n in range(3)]
    said = {"access": dict.fromkeys(names, "closed") | {"events-2": "open"}, "finalised": "4.0-IV3"}
    assert wanted.next(said) == "events-2 refuses strangers"
    assert isinstance(wanted.next({**said, "access": dict.fromkeys(names, "closed")}), Script)
