"""The component side end to end in memory: wishes in, sessions out, reports taken in, standings told."""

from dataclasses import replace

import pytest

from providers.memory.records import MemoryRecords
from reconciler.components import state
from reconciler.components.controller import Controller
from reconciler.components.operator import PATIENCE
from reconciler.errors import TransientError
from reconciler.model.component import Components
from reconciler.model.configuration import Configuration, Layer
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Failed, Waiting
from reconciler.model.plan import ComponentsSummary
from reconciler.model.session import Session
from reconciler.model.work import Clone
from tests.component_samples import Clock, commit, components, configuration, desired
from tests.memory_runner import MemoryRunner

TWO = configuration(commit("a"), commit("b"))


class Stage:
    """A controller in a world of memory."""

    def __init__(self) -> None:
        self.records, self.runner, self.clock = MemoryRecords(), MemoryRunner(), Clock()
        self.tips: dict[str, str] = {}
        self.restart()

    def restart(self) -> None:
        self.controller = Controller(self.records, self.runner, self.clock, self._tip)

    def _tip(self, _clone: Clone, branch: str) -> str:
        if branch not in self.tips:
            raise TransientError(f"branch {branch} cannot be read")
        return self.tips[branch]

    def tick(self, wish: Desired, *, sweep: bool = True) -> None:
        self.controller.tick(wish, sweep=sweep)

    def counts(self, wish: Desired) -> ComponentsSummary:
        return self.controller.standings(wish)[0].summary

    @property
    def live(self) -> tuple[Session, ...]:
        return self.records.live()

    def finish(self, wish: Desired, **script: object) -> None:
        """Play all live sessions through, and take in what they say."""
        for one in self.live:
            self.runner.play(one, **script)  # type: ignore[arg-type]
        self.tick(wish)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def wish(*documents: Components, layers: Configuration = TWO, **sessions: object) -> Desired:
    return desired(*documents, configurations=(layers,), **sessions)


NODES = components("n[01-03]")


