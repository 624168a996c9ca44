"""How a plan is approved at a terminal: by the word yes alone, interrupted at once, and not any more once the world has moved."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from providers.memory import FixedClock
from reconciler import errors
from reconciler.cli import approval, ending
from reconciler.cli.approval import Approval
from reconciler.loop import Prepared
from tests.memory_world import MemoryWorld, desired

ASKED = """
import signal
from reconciler.cli import approval, ending
signal.signal(signal.SIGINT, lambda *_: print("asked to end"))  # as while something is carried out
try:
    approval.ask()
    print("approved", signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
except BaseException as error:
    raise SystemExit(ending.tell(error))
"""
KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 1, volumes: {data: {size: 2Gi}}}
"""
ROOT = Path(__file__).resolve().parents[2]
HOME = cast("Any", SimpleNamespace(clock=FixedClock(), recall=lambda _: ""))


def at_a_terminal(typed: str = "", number: int = 0) -> tuple[int, str]:
    """How the question ends for somebody who types *typed*, or sends the signal *number*; the code, and all that was said."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", ASKED], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT)
    os.close(theirs)
    said = ""
    while "yes" not in said:
        said += os.read(ours, 1024).decode()
    if number:
        process.send_signal(number)
    else:
        os.write(ours, f"{typed}\n".encode())
    code = process.wait(20)
    while True:
        try:
            said += os.read(ours, 1024).decode()
        except OSError:  # the other end is closed
            break
    os.close(ours)
    return code, said


def test_only_yes_approves_and_what_an_interruption_does_is_as_before() -> None:
    code, said = at_a_terminal("yes")
    assert (code, "approved True" in said) == (0, True)


@pytest.mark.parametrize("typed", ["y", "no", "", "YES"])
def test_anything_else_changes_nothing(typed: str) -> None:
    code, said = at_a_terminal(typed)
    assert code == ending.FAILED
    assert "not approved; nothing was changed" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_question_at_once(number: int) -> None:
    code, said = at_a_terminal(number=number)
    assert code == ending.INTERRUPTED
    assert "approved" not in said.partition("yes")[2].replace("not approved", "")


def planned(world: MemoryWorld, text: str = KV) -> Prepared:
    return world.plan(desired(text))


def test_what_was_shown_may_be_applied_as_long_as_nothing_has_moved() -> None:
    world = MemoryWorld()
    approval.require_unmoved(planned(world), planned(world), HOME)


def test_what_moved_while_somebody_was_asked_is_refused_with_its_field() -> None:
    world = MemoryWorld()
    world.converge(KV)
    (volume,) = world.cloud.ec2.volumes.values()
    grown = KV.replace("2Gi", "5Gi")
    shown = planned(world, grown)
    volume["Size"] = 3
    with pytest.raises(errors.StalePlan, match=r'kv-0/data: size was "2Gi" live when it was approved, it is "3Gi"'):
        approval.require_unmoved(shown, planned(world, grown), HOME)


def test_what_somebody_else_did_meanwhile_is_not_done_again() -> None:
    world = MemoryWorld()
    shown = planned(world)
    world.converge(KV)
    with pytest.raises(errors.StalePlan, match="nothing is to be done any more"):
        approval.require_unmoved(shown, planned(world), HOME)


def test_a_digest_approves_its_plan_and_no_other() -> None:
    world = MemoryWorld()
    made = planned(world)
    Approval(digest=made.plan.digest).check(made, HOME)
    with pytest.raises(errors.StalePlan, match="was approved, this plan is"):
        Approval(digest="0" * 64).check(made, HOME)
    assert [Approval(digest="1").asks, Approval(auto=True).asks, Approval().asks] == [False, False, True]
