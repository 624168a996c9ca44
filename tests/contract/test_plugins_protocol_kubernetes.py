"""The lab's `kubernetes` plugin (or the real one, where PATH has it) over the engine's protocol, against a real API server."""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightkube
import pytest
from lightkube import codecs
from lightkube.resources.core_v1 import ConfigMap

from lab.plugins import kubernetes_diff, kubernetes_objects
from lab.plugins.properties import UNKNOWN

from .plugin_process import Plugin, PluginRefused, started

pytest_plugins = ["tests.contract.api_server"]

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
SERVICE = "kubernetes:core/v1:Service"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
NAMESPACE = "kubernetes:core/v1:Namespace"
STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
PROVIDER = "pulumi-kubernetes provider/pkg/provider/provider.go"
VALIDATION = "kubernetes staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go"
TYPED = "kubernetes-sigs/structured-merge-diff typed/validate.go"
CORE = "kubernetes pkg/apis/core/validation/validation.go"
# There is no controller here that would end a deletion in the foreground, the real plugin's way unless told otherwise.
AT_ONCE = {"pulumi.com/deletionPropagationPolicy": "background"}
names = (f"thing-{number}" for number in itertools.count(1))

# What the real plugin or the API server behind it refuses before anything is made: type, inputs, words, and where they stand.
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    (CONFIG_MAP, {"metadata": {"generateName": "a-"}}, "`.metadata.generateName` field is not supported", f"{PROVIDER} Check"),
    ("kubernetes:core/v1:ConfigMapList", {"items": []}, "list resources exist for compatibility", f"{PROVIDER} Check"),
    (CONFIG_MAP, {"metadata": {"name": "a", "labels": {"l": "x" * 64}}}, "must be no more than 63", f"{VALIDATION} IsValidLabelValue"),
    (CONFIG_MAP, {"metadata": {"name": "Upper"}}, "lowercase RFC 1123 subdomain", f"{VALIDATION} IsDNS1123Subdomain"),
    (CONFIG_MAP, {"metadata": {"name": "a", "labels": {"l": 1}}}, "expected string", f"{TYPED} validateScalar"),
    (CONFIG_MAP, {"metadata": {"name": "a"}, "colour": "red"}, "field not declared in schema", f"{TYPED} visitMapItems"),
    (CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"k/k": "v"}}, "a valid config key must consist of", f"{CORE} ValidateConfigMap"),
    (SERVICE, {"metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.0.9"}}, "spec.ports: Required value", f"{CORE} ValidateService"),
    (
        SERVICE,
        {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 70000}]}},
        "must be between 1 and 65535",
        f"{VALIDATION} IsValidPortNum",
    ),
    (SECRET, {"metadata": {"name": "a"}, "data": {"k": "not base64!"}}, "illegal base64 data", "encoding/json decodes []byte"),
    (STORAGE_CLASS, {"metadata": {"name": "a"}}, "provisioner: Required value", "kubernetes pkg/apis/storage/validation/validation.go"),
]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory, api_server: Path) -> Iterator[Plugin]:
    with started("kubernetes", tmp_path_factory.mktemp("plugins")) as found:
        found.configure(kubeconfig=str(api_server), enableConfigMapMutable="true")
        yield found


@pytest.fixture
def cluster(api_server: Path) -> Iterator[Any]:
    client = lightkube.Client(config=lightkube.KubeConfig.from_file(api_server), field_manager="kubectl-edit")
    yield client
    client._client._client.close()


@pytest.mark.integration
@pytest.mark.parametrize(("token", "news", "words", "source"), REFUSED, ids=[f"{row[0].split(':')[-1]}-{row[2]}" for row in REFUSED])
def test_what_the_real_plugin_refuses_is_refused_in_a_preview(
    plugin: Plugin, token: str, news: dict[str, Any], words: str, source: str
) -> None:
    try:
        checked, failures = plugin.check(token, typed(token, news))
        assert failures or plugin.create(token, checked.values, preview=True) is None, source
        said = " ".join(failures.values())
    except PluginRefused as error:
        said = str(error)
    assert words in said, source


