"""A session's life as values: made of a batch, carried on by frames, concluded with what nobody reported; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.components import state
from reconciler.components.batch import Batch
from reconciler.components.ports import Phase
from reconciler.components.state import Happening
from reconciler.components.target import HostEntry
from reconciler.model.componentstate import Applied, ComponentState
from reconciler.model.environment import Sessions
from reconciler.model.frame import Frame
from reconciler.model.layer import Resolved, digest
from reconciler.model.session import Session, Succeeded
from reconciler.model.work import Work, WorkLayer

NAME_LIMIT = 45
_HASH = 12
_APPLIED: Mapping[str, Applied] = {"applied": "applied", "failed": "failed", "incomplete": "incomplete"}

States = Mapping[str, ComponentState]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes a session of a batch, beside its members: layers at commits, inventory, settings, the store's identity."""

    configuration: Resolved
    hosts: Mapping[str, HostEntry]
    settings: Sessions
    identity: str


def make(batch: Batch, members: States, recipe: Recipe, now: datetime) -> Session:
    """The first attempt at this work; `again` names later ones. The same work on the same epochs has the same key."""
    layers = tuple(recipe.configuration.layers[index] for index in batch.key.layers)
    epochs = {id: members[id].epoch for id in sorted(batch.members)}
    work = Work(
        session="",
        layers=layers,
        hosts={id: recipe.hosts[id].vars for id in epochs},
        groups=_groups(recipe.hosts, epochs),
        inventory=recipe.configuration.inventory,
        deadline=recipe.settings.deadline.seconds,
        user=recipe.settings.ssh.user if recipe.settings.ssh else "",
    )
    key = digest([recipe.identity, batch.key.configuration, work.text(), epochs])
    tags = _common([recipe.hosts[id].tags for id in epochs])
    return again(Session(name="", configuration=batch.key.configuration, work=work, epochs=epochs, key=key, created=now, tags=tags), 0)


def again(session: Session, attempt: int) -> Session:
    """The same session as its *attempt*th repetition, under a name of its own."""
    slug = re.sub(r"[^a-z0-9]+", "-", session.configuration.lower())[: NAME_LIMIT - _HASH - 1].strip("-")
    name = f"{slug or 'session'}-{digest([session.key, attempt])[:_HASH]}"
    return replace(session, name=name, attempt=attempt, work=replace(session.work, session=name))


def take(session: Session, members: States, frames: Iterable[Frame], now: datetime) -> tuple[Session, dict[str, ComponentState]]:
    """Having read *frames*: those read before change nothing."""
    changed = dict(members)
    layers = {layer.index: layer for layer in session.work.layers}
    for frame in frames:
        if frame.number > session.frames:
            session = _take(session, changed, frame, layers.get(frame.layer), now)
    return session, {id: component for id, component in changed.items() if component is not members[id]}


def _take(session: Session, members: dict[str, ComponentState], frame: Frame, layer: WorkLayer | None, now: datetime) -> Session:
    session = replace(session, frames=frame.number)
    match frame.kind:
        case "host" if layer and frame.host in members and frame.result in _APPLIED and session.work.record:
            happening = Happening(session, layer, _APPLIED[frame.result], now, _why(frame))
            members[frame.host] = state.report(members[frame.host], happening)
            if frame.result == "failed":
                return replace(session, failed=tuple(sorted({*session.failed, frame.host})))
        case "finish" if layer and frame.code == 0:
            return replace(session, finished=(*session.finished, layer.index))
        case "end":
            return replace(session, ended=frame.code, reason=frame.message)
        case _:
            pass
    return session


def _why(frame: Frame) -> str:
    place = ", ".join(f"{word} {name}" for word, name in (("play", frame.play), ("task", frame.task)) if name)
    return ": ".join(text for text in (place, frame.message) if text) if frame.result == "failed" else ""


def verdict(session: Session, phase: Phase) -> Succeeded:
    """Success is believed only with the last frame: a Job that went well and whose report is lost proves nothing about any host."""
    match phase:
        case "succeeded":
            return "true" if session.ended == 0 else "unknown"
        case "failed":
            return "false"
        case _:
            return "unknown"


def conclude(session: Session, members: States, phase: Phase, reason: str, now: datetime) -> tuple[Session, dict[str, ComponentState]]:
    """Complete. Members that nobody reported on are skipped after a success, and charged where the cause lies outside Ansible."""
    succeeded = verdict(session, phase)
    why = "" if succeeded == "true" else session.reason or reason or _UNEXPLAINED[succeeded]
    done = session.advance("complete", succeeded, completed=now, reason=why)
    if not session.work.record or (succeeded != "true" and session.failed):
        return done, {}
    if succeeded == "true":
        after = {id: state.skip(component, done, now) for id, component in members.items()}
    else:
        after = {id: state.blame(component, done, now, f"session {done.name}: {why}") for id, component in members.items()}
    return done, {id: component for id, component in after.items() if component is not members[id]}


_UNEXPLAINED = {
    "unknown": "it is gone, or its report is",
    "false": "it failed and did not say why; see its log",
    "true": "",
    "none": "",
}


def _groups(hosts: Mapping[str, HostEntry], ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for id in ids:
        for group in hosts[id].groups:
            groups[group] = (*groups.get(group, ()), id)
    return groups


def _common(tags: list[Mapping[str, str]]) -> dict[str, str]:
    """The tags that all share; a value that differs drops its key."""
    first, *rest = tags or [{}]
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in rest)}
