"""Stand-in for `pulumi-resource-kubernetes` in the lab, for every kind that the API server has; a real one on PATH is used instead.

Objects are made and changed by server-side apply under a field manager of their own, which the outputs remember; what is live is read back
as the program declared it, so that a refresh shows drift and nothing that others own.
"""

from __future__ import annotations

import functools
import http.client
import secrets
from collections.abc import Iterator, Sequence

from lab.plugins import kubernetes_diff
from lab.plugins import kubernetes_objects as objects
from lab.plugins.engine_log import EngineLog
from lab.plugins.kubernetes_apply import Applier, explained, where, without_ignored
from lab.plugins.kubernetes_client import ApiError, Client, NoMatch, Object, Place
from lab.plugins.kubernetes_config import Switches, Unreachable
from lab.plugins.kubernetes_wait import UNWATCHED, NotReady, Watcher
from lab.plugins.patience import Patience
from lab.plugins.properties import Bag, Path, Values, has_unknown
from lab.plugins.provider import Difference, Failure, Live, Partial, Refused, Subject

_LISTS = (
    "list resources exist for compatibility with YAML manifests and Helm charts, and cannot be created directly. "
    "Use the underlying resource type instead"
)


class Kubernetes:
    """The provider: one per configuration, asked by the engine in many threads at once."""

    package = "pulumi_kubernetes"

    def __init__(self) -> None:
        self._client: Client | None = None
        self._unreachable: Unreachable | None = None
        self._switches = Switches({})
        self._patience = Patience()
        self._log = EngineLog("")

    def check_config(self, news: Values) -> Iterator[Failure]:
        if news.get("renderYamlToDirectory"):
            yield Failure("renderYamlToDirectory", "the lab's stand-in renders no YAML; the real provider does")
        if not Switches(news).server_side:
            yield Failure("enableServerSideApply", "the lab's stand-in knows server-side apply only; the real provider has both")

    def diff_config(self, olds: Values, news: Values) -> Difference:
        """Another cluster means other objects; a kubeconfig that leads to the same one does not."""
        changed = {name for name in {*olds, *news} - {"version"} if olds.get(name) != news.get(name)}
        moved = changed & {"kubeconfig", "context", "cluster"}
        away = bool(moved) and (has_unknown(news) or Switches(olds).cluster() != Switches(news).cluster())
        return Difference({(name,): "update" for name in changed}, frozenset((name,) for name in moved) if away else frozenset())

    def configure(self, settings: Values, patience: Patience, engine: str) -> None:
        self._switches, self._patience, self._log = Switches(settings), patience, EngineLog(engine)
        try:
            self._client = Client(self._switches.target())
        except Unreachable as error:
            self._unreachable = error

    def check(self, on: Subject, olds: Values, news: Values) -> tuple[Values, Sequence[Failure]]:
        api_version, kind = objects.split_token(on.token)
        if kind.endswith("List"):
            raise Refused(_LISTS)
        if kind.endswith("Patch") or on.token.startswith(("kubernetes:helm.sh", "kubernetes:yaml", "kubernetes:kustomize")):
            raise Refused(f"{on.token}: the lab's stand-in for pulumi-resource-kubernetes has plain objects only")
        wanted = objects.cleaned({"apiVersion": api_version, "kind": kind, **news})
        if (wanted.get("metadata") or {}).get("generateName"):
            raise Refused("the `.metadata.generateName` field is not supported in Server-Side Apply mode")
        objects.name_it(on, wanted, olds)
        if not wanted["metadata"].get("name"):
            return wanted, [Failure("metadata.name", "a name is needed: automatic names are disabled here")]
        namespace = self._switches.values.get("namespace") or (self._client.target.namespace if self._client else "")
        if namespace and not wanted["metadata"].get("namespace") and self._is_namespaced(api_version, kind):
            wanted["metadata"]["namespace"] = namespace
        return wanted, list(objects.failures(wanted, api_version, kind))

    def diff(self, on: Subject, olds: Values, news: Values) -> Difference:
        declared, live = objects.opened(olds)
        before, wanted = objects.projected(live, declared), objects.cleaned(news)
        namespaced = self._is_namespaced(*objects.split_token(on.token))
        for one in (before, wanted):
            metadata = one["metadata"] = dict(one.get("metadata") or {})
            metadata.pop("namespace", None) if not namespaced else metadata.setdefault("namespace", "default")
        before["metadata"]["name"] = objects.named(live)[1]
        before |= {key: live[key] for key in ("apiVersion", "kind") if key in live}
        found = kubernetes_diff.diff(before, wanted, kubernetes_diff.immutable(wanted, self._switches.mutable))
        stays = objects.named(before) == objects.named(wanted)
        return Difference(found.changes, found.replaces, stays and objects.annotation(wanted, objects.AUTONAMED) != "true")

    def create(self, on: Subject, news: Values) -> Live:
        wanted = objects.cleaned(news)
        owner = objects.annotation(wanted, objects.PATCH_MANAGER) or _new_owner()
        if on.preview:
            return Live("", self._previewed(wanted, news, owner))
        try:
            place, live = self._applier().create(wanted, owner, functools.partial(self._log.status, on.urn))
        except NoMatch as error:
            kind = f"{wanted['apiVersion']}/{wanted['kind']}"
            raise Refused(
                f'creation of resource "{on.urn}" with kind {kind} failed because the Kubernetes API server reported that the apiVersion '
                f"for this resource does not exist. Verify that any required CRDs have been created: {error}"
            ) from error
        except (ApiError, Unreachable) as error:
            raise Refused(
                f'resource "{on.urn}" was not successfully created by the Kubernetes API server: {explained(error, owner)}'
            ) from error
        keep = functools.partial(objects.checkpoint, wanted, api_version=wanted["apiVersion"], owner=owner)
        try:
            return Live(objects.id_of(live), keep(self._awaited(on, place, live)))
        except NotReady as error:
            reason = (
                f'resource "{on.urn}" was successfully created, but the Kubernetes API server reported that it failed to fully initialize '
                f"or become live: {error}"
            )
            raise Partial(Live(objects.id_of(live), keep(error.live)), [reason, *error.problems]) from error

    def read(self, on: Subject, outputs: Values, inputs: Values) -> Live | None:
        namespace, _, name = on.id.rpartition("/")
        api_version, kind = objects.split_token(on.token)
        declared = objects.cleaned(inputs)
        try:
            place = self._reached().place(str(declared.get("apiVersion") or api_version), str(declared.get("kind") or kind))
        except NoMatch:
            return None
        live = self._reached().get(place, namespace or "default", name)
        if live is None:
            return None
        seen = objects.projected(live, declared) if declared else objects.importable(live)
        owner = str(outputs.get("__fieldManager") or objects.annotation(declared, objects.PATCH_MANAGER) or _new_owner())
        initial = str(outputs.get("__initialApiVersion") or live["apiVersion"])
        return Live(on.id, objects.checkpoint(seen, live, initial, owner), seen)

    def update(self, on: Subject, olds: Values, news: Values) -> Live:
        wanted, (_, before) = objects.cleaned(news), objects.opened(olds)
        if on.preview and has_unknown(wanted):
            return Live(on.id, news)
        owner = objects.annotation(wanted, objects.PATCH_MANAGER) or str(olds.get("__fieldManager"))
        keep = functools.partial(objects.checkpoint, wanted, api_version=str(olds.get("__initialApiVersion")), owner=owner)
        place = self._reached().place(wanted["apiVersion"], wanted["kind"])
        live = self._reached().get(place, *where(before))
        if live is None:
            raise Refused(f'update of resource "{on.urn}" failed: {place.title} "{objects.named(before)[1]}" not found')
        try:
            sent = without_ignored(wanted, live, owner, on.ignore)
            live = self._applier().update(place, sent, owner, dry_run=on.preview)
            return Live(on.id, keep(live if on.preview else self._awaited(on, place, live)))
        except ApiError as error:
            if on.preview and error.code == http.client.FORBIDDEN:
                return Live(on.id, news)
            problem = f'update of resource "{on.urn}" failed: {explained(error, owner)}'
            if on.preview:
                raise Refused(problem) from error
            raise Partial(Live(on.id, keep(live)), [problem]) from error
        except NotReady as error:
            reason = f'the Kubernetes API server reported that "{on.id}" failed to fully initialize or become live: {error}'
            raise Partial(Live(on.id, keep(error.live)), [reason, *error.problems]) from error

    def delete(self, on: Subject, olds: Values) -> None:
        declared, live = objects.opened(olds)
        try:
            place = self._reached().place(live["apiVersion"], live["kind"])
            policy = objects.annotation(declared, objects.PROPAGATION).capitalize()
            body = {"propagationPolicy": policy if policy in {"Orphan", "Background"} else "Foreground"}
            self._reached().call("DELETE", place.path(*where(live)), {"kind": "DeleteOptions", "apiVersion": "v1", **body})
        except NoMatch:
            return
        except ApiError as error:
            if error.code == http.client.NOT_FOUND:
                return
            raise
        if objects.annotation(declared, objects.SKIP_AWAIT) == "true" and live["kind"] in UNWATCHED:
            return
        try:
            self._watcher(on).gone(place, live, on.timeout)
        except NotReady as error:
            kept = objects.checkpoint(declared, error.live, live["apiVersion"], str(olds.get("__fieldManager")))
            raise Partial(Live(on.id, kept), [str(error), *error.problems]) from error

    def secrets(self, on: Subject, inputs: Bag, outputs: Values) -> frozenset[Path]:
        """What the program called secret, wherever a checkpoint repeats it, and a Secret's content in any case."""
        hidden = set(inputs.secrets)
        if on.token == "kubernetes:core/v1:Secret":
            hidden |= {("data",), ("stringData",), ("metadata", "annotations", objects.LAST_APPLIED)}
        repeated = {("__inputs", *path) for path in hidden if path[0] != "__inputs"} if "__inputs" in outputs else set()
        return frozenset(hidden | repeated)

    def _reached(self) -> Client:
        if self._client is None:
            raise self._unreachable or Refused("the provider was not configured")
        return self._client

    def _applier(self) -> Applier:
        return Applier(self._reached(), self._patience, self._switches.force, self._switches.upsert)

    def _watcher(self, on: Subject) -> Watcher:
        return Watcher(self._reached(), self._patience, functools.partial(self._log.status, on.urn))

    def _is_namespaced(self, api_version: str, kind: str) -> bool:
        """As the API server says; a kind that it does not know yet most likely is."""
        try:
            return self._reached().place(api_version, kind).namespaced
        except (NoMatch, Unreachable):
            return True

    def _previewed(self, wanted: Object, news: Values, owner: str) -> Values:
        """What a dry run says would be made; the inputs where none can be asked for."""
        if has_unknown(wanted):
            return news
        try:
            live = self._applier().preview(wanted, owner)
        except (NoMatch, Unreachable):
            return news
        except ApiError as error:
            if error.no_namespace or error.code == http.client.FORBIDDEN:
                return news
            raise Refused(f"resource {wanted['kind']} {objects.id_of(wanted)}: {explained(error, owner)}") from error
        live.pop("status", None)
        return objects.checkpoint(wanted, live, wanted["apiVersion"], owner)

    def _awaited(self, on: Subject, place: Place, live: Object) -> Object:
        if objects.annotation(live, objects.SKIP_AWAIT) == "true":
            return live
        return self._watcher(on).ready(place, live, on.timeout)


def _new_owner() -> str:
    return f"pulumi-kubernetes-{secrets.token_hex(4)}"
