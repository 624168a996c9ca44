"""What the types of the catalog refuse, each with its place and its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.test_opensearch import files
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, template

SMALL = {"limits": {"memory": "2Gi"}}
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("opensearch", {"replicas": 2}, "replicas", "one alone can vote"),
    ("opensearch", {"options": {"managers": 2}}, "options.managers", "no more losses than 1 would"),
    ("opensearch", {"options": {"managers": 5}}, "options.managers", "there are 3 members"),
    ("opensearch", {"options": {"heap": "1536Mi"}, "resources": SMALL}, "options.heap", "more than half"),
    ("opensearch", {"options": {"heap": "2Gi"}, "resources": SMALL}, "options.heap", "leaves nothing"),
    ("opensearch", {"options": {"heap": "32Gi"}}, "options.heap", "pointers"),
    ("opensearch", {"options": {"heap": "100Mi"}}, "options.heap", "less than 256Mi"),
    ("opensearch", {"options": {"forcedAwareness": True}, "zones": ["us-east-1a"]}, "options.forcedAwareness", "no other"),
    ("opensearch", {"volumes": {}}, "volumes", "needs the volume data"),
    ("opensearch", {"volumes": {"data": {"size": "1Gi"}, "logs": {"size": "1Gi"}}}, "volumes.logs", "has the volume data"),
    ("consul", {"replicas": 4}, "replicas", "no more members than 3 would"),
    ("consul", {"replicas": 9}, "replicas", "asked about every write"),
    ("consul", {"volumes": {}}, "volumes", "needs the volume data"),
    ("cassandra", {"replicas": 2}, "replicas", "either member stops both"),
    ("cassandra", {"options": {"heap": "256Mi"}}, "options.heap", "less than 512Mi"),
    ("cassandra", {"options": {"heap": "5Gi"}}, "options.heap", "more than half"),
    ("cassandra", {"volumes": {"data": {"size": "1Gi"}, "log": {"size": "1Gi"}}}, "volumes.log", "data and journal"),
    ("dashboards", {"volumes": {"data": {"size": "1Gi"}}}, "volumes.data", "has no volumes"),
    ("dashboards", {"addresses": "private"}, "addresses", "lies in one zone"),
    ("dashboards", {"options": {"heap": "2Gi"}, "resources": SMALL}, "options.heap", "for Node.js itself"),
    ("dashboards", {"options": {"heap": "100Mi"}}, "options.heap", "does not start"),
    ("dashboards", {"version": "2.19.3"}, "version", "of that major"),
]


@pytest.mark.parametrize(("name", "fields", "path", "words"), WRONG, ids=[f"{one[0]} {one[2]} {one[3]}" for one in WRONG])
def test_f1_trap_34_what_cannot_work_is_refused_with_its_place_and_reason(name: str, fields: dict[str, Any], path: str, words: str) -> None:
    faults = list(TYPES[name].check(changed(example(name), **fields), ENVIRONMENT))
    assert [(place, words in what, bool(hint)) for place, what, hint in faults] == [(path, True, True)]


def test_a_consul_server_begins_nothing_alone_and_knows_the_others_by_name() -> None:
    told = json.loads(files(changed(example("consul"), replicas=5))["registry-4.json"])
    assert (told["bootstrap_expect"], told["node_meta"]) == (5, {"zone": "us-east-1b"})
    assert told["retry_join"] == [f"registry-{n}.db.internal" for n in range(5)]
    assert template(changed(example("consul"), replicas=3)) == template(changed(example("consul"), replicas=5))
