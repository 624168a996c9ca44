"""The status of a component, computed whenever it is asked for: desired layers against applied ones, errors against the retry policy.

CFS's own answers (A1), but for these, on purpose:
- a layer is compared by a signature of URL, playbook, commit, additional inventory and the component's groups and variables;
- what is desired changing re-arms a failed component (`state.desire`): a mended commit is tried without anybody zeroing error counts;
- a layer whose commit is not known yet is pending, not unconfigured: somebody waits for it;
- a configuration that does not exist leaves a component unconfigured, whatever was applied to it before.
"""

from __future__ import annotations

from reconciler.model.componentstate import ComponentState, Entry, Status

_WORST: tuple[Status, ...] = ("unconfigured", "failed", "pending", "configured")
_CONFIGURED: Status = "configured"


def layer_statuses(component: ComponentState) -> tuple[Status, ...]:
    """The status of each desired layer, in order."""
    entries = {entry.signature: entry for entry in component.state}
    return tuple(_layer_status(entries.get(signature) if signature else None, spent=component.spent) for signature in component.layers)


def _layer_status(entry: Entry | None, *, spent: bool) -> Status:
    match entry.status if entry else None:
        case None | "incomplete":
            return "pending"
        case "failed":
            return "failed" if spent else "pending"
        case _:
            return "configured"


def configuration_status(component: ComponentState) -> Status:
    """The worst of its layers; what is still pending after the last attempt is failed."""
    if not component.configuration:
        return "configured" if component.state else "unconfigured"
    if not component.known:
        return "unconfigured"
    worst = min((*layer_statuses(component), _CONFIGURED), key=_WORST.index)
    return "failed" if worst == "pending" and component.spent else worst


def missing_layers(component: ComponentState) -> tuple[int, ...]:
    """The indexes of the layers that it still needs."""
    return tuple(index for index, status in enumerate(layer_statuses(component)) if status != "configured")


def settled(component: ComponentState) -> bool:
    """Whether nothing is to be done about it, whatever its retry policy says: what a store keeps an index of."""
    return component.known and not missing_layers(component)
