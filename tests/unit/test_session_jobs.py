"""Sessions as Jobs, in a cluster of memory where the test plays the Job controller and the kubelet."""

from dataclasses import replace
from typing import Any

import pytest

from providers.memory.cluster import MemoryCluster
from providers.session_jobs import JOB, POD, JobRunner
from reconciler.components.ports import Sight
from reconciler.errors import ProviderError, TransientError
from reconciler.model.environment import Environment, Sessions, Ssh
from reconciler.model.frame import Frame
from reconciler.model.session import Session
from reconciler.model.work import Clone, Work, WorkLayer, parse
from reconciler.resources.kubernetes import KINDS
from tests.component_samples import NOW, Clock

SETTINGS = Sessions(
    image="registry/runner:1",
    deadline="30m",  # type: ignore[arg-type]
    ttl="1d",  # type: ignore[arg-type]
    ssh=Ssh(user="root", key_secret="ssh-key", known_hosts_secret="known"),
    vault_password_secret="vault",
    ansible_config="ansible-cfg",
)
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",), sessions=SETTINGS)
WORK = Work("s-1", (WorkLayer(2, Clone("https://git/x", "a" * 40, "git-login"), "site.yml"),), {"n1": {}, "n2": {"ansible_host": "::1"}})
SESSION = Session("s-1", "compute", WORK, {"n1": 1, "n2": 1}, "key", NOW)
SECRETS = ("ssh-key", "known", "vault", "git-login")


class Stage:
    """A runner, and what the cluster's own controllers would do."""

    def __init__(self) -> None:
        self.cluster, self.clock = MemoryCluster(), Clock()
        for name in SECRETS:
            self.cluster.create(KINDS["Secret"], {"metadata": {"name": name, "namespace": "default"}})
        self.runner = JobRunner(self.cluster, ENVIRONMENT, self.clock)
        self.runner.start(SESSION)

    def job(self) -> dict[str, Any]:
        job = self.cluster.get(JOB, "s-1", namespace="default")
        assert job is not None
        return dict(job)

    def set_job(self, **status: Any) -> None:
        self.cluster.patch(JOB, "s-1", {"status": status}, namespace="default", subresource="status")

    def set_pod(self, states: dict[str, str], *log: Frame, name: str = "s-1-abc") -> None:
        labels = {**self.job()["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": "s-1"}
        one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels}}
        self.cluster.create(POD, one)
        statuses = {"containerStatuses": [{"name": container, "state": {state: {}}} for container, state in states.items()]}
        self.cluster.patch(POD, name, {"status": statuses}, namespace="default", subresource="status")
        self.cluster.logs["default", name, "report"] = [frame.line() for frame in log]

    def look(self, session: Session = SESSION) -> Sight:
        self.clock.seconds += 1
        return self.runner.look([session])["s-1"]


@pytest.fixture
def stage() -> Stage:
    return Stage()


HOST = Frame(1, "host", 2, "n1", "applied")
END = Frame(2, "end")


@pytest.mark.parametrize("missing", SECRETS)
def test_a_session_whose_secret_is_missing_says_so_and_makes_no_job(stage: Stage, missing: str) -> None:
    stage.cluster.delete(JOB, "s-1", namespace="default")
    stage.cluster.delete(KINDS["Secret"], missing, namespace="default")
    with pytest.raises(ProviderError, match=f"there is no Secret {missing} in namespace default"):
        stage.runner.start(SESSION)
    assert stage.cluster.get(JOB, "s-1", namespace="default") is None


def test_the_job_runs_once_has_a_deadline_and_says_whose_it_is(stage: Stage) -> None:
    job = stage.job()
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 1800, 86400)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    ours = {"app.kubernetes.io/managed-by": "reconciler", "reconciler/environment": "lab", "reconciler/session": "s-1"}
    assert job["metadata"]["labels"] == spec["template"]["metadata"]["labels"] == ours


def test_its_steps_share_a_folder_and_only_the_first_is_told_what_to_do(stage: Stage) -> None:
    pod = stage.job()["spec"]["template"]["spec"]
    steps = {one["name"]: one for one in (*pod["initContainers"], *pod["containers"])}
    assert {name: one["command"][-1] for name, one in steps.items()} == {
        "clone": "runner.clone",
        "ansible": "runner.session",
        "report": "runner.report",
    }
    assert parse(steps["clone"]["env"][0]["value"]) == WORK
    assert "env" not in steps["ansible"]
    assert all({"name": "work", "mountPath": "/var/lib/reconciler"} in one["volumeMounts"] for one in steps.values())


