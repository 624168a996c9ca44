"""A container's environment, command and downward values, as the API defines them. Pure: what it refers to is read before."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from lab.agent.state import Json

_REFERENCE = re.compile(r"\$(?:\$|\(([-._A-Za-z][-._A-Za-z0-9]*)\))")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")
_SUFFIXES = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "m": -3, "u": -6, "n": -9}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


class ConfigError(Exception):
    """What the container refers to is not there; its text is what a kubelet would say."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Pod runs: what the downward API answers beside its metadata."""

    pod: Json
    address: str
    host: str
    allocatable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """The ConfigMaps and Secrets of the Pod's namespace that were read, by name; one that is not there is missing here."""

    config_maps: Mapping[str, Json] = field(default_factory=dict)
    secrets: Mapping[str, Json] = field(default_factory=dict)


def references(spec: Json) -> Iterator[tuple[str, str]]:
    """The objects that a container's environment needs: `configmaps` or `secrets`, and a name."""
    for source in spec.get("envFrom", []):
        for kind, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if kind in source:
                yield plural, source[kind]["name"]
    for variable in spec.get("env", []):
        for kind, plural in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if reference := (variable.get("valueFrom") or {}).get(kind):
                yield plural, reference["name"]


def build(spec: Json, base: Mapping[str, str], place: Place, sources: Sources) -> dict[str, str]:
    """The environment of the container *spec*: *base* (the image's, the cluster's), envFrom, then env; each may name those before."""
    environment = dict(base)
    for source in spec.get("envFrom", []):
        environment |= {source.get("prefix", "") + name: value for name, value in _whole(source, sources)}
    for variable in spec.get("env", []):
        value = _value(variable, spec, place, sources, environment)
        if value is not None:
            environment[variable["name"]] = value
    return environment


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Put values in the place of `$(NAME)`; what is unknown stays, `$$` is a dollar sign."""

    def one(match: re.Match[str]) -> str:
        if match.group(0) == "$$":
            return "$"
        return environment.get(match.group(1), match.group(0))

    return _REFERENCE.sub(one, text)


def field_value(path: str, place: Place) -> str:
    """What a fieldRef says.

    Raises:
        ConfigError: the path is none that the downward API knows.
    """
    metadata, spec = place.pod["metadata"], place.pod["spec"]
    if match := _SUBSCRIPT.match(path):
        return str(metadata.get(match.group(1), {}).get(match.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = metadata.get(path.removeprefix("metadata."), {})
        return "".join(f'{name}="{_escaped(value)}"\n' for name, value in sorted(pairs.items())).rstrip("\n")
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": place.address,
        "status.podIPs": place.address,
        "status.hostIP": place.host,
        "status.hostIPs": place.host,
    }
    if path not in known:
        raise ConfigError(
            f"fieldRef {path!r} is not supported; known are {', '.join(sorted(known))}, metadata.labels['…'] and annotations['…']"
        )
    return str(known[path])


def resource_value(reference: Json, spec: Json, place: Place) -> str:
    """What a resourceFieldRef says of the container *spec*: a limit that is not set is the node's."""
    kind, _, resource = reference["resource"].partition(".")
    resources = spec.get("resources", {})
    found = resources.get(kind, {}).get(resource) or (resources.get("limits", {}).get(resource) if kind == "requests" else None)
    if found is None:
        found = place.allocatable.get(resource, "0") if kind == "limits" else "0"
    divisor = quantity(str(reference.get("divisor") or "1")) or Decimal(1)
    return str(math.ceil(quantity(str(found)) / divisor))


def quantity(text: str) -> Decimal:
    """A Kubernetes quantity as a number."""
    match = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)", text)
    if not match or match.group(2) not in _SUFFIXES | _BINARY:
        raise ConfigError(f"{text!r} is not a quantity")
    number, suffix = Decimal(match.group(1)), match.group(2)
    return number * 2 ** _BINARY[suffix] if suffix in _BINARY else number.scaleb(_SUFFIXES[suffix])


def decode(secret: Json) -> dict[str, bytes]:
    """A Secret's values."""
    return {name: base64.b64decode(value) for name, value in (secret.get("data") or {}).items()}


def _whole(source: Json, sources: Sources) -> Iterator[tuple[str, str]]:
    for kind, held, word in (("configMapRef", sources.config_maps, "configmap"), ("secretRef", sources.secrets, "secret")):
        if kind not in source:
            continue
        found = held.get(source[kind]["name"])
        if found is None and not source[kind].get("optional"):
            raise ConfigError(f'{word} "{source[kind]["name"]}" not found')
        yield from _texts(word, found or {}).items()


def _texts(word: str, found: Json) -> dict[str, str]:
    if word == "secret":
        return {name: value.decode(errors="replace") for name, value in decode(found).items()}
    return dict(found.get("data") or {})


def _value(variable: Json, spec: Json, place: Place, sources: Sources, known: Mapping[str, str]) -> str | None:
    source: dict[str, Any] = variable.get("valueFrom") or {}
    match source:
        case {"fieldRef": reference}:
            return field_value(reference["fieldPath"], place)
        case {"resourceFieldRef": reference}:
            return resource_value(reference, spec, place)
        case {"configMapKeyRef": reference}:
            return _key(reference, "configmap", sources.config_maps)
        case {"secretKeyRef": reference}:
            return _key(reference, "secret", sources.secrets)
    return expand(variable.get("value", ""), known)


def _key(reference: Json, word: str, held: Mapping[str, Json]) -> str | None:
    name, key = reference["name"], reference["key"]
    found = held.get(name)
    texts = _texts(word, found or {})
    if key in texts or reference.get("optional"):
        return texts.get(key)
    if found is None:
        raise ConfigError(f'{word} "{name}" not found')
    raise ConfigError(f"couldn't find key {key} in {word} {found['metadata']['namespace']}/{name}")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
