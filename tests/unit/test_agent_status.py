"""The PodStatus that a kubelet would report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.agent import status
from lab.agent.clock import stamp
from lab.agent.state import Failure, PodState, Terminated, fresh

NOW = 1_700_000_000.0


def pod(policy: str = "Always", gates: tuple[str, ...] = (), inits: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "uid": "u", "generation": 3},
        "spec": {
            "restartPolicy": policy,
            "readinessGates": [{"conditionType": gate} for gate in gates],
            "initContainers": [{"name": name, "image": "busybox"} for name in inits],
            "containers": [{"name": "a", "image": "busybox"}],
        },
        "status": {},
    }


def state_of(one: dict[str, Any], *, ready: bool = True, prepared: bool = True) -> PodState:
    state = replace(fresh(one, NOW), prepared=prepared, address="10.200.128.9")
    container = state.containers["a"].start(NOW, "lab://1")
    return state.put("a", replace(container, started=True, ready=ready))


def ended(state: PodState, code: int) -> PodState:
    return state.put("a", state.containers["a"].end(Terminated(code, "Error", NOW, NOW + 1, "words")))


def condition(built: dict[str, Any], kind: str) -> tuple[str, str | None]:
    found = next(one for one in built["conditions"] if one["type"] == kind)
    return found["status"], found["reason"]


def build(one: dict[str, Any], state: PodState, now: float = NOW) -> dict[str, Any]:
    return status.build(one, state, "10.200.16.11", now)


def test_a_pod_is_pending_until_every_container_has_run() -> None:
    one = pod()
    assert build(one, fresh(one, NOW))["phase"] == "Pending"
    assert build(one, state_of(one))["phase"] == "Running"


def test_a_running_and_ready_pod_says_so_everywhere() -> None:
    built = build(pod(), state_of(pod()))
    assert [condition(built, kind)[0] for kind in ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")] == ["True"] * 4
    assert (built["podIP"], built["podIPs"], built["hostIP"]) == ("10.200.128.9", [{"ip": "10.200.128.9"}], "10.200.16.11")
    (one,) = built["containerStatuses"]
    assert (one["ready"], one["started"], one["restartCount"], one["state"]) == (True, True, 0, {"running": {"startedAt": stamp(NOW)}})
    assert built["observedGeneration"] == 3


def test_an_unready_container_is_named() -> None:
    built = build(pod(), state_of(pod(), ready=False))
    assert condition(built, "Ready") == ("False", "ContainersNotReady")
    assert "[a]" in next(one for one in built["conditions"] if one["type"] == "Ready")["message"]


def test_a_shut_gate_keeps_a_pod_unready_although_its_containers_are_ready() -> None:
    one = pod(gates=("x/placed",))
    built = build(one, state_of(one))
    assert condition(built, "ContainersReady")[0] == "True"
    assert condition(built, "Ready") == ("False", "ReadinessGatesNotReady")
    one["status"]["conditions"] = [{"type": "x/placed", "status": "True"}]
    assert condition(build(one, state_of(one)), "Ready")[0] == "True"


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [
        ("Never", 0, "Succeeded"),
        ("Never", 2, "Failed"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 2, "Running"),
        ("Always", 0, "Running"),
    ],
)
def test_the_phase_of_a_pod_whose_container_has_ended(policy: str, code: int, phase: str) -> None:
    one = pod(policy)
    assert build(one, ended(state_of(one), code))["phase"] == phase


def test_a_deleted_pod_has_ended_whatever_its_policy() -> None:
    one = pod("Always")
    one["metadata"]["deletionTimestamp"] = stamp(NOW)
    assert build(one, state_of(one))["phase"] == "Running"
    assert build(one, ended(state_of(one), 0))["phase"] == "Succeeded"
    assert build(one, ended(state_of(one), 143))["phase"] == "Failed"


def test_a_pod_that_the_agent_fails_has_failed_once_nothing_runs() -> None:
    failure = Failure("DeadlineExceeded", "too long")
    one = pod()
    assert build(one, replace(state_of(one), failure=failure))["phase"] == "Running"
    built = build(one, replace(ended(state_of(one), 0), failure=failure))
    assert (built["phase"], built["reason"], built["message"]) == ("Failed", "DeadlineExceeded", "too long")
    assert condition(built, "Ready") == ("False", "PodFailed")


def test_a_finished_pod_is_not_ready_and_says_that_it_is_complete() -> None:
    built = build(pod("Never"), ended(state_of(pod("Never")), 0))
    assert condition(built, "Ready") == ("False", "PodCompleted")
    assert built["containerStatuses"][0]["state"]["terminated"]["message"] == "words"


def test_waiting_init_containers_are_named() -> None:
    one = pod(inits=("first", "second"))
    built = build(one, fresh(one, NOW))
    found = next(each for each in built["conditions"] if each["type"] == "Initialized")
    assert (found["status"], found["message"]) == ("False", "containers with incomplete status: [first second]")
    assert [each["name"] for each in built["initContainerStatuses"]] == ["first", "second"]


def test_transition_times_change_only_with_what_they_are_of() -> None:
    one = pod()
    one["status"] = build(one, state_of(one))
    later = build(one, state_of(one, ready=False), NOW + 60)
    times = {each["type"]: each["lastTransitionTime"] for each in later["conditions"]}
    assert times["Initialized"] == stamp(NOW)
    assert times["Ready"] == stamp(NOW + 60)
    assert later["startTime"] == stamp(NOW)


def test_nothing_is_said_twice() -> None:
    one = pod()
    one["status"] = build(one, state_of(one))
    assert not status.differs(build(one, state_of(one), NOW + 60), one["status"])
    assert status.differs(build(one, state_of(one, ready=False), NOW + 60), one["status"])


def test_a_condition_of_somebody_else_is_left_alone() -> None:
    one = pod()
    one["status"] = build(one, state_of(one))
    one["status"]["conditions"] = [*one["status"]["conditions"], {"type": "x/placed", "status": "False"}]
    built = build(one, state_of(one))
    assert not status.differs(built, one["status"])
    assert "x/placed" not in [each["type"] for each in built["conditions"]]


def test_a_patch_takes_back_what_no_longer_holds_and_replaces_addresses() -> None:
    one = pod()
    wanted = build(one, state_of(one))
    patch = status.patch(wanted, {"message": "old words", "podIPs": [{"ip": "10.200.128.2"}]})
    assert patch["message"] is None
    assert patch["podIPs"] == [{"ip": "10.200.128.9"}, {"$patch": "replace"}]
