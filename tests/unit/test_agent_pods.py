"""What a Pod needs next, decided without a process or an API server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.agent import pods
from lab.agent.clock import stamp
from lab.agent.pods import Clean, Fail, Prepare, Remove, Start, Step, Stop
from lab.agent.state import LONGEST_BACK_OFF, Container, Failure, PodState, Running, Terminated, Waiting, fresh, resume

NOW = 1000.0


def pod(*mains: str, inits: tuple[dict[str, Any], ...] = (), **spec: Any) -> dict[str, Any]:
    containers = [{"name": name, "image": "busybox"} for name in mains]
    return {"metadata": {"name": "p", "uid": "u"}, "spec": {**spec, "initContainers": list(inits), "containers": containers}, "status": {}}


def init(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", **more}


def deleted(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"metadata": one["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


def running(state: PodState, *names: str) -> PodState:
    for name in names:
        state = state.put(name, state.containers[name].start(NOW, "id"))
    return state


def ended(state: PodState, name: str, code: int = 0, at: float = NOW) -> PodState:
    return state.put(name, state.containers[name].end(Terminated(code, "Error", at - 1, at)))


def prepared(one: dict[str, Any]) -> PodState:
    return replace(fresh(one, NOW), prepared=True)


def decide(one: dict[str, Any], state: PodState, now: float = NOW) -> list[Step]:
    return pods.decide(one, state, now)


def test_network_and_volumes_come_before_any_container() -> None:
    one = pod("a")
    assert decide(one, fresh(one, NOW)) == [Prepare()]


def test_containers_start_side_by_side() -> None:
    one = pod("a", "b")
    assert decide(one, prepared(one)) == [Start("a"), Start("b")]


def test_what_is_being_started_is_not_started_twice() -> None:
    one = pod("a", "b")
    assert pods.decide(one, prepared(one), NOW, {"a"}) == [Start("b")]


def test_init_containers_run_one_after_the_other_and_before_the_others() -> None:
    one = pod("a", inits=(init("i"), init("j")))
    state = prepared(one)
    assert decide(one, state) == [Start("i")]
    assert decide(one, state := running(state, "i")) == []
    assert decide(one, state := ended(state, "i")) == [Start("j")]
    assert decide(one, ended(running(state, "j"), "j")) == [Start("a")]


def test_an_init_container_that_fails_for_good_ends_the_pod() -> None:
    one = pod("a", inits=(init("i"),), restartPolicy="Never")
    assert decide(one, ended(running(prepared(one), "i"), "i", 1)) == [Clean()]


def test_an_init_container_that_fails_is_tried_again_after_a_pause() -> None:
    one = pod("a", inits=(init("i"),))
    state = ended(running(prepared(one), "i"), "i", 1)
    assert decide(one, state, NOW + 0.5) == []
    assert decide(one, state, NOW + 1.5) == [Start("i")]


def test_a_sidecar_holds_the_next_one_only_until_it_has_started() -> None:
    one = pod("a", inits=(init("s", restartPolicy="Always"),))
    state = running(prepared(one), "s")
    assert decide(one, state) == []
    assert decide(one, state.put("s", replace(state.containers["s"], started=True))) == [Start("a")]


def test_a_sidecar_outlives_the_others_and_keeps_no_pod_alive() -> None:
    one = pod("a", inits=(init("s", restartPolicy="Always"), init("t", restartPolicy="Always")), restartPolicy="Never")
    state = ended(running(prepared(one), "s", "t", "a"), "a")
    assert decide(one, state) == [Stop("t")]
    assert decide(one, state := ended(state, "t", 137)) == [Stop("s")]
    assert decide(one, ended(state, "s", 137)) == [Clean()]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 0, False), ("Never", 1, False)],
)
def test_the_restart_policy_says_who_starts_again(policy: str, code: int, again: bool) -> None:
    one = pod("a", restartPolicy=policy)
    state = ended(running(prepared(one), "a"), "a", code)
    assert decide(one, state, NOW + 60) == ([Start("a")] if again else [Clean()])


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_steady_run() -> None:
    container, now, waits = Container(), NOW, []
    for _ in range(8):
        container = container.start(now, "").end(Terminated(1, "Error", now, now + 1))
        waits.append(container.back_off)
        now = container.due
    assert waits == [1, 2, 4, 8, 16, 30, 30, LONGEST_BACK_OFF]
    assert container.start(now, "").end(Terminated(1, "Error", now, now + 100)).back_off == 1


def test_a_pod_that_ends_stops_its_containers_then_gives_back_what_it_had_then_goes() -> None:
    one = pod("a", "b")
    state = running(prepared(one), "a", "b")
    assert decide(deleted(one), state) == [Stop("a"), Stop("b")]
    state = ended(ended(state, "a"), "b", 143)
    assert decide(deleted(one), state) == [Clean()]
    assert decide(deleted(one), replace(state, prepared=False)) == [Remove()]


def test_nothing_is_given_back_while_a_step_is_being_taken() -> None:
    one = deleted(pod("a"))
    assert pods.decide(one, prepared(one), NOW, {"a"}) == []


def test_a_pod_that_ends_starts_nothing() -> None:
    one = deleted(pod("a"))
    assert decide(one, prepared(one)) == [Clean()]


def test_a_finished_pod_stays_until_it_is_deleted() -> None:
    one = pod("a", restartPolicy="Never")
    state = replace(ended(running(prepared(one), "a"), "a"), prepared=False)
    assert decide(one, state) == []
    assert decide(deleted(one), state) == [Remove()]


def test_a_pod_past_its_deadline_fails() -> None:
    one = pod("a", activeDeadlineSeconds=5)
    one["status"] = {"startTime": stamp(NOW), "phase": "Running"}
    state = running(prepared(one), "a")
    assert decide(one, state, NOW + 4) == []
    assert pods.wake(one, state) == NOW + 5
    (step,) = decide(one, state, NOW + 6)
    assert isinstance(step, Fail)
    assert decide(one, replace(state, failure=step.failure), NOW + 6) == [Stop("a")]


def test_what_waits_is_due_when_its_pause_is_over() -> None:
    one = pod("a", "b")
    state = prepared(one).put("a", Container().refuse("ErrImagePull", "no such image", NOW))
    assert decide(one, state) == [Start("b")]
    due = pods.wake(one, state)
    assert due is not None
    assert decide(one, state, due) == [Start("a"), Start("b")]


def test_what_ran_under_a_former_agent_is_lost_and_what_ended_stays_ended() -> None:
    one = pod("a", "b", restartPolicy="OnFailure")
    since = {"startedAt": stamp(NOW)}
    over = {"exitCode": 0, "reason": "Completed", "startedAt": stamp(NOW), "finishedAt": stamp(NOW + 1)}
    one["status"] = {
        "containerStatuses": [
            {"name": "a", "restartCount": 2, "containerID": "x", "state": {"running": since}},
            {"name": "b", "restartCount": 0, "containerID": "y", "state": {"terminated": over}},
        ]
    }
    state = resume(one, NOW + 10)
    assert state.containers["a"].ended is not None
    assert (state.containers["a"].ended.exit_code, state.containers["a"].runs) == (137, 3)
    assert decide(one, replace(state, prepared=True), NOW + 10) == [Start("a")]


@pytest.mark.parametrize(("policy", "steps"), [("Always", [Start("init")]), ("OnFailure", [Start("init")]), ("Never", [])])
def test_init_containers_run_again_where_the_pods_network_was_lost(policy: str, steps: list[Start]) -> None:
    one = pod("a", restartPolicy=policy)
    one["spec"]["initContainers"] = [{"name": "init"}]
    over = {"exitCode": 0, "reason": "Completed", "startedAt": stamp(NOW), "finishedAt": stamp(NOW + 1)}
    one["status"] = {
        "initContainerStatuses": [{"name": "init", "restartCount": 0, "containerID": "x", "state": {"terminated": over}}],
        "containerStatuses": [{"name": "a", "restartCount": 0, "containerID": "y", "state": {"running": {"startedAt": stamp(NOW)}}}],
    }
    state = replace(resume(one, NOW + 10), prepared=True)
    assert [step for step in decide(one, state, NOW + 10) if isinstance(step, Start)] == steps
    assert state.containers["init"].runs == 1


def test_a_pod_that_had_failed_under_a_former_agent_has_still_failed() -> None:
    one = pod("a")
    one["status"] = {"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long"}
    assert resume(one, NOW).failure == Failure("DeadlineExceeded", "too long")


def test_a_waiting_container_keeps_how_it_last_ended() -> None:
    container = Container().start(NOW, "id").end(Terminated(3, "Error", NOW, NOW + 1)).wait("a")
    assert isinstance(container.state, Waiting)
    assert container.ended is not None
    assert container.ended.exit_code == 3
    assert not isinstance(container.start(NOW + 5, "id").state, Terminated)
    assert isinstance(container.start(NOW + 5, "id").state, Running)