def test_a_wish_becomes_a_session_and_then_configured_components(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    assert [one.members for one in stage.runner.ran] == [("n01", "n02", "n03")]
    assert stage.counts(want) == ComponentsSummary("compute", 3, 3, 0, 0, (0, 1))
    stage.finish(want)
    assert stage.counts(want) == ComponentsSummary("compute", 3, 0, 0, 3)
    assert stage.controller.standings(want)[0].outcome == Done()
    stage.tick(want)
    assert len(stage.runner.ran) == 1


def test_a_new_commit_of_one_layer_runs_that_layer_only(stage: Stage) -> None:
    stage.tick(wish(NODES))
    stage.finish(wish(NODES))
    moved = wish(NODES, layers=configuration(commit("a"), commit("c")))
    stage.tick(moved)
    assert [one.layers for one in stage.runner.ran] == [(0, 1), (1,)]


def test_changed_variables_run_everything_again(stage: Stage) -> None:
    stage.tick(wish(NODES))
    stage.finish(wish(NODES))
    stage.tick(wish(components("n[01-03]", hosts={"n02": {"ansible_host": "10.0.0.9"}})))
    assert [(one.members, one.layers) for one in stage.runner.ran[1:]] == [(("n02",), (0, 1))]


def test_a_failing_host_comes_round_alone_until_its_third_failure(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    for _attempt in range(3):
        stage.finish(want, failing={"n02": 0} if any("n02" in one.members for one in stage.live) else {})
    while stage.live:
        stage.finish(want, failing={"n02": 0})
    assert [one.members for one in stage.runner.ran if "n02" in one.members] == [("n01", "n02", "n03"), ("n02",), ("n02",)]
    assert ("n01", "n03") in [one.members for one in stage.runner.ran]
    outcome = stage.controller.standings(want)[0].outcome
    assert outcome == Failed("1 of 3 components failed: n02 after 3 attempts: task t: boom")
    stage.tick(want)
    assert not stage.live


def test_a_mended_layer_tries_a_failed_component_again(stage: Stage) -> None:
    want = wish(components("n1"), retry_policy=1)
    stage.tick(want)
    stage.finish(want, failing={"n1": 1})
    assert stage.counts(want).failed == 1
    mended = wish(components("n1"), layers=configuration(commit("a"), commit("d")), retry_policy=1)
    stage.tick(mended)
    assert stage.runner.ran[-1].layers == (1,)


def test_hosts_that_nothing_was_meant_for_are_skipped(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    stage.finish(want, silent=frozenset({"n03"}))
    assert stage.counts(want).configured == 3
    assert {entry.status for entry in stage.records.get(["n03"])["n03"].state} == {"skipped"}


def test_a_node_that_booted_while_its_session_ran_is_not_called_skipped_or_applied(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    booted = state.clear(stage.records.get(["n02"])["n02"])
    assert stage.records.commit([booted])
    stage.finish(want, silent=frozenset({"n03"}))
    assert stage.records.get(["n02"])["n02"].state == ()
    assert stage.live[0].members == ("n02",)


def test_a_wish_that_changes_while_a_session_runs_waits_for_its_end(stage: Stage) -> None:
    stage.tick(wish(NODES))
    moved = wish(NODES, layers=configuration(commit("a"), commit("c")))
    stage.tick(moved)
    assert len(stage.runner.ran) == 1
    stage.finish(moved)
    assert [one.work.layers[-1].clone.commit for one in stage.runner.ran] == [commit("b"), commit("c")]
    assert stage.counts(moved).configured == 0


def test_a_cause_outside_ansible_counts_for_every_member_until_all_have_failed(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    for _attempt in range(3):
        assert len(stage.live) == 1
        stage.runner.end(stage.live[0].name, "failed")
        stage.tick(want)
    assert stage.counts(want).failed == 3
    assert len(stage.runner.ran) == 3
    assert isinstance(stage.controller.standings(want)[0].outcome, Failed)


def test_a_hosts_own_failure_charges_nobody_else(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    one = stage.live[0]
    stage.runner.say(one.name, "host", layer=0, host="n01", result="failed")
    stage.runner.say(one.name, "end", code=2)
    stage.runner.end(one.name, "failed")
    stage.tick(want)
    assert [component.error_count for component in stage.records.get(["n01", "n02", "n03"]).values()] == [1, 0, 0]


def test_a_job_that_vanished_is_unknown_and_counts(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    name = stage.live[0].name
    stage.runner.stop(name)
    stage.tick(want)
    gone = stage.records.session(name)
    assert gone is not None
    assert (gone.status, gone.succeeded) == ("complete", "unknown")
    assert {component.error_count for component in stage.records.get(["n01", "n02", "n03"]).values()} == {1}


def test_success_without_a_report_proves_nothing(stage: Stage) -> None:
    want = wish(components("n1"))
    stage.tick(want)
    name = stage.live[0].name
    stage.runner.end(name, "succeeded", unread="the node is gone")
    stage.tick(want)
    assert stage.live[0].name == name  # worth asking again
    stage.clock.seconds += PATIENCE
    stage.tick(want)
    assert stage.records.get(["n1"])["n1"].state[-1].status == "failed"


def test_frames_read_twice_count_once(stage: Stage) -> None:
    want = wish(components("n1"))
    stage.tick(want)
    one = stage.live[0]
    stage.runner.say(one.name, "host", layer=0, host="n1", result="failed", message="boom")
    stage.tick(want)
    stage.restart()  # forgets everything but its records
    stage.tick(want)
    assert stage.records.get(["n1"])["n1"].error_count == 1


def test_reports_are_taken_in_while_the_session_runs(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    stage.runner.say(stage.live[0].name, "host", layer=0, host="n01", result="applied")
    stage.tick(want)
    assert len(stage.records.get(["n01"])["n01"].state) == 1
    assert stage.live[0].status == "running"


def test_a_restart_opens_no_second_session_for_a_busy_component(stage: Stage) -> None:
    want = wish(NODES)
    stage.tick(want)
    stage.runner.say(stage.live[0].name, "host", layer=0, host="n01", result="applied")
    for _again in range(3):
        stage.restart()
        stage.tick(want)
    assert (len(stage.runner.ran), len(stage.live)) == (1, 1)


def test_a_crash_between_claim_and_start_starts_it_once(stage: Stage) -> None:
    want = wish(components("n1"))
    stage.runner.broken = "the API server is away"
    stage.tick(want)
    assert [(one.claimed, one.started) for one in stage.live] == [(True, None)]
    outcome = stage.controller.standings(want)[0].outcome
    assert isinstance(outcome, Waiting)
    assert "the API server is away" in outcome.until
    stage.runner.broken = ""
    stage.restart()
    stage.tick(want)
    stage.tick(want)
    assert [len(stage.runner.ran), len(stage.live)] == [1, 1]


def test_a_start_whose_answer_was_lost_runs_once(stage: Stage) -> None:
    want = wish(components("n1"))
    stage.tick(want)
    lost = replace(stage.live[0], started=None)
    assert stage.records.commit((), (lost,))
    stage.restart()
    stage.tick(want)
    assert (stage.runner.starts, len(stage.runner.ran)) == (2, 1)


def test_no_more_sessions_run_than_may(stage: Stage) -> None:
    want = wish(components("n[001-100]"), batch_size=10, max_concurrent=3)
    stage.tick(want)
    assert len(stage.runner.ran) == 3
    stage.runner.play(stage.runner.ran[0])
    stage.tick(want)
    assert len([one for one in stage.live if one.started]) == 3


def test_without_a_sweep_the_window_is_waited_for(stage: Stage) -> None:
    want = wish(components("n[01-60]"), batch_window="60s")
    stage.tick(want, sweep=False)
    assert sorted(len(one.members) for one in stage.runner.ran) == [25, 25]
    stage.clock.seconds += 60
    stage.tick(want, sweep=False)
    assert sorted(len(one.members) for one in stage.runner.ran) == [10, 25, 25]


def test_a_held_component_is_counted_and_left_alone(stage: Stage) -> None:
    want = wish(components("n1", enabled=False))
    stage.tick(want)
    assert not stage.runner.ran
    assert stage.counts(want) == ComponentsSummary("compute", 1, 0, 0, 0)


def test_a_component_that_is_no_longer_declared_is_kept_and_not_counted(stage: Stage) -> None:
    stage.tick(wish(NODES))
    stage.finish(wish(NODES))
    fewer = wish(components("n[01-02]"))
    stage.tick(fewer)
    assert stage.counts(fewer).total == 2
    assert len(stage.records.everything()["n03"].state) == 2


def test_a_branch_is_looked_up_once_and_a_push_changes_nothing(stage: Stage) -> None:
    branched = Configuration(name="compute", layers=(Layer(clone_url="https://git/x", playbook="site.yml", branch="main"),))
    want = wish(components("n1"), layers=branched)
    stage.tick(want)
    outcome = stage.controller.standings(want)[0].outcome
    assert not stage.live
    assert isinstance(outcome, Waiting)
    assert "branch main cannot be read" in outcome.until
    stage.tips["main"] = commit("e")
    stage.tick(want)
    assert not stage.live  # asked again only after a while
    stage.clock.seconds += 10
    stage.tick(want)
    stage.finish(want)
    stage.tips["main"] = commit("f")
    stage.restart()
    stage.tick(want)
    assert [one.work.layers[0].clone.commit for one in stage.runner.ran] == [commit("e")]


def test_twenty_failed_sessions_hold_up_their_configuration_and_no_other(stage: Stage) -> None:
    bad, good = configuration(commit("a"), name="bad"), configuration(commit("b"), name="good")
    documents = (components("b[01-25]", desired="bad"), components("g1", desired="good"))
    want = desired(*documents, configurations=(bad, good), batch_size=1, max_concurrent=50)
    stage.tick(want)
    for one in stage.live:
        if one.configuration == "bad":
            stage.runner.end(one.name, "failed")
    before = len(stage.runner.ran)
    stage.tick(want)
    assert len(stage.runner.ran) == before
    stage.restart()
    stage.tick(want)
    assert len(stage.runner.ran) == before  # a restart does not open the gate
    assert "too many of its sessions failed in a row" in str(stage.controller.standings(want)[0].outcome)
    stage.clock.seconds += 60
    stage.tick(want)
    assert len(stage.runner.ran) == before + 1


def test_what_runs_without_a_record_is_ended(stage: Stage) -> None:
    want = wish(components("n1"))
    stage.tick(want)
    stray = stage.live[0].name
    stage.records = MemoryRecords()
    stage.restart()
    stage.tick(want)
    assert stage.live[0].name != stray
    assert stage.runner.strays(frozenset({stage.live[0].name})) == ()


def test_names_are_dns_labels_that_say_the_configuration(stage: Stage) -> None:
    long = configuration(commit("a"), name="a-configuration-whose-name-has-exactly-sixty-three-characters-x")
    stage.tick(desired(components("n1", desired=long.name), configurations=(long,)))
    name = stage.live[0].name
    assert len(name) <= 45
    assert name.startswith("a-configuration-whose-name")


def test_old_sessions_are_forgotten_by_the_time_they_ended(stage: Stage) -> None:
    want = wish(components("n1"), ttl="1h")
    stage.tick(want)
    stage.clock.seconds += 7200
    stage.finish(want)
    stage.restart()
    stage.tick(want)
    assert len(stage.records.sessions()) == 1
    stage.clock.seconds += 3601
    stage.restart()
    stage.tick(want)
    assert stage.records.sessions() == ()


def test_what_is_not_known_to_be_declared_keeps_what_it_has_and_gets_no_session(stage: Stage) -> None:
    """n01 is pending, and its document has become invalid: it is neither forgotten nor configured; n02, of a sound one, is."""
    stage.tips = {}
    both = wish(components("n01"), components("n02"), layers=_by_branch())
    stage.tick(both)
    stage.tips["main"] = commit("a")
    stage.clock.sleep(60)
    lost = replace(wish(components("n02"), layers=_by_branch()), lost="the specs have faults")
    stage.tick(lost)
    assert [one.members for one in stage.runner.ran] == [("n02",)]
    assert stage.records.get(["n01"])["n01"].declared
    stage.finish(lost)
    assert stage.counts(lost) == ComponentsSummary("compute", 1, 0, 0, 1)
    assert stage.controller.standings(lost)[0].outcome == Done(), "what is on hold is not waited for"
    stage.tick(both)
    assert [one.members for one in stage.runner.ran] == [("n02",), ("n01",)], "once its document is mended it goes on"


def test_what_was_kept_is_forgotten_once_all_is_known_again(stage: Stage) -> None:
    stage.tick(wish(NODES))
    stage.finish(wish(NODES))
    fewer = wish(components("n[01-02]"))
    stage.tick(replace(fewer, lost="the repository is shallow"))
    assert stage.records.get(["n03"])["n03"].declared
    stage.tick(fewer)
    assert not stage.records.get(["n03"])["n03"].declared


def _by_branch() -> Configuration:
    return Configuration(name="compute", layers=(Layer(clone_url="https://git/layer0", playbook="site.yml", branch="main"),))
