"""The steps of a verification, in order: each a sentence that has to be true of the account and the cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.verify import place
from tests.verify.judge import Judge, is_empty
from tests.verify.place import Place

Step = tuple[str, Callable[[], None]]
APPLY = ("apply", "--auto-approve", "--timeout", "10m")
KILLED_AFTER = 4.0  # seconds: in the middle of making things, on AWS's own clock


@dataclass
class Verification:
    """One run; *interfaces* also makes a network interface a member."""

    place: Place
    judge: Judge
    interfaces: bool
    known: dict[str, str] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        yield "the specs are valid, and the plan only adds", self.first_plan
        yield "apply makes two members' volumes, names and objects, each once", self.first_apply
        yield "a second plan is empty: what AWS fills in and normalises is no change", self.nothing_to_do
        yield "a tag taken off by hand is named by the plan and put back", self.heal_a_tag
        yield "growth is one modification in place", self.grow
        yield "an apply killed in the middle is finished by the next, and makes nothing twice", self.survive_a_kill
        yield "a service that goes leaves its volumes, and takes everything else", self.remove

    def first_plan(self) -> None:
        self.place.declare({"one": self._service("one")})
        self.place.reconcile("validate")
        summary = json.loads(self.place.reconcile("plan", "--format", "json"))["summary"]
        _require(summary["add"] > 0 and not summary["change"] and not summary["destroy"], f"the plan is {summary}")

    def first_apply(self) -> None:
        self.place.reconcile(*APPLY)
        self.known = self.judge.volumes()
        _require(sorted(self.known.values()) == self._volumes("one"), f"the volumes are {self.known}")
        _require(len(self.judge.interfaces()) == (2 if self.interfaces else 0), f"the interfaces are {self.judge.interfaces()}")
        _require(f"statefulset.apps/{'one'}" in self.judge.objects(), f"the objects are {self.judge.objects()}")

    def nothing_to_do(self) -> None:
        told = self.place.reconcile("plan", "--format", "json")
        _require(is_empty(told), f"there is still something to do:\n{self.place.reconcile('plan')}")

    def heal_a_tag(self) -> None:
        id, address = next(iter(sorted(self.known.items())))
        self.judge.ec2.create_tags(Resources=[id], Tags=[{"Key": "reconciler/service", "Value": "elsewhere"}])
        told = _within(60, lambda: address in self.place.reconcile("plan"))
        _require(told, f"the plan does not name {address}")
        self.place.reconcile(*APPLY)
        self.nothing_to_do()
        _require(self.judge.volumes() == self.known, "other volumes than before")

    def grow(self) -> None:
        self.place.declare({"one": self._service("one").replace("size: 1Gi", "size: 2Gi")})
        self.place.reconcile(*APPLY)
        sizes = {one["Size"] for one in self.judge.ec2.describe_volumes(VolumeIds=list(self.known))["Volumes"]}
        _require(sizes == {2}, f"the volumes have {sizes} GiB")

    def survive_a_kill(self) -> None:
        self.place.declare({"one": self._service("one").replace("size: 1Gi", "size: 2Gi"), "two": self._service("two")})
        running = subprocess.Popen(
            self.place.command(*APPLY), cwd=self.place.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(KILLED_AFTER)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        self.place.reconcile(*APPLY)
        claimed = Counter(self.judge.volumes().values())
        _require(claimed == Counter([*self._volumes("one"), *self._volumes("two")]), f"the volumes are {claimed}")
        self.nothing_to_do()

    def remove(self) -> None:
        before = self.judge.volumes()
        self.place.declare({})
        self.place.reconcile(*APPLY, "--allow-deletes", "100")
        _require(self.judge.volumes() == before, "volumes went with their service")
        _require(not self.judge.interfaces(), f"left: {self.judge.interfaces()}")
        _require(not any("statefulset" in one for one in self.judge.objects()), f"left: {self.judge.objects()}")

    def _service(self, name: str) -> str:
        return place.service(name, replicas=2, addresses="private" if self.interfaces else "none")

    def _volumes(self, service: str) -> list[str]:
        return [f"volume/{self.place.name}/{service}/{service}-{n}/data" for n in range(2)]


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether *holds* comes true: what AWS answers may be older than what it was told."""
    deadline = time.monotonic() + seconds
    while not (true := holds()) and time.monotonic() < deadline:
        time.sleep(3)
    return true


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RuntimeError(otherwise)
