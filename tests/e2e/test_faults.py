"""What AWS, the cluster, the disk and the network do to an apply, a fault a test; each environment must stand as if nothing had been.

Each has an environment of its own in one lab, two services and a session, judged by boto3 and kubectl; see docs/explanation/faults.md.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import pytest

from lab.halt.station import Station
from tests.e2e import replica, run, trial
from tests.e2e.disk import Disk
from tests.e2e.line import Line
from tests.e2e.replica import APPLY, NO_CHANGES, Replica, Replicas
from tests.e2e.workshop import Workshop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
TESTS = 16
OURS = ("reconciler", "engine", "members")
CREATES = ("CreateVolume", "CreateNetworkInterface", "AllocateAddress", "AssociateAddress")
ALONE = re.compile(r"^  (\w+/\S+): .+ after [\d.]+s$", re.MULTILINE)


class Lab:
    """Environments in one lab, the first of which meets nothing."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self._numbers = itertools.count(1)
        with self.environment("peace") as peace:
            applied = peace.reconcile(*APPLY)
            assert applied.returncode == 0, applied.stdout
            self.standing = peace.standing()
            self.order = ALONE.findall(applied.stdout)

    @contextmanager
    def environment(self, name: str = "") -> Iterator[Replica]:
        """A fresh environment, and its line to the lab as its station."""
        name = name or f"f{next(self._numbers):02d}"
        replica._prepare(self.replicas, name)
        with Line(self.replicas.workshop.running) as line:
            made = Replica(self.replicas, name, cast("Station", line), self.replicas.workshop.directory / "replicas" / name / "first")
            line.settle(made.directory, name)
            try:
                yield made
            finally:
                line.mend()
                line.switches.lift()
                made.end()

    def require_whole(self, of: Replica) -> None:
        """It stands as if nothing had happened, nothing is left to do, and nothing of earlier runs is about."""
        faults = list(trial.differing(of.standing(), self.standing))
        assert not faults, "\n".join(faults)
        plan = of.reconcile("plan", "--detailed-exitcode")
        assert (plan.returncode, NO_CHANGES in plan.stdout) == (0, True), plan.stdout


@pytest.fixture(scope="module")
def lab(workshop: Workshop) -> Lab:
    return Lab(replica.settle(workshop, ("peace", *(f"f{number:02d}" for number in range(1, TESTS + 1)))))


@pytest.fixture
def place(lab: Lab) -> Iterator[Replica]:
    with lab.environment() as made:
        yield made


@pytest.fixture
def line(place: Replica) -> Line:
    return cast("Line", place.station)


def test_throttling_is_a_wait_and_never_an_error(lab: Lab, place: Replica, line: Line) -> None:
    with ExitStack() as faults:
        ordered = [
            faults.enter_context(line.fault("throttle", match={"action": action}, count=3))
            for action in ("CreateVolume", "CreateNetworkInterface", "DescribeVolumes", "ListResourceRecordSets")
        ]
        overlap = {"code": "PriorRequestNotComplete", "status": 400, "count": 2}
        ordered += [
            faults.enter_context(line.fault("error", match={"action": "ChangeResourceRecordSets", "user": user}, **overlap))
            for user in OURS[1:]
        ]
        applied = place.reconcile(*APPLY)
        assert [line.hits(number) for number in ordered] == [3, 3, 3, 3, 2, 2]
    assert applied.returncode == 0, applied.stdout
    assert "failed" not in applied.stdout
    lab.require_whole(place)


def test_a_call_that_was_done_and_not_answered_is_done_once(lab: Lab, place: Replica, line: Line) -> None:
    with ExitStack() as faults:
        ordered = [faults.enter_context(line.fault("timeout-after-success", match={"action": action}, count=1)) for action in CREATES]
        change = "ChangeResourceRecordSets"
        ordered += [
            faults.enter_context(line.fault("timeout-after-success", match={"action": change, "user": user}, count=1)) for user in OURS[1:]
        ]
        applied = place.reconcile(*APPLY)
        assert [line.hits(number) for number in ordered] == [1] * len(ordered)
    if applied.returncode:
        applied = place.reconcile(*APPLY)
    assert applied.returncode == 0, applied.stdout
    lab.require_whole(place)


def test_describes_that_are_late_double_nothing(lab: Lab, place: Replica, line: Line) -> None:
    with line.fault("stale", match={"service": "ec2"}, seconds=3.0) as late:
        applied = place.reconcile(*APPLY)
        again = place.reconcile("plan")
        assert line.hits(late)
    assert applied.returncode == 0, applied.stdout
    assert " to add" not in again.stdout, again.stdout
    lab.require_whole(place)


def test_an_api_server_that_restarts_in_the_middle_is_waited_for(lab: Lab, place: Replica) -> None:
    applying = place.start(*APPLY)
    assert applying.until(lambda: any("kubernetes/" in one for one in applying.begun())), applying.said
    _kill_api_server(place)
    if applying.end():
        applied = place.reconcile(*APPLY)
        assert applied.returncode == 0, applying.said + applied.stdout
    lab.require_whole(place)


def test_a_network_that_is_away_for_a_while_is_waited_for(lab: Lab, place: Replica, line: Line) -> None:
    applying = place.start(*APPLY)
    assert applying.until(lambda: len(applying.begun()) > 2), applying.said
    line.cut()
    with pytest.raises(subprocess.TimeoutExpired):
        applying.process.wait(10)
    line.mend()
    if applying.end():
        applied = place.reconcile(*APPLY)
        assert applied.returncode == 0, applying.said + applied.stdout
    lab.require_whole(place)


