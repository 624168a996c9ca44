"""Kafka Connect: its parent's brokers by name, what they can hold, and files that say what is meant whatever characters it holds."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.service import Service
from tests.unit.test_opensearch import files
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, template


def served(brokers: int, **fields: Any) -> Service:
    """The example, with a parent of so many brokers."""
    (parent,) = example("kafka-connect").parents
    names = tuple(f"log-{n}" for n in range(brokers))
    other = type(parent)(parent.service.model_copy(update={"replicas": brokers}), names)
    return changed(example("kafka-connect"), parents=(other,), **fields)


def settings(service: Service) -> dict[str, str]:
    lines = files(service)["pipes-0.properties"].splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_f22_all_brokers_are_named_and_more_of_them_restart_no_worker() -> None:
    assert settings(served(4))["bootstrap.servers"] == ",".join(f"log-{n}.db.internal:9092" for n in range(4))
    assert template(served(3)) == template(served(4))


@pytest.mark.parametrize(("brokers", "copies"), [(1, "1"), (2, "2"), (3, "3"), (9, "3")])
def test_its_topics_have_as_many_copies_as_the_brokers_can_hold(brokers: int, copies: str) -> None:
    told = settings(served(brokers))
    assert {told[f"{topic}.storage.replication.factor"] for topic in ("config", "offset", "status")} == {copies}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"options": {"replicationFactor": 5}}, "options.replicationFactor", "cannot hold 5 copies"),
    ({"volumes": {"data": {"size": "1Gi"}}}, "volumes.data", "has no volumes"),
    ({"options": {"heap": "100Mi"}}, "options.heap", "less than 256Mi"),
    ({"resources": {"limits": {"memory": "1Gi"}}}, "options.heap", "leaves nothing"),
]


@pytest.mark.parametrize(("fields", "path", "words"), WRONG, ids=[f"{one[1]} {one[2]}" for one in WRONG])
def test_what_cannot_work_is_refused(fields: dict[str, Any], path: str, words: str) -> None:
    faults = list(TYPES["kafka-connect"].check(served(3, **fields), ENVIRONMENT))
    assert [(place, words in what, bool(hint)) for place, what, hint in faults] == [(path, True, True)]
