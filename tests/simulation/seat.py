"""Both ports of one controller, as a network with faults lets it have them; every call is a turn."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler import errors
from reconciler.ports import ObjectKind, Payload
from tests.simulation.judge import Judge
from tests.simulation.town import Town
from tests.turns import Turns

Say = Callable[[str, str], None]


@dataclass(slots=True)
class Weather:
    """How likely each thing befalls a call: it is refused, its answer is lost (and it done, done later or not done), a list is late."""

    throttled: float = 0.0
    lost: float = 0.0
    late: float = 0.0


class Seat:
    """Kubernetes and AWS as one controller sees them."""

    def __init__(self, town: Town, judge: Judge, turns: Turns, weather: Weather, say: Say) -> None:
        self.town, self.judge, self.turns, self.weather, self.say = town, judge, turns, weather, say
        self.dice: random.Random = town.dice
        self.halting = False  # whether a turn ends before each write

    # Cluster

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Iterator[Payload]:
        return iter(self._read(kind.plural))

    def create(self, kind: ObjectKind, body: Payload) -> Payload | None:
        def effect() -> Payload | None:
            if body["metadata"]["name"] in self.town.leases:
                return None
            self.judge.claims(None, body)
            return self.town.create(kind, body)

        return self._write(f"create {_lease(body)}", effect)

    def replace(self, kind: ObjectKind, body: Payload) -> Payload | None:
        def effect() -> Payload | None:
            live = self.town.leases[body["metadata"]["name"]]
            if live["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]:
                self.judge.claims(live, body)
            return self.town.replace(kind, body)

        return self._write(f"replace {_lease(body)}", effect)

    def patch(self, kind: ObjectKind, name: str, body: Payload, *, namespace: str = "", subresource: str = "") -> Payload:
        since = self._since()

        def effect() -> Payload:
            if name not in self.town.nodes:
                raise errors.ProviderError(f'{kind.plural} "{name}" not found', status=404)
            if body["metadata"]["resourceVersion"] == self.town.nodes[name]["metadata"]["resourceVersion"]:
                self.judge.fences(name, body["spec"]["taints"], since)
            return self.town.patch(kind, name, body)

        return self._write(f"patch {kind.plural} {name} {[one['key'] for one in body['spec']['taints']]}", effect)

    def delete(self, kind: ObjectKind, name: str, *, namespace: str = "", uid: str = "", at_once: bool = False) -> bool:
        since = self._since()

        def effect() -> bool:
            found = self.town.pods.get(name)
            is_meant = found is not None and uid in {"", found["metadata"]["uid"]}
            if at_once:
                self.judge.takes(name, uid)
                if is_meant:
                    del self.town.pods[name]
            else:
                self.judge.deletes(name, uid, since)
                if is_meant:
                    self.town.end(name)
            return is_meant

        return bool(self._write(f"delete {kind.plural} {name} {uid}{' at once' if at_once else ''}", effect))

    # Cloud

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        match operation:
            case "describe_network_interfaces":
                return iter([{"NetworkInterfaces": _tagged(self._read("interfaces"), arguments["Filters"])}])
            case "list_resource_record_sets":
                return iter([{"ResourceRecordSets": self._read("records")}])
        self._ask(operation)
        self.say(operation, "")
        return self.town.pages(service, operation, **arguments)

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        since = self._since()

        def effect() -> Payload:
            before = self.town.records
            match operation:
                case "attach_network_interface":
                    self.judge.attaches(arguments["NetworkInterfaceId"])
                case "detach_network_interface":
                    self.judge.detaches(arguments["AttachmentId"], force=arguments["Force"], since=since)
            answer = self.town.call(service, operation, **arguments)
            if operation == "change_resource_record_sets":
                self.judge.points(before, arguments["ChangeBatch"]["Changes"])
            return answer

        return self._write(f"{operation} {_spelt(arguments)}", effect)

    def _since(self) -> int:
        """The turn at which the tick that now moves began to read."""
        return self.turns.moving.since if self.turns.moving else self.town.turn

    # what befalls a call

    def _ask(self, words: str) -> None:
        self.turns.pause()
        if self.weather.throttled and self.dice.random() < self.weather.throttled:
            self.say(words, "throttled")
            raise errors.TransientError("slower, please", code="Throttling")

    def _read(self, what: str) -> tuple[Payload, ...]:
        self._ask(f"list {what}")
        late = bool(self.weather.late) and self.dice.random() < self.weather.late
        self.say(f"list {what}", "as it was earlier" if late else "")
        return self.town.told(what, late=late)

    def _write(self, words: str, effect: Callable[[], Any]) -> Any:
        if self.halting:
            self.turns.cut_short()
        self._ask(words)
        if not self.weather.lost or self.dice.random() >= self.weather.lost:
            self.say(words, "")
            return effect()
        fate = self.dice.choice(("done", "done later", "not done"))
        self.say(words, f"no answer, {fate}")
        if fate == "done":
            effect()
        elif fate == "done later":
            self.town.under_way.append((words, effect))
        raise errors.TransientError("no answer in time")


def _tagged(found: tuple[Payload, ...], filters: list[Mapping[str, Any]]) -> list[Payload]:
    wanted = {(one["Name"].removeprefix("tag:"), value) for one in filters for value in one["Values"]}
    return [one for one in found if wanted & {(tag["Key"], tag["Value"]) for tag in one["TagSet"]}]


def _lease(body: Payload) -> str:
    spec = body["spec"]
    return f"{body['metadata']['name']}: holder {spec.get('holderIdentity')}, epoch {spec['leaseTransitions']}"


def _spelt(arguments: Mapping[str, Any]) -> str:
    changes = arguments.get("ChangeBatch", {}).get("Changes")
    if changes is None:
        return " ".join(str(value) for value in arguments.values())
    spelt = ((one["Action"], one["ResourceRecordSet"]["Name"], one["ResourceRecordSet"]["ResourceRecords"][0]["Value"]) for one in changes)
    return ", ".join(" ".join(one) for one in spelt)
