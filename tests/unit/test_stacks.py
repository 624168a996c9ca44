"""What every file of `stacks/` keeps: its example is valid, its output is stable, and it refuses what it does not know."""

from __future__ import annotations

import functools
import importlib
import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from reconciler import errors, kinds
from reconciler.model.environment import Environment
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.value import Ref
from reconciler.resources import shared
from reconciler.specs import load

TYPES = kinds.service_types()
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ENVIRONMENT = Environment(
    name="lab",
    zones=ZONES,
    aws={"subnets": {zone: f"subnet-{zone[-1]}" for zone in ZONES}},
    dns={"zone": "db.internal"},
)


def document(name: str) -> str:
    """The example in the docstring of a type: its own document is the last, those that it depends on come before."""
    lines = (inspect.getdoc(importlib.import_module(f"stacks.{name.replace('-', '_')}")) or "").splitlines()
    start = lines.index("    apiVersion: reconciler/v1")
    end = next((n for n, line in enumerate(lines) if n > start and line and not line.startswith("    ")), len(lines))
    return textwrap.dedent("\n".join(lines[start:end]))


def loaded(text: str) -> Service:
    """The last service of a repository that has nothing else than those it depends on."""
    environment = f"""
apiVersion: reconciler/v1
kind: Environment
metadata: {{name: lab}}
spec: {{zones: {list(ZONES)}, dns: {{zone: db.internal}}, aws: {{subnets: {dict(ENVIRONMENT.aws.subnets)}}}}}
"""
    texts = {"specs/lab/environment.yaml": environment.encode(), "specs/lab/services/one.yaml": text.encode()}
    desired = load.load(texts, Revision("", "", "lab"), TYPES)
    if desired.faults:
        raise errors.SpecError(desired.faults)
    return max(desired.services, key=lambda one: one.origin)


@functools.cache
def example(name: str) -> Service:
    return loaded(document(name))


def rendered(service: Service) -> dict[str, Resource]:
    return {str(resource.id): resource for resource in TYPES[service.type].resources(service, ENVIRONMENT)}


def changed(service: Service, **fields: Any) -> Service:
    told = {**service.model_dump(by_alias=True), "parents": service.parents, **fields}
    return Service.model_validate(told).placed(service.locate)


def refused(name: str, **fields: Any) -> list[str]:
    """Where the example of a type, with other fields, is at fault."""
    return [place for place, _, _ in TYPES[name].check(changed(example(name), **fields), ENVIRONMENT)]


OF_ALL = ("StatefulSet", "ConfigMap", "PodDisruptionBudget", "/Role/")  # what a service has once, whatever the number of its members


@pytest.fixture(params=sorted(TYPES))
def service(request: pytest.FixtureRequest) -> Service:
    return example(request.param)


def test_the_example_of_the_docstring_is_valid(service: Service) -> None:
    assert list(TYPES[service.type].check(service, ENVIRONMENT)) == []
    assert service.version in TYPES[service.type].versions


def test_rendering_twice_gives_the_same(service: Service) -> None:
    assert rendered(service) == rendered(service)


def test_an_unknown_option_is_refused(service: Service) -> None:
    text = document(service.type).replace("options: {", "options: {surprise: 1, ")
    with pytest.raises(errors.SpecError, match=rf"specs/lab/services/one.yaml:{line_of(text, 'options:')}:\d+: .*surprise"):
        loaded(text)


def line_of(text: str, words: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if words in line)


def test_everything_needed_is_declared_here_or_shared(service: Service) -> None:
    for addresses in ("none", "private", "elastic"):
        resources = rendered(changed(service, addresses=addresses, namespace="data"))
        known = {resource.id for resource in (*resources.values(), *shared.shared(ENVIRONMENT, [changed(service, namespace="data")]))}
        for resource in resources.values():
            assert resource.needs <= known, resource.id
            assert {ref.id for ref in refs(resource.fields)} <= known, resource.id


def refs(value: Any) -> list[Ref]:
    match value:
        case Ref():
            return [value]
        case Mapping():
            return [ref for one in value.values() for ref in refs(one)]
        case list() | tuple():
            return [ref for one in value for ref in refs(one)]
    return []


