"""The controller of initialisation: sees to generated secrets, reads Jobs in bulk, decides, starts the next. Its memory is the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler import errors
from reconciler.kinds import ServiceType
from reconciler.members.act import refusal
from reconciler.members.initial import job, jobs, lead
from reconciler.members.initial.decide import Verdict, decide
from reconciler.members.initial.job import Place, Turn
from reconciler.members.live import Live, Pod, Set
from reconciler.members.member import Member, by_service
from reconciler.members.readiness import outdated
from reconciler.members.rollout import NOBODY, Leaders
from reconciler.model.desired import Desired
from reconciler.model.initialise import Initialisation, Next, Rotation, Said, Script
from reconciler.model.outcome import Done, Outcome, Waiting, paused
from reconciler.model.service import Service
from reconciler.ports import Clock, Cluster, Secrets
from reconciler.resources import marks, moved

_RESTARTS_WITHIN = 10.0  # seconds: whoever is no longer on the way back up may be waiting to be let in


@dataclass(frozen=True, slots=True)
class _Case:
    """A service that has an initialisation, and is far enough for it."""

    service: Service
    wanted: Initialisation
    situation: str
    owner: Set


@dataclass(frozen=True, slots=True)
class _Asked:
    """A service that is asked who leads it; *due* are its members to be restarted, *well* says that all of its Pods are ready."""

    service: Service
    look: Script
    situation: str
    owner: Set
    due: frozenset[str]
    well: bool


@dataclass(slots=True)
class Initialiser:
    """Level-triggered like the members' controller. *settled* and *made* spare reads; losing them costs one."""

    cluster: Cluster
    secrets: Secrets
    clock: Clock
    types: Mapping[str, ServiceType]
    settled: dict[str, str] = field(default_factory=dict)  # service → the situation in which it said that it is initialised
    made: set[tuple[str, str]] = field(default_factory=set)

    def bind(self, desired: Desired) -> dict[str, Outcome]:
        """Make the generated secrets of all services that lack them; how it stands with those for whom that was refused."""
        refused: dict[str, Outcome] = {}
        wanted = [
            (service, one)
            for service in desired.services
            if not service.paused
            for one in self.types[service.type].secrets(moved.base(service), desired.environment)
        ]
        lacking = [(service, one) for service, one in wanted if (service.namespace, one.name) not in self.made]
        try:
            for namespace in sorted({service.namespace for service, _ in lacking}):
                self.made |= {(namespace, name) for name in self.secrets.names(namespace)}
        except errors.ProviderError as error:
            return {service.name: refusal(error) for service, _ in lacking}
        for service, one in lacking:
            if (service.namespace, one.name) in self.made:
                continue
            try:
                self.secrets.make(service.namespace, marks.labels(desired.environment.name, service.name), one)
                self.made.add((service.namespace, one.name))
            except errors.ProviderError as error:
                refused[service.name] = refusal(error)
        return refused

    def tick(self, desired: Desired, members: Iterable[Member], live: Live) -> dict[str, Outcome]:
        """One step for each service that can take one; how each that has an initialisation stands."""
        return self._each(desired, members, live, lambda case, verdict: self._act(case, verdict, desired))

    def look(self, desired: Desired, members: Iterable[Member], live: Live) -> tuple[dict[str, Outcome], dict[str, float]]:
        """How each service that has an initialisation stands, without doing anything about it; and when those said so that stand well."""
        answered: dict[str, float] = {}

        def stands(case: _Case, verdict: Verdict) -> Outcome:
            answered[case.service.name] = verdict.answered
            return verdict.outcome

        return self._each(desired, members, live, stands), {name: when for name, when in answered.items() if when}

    def closed(self, desired: Desired) -> frozenset[str]:
        """The services of whose initialisation it is a part that strangers are refused."""
        found = ((one.name, self.types[one.type].initialise(moved.base(one), desired.environment)) for one in desired.services)
        return frozenset(name for name, wanted in found if wanted and wanted.closed)

    def _each(
        self, desired: Desired, members: Iterable[Member], live: Live, stands: Callable[[_Case, Verdict], Outcome]
    ) -> dict[str, Outcome]:
        cases, outcomes = self._cases(desired, members, live)
        try:
            turns = jobs.turns(self.cluster, desired.environment.name, job.INIT) if cases else {}
        except errors.ProviderError as error:
            return {**outcomes, **dict.fromkeys((case.service.name for case in cases), refusal(error))}
        now = self.clock.now()
        verdicts = [(case, decide(case.wanted, case.situation, turns.get(case.service.name, ()), now)) for case in cases]
        outcomes |= {case.service.name: verdict.outcome if case.service.paused else stands(case, verdict) for case, verdict in verdicts}
        return outcomes | {one.name: paused(outcomes[one.name]) for one in desired.services if one.paused and one.name in outcomes}

    def rotations(self, desired: Desired, members: Iterable[Member], live: Live) -> dict[str, Outcome | None]:
        """Whether all members of each service of a later generation of secrets take these beside those that they have.

        None where nobody is about to restart as far as is known: then nobody may yet. Asked anew whenever a container is another one.
        """
        mine, found, cases = by_service(members), dict[str, Outcome | None](), list[_Case]()
        for service in desired.services:
            rotation = self._rotation(service, desired)
            if rotation is None or rotation.before is None or service.stopped or service.paused:
                continue
            found[service.name] = None
            sets = _sets(mine.get(service.name, ()), live)
            if sets and _is_turned(service, sets) and _outdated(mine[service.name], live):
                situation = job.situation(service, rotation.before.look, sets, _containers(mine[service.name], live))
                cases.append(_Case(service, rotation.before, situation, sets[0]))
        try:
            turns = jobs.turns(self.cluster, desired.environment.name, job.ROTATE) if cases else {}
        except errors.ProviderError as error:
            return found | dict.fromkeys((case.service.name for case in cases), refusal(error))
        for case in cases:
            verdict = decide(case.wanted, case.situation, turns.get(case.service.name, ()), self.clock.now())
            found[case.service.name] = self._act(case, verdict, desired, job.ROTATE)
        return found

    def _rotation(self, service: Service, desired: Desired) -> Rotation | None:
        return self.types[service.type].rotation(moved.base(service), desired.environment) if service.rotation else None

    def leaders(self, desired: Desired, members: Iterable[Member], live: Live) -> dict[str, Leaders]:
        """Who leads each service that can say so and has a member to restart: None while it is being asked, `NOBODY` where it cannot say.

        Who leads and is all that is left to restart hands over first, where its type knows how.
        """
        mine = by_service(members)
        looks = {one.name: self.types[one.type].leader(moved.base(one), desired.environment) for one in desired.services}
        found: dict[str, Leaders] = {name: None for name, look in looks.items() if look}
        asked = [
            _Asked(service, look, job.situation(service, look, sets, _uids(its, live)), sets[0], due, _are_ready(its, live))
            for service in desired.services
            if not service.paused
            and (look := looks[service.name])
            and (sets := _sets(its := mine.get(service.name, []), live))
            and (due := _outdated(its, live))
        ]
        try:
            turns = jobs.turns(self.cluster, desired.environment.name, job.LEAD) if asked else {}
            return found | {one.service.name: self._leaders(one, turns.get(one.service.name, ()), desired) for one in asked}
        except errors.TransientError:
            return found
        except errors.ProviderError:  # such as a role that may make no Jobs: the type's order does
            return dict.fromkeys(found, NOBODY)

    def _leaders(self, asked: _Asked, turns: Iterable[Turn], desired: Desired) -> Leaders:
        every = tuple(turns)
        mine = [turn for turn in every if turn.situation == asked.situation]
        jobs.clear(self.cluster, (turn for turn in every if turn not in mine and turn.state != "running"))
        found = lead.decide(asked.look, mine, lambda leaders: self._hand_over(asked, leaders, desired))
        if found.start:
            place = Place(job.LEAD, asked.situation, found.number, asked.owner)
            jobs.start(self.cluster, desired, asked.service, found.start, place)
        return found.leaders

    def _hand_over(self, asked: _Asked, leaders: frozenset[str], desired: Desired) -> Script | None:
        """The step by which those hand over who lead and go next; None while others are to be restarted before them."""
        if not asked.well or not asked.due <= leaders:
            return None
        service = asked.service
        return self.types[service.type].hand_over(moved.base(service), desired.environment, tuple(sorted(asked.due)))

    def _cases(self, desired: Desired, members: Iterable[Member], live: Live) -> tuple[list[_Case], dict[str, Outcome]]:
        cases: list[_Case] = []
        outcomes: dict[str, Outcome] = {}
        of = by_service(members)
        for service in desired.services:
            wanted = self.types[service.type].initialise(moved.base(service), desired.environment)
            if wanted is None or service.stopped:
                continue
            mine = of.get(service.name, [])
            sets = _sets(mine, live)
            away = [member.name for member in mine if not _runs(member, live)]
            leaving = _leaving(mine, sets)
            if leaving and self.types[service.type].drain(moved.base(service), desired.environment, leaving):
                has = "has" if len(leaving) == 1 else "have"
                outcomes[service.name] = Waiting(f"{', '.join(leaving)} {has} gone: only then it is initialised")
                continue
            grows = wanted.meanwhile and away and _grows(mine, live, self.clock.now())
            if away and not grows:
                outcomes[service.name] = Waiting(f"{', '.join(away)} {'runs' if len(away) == 1 else 'run'}: only then it is initialised")
                continue
            if not _is_turned(service, sets):
                outcomes[service.name] = Waiting("its StatefulSet has the secrets that are declared: only then it is initialised")
                continue
            whose = _uids(mine, live) if wanted.of_pods or grows else [one.name for one in mine]
            if grows:
                wanted, whose = _meanwhile(wanted), [*whose, "meanwhile"]
            case = _Case(service, wanted, job.situation(service, wanted.look, sets, whose), sets[0])
            if self.settled.get(service.name) == case.situation:
                outcomes[service.name] = Done()
            else:
                cases.append(case)
        return cases, outcomes

    def _act(self, case: _Case, verdict: Verdict, desired: Desired, label: str = job.INIT) -> Outcome:
        try:
            if verdict.start:
                place = Place(label, case.situation, verdict.number, case.owner)
                jobs.start(self.cluster, desired, case.service, verdict.start, place)
            jobs.clear(self.cluster, verdict.outdated)
            if isinstance(verdict.outcome, Done) and label == job.INIT:
                self._retire(case.service, desired)
        except errors.ProviderError as error:
            return refusal(error)
        if isinstance(verdict.outcome, Done) and label == job.INIT:
            self.settled[case.service.name] = case.situation
        return verdict.outcome

    def _retire(self, service: Service, desired: Desired) -> None:
        """Remove the secrets that every member refuses by now."""
        rotation = self._rotation(service, desired)
        known = self.secrets.names(service.namespace) if rotation else frozenset()
        for name in rotation.former if rotation else ():
            if name in known:
                self.secrets.remove(service.namespace, name)


