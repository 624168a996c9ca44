"""What `reconcile install` makes: what is in it, what it may do, and that no environment's plan ever touches it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from providers.kinds.kubernetes import INSTALLED
from providers.kubernetes import kubeconfig
from providers.memory import MemoryCloud, MemoryCluster
from providers.observe import observe
from reconciler import errors, install, local, plan
from reconciler.cli import cli
from reconciler.cli import install as command
from reconciler.diff import Context, diff, removal
from reconciler.loop import Prepared
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observed, Scope
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.resources import installed, installed_pod, kubernetes
from reconciler.resources.installed_pod import Choices
from tests import memory_world

ENVIRONMENT = Environment(name="prod", zones=("us-east-1a",), api="kubernetes://ops/rec")
CHOICES = Choices("https://git.example/config.git", "main", "example/reconciler:1")
SECRETS = replace(CHOICES, git_secret="for-git", settings_secret="for-settings")
READ, WRITE = frozenset({"get", "list", "watch"}), frozenset({"create", "update", "patch", "delete"})
KINDS = {"kubernetes": INSTALLED}

# All that the account may do, by group and resource. A rule that is added anywhere has to be added here, and thought about.
MAY: Mapping[tuple[str, str], frozenset[str]] = {
    **dict.fromkeys([("", "endpoints"), ("", "events"), ("", "pods/log"), ("apps", "controllerrevisions")], READ),
    **dict.fromkeys([("discovery.k8s.io", "endpointslices"), ("storage.k8s.io", "volumeattachments")], READ),
    **dict.fromkeys([("", "configmaps"), ("", "namespaces"), ("", "persistentvolumeclaims"), ("", "persistentvolumes")], READ | WRITE),
    **dict.fromkeys([("", "secrets"), ("", "serviceaccounts"), ("", "services"), ("apps", "statefulsets")], READ | WRITE),
    **dict.fromkeys([("networking.k8s.io", "networkpolicies"), ("policy", "poddisruptionbudgets")], READ | WRITE),
    **dict.fromkeys([("rbac.authorization.k8s.io", "rolebindings"), ("storage.k8s.io", "storageclasses")], READ | WRITE),
    ("rbac.authorization.k8s.io", "roles"): READ | WRITE | {"bind"},
    ("", "nodes"): READ | {"patch"},
    ("", "pods"): READ | {"patch", "delete"},
    ("", "pods/status"): frozenset({"patch"}),
    ("apps", "statefulsets/scale"): frozenset({"patch"}),
    ("batch", "jobs"): READ | {"create", "delete"},
    ("coordination.k8s.io", "leases"): READ | {"create", "update", "patch"},
}
DENIED = (
    ("", "pods", "create"),
    ("", "pods/exec", "create"),
    ("", "nodes", "delete"),
    ("", "serviceaccounts/token", "create"),
    ("", "users", "impersonate"),
    ("apps", "deployments", "get"),
    ("apps", "daemonsets", "create"),
    ("rbac.authorization.k8s.io", "clusterroles", "get"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "create"),
)


def made(choices: Choices = CHOICES, environment: Environment = ENVIRONMENT) -> dict[str, Mapping[str, Any]]:
    """Every object, by kind and name."""
    found = install.desired(environment, Revision("c" * 40, "t", environment.name), choices).resources.values()
    return {f"{one.fields['kind']}/{one.fields['metadata']['name']}": one.fields for one in found}


def granted() -> Iterator[tuple[str, str, str]]:
    for name, one in made().items():
        for rule in one["rules"] if name.startswith("ClusterRole/") else ():
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            yield from ((group, kind, verb) for group in rule["apiGroups"] for kind in rule["resources"] for verb in rule["verbs"])


def container(choices: Choices = CHOICES) -> Mapping[str, Any]:
    (only,) = made(choices)["Deployment/rec"]["spec"]["template"]["spec"]["containers"]
    return only  # type: ignore[no-any-return]


def test_it_is_one_deployment_with_an_account_and_a_claim_where_the_api_is_said_to_be() -> None:
    roles = {f"{kind}/reconciler-prod-{role}" for kind in ("ClusterRole", "ClusterRoleBinding") for role in installed.ROLES}
    assert made().keys() == {"ServiceAccount/rec", "PersistentVolumeClaim/rec", "Service/rec", "Deployment/rec", *roles}
    spaced = {name: one["metadata"].get("namespace") for name, one in made().items()}
    assert {name for name, space in spaced.items() if space != "ops"} == roles
    assert installed.place(ENVIRONMENT.model_copy(update={"api": None})) == installed.Place("default", "reconciler")


def test_its_account_may_do_this_and_nothing_else() -> None:
    found: dict[tuple[str, str], set[str]] = {}
    for group, kind, verb in granted():
        found.setdefault((group, kind), set()).add(verb)
    assert found == MAY


@pytest.mark.parametrize("asked", DENIED, ids=" ".join)
def test_what_nobody_needs_is_denied(asked: tuple[str, str, str]) -> None:
    every = set(granted())
    assert asked not in every
    assert not any("*" in one for one in every)


def test_roles_are_bound_to_its_account_alone() -> None:
    for role in installed.ROLES:
        binding = made()[f"ClusterRoleBinding/reconciler-prod-{role}"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "rec", "namespace": "ops"}]
        assert binding["roleRef"]["name"] == f"reconciler-prod-{role}"


def test_it_runs_as_nobody_and_writes_nowhere_but_to_its_volumes() -> None:
    pod = made()["Deployment/rec"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] > 0
    own = container()["securityContext"]
    assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert {mount["mountPath"] for mount in container(SECRETS)["volumeMounts"] if not mount.get("readOnly")} == {
        installed_pod.KEPT,
        installed_pod.PASSING,
    }


def test_there_are_never_two_that_write_to_one_claim() -> None:
    spec = made()["Deployment/rec"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert made()["PersistentVolumeClaim/rec"]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_its_service_leads_to_its_pod_by_the_port_that_api_names() -> None:
    spec = made()["Service/rec"]["spec"]
    assert spec["selector"] == made()["Deployment/rec"]["spec"]["template"]["metadata"]["labels"]
    assert spec["ports"] == [{"port": 8080, "targetPort": 8080, "protocol": "TCP"}]
    called = made(environment=ENVIRONMENT.model_copy(update={"api": "kubernetes://ops/rec:http"}))["Service/rec"]["spec"]
    assert [port["name"] for port in called["ports"]] == ["http"]
    assert {name: probe["httpGet"] for name, probe in container().items() if name.endswith("Probe")} == {
        "livenessProbe": {"path": "/healthz", "port": 8080},
        "readinessProbe": {"path": "/readyz", "port": 8080},
    }


def test_it_serves_what_was_said() -> None:
    assert " ".join(container()["args"]) == (
        "serve -e prod --repo https://git.example/config.git --ref main --interval 10s --listen 0.0.0.0:8080"
    )
    assert "--ref" not in container(replace(CHOICES, ref=""))["args"]


def test_nothing_secret_is_in_it() -> None:
    """Secrets are named, and mounted; of no variable is one the value, and no Secret is made."""
    every = made(SECRETS)
    assert not any(name.startswith("Secret/") for name in every)
    volumes = every["Deployment/rec"]["spec"]["template"]["spec"]["volumes"]
    assert {one["secret"]["secretName"] for one in volumes if "secret" in one} == {"for-git", "for-settings"}
    assert not any("secret" in json.dumps(one).lower() for one in container(SECRETS)["env"])
    assert "envFrom" not in container(SECRETS)


def test_git_shows_its_password_to_the_one_host_and_its_key_where_there_is_no_http() -> None:
    told = {one["name"]: one.get("value", "") for one in container(SECRETS)["env"]}
    assert told["GIT_CONFIG_KEY_0"] == "credential.https://git.example.helper"
    assert "/etc/reconciler-git/password" in told["GIT_CONFIG_VALUE_0"]
    by_key = container(replace(SECRETS, url="git@git.example:config.git"))["env"]
    assert "-i /etc/reconciler-git/ssh-privatekey" in {one["name"]: one.get("value", "") for one in by_key}["GIT_SSH_COMMAND"]


def test_a_role_of_iam_and_a_class_are_named_where_they_are_given() -> None:
    given = made(replace(CHOICES, role_arn="arn:aws:iam::1:role/serve", storage_class="fast", storage="20Gi"))
    assert given["ServiceAccount/rec"]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == "arn:aws:iam::1:role/serve"
    assert given["PersistentVolumeClaim/rec"]["spec"]["storageClassName"] == "fast"
    assert "storageClassName" not in made()["PersistentVolumeClaim/rec"]["spec"]


def desired(choices: Choices = CHOICES) -> Desired:
    return install.desired(ENVIRONMENT, Revision("c" * 40, "t", "prod"), choices)


def installed_in(wanted: Desired) -> MemoryCluster:
    """A cluster in which *wanted* is."""
    cluster = MemoryCluster()
    cluster.put(kubernetes.KINDS["Namespace"], {"metadata": {"name": "ops"}})
    for one in wanted.resources.values():
        cluster.apply(kubernetes.KINDS[one.fields["kind"]], one.fields, one.fields["metadata"]["annotations"][kubernetes.MANAGER])
    return cluster


def actions(wanted: Desired, cluster: MemoryCluster) -> dict[str, str]:
    observed = observe(wanted.environment, KINDS, MemoryCloud(), cluster)
    known = {installed_pod.NAME: frozenset(wanted.resources)}
    return {change.id.name.partition("/")[0]: change.action for change in diff(wanted, observed, Context(KINDS, known)) if change.acts}


def test_the_second_time_nothing_is_left_to_do() -> None:
    assert actions(desired(), installed_in(desired())) == {}


def test_another_image_is_put_in_place_and_nothing_else() -> None:
    assert actions(desired(replace(CHOICES, image="example/reconciler:2")), installed_in(desired())) == {"Deployment": "update"}


def test_no_plan_of_its_environment_sees_it() -> None:
    cluster = installed_in(desired())
    observed = observe(ENVIRONMENT, memory_world.KINDS, MemoryCloud(), cluster)
    assert not [id for id in observed.live if id.kind == "kubernetes"]
    nothing = Desired(ENVIRONMENT, Revision("c" * 40, "t", "prod"))
    assert not [change for change in diff(nothing, observed, Context(memory_world.KINDS)) if change.acts]


def test_what_it_remembers_outlives_its_place() -> None:
    kept = {id.name.partition("/")[0] for id in desired().resources if removal.of(id) == "retain"}
    assert kept == {"PersistentVolumeClaim"}
    assert removal.of(kubernetes.object_id("prod", "kv", "PersistentVolumeClaim", "default", "data-kv-0")) == "delete"


def deployment(**status: int) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": 2, "replicas": 1, **status}}


def pod(*statuses: Mapping[str, Any], message: str = "") -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "message": message}
    return {"status": {"containerStatuses": list(statuses), "conditions": [condition] if message else []}}


PULL = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
MADE = {"state": {"waiting": {"reason": "ContainerCreating"}}}
CRASHED = {"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}


@pytest.mark.parametrize(
    ("found", "pods", "outcome"),
    [
        (None, [], Waiting("its Deployment is there")),
        (deployment(updatedReplicas=1, availableReplicas=1), [], Done()),
        (deployment(updatedReplicas=1, availableReplicas=1, observedGeneration=1), [], Waiting("its Pod is ready")),
        (deployment(updatedReplicas=1), [pod(PULL)], Waiting("its Pod is ready (ImagePullBackOff: no such image)")),
        (deployment(updatedReplicas=1), [pod(CRASHED)], Waiting("its Pod is ready (it ended with 1)")),
        (deployment(updatedReplicas=1), [pod(MADE)], Waiting("its Pod is ready (ContainerCreating)")),
        (deployment(updatedReplicas=1), [pod(MADE, message="no such Secret")], Waiting("its Pod is ready (no such Secret)")),
        (deployment(), [pod(message="0/6 nodes are available")], Waiting("its Pod is ready (0/6 nodes are available)")),
    ],
)
def test_it_is_said_what_its_pod_waits_for(found: Any, pods: list[Any], outcome: Outcome) -> None:
    assert installed.standing(found, pods) == outcome


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A working tree with one environment."""
    import git  # noqa: PLC0415

    git.Repo.init(tmp_path)
    folder = tmp_path / "specs" / "prod"
    folder.mkdir(parents=True)
    text = (
        "apiVersion: reconciler/v1\nkind: Environment\nmetadata: {name: prod}\nspec: {zones: [us-east-1a], api: 'kubernetes://ops/rec'}\n"
    )
    (folder / "environment.yaml").write_text(text)
    return tmp_path


