"""Part of the stand-in `kubernetes` plugin: making and changing objects by server-side apply, for real or as a dry run."""

from __future__ import annotations

import copy
import functools
import http.client
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.plugins import kubernetes_objects as objects
from lab.plugins.kubernetes_client import ApiError, Client, Fields, NoMatch, Object, Place
from lab.plugins.patience import Patience
from lab.plugins.provider import Refused

_CONFLICTS = (
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/"
    "#handle-field-conflicts-on-existing-resources"
)
_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Applier:
    """Applies objects for one provider: *force* takes fields from others, *upsert* whole objects."""

    client: Client
    patience: Patience
    force: bool
    upsert: bool

    def create(self, wanted: Object, owner: str, say: Callable[[str], None]) -> tuple[Place, Object]:
        """Apply, and again while a namespace or a definition is yet to come, as the real plugin does."""
        for attempt in range(_RETRIES + 1):
            try:
                place = self.client.place(wanted["apiVersion"], wanted["kind"])
                sent = placed(wanted, place)
                self._refuse_existing(place, sent)
                return place, self.client.apply(place, sent, Fields(owner, self._may_force(wanted)))
            except (NoMatch, ApiError) as error:
                if attempt == _RETRIES or (isinstance(error, ApiError) and error.code != http.client.NOT_FOUND):
                    raise
                say(f"Retry #{attempt}; creation failed: {error}")
                self.patience.sleep(2.0**attempt)
        raise AssertionError("the last attempt raises or returns")

    def preview(self, wanted: Object, owner: str) -> Object:
        """What a create would make; a replacement is asked for under another name, since what it replaces is still there."""
        place = self.client.place(wanted["apiVersion"], wanted["kind"])
        fields = Fields(owner, force=True, dry_run=True)
        try:
            return self.client.apply(place, placed(wanted, place), fields)
        except ApiError as error:
            if error.reason != "Invalid" or "field is immutable" not in str(error):
                raise
        name = f"{wanted['metadata']['name'][:57]}{secrets.token_hex(3)[:5]}"
        return self.client.apply(place, placed({**wanted, "metadata": {**wanted["metadata"], "name": name}}, place), fields)

    def update(self, place: Place, wanted: Object, owner: str, *, dry_run: bool) -> Object:
        """Apply over what is live; a field that *owner* had and *wanted* has no more is given up by that."""
        return self.client.apply(place, placed(wanted, place), Fields(owner, self._may_force(wanted), dry_run))

    def _may_force(self, wanted: Object) -> bool:
        return self.force or objects.annotation(wanted, objects.PATCH_FORCE) == "true"

    def _refuse_existing(self, place: Place, wanted: Object) -> None:
        """An apply would take over what another made: since pull request 4278 of pulumi-kubernetes a create does so only when told to."""
        there = None if self.upsert else self.client.get(place, *where(wanted))
        if there is not None:
            leaving = "object is being deleted: " if there["metadata"].get("deletionTimestamp") else ""
            message = f'{leaving}{place.title} "{objects.named(wanted)[1]}" already exists'
            raise ApiError({"message": message, "reason": "AlreadyExists"}, http.client.CONFLICT)


def placed(wanted: Object, place: Place) -> Object:
    """*wanted* with the namespace that its kind has, or has not."""
    metadata = {key: value for key, value in wanted["metadata"].items() if key != "namespace"}
    namespace = wanted["metadata"].get("namespace") or "default"
    return {**wanted, "metadata": {**metadata, **({"namespace": namespace} if place.namespaced else {})}}


def where(live: Object) -> tuple[str, str]:
    """Namespace and name; a namespace that is not said is `default`."""
    namespace, name = objects.named(live)
    return namespace or "default", name


def explained(error: Refused, owner: str) -> str:
    """The API server's words; a conflict with the advice that the real plugin gives."""
    if not isinstance(error, ApiError) or error.code != http.client.CONFLICT or error.reason == "AlreadyExists":
        return str(error)
    return (
        f"Server-Side Apply field conflict detected. See {_CONFLICTS} for troubleshooting help.\n"
        f'The resource managed by field manager "{owner}" had an apply conflict: {error}'
    )


def without_ignored(wanted: Object, live: Object, owner: str, ignored: Sequence[str]) -> Object:
    """Leave out what the program ignores and another owns: to send it would claim it."""
    sent = copy.deepcopy(wanted)
    for one in ignored:
        *parents, last = one.split(".")
        if objects.owned_by_others(live, owner, [*parents, last]):
            node = functools.reduce(lambda at, step: at.get(step, {}) if isinstance(at, dict) else {}, parents, sent)
            node.pop(last, None)
    return sent
