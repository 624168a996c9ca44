"""What a dead run was making is looked for until it is found, or looks agree that it is not there; only then is its journal cleared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from providers.memory import FixedClock
from reconciler import errors, settle
from reconciler.model.address import ResourceId
from reconciler.model.observation import Observation, Observed, Scope
from reconciler.world import World
from tests.memory_world import MemoryWorld, desired

VOLUME = ResourceId("volume", "lab", "kv", "kv-0/data")
OTHER = ResourceId("volume", "lab", "kv", "kv-1/data")
SERVICE = ResourceId("kubernetes", "lab", "kv", "Service/default/kv")
ABSENT = Observed()
UNREAD = Observed(unread={Scope("volume", "lab"): "RequestLimitExceeded"})


def there(*ids: ResourceId) -> Observed:
    return Observed({id: (Observation(id, "live", {}),) for id in ids})


@dataclass
class Scene:
    """A record in which *pending* were being made, and the *looks* that one gets, the last of them for ever."""

    pending: tuple[ResourceId, ...]
    looks: list[Observed]
    clock: FixedClock = field(default_factory=FixedClock)
    did: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    stopped_at: float = float("inf")

    def world(self) -> World:
        began = self.clock.monotonic()
        return replace(
            MemoryWorld().world(desired("").environment),
            clock=self.clock,
            checkpoints=Record(self.pending),
            observe=self._look,
            stopping=lambda: self.clock.monotonic() - began >= self.stopped_at,
            clear=lambda: self.did.append("clear"),
        )

    def _look(self) -> Observed:
        self.did.append("look")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def settle(self) -> tuple[frozenset[ResourceId], float]:
        """What turned up, and how long it took."""
        began = self.clock.monotonic()
        found = settle.settle(self.world(), "lab", self.said.append)
        return found, self.clock.monotonic() - began


@dataclass(frozen=True)
class Record:
    ids: Iterable[ResourceId]

    def stacks(self, environment: str) -> dict[str, frozenset[ResourceId]]:
        del environment
        return {}

    def pending(self, environment: str) -> frozenset[ResourceId]:
        del environment
        return frozenset(self.ids)


def test_nothing_is_looked_for_where_nothing_is_pending() -> None:
    scene = Scene((), [ABSENT])
    assert scene.settle() == (frozenset(), 0)
    assert scene.did == ["clear"]
    assert scene.said == []


def test_what_is_found_at_once_is_not_waited_for() -> None:
    scene = Scene((VOLUME, SERVICE), [there(VOLUME, SERVICE)])
    assert scene.settle() == (frozenset({VOLUME, SERVICE}), 0)
    assert scene.did == ["look", "clear"]
    assert scene.said == []


def test_an_object_in_the_cluster_is_waited_for_as_long_as_its_request_may_be_on_its_way() -> None:
    scene = Scene((SERVICE,), [ABSENT])
    assert scene.settle() == (frozenset(), 12)
    scene = Scene((SERVICE,), [ABSENT, ABSENT, there(SERVICE)])
    assert scene.settle() == (frozenset({SERVICE}), 6)


def test_looks_have_to_agree_for_thirty_seconds_that_something_is_not_there() -> None:
    scene = Scene((VOLUME,), [ABSENT])
    assert scene.settle() == (frozenset(), 30)
    assert scene.did == [*["look"] * 11, "clear"]
    (told,) = scene.said
    assert str(VOLUME) in told


def test_what_turns_up_late_ends_the_wait() -> None:
    scene = Scene((VOLUME,), [ABSENT, ABSENT, there(VOLUME)])
    assert scene.settle() == (frozenset({VOLUME}), 6)


def test_a_look_that_failed_agrees_with_nothing() -> None:
    scene = Scene((VOLUME,), [*[ABSENT] * 5, UNREAD, ABSENT])
    found, took = scene.settle()
    assert (found, took) == (frozenset(), 18 + 30)
    scene = Scene((VOLUME,), [UNREAD, UNREAD, there(VOLUME)])
    assert scene.settle() == (frozenset({VOLUME}), 6)


def test_one_wait_serves_all_that_is_unsure() -> None:
    scene = Scene((VOLUME, OTHER, SERVICE), [ABSENT, there(OTHER), ABSENT])
    assert scene.settle() == (frozenset({OTHER}), 30)
    assert scene.did.count("clear") == 1


def test_what_cannot_be_read_at_all_is_given_up_and_nothing_is_cleared() -> None:
    scene = Scene((VOLUME,), [UNREAD])
    with pytest.raises(errors.TransientError, match=r"kv-0/data.*RequestLimitExceeded"):
        scene.settle()
    assert "clear" not in scene.did


@pytest.mark.parametrize("after", [0.0, 10.0])
def test_an_interruption_ends_the_wait_and_leaves_the_journal(after: float) -> None:
    scene = Scene((VOLUME,), [ABSENT], stopped_at=after)
    began = scene.clock.monotonic()
    with pytest.raises(errors.Interrupted):
        scene.settle()
    assert "clear" not in scene.did
    assert scene.clock.monotonic() - began <= after + settle.LOOK_EVERY


def test_what_was_seen_is_looked_for_again_before_it_counts_as_gone() -> None:
    scene = Scene((), [ABSENT, there(VOLUME)])
    assert settle.observe(scene.world(), {VOLUME}) == there(VOLUME)
    assert scene.did == ["look", "look"]
    scene = Scene((), [ABSENT])
    assert settle.observe(scene.world(), {VOLUME}) == ABSENT
    assert scene.did == ["look"] * 11
    scene = Scene((), [UNREAD])
    assert settle.observe(scene.world(), {VOLUME}) == UNREAD
    assert scene.did == ["look"]
