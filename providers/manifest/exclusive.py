"""Fields of which the API server takes one at most, whoever set them: the unions of k8s.io/api. Pure."""

from __future__ import annotations

from providers.manifest import schema

_HANDLERS = frozenset({"exec", "grpc", "httpGet", "sleep", "tcpSocket"})
_ONE_OF = {
    "core.v1.EnvVar": frozenset({"value", "valueFrom"}),
    "core.v1.LifecycleHandler": _HANDLERS,
    "core.v1.Probe": _HANDLERS,
    "policy.v1.PodDisruptionBudgetSpec": frozenset({"maxUnavailable", "minAvailable"}),
}
_ALL_BUT_THE_NAME = frozenset({"core.v1.EnvVarSource", "core.v1.Volume"})
_NONE: frozenset[str] = frozenset()


def rivals(name: str, field: str) -> frozenset[str]:
    """The fields of definition *name* beside which *field* cannot stand."""
    group = schema.fields(name).keys() - {"name"} if name in _ALL_BUT_THE_NAME else _ONE_OF.get(name, _NONE)
    return frozenset(group) - {field} if field in group else _NONE