@pytest.mark.timeout(900)  # it gives up after minutes
def test_a_network_that_does_not_come_back_ends_the_run_with_words(lab: Lab, place: Replica, line: Line) -> None:
    impatient = {**place.all.environment, "AWS_MAX_ATTEMPTS": "3"}  # the engine's provider asks 25 times otherwise
    applying = run.start((*APPLY[:-1], "5s", "-e", place.name), place.directory, impatient, place.name)
    assert applying.until(lambda: len(applying.begun()) > 2), applying.said
    line.cut()
    code = applying.end()
    assert code in {6, 130}, (code, applying.said)
    assert any("again" in line for line in applying.said.splitlines()[-3:]), applying.said  # a note on the lost lease may come after
    line.mend()
    applied = place.reconcile(*APPLY)
    assert applied.returncode == 0, applying.said + applied.stdout
    lab.require_whole(place)


@pytest.mark.parametrize("left", [64, 320])
def test_a_full_disk_is_named_and_the_next_apply_with_room_goes_on(lab: Lab, place: Replica, left: int) -> None:
    """With less KiB left not even the store can be made, with more there is too little for the engine's record."""
    with Disk(place.directory / ".reconcile" / place.name) as disk:
        disk.fill(left=left)
        applied = _within(disk, place, *APPLY)
        assert applied.returncode not in {0, 2}, applied.stdout
        assert re.search(r"no space left|disk is full|full", applied.stdout, re.IGNORECASE), applied.stdout
        assert str(place.directory) in applied.stdout
        disk.free()
        again = _within(disk, place, *APPLY)
        assert again.returncode == 0, applied.stdout + again.stdout
    lab.require_whole(place)


@pytest.mark.parametrize("broken", ["half of it is there", "it is not JSON", "it is empty"])
def test_a_broken_state_file_is_put_right_by_the_next_apply(lab: Lab, place: Replica, broken: str) -> None:
    applied = place.reconcile(*APPLY)
    assert applied.returncode == 0, applied.stdout
    folder = place.directory / ".reconcile" / place.name / "engine/.pulumi/stacks/reconciler"
    for path in folder.glob("*.json"):
        text = path.read_text()
        path.write_text({"half of it is there": text[: len(text) // 2], "it is not JSON": "\0" * len(text), "it is empty": ""}[broken])
    again = place.reconcile(*APPLY)
    assert again.returncode == 0, again.stdout
    lab.require_whole(place)


def test_a_slow_service_delays_no_other(lab: Lab, place: Replica, line: Line) -> None:
    """The other is ready, its record written, while the slow one's first call is still held."""
    with line.fault("hold", match={"action": "CreateVolume", "contains": f"{place.name}%2Fdb"}) as held:
        applying = place.start(*APPLY)
        assert applying.until(lambda: line.hits(held)), applying.said
        assert applying.until(lambda: _is_ready(place, "kv-0")), applying.said
        assert not any("/db/" in one for one in applying.ended() if one.startswith("volume/")), applying.said
    assert applying.end() == 0, applying.said
    lab.require_whole(place)


def test_a_slow_attachment_delays_no_other_service(lab: Lab, place: Replica, line: Line) -> None:
    """The name of the other is written while the members' call for this one is still held."""
    with line.fault("hold", match={"action": "AttachNetworkInterface", "user": "members"}) as held:
        applying = place.start(*APPLY)
        assert applying.until(lambda: line.hits(held)), applying.said
        assert applying.until(lambda: _is_ready(place, "kv-0")), applying.said
        assert not _is_ready(place, "db-0")
    assert applying.end() == 0, applying.said
    lab.require_whole(place)


def test_a_failing_service_delays_no_other(lab: Lab, place: Replica, line: Line) -> None:
    refusal = {"code": "VolumeLimitExceeded", "status": 400, "message": "no more volumes"}
    with line.fault("error", match={"action": "CreateVolume", "contains": f"{place.name}%2Fdb"}, **refusal):
        applied = place.reconcile(*APPLY)
    assert applied.returncode == 6, applied.stdout
    assert re.search(rf"volume/{place.name}/db/\S+: failed: .*no more volumes", applied.stdout), applied.stdout
    assert _is_ready(place, "kv-0")
    assert place.reconcile(*APPLY).returncode == 0
    lab.require_whole(place)


def test_a_zone_that_was_made_and_could_not_be_marked_is_ours(lab: Lab, place: Replica, line: Line) -> None:
    """CreateHostedZone takes no tags: whoever is cut off before the next call leaves a zone that says of nobody that it is theirs."""
    with line.fault("error", match={"action": "ChangeTagsForResource"}, code="InvalidInput", status=400, message="not now"):
        applied = place.reconcile(*APPLY)
    assert applied.returncode == 6, applied.stdout
    again = place.reconcile(*APPLY)
    assert again.returncode == 0, applied.stdout + again.stdout
    lab.require_whole(place)


def _is_ready(place: Replica, pod: str) -> bool:
    return ["Pod", pod, "ready: True"] in place.standing()["objects"]


def _kill_api_server(place: Replica) -> None:
    """Kill it in the lab's own process namespace, where it is started again after a second."""
    words = ("pkill", "-9", "-x", "kube-apiserver")
    ended = subprocess.run(
        [sys.executable, "-m", "reconciler", "lab", "exec", "--dir", str(place.all.workshop.running.dir), "--", *words],
        cwd=place.directory,
        env=place.all.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def _within(disk: Disk, place: Replica, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `reconcile` where the small disk is mounted."""
    return disk.run(*words, "-e", place.name, directory=place.directory, environment={**place.all.environment, "E2E_RUN": place.name})