def run(repository: Path, *words: str) -> Any:
    return CliRunner().invoke(cli, ["install", "-e", "prod", "--repo", str(repository), *words])


def test_it_can_be_read_before_any_cluster_is_asked(repository: Path) -> None:
    told = run(repository, "--print", "--url", "https://git.example/config.git", "--kubeconfig", "/nowhere")
    assert told.exit_code == 0, told.output
    assert len(list(YAML(typ="safe").load_all(told.output))) == 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "which is a path of this machine"),
        (("--url", "https://me:word@git.example/config.git"), "has credentials in it"),
        (("--url", "https://token@git.example/config.git"), "has credentials in it"),
        (("--url", "https://git.example/a.git", "--storage", "much"), "--storage much"),
        (("--url", "https://git.example/a.git", "--interval", "often"), "--interval often"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_made(repository: Path, words: tuple[str, ...], message: str) -> None:
    ended = run(repository, "--print", *words)
    assert isinstance(ended.exception, errors.UsageError)
    assert message in ended.exception.message
    assert ended.exception.hint
    assert "word@" not in str(ended.exception)


def test_who_may_not_look_is_told_so_before_anything_is_made() -> None:
    unread = {Scope("kubernetes", "prod.install", "Deployment/"): "Forbidden"}
    wanted = desired()
    prepared = Prepared(plan.make(wanted.revision, (), Observed({}, unread), ()), wanted, Observed({}, unread))
    with pytest.raises(errors.UsageError, match="could not be read: Forbidden") as caught:
        command._require_read(prepared)
    assert "--kubeconfig" in caught.value.hint


def test_in_a_pod_the_engine_is_told_of_the_pods_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert kubeconfig.account() == ""
    (tmp_path / "token").write_text("never in it")
    monkeypatch.setattr(kubeconfig, "_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    text = kubeconfig.account()
    assert "never in it" not in text
    (tmp_path / "config").write_text(text)
    found = kubeconfig.load(str(tmp_path / "config"), "")
    assert found.cluster.server == "https://10.96.0.1:443"
    assert found.user.token_file == str(tmp_path / "token")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert kubeconfig.account() == ""


def test_what_a_machine_knows_may_lie_elsewhere_and_then_has_to_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told, source = {"spec": {"zones": ["us-east-1a"]}}, tmp_path / "told.json"
    monkeypatch.setenv("RECONCILE_DIR", str(tmp_path / "own"))
    assert local.read("prod") == local.Local(tmp_path / "own" / "prod")
    monkeypatch.setenv("RECONCILE_DEFAULTS", str(source))
    with pytest.raises(errors.UsageError, match="which is not there"):
        local.read("prod")
    source.write_text(json.dumps(told))
    assert local.read("prod") == local.Local(tmp_path / "own" / "prod", told["spec"])
    source.write_text("[]")
    with pytest.raises(errors.UsageError, match="cannot be read"):
        local.read("prod")
