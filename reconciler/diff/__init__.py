"""Desired and observed → changes. Pure: no clock, no I/O, no logging. What is unread is held, what is ambiguous refused.

`declared` says what becomes of what git declares, `undeclared` of what is live or recorded and declared no more, `judge` what differing
fields amount to, `impact` what a change does to those who run, `behind` what waits for something on hold, `losses` which volumes are
dead and `lost` what becomes of them, `protect` what must not go, `quorum` how many who vote may, `paused` whom nothing is done about,
`upgrade` to which version who is live may go, `generation` when secrets may give way again.
"""

from __future__ import annotations

from reconciler.diff import behind, paused, protect
from reconciler.diff.context import Conduct, Context, Known, Scene
from reconciler.diff.declared import declared
from reconciler.diff.undeclared import gone, left
from reconciler.model.address import SHARED
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed


def diff(desired: Desired, observed: Observed, context: Context) -> tuple[Change, ...]:
    """Every declared resource as a change (keeps too), and everything live of ours that nothing declares."""
    scene = Scene(desired, observed, context)
    selected = (one for one in desired.resources.values() if context.selects(one.stack) or one.stack == SHARED)  # which every service needs
    changes = (*(declared(resource, scene) for resource in selected), *gone(scene), *left(scene))
    return paused.hold(protect.refuse(behind.wait(changes), protect.stacks(observed)), scene)


__all__ = ["Conduct", "Context", "Known", "diff"]