def _grows(members: Iterable[Member], live: Live, now: float) -> bool:
    """Whether a rollout may wait for somebody to be let in: all run, and one who runs what is declared does not work for a while."""
    every = [(member, live.running(member.name)) for member in members]
    if not all(len(pods) == 1 and pods[0].phase == "Running" and not pods[0].terminating for _, pods in every):
        return False
    return any(_is_stuck(pod, now) and _runs(member, live) for member, (pod,) in every)


def _is_stuck(pod: Pod, now: float) -> bool:
    age = pod.age(now)
    return not pod.ready and (age is None or age > _RESTARTS_WITHIN)


def _meanwhile(wanted: Initialisation) -> Initialisation:
    """What there is to do before all run what is declared; that is never all of it."""

    def following(said: Said) -> Next:
        return (wanted.meanwhile and wanted.meanwhile(said)) or "who is new works, and the others have restarted"

    return replace(wanted, next=following)


def _sets(members: Iterable[Member], live: Live) -> list[Set]:
    return [found for key in sorted({(one.namespace, one.set_name) for one in members}) if (found := live.sets.get(key))]


def _is_turned(service: Service, sets: Iterable[Set]) -> bool:
    """Whether the Pods of *sets* are made with the secrets of the declared generation: before that none has given way."""
    return all(one.rotation == service.rotation for one in sets)


