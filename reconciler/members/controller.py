"""The controller: reads in bulk, decides, acts, and says how every member stands. Keeps nothing but how lately a place was seen right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler import errors
from reconciler.members import act, conditions, read, readiness, unreachable
from reconciler.members.decide import Decision, Point, Renew, broken, decide, depart, leave
from reconciler.members.flight import BEGUN, STILL
from reconciler.members.live import Live, Node, Pod
from reconciler.members.member import Member, by_service
from reconciler.members.readiness import outdated
from reconciler.members.rollout import NOBODY, Leaders, Rollout, following
from reconciler.model.condition import Condition
from reconciler.model.environment import Environment
from reconciler.model.outcome import Done, Failed, Outcome, Waiting, spell
from reconciler.ports import Clock, Cloud, Cluster

VERIFY_EVERY = 30.0  # seconds for which a place that was right is not looked up again while its Pod stays the same
PAUSE = 3.0  # seconds after a refusal
NODES_EVERY = 5.0  # seconds between two looks at the nodes while some Pod does not work
_NONE: Mapping[str, Leaders] = {}


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand after a tick: by service, and by member (also those that are going). *live* is what it was judged by.

    *deeds* are what the tick has done, each with whom it is about; *conditions* what each member has and lacks, where one only looked.
    """

    services: Mapping[str, Outcome] = field(default_factory=dict)
    members: Mapping[str, Outcome] = field(default_factory=dict)
    live: Live = field(default_factory=Live)
    deeds: tuple[tuple[str, str], ...] = ()
    conditions: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)


_NEVER: tuple[Mapping[str, Node], float] = ({}, float("-inf"))


@dataclass(slots=True)
class _Memory:
    """What spares a read; losing it costs one. Of members: the Pod whose place was right, and what was refused, each with when.

    Of nodes: how they were, and when. Of Leases: that they have been looked through once.
    """

    right: dict[str, tuple[Pod, float]] = field(default_factory=dict)
    refused: dict[str, tuple[Outcome, float]] = field(default_factory=dict)
    nodes: tuple[Mapping[str, Node], float] = _NEVER
    zone: str = ""
    leases: bool = False


