"""Port `Leases` over coordination.k8s.io: one writer at a time, by compare-and-set, with a heartbeat while the lease is held.

A holder that has died is taken over at once where its process can be seen to be gone, and after its time where it can't. Before that,
what it has started here is ended: the engine's plugins outlive the engine.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Self

from providers import runs
from reconciler import errors
from reconciler.ports import Cluster, Payload
from reconciler.resources import kubernetes, marks

GRACE = 60.0  # seconds beyond a lease's time before another machine's holder is taken over: the longest create that may be in flight
_MISSING = 404
BEATS = 3  # renewals within a lease's time
_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: *run* is None for a holder that is none of ours. *age* are the seconds since it was last heard of."""

    text: str
    run: runs.Run | None
    age: float
    duration: float
    ahead: float = 0.0  # seconds by which its clock is ahead of ours, at least

    def __str__(self) -> str:
        return self.run.words if self.run else self.text


class ClusterLeases:
    """Leases in one namespace, held in the name of one run; *token* goes into the environment of everything that the run starts."""

    def __init__(self, cluster: Cluster, namespace: str, *, run: runs.Run | None = None, grace: float = GRACE) -> None:
        self.cluster, self.namespace, self.grace = cluster, namespace, grace
        self.run = run or runs.own()

    @property
    def token(self) -> str:
        return self.run.token

    def hold(self, name: str, *, duration: float) -> HeldLease:
        """Take the lease or raise LockHeld, naming who has it. It is *duration* seconds long and renewed all the while."""
        taken_at = time.monotonic()
        body = self._take(name, duration)
        return HeldLease(self.cluster, body, duration, taken_at)

    def holder(self, name: str) -> Holder | None:
        """Who holds the lease; None where nobody does."""
        found = self._read(name)
        return _holder(found) if found else None

    def heard(self, name: str) -> float | None:
        """Seconds since anybody was last heard of as its holder; None where nobody ever was."""
        renewed = ((self._read(name) or {}).get("spec") or {}).get("renewTime")
        return max(time.time() - _seconds(renewed), 0.0) if renewed else None

    def standing(self, holder: Holder) -> Literal["alive", "dead", "unknown"]:
        """Whether *holder* still runs, so far as its process can be seen from here."""
        if holder.run is None or not holder.run.beside(self.run):
            return "unknown"
        return "dead" if holder.run.gone() else "alive"

    def silent(self, name: str) -> bool:
        """Whether the holder of *name* misses a heartbeat while it is being watched."""
        found = self._read(name)
        holder = _holder(found) if found else None
        return found is None or holder is None or self._misses(name, found, holder.duration / BEATS * 1.5)

    def unlock(self, name: str, only: str = "") -> Holder | None:
        """Take the lease from whoever holds it, dead or alive, because a person says so; what its run started here is ended.

        With *only*, it is taken from the run of that token and from no other.
        """
        found = self._read(name)
        holder = _holder(found) if found else None
        if found and holder:
            if only and (holder.run is None or holder.run.token != only):
                raise errors.LockHeld(f"the lease {name} is now held by {holder}", hint="look again who it is")
            self._end(holder)
            if self.cluster.replace(kubernetes.LEASE, _written(found, "", holder.duration)) is None:
                raise errors.LockHeld(f"the lease {name} was renewed meanwhile by {holder}", hint="end that process, then try again")
        return holder

    def _take(self, name: str, duration: float) -> Payload:
        for _ in range(BEATS):
            found = self._read(name)
            taken = self._create(name, duration) if found is None else self._succeed(name, found, duration)
            if taken is not None:
                return taken
        raise errors.LockHeld(f"the lease {name} is being taken by others", hint="try again")

    def _read(self, name: str) -> Payload | None:
        return self.cluster.get(kubernetes.LEASE, name, namespace=self.namespace)

    def _create(self, name: str, duration: float) -> Payload | None:
        metadata = {"name": name, "namespace": self.namespace, "labels": {marks.MANAGED_BY[0]: marks.MANAGED_BY[1]}}
        blank = {"apiVersion": kubernetes.LEASE.api_version, "kind": kubernetes.LEASE.kind, "metadata": metadata, "spec": {}}
        try:
            return self.cluster.create(kubernetes.LEASE, _written(blank, str(self.run), duration))
        except errors.ProviderError as error:
            if error.status != _MISSING:
                raise
            told = f"there is no namespace {self.namespace}, where the reconciler keeps its leases"
            raise errors.UsageError(told, hint=f"kubectl create namespace {self.namespace}") from error

    def _succeed(self, name: str, found: Payload, duration: float) -> Payload | None:
        """Take over from a holder that is gone or late; None where another run was quicker."""
        holder = _holder(found)
        if holder:
            self._require_dead(name, found, holder)
            self._end(holder)
        return self.cluster.replace(kubernetes.LEASE, _written(found, str(self.run), duration))

    def _require_dead(self, name: str, found: Payload, holder: Holder) -> None:
        mine = holder.run is not None and holder.run.token == self.token  # left by a release that could not be written
        standing = "unknown" if mine else self.standing(holder)
        if standing == "dead" and holder.run and holder.run.seen_through_by(self.run):
            return
        whole = holder.duration + (0 if mine else self.grace)
        left = whole - holder.age
        if standing == "alive" or (left > 0 and holder.ahead <= holder.duration):
            ends = "it is alive" if standing == "alive" else f"it counts as dead in {left:.0f} s unless it is heard of again"
            raise errors.LockHeld(f"{name} is held by {holder}, last heard of {holder.age:.0f} s ago; {ends}", hint=_hint(holder))
        if not mine:
            self._require_silence(name, found, holder, whole)

    def _require_silence(self, name: str, found: Payload, holder: Holder, whole: float) -> None:
        """Two machines' clocks may differ by more than a lease's time: only who misses a heartbeat while being watched is dead.

        What a clock far ahead of ours has written says nothing of its age, so the *whole* of its time is watched.
        """
        if not self._misses(name, found, whole if holder.ahead else holder.duration / BEATS * 1.5):
            raise errors.LockHeld(f"{name} is held by {holder}, whose clock differs from this machine's", hint="wait for it to end")

    def _misses(self, name: str, found: Payload, seconds: float) -> bool:
        time.sleep(seconds)
        again = self._read(name)
        return again is not None and again["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]

    def _end(self, holder: Holder) -> None:
        if holder.run and holder.run.beside(self.run) and holder.run.token != self.token:
            runs.end(holder.run.token)


class HeldLease:
    """A lease in our hands, renewed by a thread of its own until it is released or lost."""

    def __init__(self, cluster: Cluster, body: Payload, duration: float, taken_at: float) -> None:
        self._cluster, self._body, self._duration = cluster, body, duration
        self._heard = taken_at  # monotonic: before the last renewal that worked was sent
        self._gone = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {body['metadata']['name']}", daemon=True)
        self._thread.start()

    @property
    def epoch(self) -> int:
        """How often the lease has changed hands: what a late writer of an earlier holder is told from."""
        return int(self._body["spec"].get("leaseTransitions", 0))

    @property
    def lost(self) -> bool:
        """True once another has it, or may have it because no renewal has worked for the lease's time."""
        return self._gone or time.monotonic() - self._heard > self._duration

    def release(self) -> None:
        """Give the lease back; what others have taken is left alone, and what cannot be written now runs out by itself."""
        self._stop.set()
        self._thread.join(self._duration)
        if not self._gone:
            with contextlib.suppress(errors.ReconcilerError):
                self._write("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stop.wait(self._duration / BEATS):
            sent = time.monotonic()
            try:
                self._gone = not self._write(self._body["spec"]["holderIdentity"])
            except errors.ReconcilerError:
                continue  # not heard of: `lost` counts the time
            if self._gone:
                return
            self._heard = sent

    def _write(self, holder: str) -> bool:
        """Renew (or, with "", give back); False where the lease is somebody else's. Who only annotated it does not matter."""
        metadata = self._body["metadata"]
        mine = self._body["spec"]["holderIdentity"]
        for _ in range(BEATS):
            written = self._cluster.replace(kubernetes.LEASE, _renewed(self._body, holder))
            if written is not None:
                self._body = written
                return True
            found = self._cluster.get(kubernetes.LEASE, metadata["name"], namespace=metadata["namespace"])
            if found is None or found["spec"].get("holderIdentity") != mine:
                return False
            self._body = found
        return True


def _holder(body: Payload) -> Holder | None:
    spec = body.get("spec") or {}
    text = spec.get("holderIdentity") or ""
    if not text:
        return None
    renewed = spec.get("renewTime")
    age = time.time() - _seconds(renewed) if renewed else float("inf")
    return Holder(text, runs.parse(text), max(age, 0.0), float(spec.get("leaseDurationSeconds") or 0), max(-age, 0.0))


def _hint(holder: Holder) -> str:
    hint = "wait for it to end; `reconcile unlock` takes the lock away from a run that is known to be dead"
    return f"{hint} (lock id {holder.run.token})" if holder.run else hint


def _written(body: Payload, holder: str, duration: float) -> Payload:
    """*body* with a new holder ("" for none), its epoch counted up for each new one."""
    now, before = _now(), body.get("spec") or {}
    spec = {
        **before,
        "holderIdentity": holder,
        "leaseDurationSeconds": max(1, round(duration)),
        "leaseTransitions": int(before.get("leaseTransitions") or 0) + (1 if holder else 0),
        "renewTime": now,
        **({"acquireTime": now} if holder else {}),
    }
    return {**body, "spec": spec}


def _renewed(body: Payload, holder: str) -> Payload:
    return {**body, "spec": {**body["spec"], "holderIdentity": holder, "renewTime": _now()}}


def _now() -> str:
    return datetime.now(UTC).strftime(_FORM)


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
