"""Applies that end before their time: killed, interrupted, locked out, with a service that fails. The next one needs nothing by hand."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.aws.client import Switches
from tests.conftest import SEED
from tests.e2e import checks, generate, lab_world
from tests.e2e.checks import World
from tests.e2e.generate import ENVIRONMENT, Commit
from tests.e2e.workshop import Workshop

pytestmark = pytest.mark.e2e
APPLY = ("apply", "--auto-approve", "--allow-deletes", "1000", "--timeout", "90s")
BEGINS = re.compile(r"^  (\S+/\S+): \w+ing$")
ENDS = re.compile(r"^  (\S+/\S+): .+ after [\d.]+s$")
PLANNED = re.compile(r"(\d+) to \w+")
OTHERS = ("locked", "interrupted", "terminated", "faulty")  # the turns that are no kills
WITHIN = 150.0
EARLY = 0.3  # the share of kills before any step: while stacks are being made


@dataclass
class Turns:
    """One commit after the other, each with services of its own; those of the turn before go."""

    world: World
    next: int = 0
    done: list[Commit] = field(default_factory=list)

    def declare(self) -> Commit:
        commit = self.world.town.commits[self.next]
        self.next += 1
        self.world.declare(commit, f"Turn {self.next}")
        self.done.append(commit)
        return commit


@dataclass
class Run:
    """A running apply, and what it has said so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            self.lines.extend(self.process.stdout)

    def steps(self) -> int:
        """How many steps of the engine have begun or ended."""
        return sum(bool(BEGINS.match(line) or ENDS.match(line)) for line in tuple(self.lines))

    def planned(self) -> int | None:
        """How many changes the plan has, once it is told."""
        told = next((line for line in tuple(self.lines) if line.startswith("Plan: ")), None)
        return sum(map(int, PLANNED.findall(told))) if told else None

    def until(self, holds: object) -> bool:
        """Wait until *holds* comes true; False where the run has ended before."""
        assert callable(holds)
        deadline = time.monotonic() + WITHIN
        while not holds():
            if self.process.poll() is not None:
                return bool(holds())
            assert time.monotonic() < deadline, self.said
            time.sleep(0.01)
        return True

    def end(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(WITHIN)
        self._listener.join(WITHIN)
        return code

    @property
    def said(self) -> str:
        return "".join(self.lines)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill" in metafunc.fixturenames:
        metafunc.parametrize("kill", range(metafunc.config.getoption("--kills")))


@pytest.fixture(scope="module")
def turns(workshop: Workshop, seed: int, kills: int) -> Turns:
    town, work = generate.crowd(seed, kills + len(OTHERS)), lab_world.counted(workshop)
    lab_world.push_layers(work, town)
    config = lab_world.push_config(work, town, Commit((), town.commits[0].fleets))
    lab_world.start_hosts(work, town.addresses)
    return Turns(World(town, work, lab_world.judge(work), config))


@pytest.fixture
def applying(turns: Turns) -> Iterator[Run]:
    """An apply of the next turn, just started; ended with the test, whatever became of it."""
    turns.declare()
    run = Run(turns.world.work.start(*APPLY))
    yield run
    if run.process.poll() is None:
        os.killpg(run.process.pid, signal.SIGKILL)
    run.end()


def token(world: World) -> str:
    """The token of the run that has the lease, or had it when it died; "" where none has."""
    lease = world.judge.objects("leases").get("apply", {})
    holder = lease.get("spec", {}).get("holderIdentity", "")
    return str(holder.rpartition("/")[2])


def carrying(run: str) -> list[int]:
    """The processes of this machine whose environment has the token of *run*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"RECONCILE_RUN={run}".encode() in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
        except OSError:  # it has ended
            continue
    return found


def engine_is_at_rest(world: World) -> bool:
    """No stack is locked, none has an operation that nobody knows the end of."""
    state = world.work.engine_record
    stacks = [json.loads(path.read_text()) for path in state.glob("stacks/reconciler/*.json")]
    pending = [one for stack in stacks for one in (stack["checkpoint"].get("latest") or {}).get("pending_operations") or ()]
    return not pending and not list(state.glob("locks/**/*.json"))


def converged(turns: Turns) -> None:
    """The last turn stands as if nothing had happened: everything there once, every layer applied once, nothing of dead runs left."""
    world, commit = turns.world, turns.done[-1]
    checks.volumes(world, commit)
    checks.names(world, commit)
    checks.cluster(world, commit)
    checks.services(world, commit, f"turn {turns.next}")
    checks.hosts(world, *turns.done)
    addresses = {service.address(member) for turn in turns.done for service, member in checks.members(turn)}
    assert {address: len(found) for address, found in world.judge.volumes().items()} == dict.fromkeys(addresses, 1)
    jobs = Counter(job["metadata"]["annotations"]["reconciler/members"] for job in world.judge.objects("jobs", checks.OURS).values())
    assert jobs == {",".join(commit.hosts): turns.next}
    assert engine_is_at_rest(world)
    assert not token(world), "the lease is still held"
    assert checks.NO_CHANGES in world.work.reconcile("plan", "--detailed-exitcode").stdout


def test_a_killed_apply_is_taken_up_by_the_next(turns: Turns, applying: Run, kill: int, seed: int) -> None:
    draw, group = random.Random(f"{seed}/{kill}"), bool(kill % 2)
    assert applying.until(lambda: applying.planned() is not None), applying.said
    early = draw.random() < EARLY
    steps = 0 if early else int(draw.uniform(0, 1.6) * (applying.planned() or 0))
    delay = draw.uniform(0, 3.0 if early else 0.8)
    assert applying.until(lambda: applying.steps() >= steps), applying.said
    time.sleep(delay)
    run = token(turns.world)
    (os.killpg if group else os.kill)(applying.process.pid, signal.SIGKILL)
    assert applying.end() == -signal.SIGKILL, f"it had ended before: {applying.said}"
    again = turns.world.work.reconcile(*APPLY)
    assert "Apply complete!" in again.stdout, f"killed after {steps} steps and {delay:.2f} s: {applying.said}\n{again.stdout}"
    assert run
    assert not carrying(run)
    converged(turns)


def test_of_two_applies_at_once_the_second_is_told_who_is_before_it(turns: Turns, applying: Run) -> None:
    assert applying.until(lambda: applying.planned() is not None), applying.said
    second = turns.world.work.reconcile(*APPLY, code=3)
    assert f"process {applying.process.pid} on {socket.gethostname()}" in second.stderr
    assert applying.process.poll() is None
    assert applying.end() == 0, applying.said
    converged(turns)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_apply_finishes_what_is_in_flight(turns: Turns, applying: Run, number: signal.Signals) -> None:
    """Interrupted as at a terminal, where all processes of the group hear of it; terminated as by a supervisor."""
    assert applying.until(lambda: applying.steps() > random.Random(SEED + number).randint(0, 6)), applying.said
    run = token(turns.world)
    (os.killpg if number is signal.SIGINT else os.kill)(applying.process.pid, number)
    assert applying.end() == 130, applying.said
    assert "safe to run again" in applying.said
    begun = {match[1] for line in applying.lines if (match := BEGINS.match(line))}
    ended = {match[1] for line in applying.lines if (match := ENDS.match(line))}
    assert begun == ended, applying.said
    assert engine_is_at_rest(turns.world)
    assert not carrying(run)
    assert not token(turns.world)
    turns.world.work.reconcile(*APPLY)
    converged(turns)


def test_a_failing_service_stops_no_other_and_is_healed_by_the_next_apply(turns: Turns) -> None:
    commit = turns.declare()
    bad, *others = commit.services
    switches = Switches(turns.world.judge.told["aws"]["endpoint"])
    match = {"service": "ec2", "action": "CreateVolume", "contains": bad.name}
    fault = switches.order("error", match=match, code="VolumeLimitExceeded", status=400, message="no more volumes")
    try:
        told = turns.world.work.reconcile(*APPLY, code=6)
        assert re.search(rf"volume/{ENVIRONMENT}/{bad.name}/.*: failed: .*no more volumes", told.stdout), told.stdout
    finally:
        switches.lift(fault)
    checks.services(turns.world, Commit(tuple(others), commit.fleets), "without it")
    checks.hosts(turns.world, *turns.done)
    assert bad.address(bad.members[0]) not in turns.world.judge.volumes()
    turns.world.work.reconcile(*APPLY)
    assert f"kubernetes/{ENVIRONMENT}/{bad.name}/" not in turns.world.work.reconcile("plan").stdout
    converged(turns)
