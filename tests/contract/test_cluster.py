"""Port `Cluster`: one body for the fake and for plain REST against a real API server."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from providers import kubernetes as adapter
from providers.kubernetes import Kubernetes
from providers.memory import MemoryCluster
from reconciler import errors
from reconciler.ports import ObjectKind
from reconciler.resources import kubernetes

pytest_plugins = ["tests.contract.api_server"]

CONFIG = kubernetes.KINDS["ConfigMap"]
NUMBERS = itertools.count(1)


@pytest.fixture(params=["memory", pytest.param("api_server", marks=pytest.mark.integration)])
def cluster(request: pytest.FixtureRequest) -> Any:
    return MemoryCluster() if request.param == "memory" else request.getfixturevalue("real")


@pytest.fixture
def real(api_server: Path) -> Iterator[Kubernetes]:
    with closing(Kubernetes(str(api_server))) as found:
        yield found


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"test-{next(NUMBERS)}"


def config(name: str, namespace: str = "default", labels: dict[str, str] | None = None, **texts: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, "data": texts}


def names(cluster: Any, selector: str, **where: str) -> list[str]:
    return [one["metadata"]["name"] for one in cluster.list(CONFIG, selector=selector, **where)]


def test_what_was_created_is_found_with_its_kind(cluster: Any, name: str) -> None:
    made = cluster.create(CONFIG, config(name, a="1"))
    assert (made["apiVersion"], made["kind"], made["data"]) == ("v1", "ConfigMap", {"a": "1"})
    assert made["metadata"]["uid"]
    assert cluster.get(CONFIG, name, namespace="default")["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_name_is_created_once(cluster: Any, name: str) -> None:
    assert cluster.create(CONFIG, config(name, a="1")) is not None
    assert cluster.create(CONFIG, config(name, a="2")) is None
    assert cluster.get(CONFIG, name, namespace="default")["data"] == {"a": "1"}


def test_what_is_not_there_is_none(cluster: Any, name: str) -> None:
    assert cluster.get(CONFIG, name, namespace="default") is None
    assert not cluster.exists(CONFIG, name, namespace="default")
    assert not cluster.delete(CONFIG, name, namespace="default")


def test_what_has_taken_the_name_of_another_is_not_deleted_for_it(cluster: Any, name: str) -> None:
    old = cluster.create(CONFIG, config(name))["metadata"]["uid"]
    assert cluster.delete(CONFIG, name, namespace="default", uid=old)
    assert not cluster.delete(CONFIG, name, namespace="default", uid=old)
    cluster.create(CONFIG, config(name))
    assert not cluster.delete(CONFIG, name, namespace="default", uid=old)
    assert cluster.exists(CONFIG, name, namespace="default")


def test_existence_is_told_without_what_is_inside(cluster: Any, name: str) -> None:
    cluster.create(CONFIG, config(name))
    assert cluster.exists(CONFIG, name, namespace="default")


def test_a_namespace_that_is_not_there_is_refused(cluster: Any, name: str) -> None:
    with pytest.raises(errors.ProviderError, match=f'namespaces "{name}" not found') as caught:
        cluster.create(CONFIG, config(name, namespace=name))
    assert (caught.value.status, caught.value.code) == (404, "NotFound")
    cluster.create(kubernetes.KINDS["Namespace"], {"metadata": {"name": name}})
    assert cluster.create(CONFIG, config(name, namespace=name))["metadata"]["namespace"] == name


def test_the_first_of_two_writers_wins(cluster: Any, name: str) -> None:
    read = cluster.create(CONFIG, config(name, a="1"))
    written = cluster.replace(CONFIG, {**read, "data": {"a": "2"}})
    assert written["metadata"]["resourceVersion"] != read["metadata"]["resourceVersion"]
    assert cluster.replace(CONFIG, {**read, "data": {"a": "3"}}) is None
    assert cluster.get(CONFIG, name, namespace="default")["data"] == {"a": "2"}


def test_writing_the_same_makes_no_new_version(cluster: Any, name: str) -> None:
    read = cluster.create(CONFIG, config(name, a="1"))
    assert cluster.replace(CONFIG, read)["metadata"]["resourceVersion"] == read["metadata"]["resourceVersion"]


def test_what_was_deleted_meanwhile_is_not_replaced(cluster: Any, name: str) -> None:
    for kind, body in ((CONFIG, config(name)), (kubernetes.LEASE, {"metadata": {"name": name, "namespace": "default"}, "spec": {}})):
        read = cluster.create(kind, body)
        assert cluster.delete(kind, name, namespace="default")
        assert cluster.replace(kind, read) is None
        assert cluster.get(kind, name, namespace="default") is None


def test_nothing_is_replaced_without_a_version_to_compare(cluster: Any, name: str) -> None:
    with pytest.raises(ValueError, match="no resourceVersion"):
        cluster.replace(CONFIG, config(name))


def test_a_patch_lays_over_and_takes_away(cluster: Any, name: str) -> None:
    cluster.create(CONFIG, config(name, a="1", b="2"))
    patched = cluster.patch(CONFIG, name, {"data": {"a": None, "c": "3"}}, namespace="default")
    assert patched["data"] == {"b": "2", "c": "3"}


def test_a_patch_of_an_older_version_is_refused(cluster: Any, name: str) -> None:
    read = cluster.create(CONFIG, config(name, a="1"))
    cluster.patch(CONFIG, name, {"data": {"a": "2"}}, namespace="default")
    stale = {"metadata": {"resourceVersion": read["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
    with pytest.raises(errors.ProviderError, match="the object has been modified") as caught:
        cluster.patch(CONFIG, name, stale, namespace="default")
    assert caught.value.status == 409


def test_a_patch_of_nothing_is_refused(cluster: Any, name: str) -> None:
    with pytest.raises(errors.ProviderError, match=f'configmaps "{name}" not found') as caught:
        cluster.patch(CONFIG, name, {"data": {}}, namespace="default")
    assert caught.value.status == 404


def test_status_is_written_through_its_subresource_only(cluster: Any, name: str) -> None:
    container = {"name": "main", "image": "none"}
    cluster.create(kubernetes.POD, {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}})
    cluster.patch(kubernetes.POD, name, {"status": {"message": "no"}, "metadata": {"labels": {"a": "b"}}}, namespace="default")
    pod = cluster.patch(kubernetes.POD, name, {"status": {"message": "yes"}}, namespace="default", subresource="status")
    assert pod["status"]["message"] == "yes"
    assert pod["metadata"]["labels"] == {"a": "b"}


def test_a_list_holds_what_the_selector_wants_in_order_of_names(cluster: Any, name: str) -> None:
    for number, kind in ((2, "x"), (1, "x"), (3, "y")):
        cluster.create(CONFIG, config(f"{name}-{number}", labels={"test": name, "kind": kind}))
    assert names(cluster, f"test={name}") == [f"{name}-1", f"{name}-2", f"{name}-3"]
    assert names(cluster, f"test={name},kind=x") == [f"{name}-1", f"{name}-2"]
    assert names(cluster, f"test={name},kind!=x") == [f"{name}-3"]
    assert names(cluster, f"test={name},kind in (y,z)") == [f"{name}-3"]
    assert names(cluster, f"test={name},!kind") == []


def test_a_list_says_the_kind_of_its_items(cluster: Any, name: str) -> None:
    cluster.create(CONFIG, config(name, labels={"test": name}))
    (found,) = cluster.list(CONFIG, selector=f"test={name}")
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")


def test_a_list_is_of_one_namespace_or_of_all(cluster: Any, name: str) -> None:
    for namespace in ("default", "kube-system"):
        cluster.create(CONFIG, config(name, namespace=namespace, labels={"test": name}))
    assert len(names(cluster, f"test={name}")) == 2
    assert len(names(cluster, f"test={name}", namespace="kube-system")) == 1


def test_a_list_is_read_in_chunks(cluster: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "CHUNK", 3)
    wanted = [f"{name}-{number}" for number in range(8)]
    for one in wanted:
        cluster.create(CONFIG, config(one, labels={"test": name}))
    assert names(cluster, f"test={name}") == wanted


def test_names_are_those_of_everybody_in_a_namespace(cluster: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "CHUNK", 3)
    wanted = {f"{name}-{number}" for number in range(5)}
    for one in wanted:
        cluster.create(CONFIG, config(one))
    assert wanted <= set(cluster.names(CONFIG, namespace="default"))
    assert not wanted & set(cluster.names(CONFIG, namespace="kube-system"))


def test_what_has_a_finalizer_goes_when_that_is_taken_away(cluster: Any, name: str) -> None:
    held = config(name)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    cluster.create(CONFIG, held)
    assert cluster.delete(CONFIG, name, namespace="default")
    assert cluster.get(CONFIG, name, namespace="default")["metadata"]["deletionTimestamp"]
    cluster.patch(CONFIG, name, {"metadata": {"finalizers": None}}, namespace="default")
    assert cluster.get(CONFIG, name, namespace="default") is None


def test_cluster_wide_objects_have_no_namespace(cluster: Any, name: str) -> None:
    kind = kubernetes.KINDS["StorageClass"]
    cluster.create(kind, {"metadata": {"name": name}, "provisioner": "example.com/none"})
    assert cluster.get(kind, name)["provisioner"] == "example.com/none"
    assert cluster.delete(kind, name)


def test_the_log_of_a_pod_that_is_not_there_is_refused(cluster: Any, name: str) -> None:
    with pytest.raises(errors.ProviderError, match=f'pods "{name}" not found') as caught:
        list(cluster.log("default", name, "main"))
    assert caught.value.status == 404


@pytest.mark.integration
def test_who_may_not_is_told_what(api_server: Path) -> None:
    refused = pytest.raises(errors.ProviderError, match=r"Kubernetes refused to create ConfigMap default: Forbidden: .*reader")
    with closing(Kubernetes(str(api_server.with_name("reader.kubeconfig")))) as reader, refused as caught:
        reader.create(CONFIG, config("no"))
    assert caught.value.status == 403
    assert "RBAC" in caught.value.hint


@pytest.mark.integration
def test_a_kind_that_the_server_does_not_serve_is_refused(real: Kubernetes) -> None:
    with pytest.raises(errors.ProviderError, match="Kubernetes refused to read Nothing") as caught:
        list(real.list(ObjectKind("example.com/v1", "Nothing", "nothings")))
    assert caught.value.status == 404


@pytest.mark.integration
def test_an_invalid_secret_is_refused_without_its_words(real: Kubernetes, name: str) -> None:
    body = {"metadata": {"name": name, "namespace": "default"}, "type": "kubernetes.io/tls", "stringData": {"tls.crt": "not-for-eyes"}}
    with pytest.raises(errors.ProviderError, match=r"Kubernetes refused to create Secret default: Invalid$") as caught:
        real.create(kubernetes.KINDS["Secret"], body)
    assert caught.value.status == 422


@pytest.mark.integration
def test_wrong_credentials_are_told_with_a_hint(api_server: Path, tmp_path: Path) -> None:
    told = api_server.read_text().replace("made-up", "wrong")
    (tmp_path / "config").write_text(told)
    refused = pytest.raises(errors.ProviderError, match="Unauthorized")
    with closing(Kubernetes(str(tmp_path / "config"))) as stranger, refused as caught:
        stranger.get(CONFIG, "x", namespace="default")
    assert "signing in failed" in caught.value.hint
    assert "wrong" not in caught.value.message + caught.value.hint
