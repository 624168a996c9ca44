"""What the account looked like a while ago, for describes that lag: a copy of moto's state is kept before each change, while asked to."""

from __future__ import annotations

import contextlib
import copy
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.route53.models import route53_backends

from lab.layout import REGION

View = list[tuple[object, str, Any]]
"""Attributes of moto's backends, and what each was."""


class Past:
    """Copies of the state, each with the moment up to which it was true. Whoever calls holds the world's lock."""

    def __init__(self) -> None:
        self.reach = 0.0
        """How far back someone may look, in seconds; 0: nothing is kept."""
        self._views: deque[tuple[float, View]] = deque()

    def keep(self, moment: float) -> None:
        """Remember what is, for it is about to change at *moment*."""
        if self.reach:
            self._views.append((moment, _view()))
        self._forget()

    @contextlib.contextmanager
    def shown(self, seconds: float) -> Iterator[None]:
        """Show what was *seconds* ago in place of what is."""
        moment = time.monotonic() - seconds
        view: View = next((view for until, view in self._views if until > moment), [])
        now = [(owner, name, getattr(owner, name)) for owner, name, _ in view]
        try:
            for owner, name, value in view:
                setattr(owner, name, value)
            yield
        finally:
            for owner, name, value in now:
                setattr(owner, name, value)

    def _forget(self) -> None:
        while self._views and self._views[0][0] < time.monotonic() - self.reach:
            self._views.popleft()


def _view() -> View:
    view: View = []
    _ = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]  # moto makes it at the first call, which may be the very one that is about to change it
    for account in ec2_backends.values():
        for backend in account.values():
            view += _compute(backend)
    for dns in route53_backends.values():
        for each in dns.values():
            view += [(each, "zones", {key: _copied(zone, rrsets=list(zone.rrsets)) for key, zone in each.zones.items()})]
    return view


def _compute(backend: Any) -> View:
    interfaces = {key: copy.copy(interface) for key, interface in backend.enis.items()}
    return [
        (backend, "volumes", {key: _volume(volume) for key, volume in backend.volumes.items()}),
        (backend, "snapshots", {key: copy.copy(snapshot) for key, snapshot in backend.snapshots.items()}),
        (backend, "enis", interfaces),
        (backend, "addresses", [copy.copy(address) for address in backend.addresses]),
        (backend, "tags", defaultdict(dict, {key: dict(tags) for key, tags in backend.tags.items()})),
        (backend, "reservations", {key: _reservation(each, interfaces) for key, each in backend.reservations.items()}),
    ]


def _volume(volume: Any) -> Any:
    modifications = [copy.copy(each) for each in volume.modifications]
    return _copied(volume, attachment=copy.copy(volume.attachment), modifications=modifications)


def _reservation(reservation: Any, interfaces: dict[str, Any]) -> Any:
    return _copied(reservation, instances=[_instance(each, interfaces) for each in reservation.instances])


def _instance(instance: Any, interfaces: dict[str, Any]) -> Any:
    nics = {index: interfaces.get(each.id, each) for index, each in instance.nics.items()}
    return _copied(instance, nics=nics, block_device_mapping=copy.copy(instance.block_device_mapping))


def _copied(original: Any, **changed: Any) -> Any:
    twin = copy.copy(original)
    for name, value in changed.items():
        setattr(twin, name, value)
    return twin
