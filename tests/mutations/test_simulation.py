"""The simulator can fail: each way to break the members' decisions or deeds, in a copy of the product, is found within a few seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mutations.test_mutations import copied

TESTS = "tests/simulation/test_simulation.py"
INTERLEAVINGS = 2000  # at most
_DECIDE, _ACT, _CONTROLLER, _UNREACHABLE = (f"reconciler/members/{name}.py" for name in ("decide", "act", "controller", "unreachable"))


@dataclass(frozen=True, slots=True)
class Fault:
    """In each file, what is before the arrow becomes what is after it; the simulator finds what *told* matches."""

    name: str
    told: str
    edits: tuple[tuple[str, str, str], ...]


FAULTS = (
    Fault(
        "a record is overwritten, whatever it says",
        r"F7: the record of kv-\d goes back",
        ((_ACT, "return [_delete(wanted.before), created] if wanted.before else [created]", 'return [{**created, "Action": "UPSERT"}]'),),
    ),
    Fault(
        "who lost a claim goes on",
        r"trap 1|F7|liveness",
        ((_ACT, "held_since or stamp, stamp)) is not None", "held_since or stamp, stamp)) is not None or True"),),
    ),
    Fault(
        "an interface is detached from where it is now, not from where it was seen",
        r"trap 1: eni-db-\d is detached from",
        (
            (_DECIDE, "Detach(interface.attachment, force)", "Detach(interface.id, force)"),
            (
                _ACT,
                "AttachmentId=action.attachment",
                "AttachmentId={i.id: i.attachment for i in read.interfaces(self.cloud, self.environment).values()}[action.attachment]",
            ),
        ),
    ),
    Fault(
        "Pods are read before Leases",
        r"trap 1: \S+ is taken from uid-\d+ for the older",
        (
            (
                _CONTROLLER,
                "self._pods(live, () if left else wholly)",
                "live",
            ),
        ),
    ),
    Fault(
        "an attachment that somebody was to take away is trusted",
        r"trap 1: eni-db-\d is detached from",
        ((_DECIDE, " and interface.attachment != condemned", ""),),
    ),
    Fault("a Pod is deleted by its name alone", r"F13: Pod \S+ \(uid-\d+\), which is as declared", ((_ACT, ", uid=action.pod.uid", ""),)),
    Fault(
        "every detach is forced",
        r"trap 3: eni-db-\d is torn by force",
        ((_DECIDE, "Detach(interface.attachment, force),), until)", "Detach(interface.attachment, True),), until)"),),
    ),
    Fault(
        "whoever lies on a fenced node is taken away",
        r"trap 3: Pod \S+ \(uid-\d+\) is taken away at once though nobody asked it to end",
        ((_UNREACHABLE, " and pod.terminating)", ")"),),
    ),
    Fault(
        "a node that does not answer is off, whatever EC2 says",
        r"trap 3: \S+, which is on, is said to be out of service",
        ((_UNREACHABLE, "    if state in OFF:", "    if state:"),),
    ),
    Fault("epochs stand still", r"F5: the epoch of \S+ goes from", ((_DECIDE, " + (self.before.holder != self.uid)", ""),)),
    Fault(
        "a record is written before its claim",
        r"trap 1: \S+ is pointed to",
        ((_DECIDE, "Claim(member, pod.uid, lease, condemned), *step.actions", "*step.actions,"),),
    ),
    Fault(
        "a place that was right once is never looked at again", r"liveness", ((_CONTROLLER, "VERIFY_EVERY = 30.0", "VERIFY_EVERY = 1e9"),)
    ),
    Fault(
        "places of an instance are not looked up",
        r"liveness",
        ((_ACT, "place = next(index for index in range(1, len(used) + 2) if index not in used)", "place = len(used) or 1"),),
    ),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("simulated"))


def simulated(place: Path, count: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": "", "SIMULATE_N": str(count)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", TESTS, "-k", "invariant"]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_without_a_fault_nothing_is_found(copy: Path) -> None:
    done = simulated(copy, 200)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_simulator_finds_it(copy: Path, fault: Fault) -> None:
    texts = {copy / file: (copy / file).read_text() for file, _, _ in fault.edits}
    try:
        for file, before, after in fault.edits:
            text = (copy / file).read_text()
            assert text.count(before) == 1, f"{file} has changed: break {fault.name!r} in another place"
            (copy / file).write_text(text.replace(before, after))
        done = simulated(copy, INTERLEAVINGS)
    finally:
        for path, text in texts.items():
            path.write_text(text)
    assert done.returncode == 1, done.stdout  # 1: a test failed; everything else means that none ran
    assert re.search(r"^make simulate N=1 SEED=\d+$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(fault.told, done.stdout), done.stdout