@pytest.mark.parametrize("addresses", ["none", "private"])
def test_scaling_up_leaves_old_members_as_they_are(service: Service, addresses: str) -> None:
    few, many = (rendered(changed(service, replicas=count, addresses=addresses)) for count in (3, 13))
    own = {id: resource for id, resource in few.items() if not any(kind in id for kind in OF_ALL)}
    assert {id: many[id] for id in own} == own
    names = [member.name for member in TYPES[service.type].members(changed(service, replicas=13), ENVIRONMENT)]
    assert names == [f"{service.name}-{n}" for n in range(13)]


@pytest.mark.parametrize("name", ["redis", "generic", "mongodb", "mongos", "postgresql"])
def test_scaling_up_restarts_nobody_where_members_need_not_know_each_other(name: str) -> None:
    few, many = (rendered(changed(example(name), replicas=count)) for count in (1, 5))
    one, other = (next(found[id].fields["spec"] for id in found if "StatefulSet" in id) for found in (few, many))
    assert one["template"] == other["template"]
    assert (one["replicas"], other["replicas"]) == (1, 5)


def test_another_option_restarts_redis() -> None:
    one, other = (
        next(resource for id, resource in rendered(changed(example("redis"), options={"maxmemory": size})).items() if "StatefulSet" in id)
        for size in ("512Mi", "1Gi")
    )
    assert one.fields["spec"]["template"] != other.fields["spec"]["template"]


def test_a_stopped_service_keeps_everything_but_its_pods(service: Service) -> None:
    running, stopped = rendered(service), rendered(changed(service, stopped=True))
    assert running.keys() == stopped.keys()
    different = [id for id in running if running[id] != stopped[id]]
    assert len(different) == 1
    assert stopped[different[0]].fields["spec"]["replicas"] == 0


def test_a_claim_has_the_name_that_its_stateful_set_looks_for(service: Service) -> None:
    resources = rendered(service)
    stateful = next(resource for id, resource in resources.items() if "StatefulSet" in id)
    set_name, spec = stateful.fields["metadata"]["name"], stateful.fields["spec"]
    looked_for = {
        f"{template['metadata']['name']}-{set_name}-{n}"
        for template in spec.get("volumeClaimTemplates", ())
        for n in range(spec["replicas"])
    }
    claims = {resource.fields["metadata"]["name"]: resource for id, resource in resources.items() if "/PersistentVolumeClaim/" in id}
    assert claims.keys() == looked_for
    assert all(claim.id in stateful.needs for claim in claims.values())


def test_a_persistent_volume_is_bound_to_its_claim_and_to_the_zone_of_its_disk(service: Service) -> None:
    resources = rendered(service)
    for id, volume in resources.items():
        if "/PersistentVolume/" not in id:
            continue
        spec = volume.fields["spec"]
        claim = next(one for one in resources.values() if one.fields.get("metadata", {}).get("name") == spec["claimRef"]["name"])
        assert claim.fields["spec"]["volumeName"] == volume.fields["metadata"]["name"]
        assert claim.fields["spec"]["resources"]["requests"] == spec["capacity"]
        disk = spec["csi"]["volumeHandle"].id
        assert spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == [Ref(disk, "zone")]
        volume_name, _, member_name = claim.fields["metadata"]["name"].partition("-")
        assert disk.name == f"{member_name}/{volume_name}"


def test_only_a_member_with_an_interface_may_change_the_network(service: Service) -> None:
    for addresses, capabilities in (("none", ["DAC_OVERRIDE"]), ("private", ["DAC_OVERRIDE", "NET_ADMIN"])):
        pod = template(changed(service, addresses=addresses))["spec"]
        assert pod.get("hostNetwork", False) == (addresses == "private")
        granted = {one["name"]: one.get("securityContext", {}).get("capabilities", {}).get("add") for one in pod["initContainers"]}
        assert granted.pop("member") == capabilities
        assert not any(granted.values())
        assert not any("securityContext" in one for one in pod["containers"])