def _leaving(members: Iterable[Member], sets: Iterable[Set]) -> tuple[str, ...]:
    """Whom a StatefulSet counts still, though they are declared no more: while they are drained nobody else takes steps."""
    names = {member.name for member in members}
    return tuple(name for one in sets for n in range(one.replicas) if (name := f"{one.name}-{n}") not in names)


def _uids(members: Iterable[Member], live: Live) -> list[str]:
    return [pod.uid for member in members for pod in live.running(member.name)]


def _containers(members: Iterable[Member], live: Live) -> list[str]:
    """Every run of every container: what one is told while it runs, the next one does not know."""
    pods = [pod for member in members for pod in live.running(member.name)]
    return [f"{pod.uid}/{one.name}/{one.restarts}" for pod in pods for one in pod.containers if not one.init] + [pod.uid for pod in pods]


def _outdated(members: Iterable[Member], live: Live) -> frozenset[str]:
    return frozenset(member.name for member in members if outdated(member, live))


def _are_ready(members: Iterable[Member], live: Live) -> bool:
    pods = [live.running(member.name) for member in members]
    return all(len(one) == 1 and one[0].ready and not one[0].terminating for one in pods)


def _runs(member: Member, live: Live) -> bool:
    """Whether the member's container has been started, at the revision that is declared."""
    owner, pods = live.sets.get((member.namespace, member.set_name)), live.running(member.name)
    if owner is None or owner.observed < owner.generation or len(pods) != 1:
        return False
    return pods[0].phase == "Running" and not pods[0].terminating and pods[0].revision == owner.revision