class Controller:
    """Level-triggered: each tick starts from what is live. It waits for nothing; call it again."""

    def __init__(self, cluster: Cluster, cloud: Cloud, clock: Clock, environment: Environment) -> None:
        self._actor = act.Actor(cluster, cloud, clock, environment)
        self._memory = _Memory()

    def tick(self, members: Iterable[Member], departing: Iterable[str] = (), leaders: Mapping[str, Leaders] = _NONE) -> Standing:
        """Bring every member one step nearer to its place. *departing* are those to clean up after, once their Pods have ended.

        *leaders* say by service who leads, None where that is being asked.
        """
        wanted, leaving = tuple(members), set(departing)
        if not wanted and not leaving and self._memory.leases:
            return Standing()
        going = tuple(sorted(leaving - {member.name for member in wanted}))  # others only give up an interface
        try:
            decisions, live = self._decide(wanted, going, fixed=bool(leaving))
            live, done = self._fence(self._aware(live))
            refused = self._actor.carry_out(decisions, live.zone)
            live = self._explained(wanted, live)
            lacking = {name: "" if _settles(decision) else decision.until for name, decision in decisions.items()}
            still = [one for one in wanted if one.service not in _renewing(wanted, decisions)]
            rollouts = _rollouts(still, lacking, live, refused, leaders)
            renewals = {one.renew.name: Decision((Renew(one.renew, "its turn in the rollout"),)) for one in rollouts.values() if one.renew}
            refused |= self._actor.carry_out(renewals, live.zone)
        except errors.ProviderError as error:
            self._memory.zone = ""  # it may be the zone that is gone
            return _unread(wanted, going, act.refusal(error))
        self._remember(decisions, refused, live)
        standing = self._judge(wanted, going, lacking, live)
        rolling = {
            name: Waiting(one.until) for name, one in rollouts.items() if one.until and not isinstance(standing.services[name], Failed)
        }
        deeds = (*done, *act.told(decisions, refused), *act.told(renewals, refused))
        return replace(standing, services={**standing.services, **rolling}, deeds=deeds)

    def look(self, members: Iterable[Member]) -> Standing:
        """How every member stands, without doing anything about it: reading credentials are enough."""
        wanted = tuple(members)
        try:
            live = self._known(self._pods(self._places(Live(), follows=True, fixed=True), wanted))
            found = unreachable.find(live, self._actor.environment.members, self._actor.clock.now())
            live = self._detailed(wanted, self._explained(wanted, replace(live, unreachable=unreachable.words(found))))
        except errors.ProviderError as error:
            return _unread(wanted, (), act.refusal(error))
        outcomes = self._outcomes(wanted, (), {member.name: decide(member, live).until for member in wanted}, live)
        told = {one.name: conditions.of_member(one, live, outcomes[one.name]) for one in wanted}
        now = self._actor.clock.now()
        aged = {name: conditions.explained(outcome, told[name], now) for name, outcome in outcomes.items()}
        return Standing(_standings(wanted, aged, live), aged, live, conditions=told)

    def _decide(self, wanted: tuple[Member, ...], going: tuple[str, ...], *, fixed: bool) -> tuple[dict[str, Decision], Live]:
        """What to do about those who are not known to be in their place, and what was read for it: Pods last, see `decide`."""
        wholly = () if going else wanted  # of those who go only the names are known
        live = self._pods(Live(), wholly)
        undecided = [member for member in wanted if self._is_undecided(member, live)]
        leaving = [name for name in going if not self._has_paused(name)]
        if not undecided and not leaving and self._memory.leases:
            return {}, live
        kinds = {member.follows for member in undecided}
        live = self._places(live, follows=bool(leaving) or True in kinds, fixed=fixed or False in kinds)
        named = {*going, *(member.name for member in wanted)}
        first = not self._memory.leases  # later only those are wanted of whom something is expected
        if left := [name for name, lease in live.leases.items() if first and lease.holder and name not in named]:
            live = self._places(live, follows=True, fixed=True)
        live = self._known(self._pods(live, () if left else wholly))
        self._memory.leases = True
        decisions = {member.name: decide(member, live) for member in undecided}
        interfaces = {address.rpartition("/")[2]: one for address, one in live.interfaces.items()}
        decisions |= {name: depart(name, interfaces.get(name), live) for name in leaving}
        return decisions | {name: leave(name, interfaces.get(name), live) for name in left}, live

    def _places(self, live: Live, *, follows: bool, fixed: bool) -> Live:
        """With whom members belong to, and where: records where some *follow* their Pods, interfaces where some have *fixed* addresses."""
        actor = self._actor
        zone = self._zone() if follows else ""
        return replace(
            live,
            leases=read.leases(actor.cluster, actor.environment),
            nodes=read.nodes(actor.cluster),
            interfaces=read.interfaces(actor.cloud, actor.environment) if fixed else {},
            records=read.records(actor.cloud, zone) if zone else {},
            zone=zone,
        )

    def _pods(self, live: Live, members: tuple[Member, ...]) -> Live:
        """With the Pods of *members*, and those of others too where it is no more work; of everybody where there are none.

        Their StatefulSets come after them: held against a set that was read before it, a Pod of the new revision looks like an old one.
        """
        cluster, environment = self._actor.cluster, self._actor.environment
        pods = read.pods(cluster, environment, {member.set_name for member in members})
        return replace(live, pods=pods, sets=read.sets(cluster, environment, {member.service for member in members}))

    def _known(self, live: Live) -> Live:
        """With what EC2 says of instances that may be off: read after the nodes, so that a node as it was read has not come back since."""
        if live.nodes is not self._memory.nodes[0]:
            self._memory.nodes = (live.nodes, self._actor.clock.monotonic())
        asked = unreachable.doubtful(live)
        return replace(live, instances=read.instances(self._actor.cloud, asked, unreachable.witnesses(live))) if asked else live

    def _aware(self, live: Live) -> Live:
        """With the nodes, where some Pod does not work or nobody has looked for a while: some may not answer, or answer again."""
        if live.nodes:
            return live
        troubled = any(pod.node and not pod.ready for pods in live.pods.values() for pod in pods)
        nodes, when = self._memory.nodes
        age = self._actor.clock.monotonic() - when
        if age < (NODES_EVERY if troubled else VERIFY_EVERY):
            return self._known(replace(live, nodes=nodes)) if troubled else live
        return self._known(replace(live, nodes=read.nodes(self._actor.cluster)))

    def _fence(self, live: Live) -> tuple[Live, tuple[tuple[str, str], ...]]:
        """See to nodes that do not answer, and to those that do again; what was done."""
        found = unreachable.find(live, self._actor.environment.members, self._actor.clock.now())
        due = [one for one in found if one.deed and not self._has_paused(act.whom(one))]
        refused = self._actor.fence(due)
        for one in due:
            self._memory.nodes = _NEVER
            self._memory.refused.pop(act.whom(one), None)
        self._memory.refused |= {name: (outcome, self._actor.clock.monotonic()) for name, outcome in refused.items()}
        words = unreachable.words(found, {one.node.name: self._refused(act.whom(one)) for one in found})
        return replace(live, unreachable=words), tuple(act.fenced(due, refused))

    def _refused(self, whom: str) -> str:
        """What was refused for somebody lately, in words that follow others; "" where nothing was."""
        outcome, _ = self._memory.refused.get(whom, (Done(), 0.0))
        return f" ({spell(outcome)})" if isinstance(outcome, Failed) and self._has_paused(whom) else ""

    def _zone(self) -> str:
        self._memory.zone = self._memory.zone or read.hosted_zone(self._actor.cloud, self._actor.environment)
        return self._memory.zone

    def _is_undecided(self, member: Member, live: Live) -> bool:
        """Whether its Pod is somewhere, and its place is not known to be right."""
        pod = next(iter(live.running(member.name)), None)
        if pod is None or pod.terminating or not pod.node or (member.follows and not pod.ip) or self._has_paused(member.name):
            return False
        known, when = self._memory.right.get(member.name, (None, 0.0))
        fresh = known is not None and _same_place(known, pod) and self._actor.clock.monotonic() - when < VERIFY_EVERY
        return not fresh or broken(pod, member, live)

    def _has_paused(self, name: str) -> bool:
        _, when = self._memory.refused.get(name, (None, float("-inf")))
        return self._actor.clock.monotonic() - when < PAUSE

    def _remember(self, decisions: Mapping[str, Decision], refused: Mapping[str, Outcome], live: Live) -> None:
        now = self._actor.clock.monotonic()
        for name, decision in decisions.items():
            self._memory.refused.pop(name, None)
            self._memory.right.pop(name, None)
            if name in refused:
                if refused[name] not in (BEGUN, STILL):  # what only takes long is looked at again in the next tick
                    self._memory.refused[name] = (refused[name], now)
            elif live.running(name) and _settles(decision):
                self._memory.right[name] = (live.running(name)[0], now)

    def _explained(self, wanted: tuple[Member, ...], live: Live) -> Live:
        """With what it takes to say why Pods do not start, where some do not."""
        pods = [pod for member in wanted for pod in live.running(member.name)]
        if not live.nodes and any(not pod.node for pod in pods):
            live = replace(live, nodes=read.nodes(self._actor.cluster))
        if any(pod.node and not pod.ready and not any(one.state in {"running", "terminated"} for one in pod.containers) for pod in pods):
            live = replace(live, attachments=read.attachments(self._actor.cluster))
        return live

    def _detailed(self, wanted: tuple[Member, ...], live: Live) -> Live:
        """With what it takes to say more of those that do not work: the names of volumes, slots of nodes, ages of revisions."""
        cluster, cloud, environment = self._actor.cluster, self._actor.cloud, self._actor.environment
        pods = [(member, pod) for member in wanted for pod in live.running(member.name)]
        if any(pod.node and not pod.ready for _, pod in pods):
            live = replace(live, handles=read.handles(cluster, environment))
        if any(pod.revision != owner.revision for one, pod in pods if (owner := live.sets.get((one.namespace, one.set_name)))):
            live = replace(live, revisions=read.revisions(cluster, environment))
        asked = {instance for one, pod in pods if (instance := _to_be_at(one, pod, live))}
        return replace(live, slots=read.slots(cloud, asked)) if asked else live

    def _judge(self, wanted: tuple[Member, ...], going: tuple[str, ...], lacking: Mapping[str, str], live: Live) -> Standing:
        outcomes = self._outcomes(wanted, going, lacking, live)
        return Standing(_standings(wanted, outcomes, live), outcomes, live)

    def _outcomes(self, wanted: tuple[Member, ...], going: tuple[str, ...], lacking: Mapping[str, str], live: Live) -> dict[str, Outcome]:
        refused = {name: outcome for name, (outcome, _) in self._memory.refused.items() if self._has_paused(name)}
        outcomes = {one.name: refused.get(one.name) or readiness.of_member(one, live, lacking.get(one.name, "")) for one in wanted}
        for name in going:
            outcomes[name] = refused.get(name) or (Waiting(lacking[name]) if lacking.get(name) else Done())
        return outcomes


