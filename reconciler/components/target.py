"""What git declares for each component, single ids out of ranges; pure, and the only place that expands them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.component import Components
from reconciler.model.componentstate import ComponentState
from reconciler.model.configuration import Checkout, Configuration, Source
from reconciler.model.desired import Desired
from reconciler.model.layer import Resolved, digest, signatures
from reconciler.model.work import Clone, WorkLayer

Tip = Callable[[Clone, str], str]  # the commit that a branch or tag of a repository is at; raises ProviderError


@dataclass(frozen=True, slots=True)
class Target:
    """What one component shall have. *known* is false where its configuration does not exist."""

    id: str
    configuration: str
    layers: tuple[str, ...]
    enabled: bool = True
    retry_policy: int = 3
    known: bool = True


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A component's place in an Ansible inventory."""

    groups: tuple[str, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def targets(desired: Desired, resolved: Mapping[str, Resolved]) -> Iterator[Target]:
    """Every declared component that shall have a configuration."""
    for document in desired.components:
        if document.desired_configuration:
            yield from _targets(desired, document, resolved.get(document.desired_configuration))


def _targets(desired: Desired, document: Components, configuration: Resolved | None) -> Iterator[Target]:
    name = document.desired_configuration or ""
    policy = document.retry_policy or desired.environment.sessions.retry_policy
    common = _signatures(document, "", configuration)
    for id in document.ids:
        layers = _signatures(document, id, configuration) if id in document.hosts else common
        yield Target(id, name, layers, document.enabled, policy, name in desired.configurations)


def _signatures(document: Components, id: str, configuration: Resolved | None) -> tuple[str, ...]:
    entry = host_entry(document, id)
    return signatures(configuration, digest([sorted(entry.groups), entry.vars])) if configuration else ()


def host_entry(document: Components, id: str) -> HostEntry:
    """Of one id of *document*."""
    return HostEntry(document.groups, {**document.vars, **document.hosts.get(id, {})}, document.tags)


def host_entries(desired: Desired, ids: tuple[str, ...]) -> dict[str, HostEntry]:
    """Of each of *ids* that is declared."""
    owner = {id: document for document in desired.components for id in ids if id in document.ids}
    return {id: host_entry(owner[id], id) for id in ids if id in owner}


def declared(desired: Desired, components: Iterable[ComponentState]) -> tuple[ComponentState, ...]:
    """Those of *components* that git is known to declare; others are left as they are as long as not all that it declares is known."""
    if not desired.lost:
        return tuple(components)
    return tuple(one for one in components if any(one.id in document.ids for document in desired.components))


def resolve(configuration: Configuration, sources: Mapping[str, Source], known: Resolved | None, tip: Tip | None = None) -> Resolved:
    """Its layers at commits. A branch is looked up once, when first declared: *known* is what came of that; without *tip* it stays open."""
    urls = {one.source: sources[one.source].clone_url for one in _checkouts(configuration) if one.source and one.source in sources}
    declared = digest([configuration.model_dump(mode="json", include={"layers", "additional_inventory"}), urls])
    if known and known.declared == declared and (known.whole or tip is None):
        return known
    layers = tuple(
        WorkLayer(index, _at(layer, sources, tip), layer.playbook, layer.name) for index, layer in enumerate(configuration.layers)
    )
    extra = configuration.additional_inventory
    return Resolved(configuration.name, declared, layers, _at(extra, sources, tip) if extra else None)


def _checkouts(configuration: Configuration) -> tuple[Checkout, ...]:
    extra = configuration.additional_inventory
    return (*configuration.layers, *((extra,) if extra else ()))


def _at(checkout: Checkout, sources: Mapping[str, Source], tip: Tip | None) -> Clone:
    source = sources.get(checkout.source or "")
    secret = source.credentials.secret_ref if source and source.credentials else None
    clone = Clone(
        checkout.clone_url or (source.clone_url if source else ""),
        checkout.commit or "",
        secret.name if secret else "",
        secret.key if secret else "",
        (source.ca_cert or "") if source else "",
    )
    if clone.commit or tip is None or not checkout.branch:
        return clone
    return Clone(clone.clone_url, tip(clone, checkout.branch), clone.credentials, clone.credentials_key, clone.ca)
