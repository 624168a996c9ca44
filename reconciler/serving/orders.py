"""What an apply that was handed over has to be to be done, and how it stands; pure."""

from __future__ import annotations

from reconciler import errors
from reconciler.loop import Prepared
from reconciler.members.member import departing
from reconciler.model.origin import Revision
from reconciler.model.outcome import Outcome, Waiting
from reconciler.model.plan import Plan
from reconciler.model.report import Report
from reconciler.serving.handover import Order, Wanted
from reconciler.serving.tend import Tender, Tenders


def require_same(wanted: Wanted, served: Revision) -> None:
    """Raise StalePlan unless the branch that is served has the specs that were planned: it would be put back to them by the next pass."""
    if wanted["environment"] != served.environment:
        raise errors.UsageError(f"{served.environment} is served here, not {wanted['environment']}", hint="see `api` in environment.yaml")
    if wanted["tree"] != served.tree:
        planned = wanted["commit"][:7] or "the working tree"
        hint = "push the commit to the branch that is served, or plan the one that is there"
        raise errors.StalePlan(f"{planned} was planned, the branch that is served is at {served.short} with other specs", hint=hint)


def require_approved(wanted: Wanted, plan: Plan) -> None:
    """Raise StalePlan unless *plan* is the approved one."""
    if plan.digest != wanted["digest"]:
        told = f"digest {wanted['digest'][:12]} was approved, the plan is now {plan.digest[:12]}"
        raise errors.StalePlan(told, hint="plan again: something has moved since, or the server sees the world otherwise")


def conclude(order: Order, prepared: Prepared, report: Report, now: float) -> None:
    """The engine is through with *order*; its members and components are now looked after."""
    addresses = {str(change.id) for change in prepared.plan.changes}
    order.outcomes = {name: outcome for name, outcome in report.outcomes.items() if name in addresses}
    only, held = frozenset(order.wanted["services"]), prepared.desired.held
    mine = {one.name for one in prepared.desired.services if one.name not in held and (not only or one.name in only)}
    order.members = frozenset(mine) | departing(prepared.plan.changes, prepared.desired.environment)
    order.applied, order.state = now, "applied"


def outcomes(order: Order, tenders: Tenders) -> dict[str, Outcome]:
    """How everything of *order* stands: members and components as of a tick that began once the engine was through."""
    every = dict(order.outcomes)
    if order.state == "applied":
        every |= _of(tenders.members, "members", order)
        every |= {} if order.wanted["services"] else _of(tenders.components, "components", order)
    return every


def _of(tender: Tender | None, what: str, order: Order) -> dict[str, Outcome]:
    """Nothing where another process looks after them: how they stand there is not known here."""
    if tender is None:
        return {}
    if tender.began < order.applied:
        return {what: Waiting(f"{what} have been looked at")}
    return {name: outcome for name, outcome in tender.outcomes.items() if what == "components" or name in order.members}
