"""The controller of initialisation: sees to generated secrets, reads Jobs in bulk, decides, starts the next. Its memory is the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler import errors
from reconciler.kinds import ServiceType
from reconciler.members.act import refusal
from reconciler.members.initial import job
from reconciler.members.initial.decide import Verdict, decide
from reconciler.members.initial.job import Turn
from reconciler.members.live import Live, Set
from reconciler.members.member import Member, by_service
from reconciler.members.readiness import outdated
from reconciler.members.rollout import NOBODY
from reconciler.model.desired import Desired
from reconciler.model.initialise import LEADER, Initialisation, Rotation, Script
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.service import Service
from reconciler.ports import Clock, Cluster, Secrets
from reconciler.resources import kubernetes, marks, moved

_JOB_NAME = "batch.kubernetes.io/job-name"


@dataclass(frozen=True, slots=True)
class _Case:
    """A service that has an initialisation, and is far enough for it."""

    service: Service
    wanted: Initialisation
    situation: str
    owner: Set


@dataclass(frozen=True, slots=True)
class _Asked:
    """A service that is asked who leads it."""

    service: Service
    look: Script
    situation: str
    owner: Set


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

    def look(self, desired: Desired, members: Iterable[Member], live: Live) -> dict[str, Outcome]:
        """How each service that has an initialisation stands, without doing anything about it."""
        return self._each(desired, members, live, lambda _, verdict: verdict.outcome)

    def _each(
        self, desired: Desired, members: Iterable[Member], live: Live, stands: Callable[[_Case, Verdict], Outcome]
    ) -> dict[str, Outcome]:
        cases, outcomes = self._cases(desired, members, live)
        try:
            turns = self._turns(desired) if cases else {}
        except errors.ProviderError as error:
            return {**outcomes, **dict.fromkeys((case.service.name for case in cases), refusal(error))}
        now = self.clock.now()
        verdicts = [(case, decide(case.wanted, case.situation, turns.get(case.service.name, ()), now)) for case in cases]
        return outcomes | {case.service.name: stands(case, verdict) for case, verdict in verdicts}

    def rotations(self, desired: Desired, members: Iterable[Member], live: Live) -> dict[str, Outcome | None]:
        """Whether all members of each service of a later generation of secrets take these beside those that they have.

        None where nobody is about to restart as far as is known: then nobody may yet. Asked anew whenever a container is another one.
        """
        mine, found, cases = by_service(members), dict[str, Outcome | None](), list[_Case]()
        for service in desired.services:
            rotation = self._rotation(service, desired)
            if rotation is None or service.stopped:
                continue
            found[service.name] = None
            sets = _sets(mine.get(service.name, ()), live)
            if sets and _is_rolling(mine[service.name], live):
                situation = job.situation(service, rotation.before.look, sets, _containers(mine[service.name], live))
                cases.append(_Case(service, rotation.before, situation, sets[0]))
        try:
            turns = self._turns(desired, job.ROTATE) if cases else {}
        except errors.ProviderError as error:
            return found | dict.fromkeys((case.service.name for case in cases), refusal(error))
        for case in cases:
            verdict = decide(case.wanted, case.situation, turns.get(case.service.name, ()), self.clock.now())
            found[case.service.name] = self._act(case, verdict, desired, job.ROTATE)
        return found

    def _rotation(self, service: Service, desired: Desired) -> Rotation | None:
        return self.types[service.type].rotation(moved.base(service), desired.environment) if service.rotation else None

    def leaders(self, desired: Desired, members: Iterable[Member], live: Live) -> dict[str, str]:
        """Who leads each service that can say so and has a member to restart: "" while it is being asked, `NOBODY` where it cannot say."""
        mine = by_service(members)
        looks = {one.name: self.types[one.type].leader(moved.base(one), desired.environment) for one in desired.services}
        found = {name: "" for name, look in looks.items() if look}
        asked = [
            _Asked(service, look, job.situation(service, look, sets, _uids(mine[service.name], live)), sets[0])
            for service in desired.services
            if (look := looks[service.name]) and (sets := _sets(mine.get(service.name, ()), live)) and _is_rolling(mine[service.name], live)
        ]
        try:
            turns = self._turns(desired, job.LEAD) if asked else {}
            return found | {one.service.name: self._leader(one, turns.get(one.service.name, ()), desired) for one in asked}
        except errors.TransientError:
            return found
        except errors.ProviderError:  # such as a role that may make no Jobs: the type's order does
            return dict.fromkeys(found, NOBODY)

    def _leader(self, asked: _Asked, turns: Iterable[Turn], desired: Desired) -> str:
        every = tuple(turns)
        last = next((turn for turn in every if turn.situation == asked.situation), None)
        for turn in every:
            if turn is not last and turn.state != "running":
                self.cluster.delete(kubernetes.JOB, turn.name, namespace=turn.namespace)
        if last is None:
            self._start(asked, asked.look, 0, desired, job.LEAD)
            return ""
        return "" if last.state == "running" else str((last.said or {}).get(LEADER) or NOBODY)

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
            if away:
                outcomes[service.name] = Waiting(f"{', '.join(away)} {'runs' if len(away) == 1 else 'run'}: only then it is initialised")
                continue
            whose = _uids(mine, live) if wanted.of_pods else [one.name for one in mine]
            case = _Case(service, wanted, job.situation(service, wanted.look, sets, whose), sets[0])
            if self.settled.get(service.name) == case.situation:
                outcomes[service.name] = Done()
            else:
                cases.append(case)
        return cases, outcomes

    def _turns(self, desired: Desired, label: str = job.INIT) -> dict[str, list[Turn]]:
        """The Jobs of all services of the environment, by service."""
        selector = f"{marks.ENVIRONMENT}={desired.environment.name},{label}"
        jobs = list(self.cluster.list(kubernetes.JOB, selector=selector))
        pods = (
            {pod["metadata"]["labels"].get(_JOB_NAME): pod for pod in self.cluster.list(kubernetes.POD, selector=selector)} if jobs else {}
        )
        found: dict[str, list[Turn]] = {}
        for payload in jobs:
            turn = job.turn(payload, pods.get(payload["metadata"]["name"]), label)
            found.setdefault(turn.service, []).append(turn)
        return found

    def _act(self, case: _Case, verdict: Verdict, desired: Desired, label: str = job.INIT) -> Outcome:
        try:
            if verdict.start:
                self._start(case, verdict.start, verdict.number, desired, label)
            for turn in verdict.outdated:
                self.cluster.delete(kubernetes.JOB, turn.name, namespace=turn.namespace)
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

    def _start(self, case: _Case | _Asked, script: Script, number: int, desired: Desired, label: str = job.INIT) -> None:
        of = job.stateful_set(case.service, desired.resources.values())
        if of is None:
            raise errors.ProviderError(f"{case.service.name} declares no StatefulSet whose image could be asked")
        body = job.manifest(case.service, desired.environment, script, job.Place(label, case.situation, number, case.owner), of)
        self.cluster.create(kubernetes.JOB, body)  # None: another reconciler was faster, and started the same


def _sets(members: Iterable[Member], live: Live) -> list[Set]:
    return [found for key in sorted({(one.namespace, one.set_name) for one in members}) if (found := live.sets.get(key))]


def _uids(members: Iterable[Member], live: Live) -> list[str]:
    return [pod.uid for member in members for pod in live.running(member.name)]


def _containers(members: Iterable[Member], live: Live) -> list[str]:
    """Every run of every container: what one is told while it runs, the next one does not know."""
    pods = [pod for member in members for pod in live.running(member.name)]
    return [f"{pod.uid}/{one.name}/{one.restarts}" for pod in pods for one in pod.containers if not one.init] + [pod.uid for pod in pods]


def _is_rolling(members: Iterable[Member], live: Live) -> bool:
    return any(outdated(member, live) for member in members)


def _runs(member: Member, live: Live) -> bool:
    """Whether the member's container has been started, at the revision that is declared."""
    owner, pods = live.sets.get((member.namespace, member.set_name)), live.running(member.name)
    if owner is None or owner.observed < owner.generation or len(pods) != 1:
        return False
    return pods[0].phase == "Running" and not pods[0].terminating and pods[0].revision == owner.revision