def test_secrets_are_mounted_where_they_are_used_and_nowhere_else(stage: Stage) -> None:
    pod = stage.job()["spec"]["template"]["spec"]
    names = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {mount["mountPath"]: names[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {path: volume["secret"]["secretName"] for path, volume in mounted.items() if "secret" in volume}
    assert secrets == {
        "/etc/reconciler/ssh": "ssh-key",
        "/etc/reconciler/known-hosts": "known",
        "/etc/reconciler/vault": "vault",
        "/etc/reconciler/credentials/git-login": "git-login",
    }
    assert {volume["secret"]["defaultMode"] for volume in mounted.values() if "secret" in volume} == {0o400}
    assert mounted["/etc/reconciler/ansible"]["configMap"]["name"] == "ansible-cfg"
    assert len(pod["containers"][1]["volumeMounts"]) == 1


def test_a_job_that_exists_is_the_sessions_own(stage: Stage) -> None:
    before = stage.job()
    stage.runner.start(SESSION)
    assert stage.job() == before


def test_a_job_that_is_gone_is_absent(stage: Stage) -> None:
    stage.runner.stop("s-1")
    assert stage.look() == Sight("absent")


def test_frames_come_from_the_reports_log_after_those_that_are_known(stage: Stage) -> None:
    stage.set_job(active=1)
    stage.set_pod({"ansible": "running", "report": "running"}, HOST, END)
    assert stage.look().frames == (HOST, END)
    assert stage.look(replace(SESSION, frames=1)).frames == (END,)
    stage.cluster.logs["default", "s-1-abc", "report"][1] = END.line()[:5]  # half written
    assert stage.look() == Sight("running", (HOST,))


def test_the_report_of_a_running_session_is_not_read_all_the_time(stage: Stage) -> None:
    stage.set_job(active=1)
    stage.set_pod({"report": "running"}, HOST)
    assert stage.look().frames == (HOST,)
    assert stage.runner.look([SESSION])["s-1"] == Sight("running")


@pytest.mark.parametrize(("condition", "phase"), [("Complete", "succeeded"), ("Failed", "failed"), ("FailureTarget", "running")])
def test_the_jobs_condition_says_how_it_ended_and_the_report_is_read_then(stage: Stage, condition: str, phase: str) -> None:
    stage.set_job(active=1, conditions=[{"type": condition, "status": "True"}])
    stage.set_pod({"report": "terminated"}, HOST, END)
    stage.look()
    assert stage.runner.look([SESSION])["s-1"].phase == phase
    assert stage.look().frames == (HOST, END)


def test_a_job_whose_pod_was_evicted_is_what_the_job_says(stage: Stage) -> None:
    stage.set_job(conditions=[{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}])
    assert stage.look() == Sight("failed", reason="BackoffLimitExceeded: too often")


def test_why_a_pod_waits_is_said(stage: Stage) -> None:
    stage.set_job(active=1)
    stage.set_pod({})
    waiting = [{"name": "clone", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    stage.cluster.patch(POD, "s-1-abc", {"status": {"initContainerStatuses": waiting}}, namespace="default", subresource="status")
    assert stage.look() == Sight("pending", reason="container clone: ImagePullBackOff no such image")


def test_a_failed_clone_is_told_in_its_own_words(stage: Stage) -> None:
    stage.set_job(conditions=[{"type": "Failed", "status": "True"}])
    stage.set_pod({})
    stage.cluster.logs["default", "s-1-abc", "clone"] = ["layer 2: …", "the session cannot begin: git: not found"]
    assert stage.look() == Sight("failed", reason="the session cannot begin: git: not found")


def test_a_report_that_cannot_be_read_is_unread_and_not_empty(stage: Stage) -> None:
    stage.set_job(conditions=[{"type": "Complete", "status": "True"}])
    stage.set_pod({"report": "terminated"}, HOST)
    stage.cluster.fail("log", TransientError("the kubelet is away"))
    assert stage.look() == Sight("succeeded", unread="its report cannot be read: the kubelet is away")


def test_strays_are_those_that_run_without_a_record(stage: Stage) -> None:
    assert stage.runner.strays(frozenset()) == ("s-1",)
    assert stage.runner.strays(frozenset({"s-1"})) == ()
    stage.set_job(conditions=[{"type": "Complete", "status": "True"}])
    assert stage.runner.strays(frozenset()) == ()
