"""`reconcile fence NODE`: who may be fenced, what is said of it, and that nothing is called off before EC2 says so."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from reconciler import bootstrap, cli, errors
from reconciler.cli import approval, ending
from reconciler.members import order
from reconciler.model.outcome import Done, Outcome, Waiting
from tests import memory_world
from tests.unit.member_world import Time, World


def silent(state: str = "running") -> World:
    made = World()
    for name in ("a1", "a2"):
        made.node(name)
    made.pod("kv-0", "a1")
    made.pod("kv-1", "a2")
    made.answers("a1")
    made.instances["i-a1"] = state
    return made


def carried_out(made: World, timeout: float = 60, look: Callable[[], order.Case] | None = None) -> Outcome:
    fence = order.Fence(made, made, Time(), lambda: False)
    again = look or (lambda: order.look(made, made, "a1"))
    return order.carry_out(order.look(made, made, "a1"), again, fence, timeout)


def writes(made: World) -> list[str]:
    return [call for call in made.calls if call.startswith(("patch", "stop"))]


def test_it_says_who_lies_there() -> None:
    case = order.look(silent(), silent(), "a1")
    assert (case.state, case.members, case.off) == ("running", ("lab/kv-0",), False)


def test_a_node_that_runs_is_stopped_first_and_fenced_once_it_is() -> None:
    made = silent()

    def look() -> order.Case:
        assert ("patch nodes a1" in made.calls) <= (made.instances["i-a1"] == "stopped")
        case = order.look(made, made, "a1")
        made.settle_attachments()
        return case

    assert carried_out(made, look=look) == Done()
    assert writes(made) == ["stop_instances", "patch nodes a1"]
    assert [one["key"] for one in made.nodes["a1"]["spec"]["taints"]] == ["node.kubernetes.io/out-of-service"]
    made.calls.clear()
    assert carried_out(made) == Done()
    assert writes(made) == [], "once is enough"


def test_one_that_is_off_is_only_fenced() -> None:
    made = silent("stopped")
    assert carried_out(made) == Done()
    assert writes(made) == ["patch nodes a1"]


def test_one_that_does_not_stop_in_time_is_not_fenced() -> None:
    made = silent()
    assert carried_out(made) == Waiting("instance i-a1 has stopped (now stopping); it is safe to run again")
    assert writes(made) == ["stop_instances"]


def test_a_node_that_answers_is_not_fenced() -> None:
    with pytest.raises(errors.UsageError, match="node a2 answers; nothing was done") as found:
        order.look(silent(), silent(), "a2")
    assert "kubectl drain a2" in found.value.hint


def test_a_node_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(errors.UsageError, match="there is no node a9") as found:
        order.look(silent(), silent(), "a9")
    assert found.value.hint == "there is a2, a1"


def test_the_wrong_account_proves_nothing() -> None:
    made = silent()
    made.instances.clear()
    with pytest.raises(errors.ProviderError, match="EC2 knows neither instance i-a1 of node a1 nor that of any node that answers"):
        order.look(made, made, "a1")


def test_a_stop_that_is_not_allowed_says_which_tag_allows_it() -> None:
    made = silent()
    made.failing["stop_instances"] = errors.ProviderError("refused", code="UnauthorizedOperation")
    with pytest.raises(errors.ProviderError, match="reconciler/node"):
        carried_out(made)
    assert not made.nodes["a1"]["spec"].get("taints")


class Room:
    """What the command finds at home: the members role's ports."""

    def __init__(self, made: World) -> None:
        self.members_cluster = self.members_cloud = made
        self.clock = Time()

    def world(self, _repo: str, _ref: str | None) -> None:
        pass

    def stopping(self) -> bool:
        return False

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        yield


def ends(made: World, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str, meanwhile: Callable[[], None] = lambda: None) -> int:
    """The exit code of `reconcile fence a1`; *meanwhile* happens while a person reads what it says."""
    (folder / "specs" / "lab").mkdir(parents=True)
    (folder / "specs" / "lab" / "environment.yaml").write_text(memory_world.ENVIRONMENT)
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    monkeypatch.setattr(bootstrap, "home", lambda _: nullcontext(Room(made)))
    monkeypatch.setattr(approval, "ask", lambda _: meanwhile())
    with pytest.raises(SystemExit) as ended:
        cli.main(["fence", "a1", "--repo", str(folder), *words])
    return int(str(ended.value.code))


def test_it_ends_with_0_once_fenced_and_with_6_while_the_instance_has_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    off = silent("stopped")
    assert ends(off, tmp_path / "a", monkeypatch) == 0
    assert ends(off, tmp_path / "b", monkeypatch) == 0
    assert capsys.readouterr().out.count("It is fenced already.") == 1
    assert ends(silent(), tmp_path / "c", monkeypatch, "--auto-approve", "--timeout", "5s") == ending.PARTLY
    assert "Not fenced yet: waiting until instance i-a1 has stopped (now stopping)" in capsys.readouterr().out


def test_it_ends_with_1_for_a_node_that_answers_and_with_4_for_one_that_does_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = silent()
    assert ends(made, tmp_path / "a", monkeypatch, meanwhile=lambda: made.answers("a1", "True")) == ending.STALE
    assert ends(made, tmp_path / "b", monkeypatch) == ending.FAILED
    assert writes(made) == []