@pytest.mark.integration
def test_an_object_lives_through_the_protocol(plugin: Plugin, cluster: Any) -> None:
    name = next(names)
    checked, _ = plugin.check(
        CONFIG_MAP, typed(CONFIG_MAP, {"metadata": {"name": name, "annotations": AT_ONCE}, "data": {"a": "1", "b": "2"}})
    )
    id_, outputs = plugin.create(CONFIG_MAP, checked.values)
    assert id_ == f"default/{name}"
    owner = outputs.values["__fieldManager"]
    (entry,) = cluster.get(ConfigMap, name).metadata.managedFields
    assert (entry.manager, owner[:18], len(owner)) == (owner, "pulumi-kubernetes-", 26)
    assert not plugin.diff(CONFIG_MAP, outputs.values, checked.values).detailedDiff

    fewer = {**checked.values, "data": {"a": "9"}}
    difference = plugin.diff(CONFIG_MAP, outputs.values, fewer)
    assert (set(difference.detailedDiff), list(difference.replaces)) == ({"data.a", "data.b"}, [])
    updated = plugin.update(CONFIG_MAP, id_, outputs.values, fewer)
    assert cluster.get(ConfigMap, name).data == {"a": "9"}  # what is declared no more is given up, and gone with its last owner
    assert updated.values["__fieldManager"] == owner

    plugin.delete(CONFIG_MAP, id_, updated.values)
    assert plugin.read(CONFIG_MAP, id_, updated.values, fewer)[0] == ""
    plugin.delete(CONFIG_MAP, id_, updated.values)


@pytest.mark.integration
def test_a_refresh_shows_drift_of_what_is_declared_and_nothing_else(plugin: Plugin, cluster: Any) -> None:
    name = next(names)
    news = typed(CONFIG_MAP, {"metadata": {"name": name, "labels": {"mine": "1"}}, "data": {"a": "1"}})
    id_, outputs = plugin.make(CONFIG_MAP, news)
    cluster.patch(ConfigMap, name, {"metadata": {"labels": {"theirs": "1"}}, "data": {"a": "drifted", "more": "x"}})
    _, live, inputs = plugin.read(CONFIG_MAP, id_, outputs, news)
    assert (inputs.values["data"], inputs.values["metadata"]["labels"]) == ({"a": "drifted"}, {"mine": "1"})
    assert set(plugin.diff(CONFIG_MAP, live.values, news).detailedDiff) == {"data.a"}


@pytest.mark.integration
def test_a_name_and_a_namespace_replace_and_the_same_name_is_deleted_first(plugin: Plugin) -> None:
    name = next(names)
    news = typed(SECRET, {"metadata": {"name": name}, "stringData": {"a": "1"}})
    _, outputs = plugin.make(SECRET, news)
    renamed = plugin.diff(SECRET, outputs, {**news, "metadata": {"name": "other"}})
    assert (list(renamed.replaces), renamed.deleteBeforeReplace) == (["metadata.name"], False)
    changed = plugin.diff(SECRET, outputs, {**news, "stringData": {"a": "2"}})
    assert (list(changed.replaces), changed.deleteBeforeReplace) == (["stringData.a"], True)


@pytest.mark.integration
def test_an_automatic_name_is_kept_and_needs_no_deletion_first(plugin: Plugin) -> None:
    checked, _ = plugin.check(SECRET, typed(SECRET, {"stringData": {"a": "1"}}), randomSeed=b"seed")
    again, _ = plugin.check(SECRET, typed(SECRET, {"stringData": {"a": "2"}}), checked.values)
    name = checked.values["metadata"]["name"]
    assert (name[:6], len(name), again.values["metadata"]["name"]) == ("thing-", 14, name)
    _, outputs = plugin.create(SECRET, checked.values)
    difference = plugin.diff(SECRET, outputs.values, again.values)
    assert (list(difference.replaces), difference.deleteBeforeReplace) == (["stringData.a"], False)


@pytest.mark.integration
def test_a_secrets_content_is_secret_wherever_it_is_repeated(plugin: Plugin) -> None:
    news = typed(SECRET, {"metadata": {"name": next(names)}, "stringData": {"a": "hunter2"}})
    checked, _ = plugin.check(SECRET, news, secrets=[("stringData",)])
    _, outputs = plugin.create(SECRET, checked.values, secrets=checked.secrets)
    assert outputs.values["data"] == {"a": base64.b64encode(b"hunter2").decode()}
    seen = [value for path, value in leaves(outputs.values).items() if not any(path[: len(one)] == one for one in outputs.secrets)]
    assert not any("hunter2" in str(value) for value in seen)
    assert ("__inputs", "stringData") in outputs.secrets


@pytest.mark.integration
def test_a_preview_makes_nothing_and_says_what_the_server_would_fill_in(plugin: Plugin, cluster: Any) -> None:
    name = next(names)
    news = typed(SERVICE, {"metadata": {"name": name}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}})
    id_, outputs = plugin.create(SERVICE, news, preview=True)
    assert (id_, outputs.values["spec"]["ports"][0]["protocol"]) == ("", "TCP")
    assert "status" not in outputs.values
    with pytest.raises(lightkube.ApiError, match="not found"):
        cluster.get(ConfigMap, name)
    unknown = {**news, "metadata": {"name": UNKNOWN}}
    assert plugin.create(SERVICE, unknown, preview=True)[1].values == unknown
    elsewhere = {**news, "metadata": {"name": name, "namespace": "to-be-made"}}
    assert plugin.create(SERVICE, elsewhere, preview=True)[1].values == elsewhere


