"""What a dead run was making either turns up or counts as absent; only then is its journal cleared. Nothing is planned before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler import errors
from reconciler.model.address import ResourceId
from reconciler.model.observation import Observed
from reconciler.world import World

SETTLE_WITHIN = 30.0  # seconds for which describes must agree that what a dead run was making is not there
ARRIVES_WITHIN = 10.0  # the same of objects: a name is there at once or not at all, but the request may still be on its way
GIVE_UP_AFTER = 150.0  # seconds of looking, where reads keep failing
LOOK_EVERY = 3.0
_NAMED = 3  # addresses in one message

Said = Callable[[str], None]


def settle(world: World, environment: str, said: Said = lambda _: None) -> frozenset[ResourceId]:
    """Wait until all that a dead run was making has turned up or is known not to come, and clear up after that run; what turned up.

    Raises:
        Interrupted: somebody wants an end. The journal stays as it is.
        TransientError: what was being made could not be read for so long that nothing can be said of it.
    """
    waiting = _Waiting(world, world.checkpoints.pending(environment))
    if waiting.ids:
        waiting.look()
    if waiting.ids:
        said(f"an earlier run has just made, or died making, {_few(waiting.ids)}; looking for it for up to {SETTLE_WITHIN:.0f} s")
    while waiting.ids:
        world.clock.sleep(LOOK_EVERY)
        waiting.look()
    if world.stopping():
        raise errors.Interrupted("interrupted before anything was planned; nothing was changed", hint="it is safe to run again")
    world.clear()
    return frozenset(waiting.found)


def observe(world: World, seen: Iterable[ResourceId]) -> Observed:
    """All that is live. What was *seen* a moment ago and is missing now is looked for again: a describe may lag behind an earlier one."""
    since = world.clock.monotonic()
    while True:
        observed = world.observe()
        missing = [id for id in seen if id not in observed.live and not observed.why_unread(id)]
        if not missing or world.stopping() or world.clock.monotonic() - since >= SETTLE_WITHIN:
            return observed
        world.clock.sleep(LOOK_EVERY)


class _Waiting:
    """The *ids* that are still unsure. A look that could not read one says nothing of it, and what was agreed before counts no more."""

    def __init__(self, world: World, ids: Iterable[ResourceId]) -> None:
        self.ids = set(ids)
        self.found: set[ResourceId] = set()
        self._world = world
        self._began = world.clock.monotonic()
        self._absent: dict[ResourceId, float] = {}  # since when looks agree

    def look(self) -> None:
        """One look at everything that is live."""
        if self._world.stopping():
            raise errors.Interrupted("interrupted before anything was planned; nothing was changed", hint="it is safe to run again")
        asked = self._world.clock.monotonic()
        observed = self._world.observe()
        answered = self._world.clock.monotonic()
        for id in sorted(self.ids):
            if id in observed.live:
                self.found.add(id)
                self.ids.discard(id)
            elif observed.why_unread(id):
                self._absent.pop(id, None)
                self._require_patience(id, observed.why_unread(id), answered)
            elif asked - self._absent.setdefault(id, answered) >= (ARRIVES_WITHIN if id.kind == "kubernetes" else SETTLE_WITHIN):
                self.ids.discard(id)

    def _require_patience(self, id: ResourceId, why: str, now: float) -> None:
        if now - self._began >= GIVE_UP_AFTER:
            text = f"an earlier run ended while it made {id}, and it cannot be read whether it is there: {why}"
            raise errors.TransientError(text, hint="run again once it can be read; nothing was changed")


def _few(ids: Iterable[ResourceId]) -> str:
    names = sorted(map(str, ids))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


__all__ = ["observe", "settle"]
