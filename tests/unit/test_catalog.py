"""What the types of the catalog refuse, each with its place and its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.test_opensearch import files
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, template

INPUT = "input { stdin {} }"
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
    ("logstash", {"options": {"pipeline": ""}, "volumes": {}}, "options.pipeline", "reads nothing"),
    ("logstash", {"options": {"pipeline": INPUT, "ports": {"own": 9600}}, "volumes": {}}, "options.ports", "9600 is where"),
    ("logstash", {"options": {"pipeline": INPUT, "queue": "persisted"}, "volumes": {}}, "options.queue", "a volume to lie on"),
    ("logstash", {"options": {"pipeline": INPUT, "deadLetters": True}, "volumes": {}}, "options.deadLetters", "a volume to lie on"),
    ("logstash", {"options": {"pipeline": INPUT}}, "volumes.data", "nothing would lie on it"),
    ("logstash", {"options": {"pipeline": INPUT, "queue": "persisted", "queueSize": "20Gi"}}, "options.queueSize", "more than the volume"),
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


def test_f22_logstash_writes_to_all_members_of_its_parent_and_gives_a_pipeline_as_it_is() -> None:
    pipeline = 'input { generator { message => "a \\"quoted\\" ${line}" } }'
    told = files(changed(example("logstash"), options={"pipeline": pipeline, "index": "logs-%{+yyyy.MM}"}))
    assert told["10-pipeline.conf"] == pipeline + "\n"
    hosts = '["http://search-0.db.internal:9200", "http://search-1.db.internal:9200", "http://search-2.db.internal:9200"]'
    assert told["90-output.conf"].split("\n")[2:4] == [f"    hosts => {hosts}", '    index => "logs-%{+yyyy.MM}"']
    assert not set(told) - {"10-pipeline.conf", "90-output.conf", "intake-0.yml", "intake-1.yml"}