def template(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = next(resource.fields["spec"]["template"] for id, resource in rendered(service).items() if "StatefulSet" in id)
    return found


def test_a_pod_template_is_laid_over_what_the_type_renders() -> None:
    over = {
        "metadata": {"annotations": {"team": "blue"}, "labels": {"reconciler/service": "forged"}},
        "spec": {
            "containers": [{"name": "redis", "env": [{"name": "TZ", "value": "UTC"}]}, {"name": "exporter", "image": "exporter:1"}],
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "terminationGracePeriodSeconds": None,
        },
    }
    laid = template(changed(example("redis"), podTemplate=over))
    redis, exporter = laid["spec"]["containers"]
    assert redis["image"] == "redis:8.0"
    assert [one["name"] for one in redis["env"]] == ["MEMBER", "POD_IP", "NODE_NAME", "FQDN", "TZ"]
    assert exporter == {"name": "exporter", "image": "exporter:1"}
    assert [one["key"] for one in laid["spec"]["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "dedicated",
    ]
    assert "terminationGracePeriodSeconds" not in laid["spec"]
    assert laid["metadata"]["labels"]["reconciler/service"] == "cache"
    assert laid["metadata"]["annotations"]["team"] == "blue"


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("zookeeper", {"replicas": 4}, "replicas", "no more members than 3 would"),
    ("zookeeper", {"volumes": {}}, "volumes", "needs the volume data"),
    ("zookeeper", {"volumes": {"data": {"size": "1Gi"}, "log": {"size": "1Gi"}}}, "volumes.log", "data and journal"),
    ("zookeeper", {"resources": {"limits": {"memory": "512Mi"}}}, "options.heap", "leaves nothing"),
    ("zookeeper", {"addresses": "private", "zones": ["us-east-1a", "eu-west-1a"]}, "addresses", "no subnet in zone eu-west-1a"),
    ("kafka", {"replicas": 2}, "options.controllers", "3 controllers need as many members"),
    ("kafka", {"options": {"defaultReplicationFactor": 4}}, "options.defaultReplicationFactor", "no 4 members"),
    ("kafka", {"options": {"minInsyncReplicas": 4}}, "options.minInsyncReplicas", "nothing could be written"),
    ("kafka", {"volumes": {}}, "volumes", "needs the volume data"),
    ("kafka", {"volumes": {"data": {"size": "1Gi"}, "journal": {"size": "1Gi"}}}, "volumes.journal", "the volume data"),
    ("kafka", {"options": {"heap": "64Mi"}}, "options.heap", "less than 128Mi"),
    ("kafka", {"resources": {"limits": {"memory": "1Gi"}}}, "options.heap", "leaves nothing"),
    ("redis", {"volumes": {}}, "options.appendonly", "needs a volume"),
    ("redis", {"resources": {"limits": {"memory": "512Mi"}}}, "options.maxmemory", "leaves nothing"),
    ("redis", {"volumes": {"data": {"size": "1Gi"}, "journal": {"size": "1Gi"}}}, "volumes.journal", "one volume"),
    ("mongodb", {"replicas": 4}, "replicas", "no more than 3 would"),
    ("mongodb", {"replicas": 51}, "replicas", "50 members at most"),
    ("mongodb", {"volumes": {}}, "volumes", "needs the volume data"),
    ("mongodb", {"volumes": {"data": {"size": "1Gi"}, "log": {"size": "1Gi"}}}, "volumes.log", "data and journal"),
    ("mongodb", {"options": {"shards": 3}}, "options.shards", "several services"),
    ("mongodb", {"options": {"cacheSize": "64Mi"}}, "options.cacheSize", "less than 256Mi"),
    ("mongodb", {"options": {"cacheSize": "4Gi"}}, "options.cacheSize", "leaves nothing"),
    ("mongodb", {"options": {}, "resources": {"limits": {"memory": "256Mi"}}}, "options.cacheSize", "leaves nothing"),
    ("postgresql", {"volumes": {}}, "volumes", "needs the volume data"),
    ("postgresql", {"volumes": {"data": {"size": "1Gi"}, "wal": {"size": "1Gi"}}}, "volumes.wal", "data and journal"),
    ("postgresql", {"options": {"ttl": 20, "loopWait": 5}}, "options.ttl", "loopWait + 2 * retryTimeout is 25 s"),
    ("postgresql", {"options": {"synchronousStrict": True}, "replicas": 1}, "options.synchronousStrict", "there is none"),
    ("postgresql", {"options": {"synchronousStrict": True, "synchronousMode": "off"}}, "options.synchronousStrict", "there is none"),
    ("postgresql", {"options": {"sharedBuffers": "3Gi"}}, "options.sharedBuffers", "more than half"),
    ("postgresql", {"options": {"sharedBuffers": "8k"}}, "options.sharedBuffers", "less than 1Mi"),
    ("postgresql", {"options": {"parameters": {"fsync": False}}}, "options.parameters.fsync", "not for a spec"),
    ("postgresql", {"options": {"parameters": {"max_connections": 9}}}, "options.parameters.max_connections", "not for a spec"),
    ("postgresql", {"options": {"parameters": {"work_mem = 1": 2}}}, "options.parameters.work_mem = 1", "no parameter's name"),
    ("postgresql", {"options": {"parameters": {"work_mem": "1\nx=2"}}}, "options.parameters.work_mem", "cannot be printed"),
    ("postgresql", {"options": {"parameters": {"wal_level": "minimal"}}}, "options.parameters.wal_level", "nothing to stream"),
    ("postgresql", {"replicas": 11, "options": {"parameters": {"max_replication_slots": 20}}}, "replicas", "max_wal_senders is 10"),
    ("generic", {"podTemplate": {}}, "podTemplate", "no containers"),
    ("generic", {"podTemplate": {"spec": {"containers": [{"name": "queue"}]}}}, "podTemplate.spec.containers.0", "no image"),
    ("generic", {"options": {"mounts": {"data": "/x", "logs": "/y"}}}, "options.mounts.logs", "no volume logs"),
    ("generic", {"options": {}}, "volumes.data", "no container mounts"),
    ("generic", {"options": {"mounts": {"data": "/x"}, "container": "other"}}, "options.container", "no container other"),
    ("generic", {"addresses": "private", "volumes": {}, "options": {}}, "addresses", "lies in one zone"),
]


@pytest.mark.parametrize(("name", "fields", "path", "words"), WRONG, ids=[f"{one[0]} {one[2]} {one[3]}" for one in WRONG])
def test_what_cannot_work_is_refused_with_its_place_and_reason(name: str, fields: dict[str, Any], path: str, words: str) -> None:
    faults = list(TYPES[name].check(changed(example(name), **fields), ENVIRONMENT))
    assert [(place, words in what, bool(hint)) for place, what, hint in faults] == [(path, True, True)]


def test_namespaces_are_declared_but_for_the_default_one() -> None:
    found = shared.shared(ENVIRONMENT, [changed(example("redis"), namespace="data"), example("zookeeper")])
    assert [str(resource.id) for resource in found] == [
        "zone/lab/db.internal",
        "kubernetes/lab/-/StorageClass/-/reconciler-lab",
        "kubernetes/lab/-/Namespace/-/data",
    ]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_set_declares_what_the_server_would_fill_into_fields_that_cannot_change(name: str) -> None:
    """Otherwise one that is imported would have to be replaced."""
    sets = [one for one in TYPES[name].resources(example(name), ENVIRONMENT) if one.id.name.startswith("StatefulSet/")]
    for spec in (one.fields["spec"] for one in sets):
        assert isinstance(spec, Mapping)
        assert spec["revisionHistoryLimit"] == 10
        for template in spec.get("volumeClaimTemplates", ()):
            assert (template["apiVersion"], template["kind"], template["status"]) == ("v1", "PersistentVolumeClaim", {"phase": "Pending"})
    assert sets


@pytest.mark.parametrize(("replicas", "away"), [(1, 1), (3, 1), (5, 1), (7, 2), (9, 3)])
def test_a_drain_takes_fewer_voters_than_a_quorum_survives_but_one_always(replicas: int, away: int) -> None:
    assert budget(changed(example("zookeeper"), replicas=replicas))["maxUnavailable"] == away
    assert replicas - away > replicas // 2 or replicas == 1


@pytest.mark.parametrize(("before", "after"), [(3, 5), (5, 7), (7, 9), (9, 11)])
def test_a_budget_ahead_of_or_behind_the_number_of_members_keeps_their_quorum(before: int, after: int) -> None:
    for budgeted, members in ((after, before), (before, after)):
        away = budget(changed(example("zookeeper"), replicas=budgeted))["maxUnavailable"]
        assert members - away > members // 2


def test_a_drain_takes_one_member_at_a_time_of_what_says_nothing_else(service: Service) -> None:
    if service.type not in VOTING:
        assert budget(changed(service, replicas=9))["maxUnavailable"] == 1


VOTING = {"zookeeper", "consul", "mariadb"}


def budget(service: Service) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = next(one.fields["spec"] for id, one in rendered(service).items() if "PodDisruptionBudget" in id)
    return spec