def _rollouts(
    members: Iterable[Member], lacking: Mapping[str, str], live: Live, refused: Mapping[str, Outcome], leaders: Mapping[str, Leaders]
) -> dict[str, Rollout]:
    """What is next in each service of which a member runs an old revision."""
    found: dict[str, Rollout] = {}
    for name, mine in by_service(members).items():
        if any(outdated(member, live) and not member.paused for member in mine):
            works = {one.name: refused.get(one.name) or readiness.of_work(one, live, lacking.get(one.name, "")) for one in mine}
            found[name] = following(mine, works, live, leaders.get(name, NOBODY))
    return found


def _renewing(members: Iterable[Member], decisions: Mapping[str, Decision]) -> frozenset[str]:
    """The services of which a Pod is made anew already: nobody else of theirs goes on what was read before that."""
    names = {name for name, decision in decisions.items() if any(isinstance(action, Renew) for action in decision.actions)}
    return frozenset(member.service for member in members if member.name in names)


def _to_be_at(member: Member, pod: Pod, live: Live) -> str:
    """The instance that the member's interface still has to come to; "" where there is none, or it is there."""
    interface, node = live.interfaces.get(str(member.interface)), live.nodes.get(pod.node)
    if member.follows or interface is None or node is None or interface.instance == node.instance:
        return ""
    return node.instance


def _same_place(one: Pod, other: Pod) -> bool:
    return (one.uid, one.ip, one.node) == (other.uid, other.ip, other.node)


def _settles(decision: Decision) -> bool:
    """Whether nothing is left once its actions have succeeded: AWS's word on a record is enough, on an attachment it is not."""
    return not decision.until or (bool(decision.actions) and isinstance(decision.actions[-1], Point))


def _standings(members: tuple[Member, ...], outcomes: Mapping[str, Outcome], live: Live) -> dict[str, Outcome]:
    return {name: readiness.of_service(mine, outcomes, live) for name, mine in by_service(members).items()}


def _unread(wanted: tuple[Member, ...], going: tuple[str, ...], outcome: Outcome) -> Standing:
    """What could not be read is not judged: all stand as the reading does."""
    members = {**{member.name: outcome for member in wanted}, **dict.fromkeys(going, outcome)}
    return Standing({member.service: outcome for member in wanted}, members)