@pytest.mark.integration
def test_an_import_is_read_from_the_cluster_alone(plugin: Plugin, cluster: Any) -> None:
    name = next(names)
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"a": "1"}}
    cluster.create(codecs.from_dict(made))
    id_, outputs, inputs = plugin.read(CONFIG_MAP, f"default/{name}")
    assert (id_, inputs.values) == (f"default/{name}", made)
    assert not plugin.diff(CONFIG_MAP, outputs.values, made).detailedDiff


@pytest.mark.integration
def test_a_conflict_names_the_other_owner_and_keeps_the_object(plugin: Plugin, cluster: Any) -> None:
    name = next(names)
    news = typed(CONFIG_MAP, {"metadata": {"name": name}, "data": {"a": "1"}})
    id_, outputs = plugin.make(CONFIG_MAP, news)
    cluster.patch(ConfigMap, name, {"data": {"a": "theirs"}})
    with pytest.raises(PluginRefused, match=r'(?s)field conflict detected.*conflict with "kubectl-edit"') as caught:
        plugin.update(CONFIG_MAP, id_, outputs, {**news, "data": {"a": "2"}})
    assert caught.value.partial is not None
    assert caught.value.partial.id == id_
    forced = {**news, "metadata": {"name": name, "annotations": {"pulumi.com/patchForce": "true"}}, "data": {"a": "2"}}
    plugin.update(CONFIG_MAP, id_, outputs, forced)
    assert cluster.get(ConfigMap, name).data == {"a": "2"}


@pytest.mark.integration
def test_an_ignored_field_that_another_owns_is_left_to_it(plugin: Plugin, cluster: Any) -> None:
    name = next(names)
    news = typed(CONFIG_MAP, {"metadata": {"name": name}, "data": {"a": "1"}})
    id_, outputs = plugin.make(CONFIG_MAP, news)
    cluster.patch(ConfigMap, name, {"data": {"scaled": "5"}})
    both = {**news, "data": {"a": "2", "scaled": "1"}}
    plugin.update(CONFIG_MAP, id_, outputs, both, ignoreChanges=["data.scaled"])
    assert cluster.get(ConfigMap, name).data == {"a": "2", "scaled": "5"}


@pytest.mark.integration
def test_what_has_no_namespace_gets_none(plugin: Plugin) -> None:
    name = next(names)
    news = typed(NAMESPACE, {"metadata": {"name": name, "annotations": {"pulumi.com/skipAwait": "true"}}})
    id_, outputs = plugin.make(NAMESPACE, news)
    assert id_ == name
    assert not plugin.diff(NAMESPACE, outputs, news).detailedDiff
    plugin.delete(NAMESPACE, id_, outputs)


