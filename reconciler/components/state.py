"""How what is remembered of a component changes: each function takes a state and gives the next one, the same one where nothing changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.components import status
from reconciler.components.target import Target
from reconciler.model.componentstate import Applied, ComponentState, Entry
from reconciler.model.session import Session
from reconciler.model.work import WorkLayer

MESSAGE_LIMIT = 500


def desire(component: ComponentState | None, target: Target) -> ComponentState:
    """What *target* asks for. Another configuration or layer begins a new epoch with no errors; a hold or a retry policy does not."""
    current = component or ComponentState(target.id, declared=False)
    wanted = (True, target.configuration, target.layers, target.known)
    if (current.declared, current.configuration, current.layers, current.known) != wanted:
        current = replace(
            current,
            configuration=target.configuration,
            layers=target.layers,
            known=target.known,
            declared=True,
            error_count=0,
            epoch=current.epoch + 1,
        )
    if (current.enabled, current.retry_policy) == (target.enabled, target.retry_policy):
        return current
    return replace(current, enabled=target.enabled, retry_policy=target.retry_policy)


def forget(component: ComponentState) -> ComponentState:
    """No longer declared: kept with what was applied to it, and left alone."""
    return replace(component, declared=False, epoch=component.epoch + 1) if component.declared else component


def clear(component: ComponentState) -> ComponentState:
    """As after a boot: nothing is applied, and whatever still runs speaks of the time before."""
    return replace(component, state=(), error_count=0, epoch=component.epoch + 1)


@dataclass(frozen=True, slots=True)
class Happening:
    """What a session says of one of its members after *layer*."""

    session: Session
    layer: WorkLayer
    result: Applied
    now: datetime
    message: str = ""


def report(component: ComponentState, happening: Happening) -> ComponentState:
    """Having heard of *happening*; the same where that speaks of an older epoch."""
    if happening.session.epochs.get(component.id) != component.epoch:
        return component
    errors = {"failed": component.error_count + 1, "applied": 0}.get(happening.result, component.error_count)
    return replace(_append(component, happening), error_count=errors)


def skip(component: ComponentState, session: Session, now: datetime) -> ComponentState:
    """The layers that *session* finished without touching this member: nothing in them was meant for it."""
    for layer in _missing(component, session):
        if layer.index in session.finished:
            component = _append(component, Happening(session, layer, "skipped", now))
    return component


def blame(component: ComponentState, session: Session, now: datetime, message: str) -> ComponentState:
    """The session failed for a cause outside Ansible: that counts as an attempt at the first layer that this member still needs."""
    missing = _missing(component, session)
    return report(component, Happening(session, missing[0], "failed", now, message)) if missing else component


def _missing(component: ComponentState, session: Session) -> list[WorkLayer]:
    if session.epochs.get(component.id) != component.epoch:
        return []
    missing = status.missing_layers(component)
    return [layer for layer in session.work.layers if layer.index in missing]


def _append(component: ComponentState, happening: Happening) -> ComponentState:
    """Its entry takes the place of an older one of the same repository and playbook, at the end: the last is the latest attempt.

    Where a configuration runs one playbook of one repository at two commits, neither entry pushes the other out.
    """
    layer, clone = happening.layer, happening.layer.clone
    entry = Entry(
        clone_url=clone.clone_url,
        playbook=layer.playbook,
        commit=clone.commit,
        signature=component.layers[layer.index],
        status=happening.result,
        session=happening.session.name,
        last_updated=happening.now,
        message=happening.message[:MESSAGE_LIMIT],
    )
    wanted = set(component.layers) - {entry.signature}
    others = tuple(
        old for old in component.state if (old.clone_url, old.playbook) != (entry.clone_url, entry.playbook) or old.signature in wanted
    )
    return replace(component, state=(*others, entry))
