"""How the components of each configuration stand: for the plan, out of desired and remembered; for a pass, out of a store's counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.components import state, status
from reconciler.components.target import resolve, targets
from reconciler.model.componentstate import ComponentState
from reconciler.model.desired import Desired
from reconciler.model.layer import Resolved
from reconciler.model.outcome import Outcome
from reconciler.model.plan import ComponentsSummary


@dataclass(frozen=True, slots=True)
class Standing:
    """One configuration after a pass: its counts, what that amounts to, and the sessions that work on it."""

    summary: ComponentsSummary
    outcome: Outcome
    sessions: tuple[str, ...] = ()


def summarise(
    desired: Desired, remembered: Mapping[str, ComponentState], known: Mapping[str, Resolved] | None = None
) -> tuple[ComponentsSummary, ...]:
    """What a plan says of components: as they would stand once git's wishes are handed over. Nothing remembered: all pending."""
    resolved = {name: resolve(one, desired.sources, (known or {}).get(name)) for name, one in desired.configurations.items()}
    wanted = (state.desire(remembered.get(target.id), target) for target in targets(desired, resolved))
    return count(wanted)


def count(components: Iterable[ComponentState]) -> tuple[ComponentsSummary, ...]:
    """Counts by configuration, in the order of names. A component on hold that still needs layers is counted in the total only."""
    totals: dict[str, ComponentsSummary] = {}
    for component in components:
        name = component.configuration
        totals[name] = _add(totals.get(name, ComponentsSummary(name, 0, 0, 0, 0)), component)
    return tuple(totals[name] for name in sorted(totals))


def _add(total: ComponentsSummary, component: ComponentState) -> ComponentsSummary:
    word = status.configuration_status(component)
    if word == "configured":
        return replace(total, total=total.total + 1, configured=total.configured + 1)
    if not component.enabled or word == "unconfigured":
        return replace(total, total=total.total + 1)
    layers = tuple(sorted({*total.layers, *status.missing_layers(component)}))
    if word == "failed":
        return replace(total, total=total.total + 1, failed=total.failed + 1, layers=layers)
    return replace(total, total=total.total + 1, pending=total.pending + 1, layers=layers)


def with_settled(counted: Iterable[ComponentsSummary], settled: Mapping[str, int], names: Iterable[str]) -> tuple[ComponentsSummary, ...]:
    """The counts of unsettled components, completed by how many are *settled*, for each of *names*."""
    found = {one.configuration: one for one in counted}
    base = ((found.get(name, ComponentsSummary(name, 0, 0, 0, 0)), settled.get(name, 0)) for name in names)
    return tuple(replace(one, total=one.total + done, configured=one.configured + done) for one, done in base)
