"""Telegraf: every member of its parents is asked by exactly one of its own, also after either grows; its files say what is meant."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from reconciler.model.service import Parent, Service
from tests.unit.test_opensearch import files
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example

TOKEN = {"secretRef": {"name": "influx", "key": "token"}}
INFLUX = {"url": "https://influx.example.org:8086", "organization": 'a "quoted" \\ name'.replace(" ", "_"), "bucket": "b", "token": TOKEN}


def watching(members: int, **fields: Any) -> Service:
    """The example, with a parent of so many members, and another of another type."""
    (parent,) = example("telegraf").parents
    kv = Parent(example("redis"), ("cache-0",))
    return changed(example("telegraf"), parents=(Parent(parent.service, tuple(f"coordination-{n}" for n in range(members))), kv), **fields)


def told(service: Service) -> list[dict[str, Any]]:
    return [tomllib.loads(text) for text in files(service).values()]


@pytest.mark.parametrize("members", [3, 4, 7])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_f22_trap_38_every_member_of_every_parent_is_asked_once(members: int, replicas: int) -> None:
    asked = [one for file in told(watching(members, replicas=replicas)) for plugin in file["inputs"].values() for one in plugin]
    assert sorted(one["tags"]["member"] for one in asked) == sorted(["cache-0", *(f"coordination-{n}" for n in range(members))])
    assert {one["servers"][0] for one in asked} >= {"tcp://cache-0.db.internal:6379", f"coordination-{members - 1}.db.internal:2181"}


def test_what_a_user_writes_arrives_and_a_token_stays_in_its_secret() -> None:
    service = watching(3, options={"influx": INFLUX})
    (output,) = told(service)[0]["outputs"]["influxdb_v2"]
    assert (output["organization"], output["token"]) == (INFLUX["organization"], "${INFLUX_TOKEN}")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"replicas": 5}, "replicas", "there are 4 members to ask"),
    ({"options": {"interval": "0s"}}, "options.interval", "all the time"),
    ({"options": {"influx": {**INFLUX, "token": {"secretRef": {"name": "influx"}}}}}, "options.influx.token.secretRef", "which key"),
    ({"volumes": {"data": {"size": "1Gi"}}}, "volumes.data", "has no volumes"),
]


@pytest.mark.parametrize(("fields", "path", "words"), WRONG, ids=[f"{one[1]} {one[2]}" for one in WRONG])
def test_what_cannot_work_is_refused(fields: dict[str, Any], path: str, words: str) -> None:
    faults = list(TYPES["telegraf"].check(watching(3, **fields), ENVIRONMENT))
    assert [(place, words in what, bool(hint)) for place, what, hint in faults] == [(path, True, True)]