@pytest.mark.integration
def test_an_object_whose_namespace_comes_late_is_made_once_it_is_there(plugin: Plugin, cluster: Any) -> None:
    name = next(names)
    space = codecs.from_dict({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    threading.Timer(0.5, cluster.create, [space]).start()
    id_, _ = plugin.make(CONFIG_MAP, typed(CONFIG_MAP, {"metadata": {"name": "late", "namespace": name}}))
    assert id_ == f"{name}/late"


def test_an_unreachable_cluster_is_said_when_it_is_needed_and_not_in_a_preview(tmp_path: Path) -> None:
    kubeconfig = (
        '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], '
        '"users": [{"name": "u", "user": {}}], "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}]}'
    )
    news = typed(CONFIG_MAP, {"metadata": {"name": "a"}})
    with started("kubernetes", tmp_path, {"PATH": "/usr/bin:/bin"}) as plugin:
        plugin.configure(kubeconfig=kubeconfig)
        assert plugin.create(CONFIG_MAP, news, preview=True)[1].values == news
        with pytest.raises(PluginRefused, match="configured Kubernetes cluster is unreachable"):
            plugin.create(CONFIG_MAP, news)


@pytest.mark.parametrize(
    ("kind", "path", "replaces"),
    [
        (("apps/v1", "StatefulSet"), ("spec", "serviceName"), True),
        (("apps/v1", "StatefulSet"), ("spec", "podManagementPolicy"), True),
        (("apps/v1", "StatefulSet"), ("spec", "volumeClaimTemplates"), True),
        (("apps/v1", "StatefulSet"), ("spec", "selector", "matchLabels", "app"), True),
        (("apps/v1", "StatefulSet"), ("spec", "replicas"), False),
        (("apps/v1", "Deployment"), ("spec", "selector", "matchLabels", "app"), True),
        (("apps/v1", "Deployment"), ("spec", "template", "metadata", "labels", "app"), False),
        (("batch/v1", "Job"), ("spec", "template", "spec", "restartPolicy"), True),
        (("batch/v1", "Job"), ("spec", "suspend"), False),
        (("v1", "PersistentVolume"), ("spec", "csi", "volumeHandle"), True),
        (("v1", "PersistentVolume"), ("spec", "capacity", "storage"), False),
        (("v1", "PersistentVolumeClaim"), ("spec", "volumeName"), True),
        (("v1", "PersistentVolumeClaim"), ("spec", "resources", "requests", "storage"), False),
        (("v1", "Service"), ("spec", "clusterIP"), True),
        (("v1", "Service"), ("spec", "type"), False),
        (("storage.k8s.io/v1", "StorageClass"), ("parameters", "type"), True),
        (("v1", "Secret"), ("type",), True),
        (("v1", "ConfigMap"), ("data", "a"), True),
        (("v1", "ConfigMap"), ("metadata", "namespace"), True),
    ],
)
def test_immutable_fields_replace(kind: tuple[str, str], path: tuple[str, ...], replaces: bool) -> None:
    """After provider/pkg/provider/diff.go of pulumi-kubernetes."""

    def with_(value: str) -> dict[str, Any]:
        nested: Any = value
        for step in reversed(path):
            nested = {step: nested}
        return {"apiVersion": kind[0], "kind": kind[1], **nested}

    fixed = kubernetes_diff.immutable(with_("2"), frozenset())
    found = kubernetes_diff.diff(with_("1"), with_("2"), fixed)
    assert (set(found.changes), found.replaces) == ({path}, frozenset({path}) if replaces else frozenset())


def test_mutable_kinds_change_their_content_in_place_until_they_are_sealed() -> None:
    config: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    both = frozenset({"ConfigMap", "Secret"})
    assert ("data",) not in kubernetes_diff.immutable(config, both)
    assert ("data",) in kubernetes_diff.immutable({**config, "immutable": True}, both)
    assert ("data",) in kubernetes_diff.immutable(config, frozenset({"Secret"}))


@pytest.mark.parametrize(
    ("path", "old", "new", "same"),
    [
        (("spec", "resources", "requests", "memory"), "1Gi", "1024Mi", True),
        (("spec", "resources", "requests", "cpu"), "1", "1000m", True),
        (("spec", "resources", "requests", "cpu"), "500m", 0.5, True),
        (("spec", "capacity", "storage"), "1G", "1Gi", False),
        (("spec", "capacity", "storage"), "1e3", "1k", True),
        (("data", "memory"), "1Gi", "1024Mi", False),
        (("spec", "replicas"), 1, 1.0, True),
        (("spec", "hostNetwork"), 1, True, False),
        (("spec", "replicas"), 1, UNKNOWN, False),
    ],
)
def test_quantities_are_compared_by_value_where_they_are_quantities(path: tuple[str, ...], old: Any, new: Any, same: bool) -> None:
    assert kubernetes_diff.same(path, old, new) is same


def test_live_lists_are_cut_by_what_tells_their_entries_apart() -> None:
    declared = {"containers": [{"name": "b", "env": [{"name": "X", "value": "1"}]}, {"name": "a"}], "args": ["one"]}
    live = {
        "containers": [
            {"name": "injected"},
            {"name": "a", "image": "i"},
            {"name": "b", "env": [{"name": "Y"}, {"name": "X", "value": "2"}]},
        ],
        "args": ["one", "two"],
        "status": {},
    }
    cut = kubernetes_objects.projected(live, declared)
    assert cut == {"containers": [{"name": "b", "env": [{"name": "X", "value": "2"}]}, {"name": "a"}], "args": ["one", "two"]}
    found = kubernetes_diff.diff(cut, declared, frozenset())
    assert found.changes == {("containers", 0, "env", 0, "value"): "update", ("args", 1): "delete"}


def test_what_the_server_drops_as_empty_is_no_difference() -> None:
    assert not kubernetes_diff.diff({}, {"annotations": {}, "storageClassName": "", "hostNetwork": False, "list": []}, frozenset()).changes
    assert kubernetes_diff.diff({"storageClassName": "x"}, {"storageClassName": ""}, frozenset()).changes


def typed(token: str, news: dict[str, Any]) -> dict[str, Any]:
    """Inputs as the SDK sends them: with API version and kind."""
    api_version, kind = kubernetes_objects.split_token(token)
    return {"apiVersion": api_version, "kind": kind, **news}


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every value that holds no other, by its path."""
    if isinstance(value, dict):
        return {key: item for name, one in value.items() for key, item in leaves(one, (*path, name)).items()}
    return {path: value}
