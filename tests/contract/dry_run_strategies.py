"""Manifests at random: few names and few values, so that two of them have much in common, and zeros and nulls where the schema has room."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from providers.manifest import schema
from tests.contract.dry_run import Object

Some = st.SearchStrategy[Any]


def one(*values: Any) -> Some:
    return st.sampled_from(values)


def some(**fields: Some) -> Some:
    """A mapping of some of *fields*."""
    return st.fixed_dictionaries({}, optional=fields)


def having(always: Mapping[str, Some], **fields: Some) -> Some:
    return st.fixed_dictionaries(dict(always), optional=fields)


def keyed(item: Some, *keys: str, least: int = 0, most: int = 3) -> Some:
    return st.lists(item, min_size=least, max_size=most, unique_by=lambda found: tuple(found.get(key, _USUAL.get(key)) for key in keys))


def several(*values: Any) -> Some:
    return st.lists(one(*values), max_size=3, unique=True)


_USUAL = {"protocol": "TCP"}
TEXT = one("", "x", "y")
FLAG = st.booleans()
OFF = (False,)
LABELS = some(a=TEXT, b=TEXT, c=TEXT)
SELECTOR = having({"matchLabels": one({"app": "kv"})})
PEER = st.one_of(
    some(podSelector=some(matchLabels=LABELS), namespaceSelector=some(matchLabels=LABELS)).filter(bool),
    having({"ipBlock": having({"cidr": one("10.0.0.0/8", "10.0.0.0/16")}, **{"except": one([], ["10.0.1.0/24"])})}),
)
METADATA = some(labels=LABELS, annotations=LABELS, finalizers=several("one.example/hold", "two.example/hold"))

PROBE = st.builds(
    lambda way, more: {**way, **more},
    st.one_of(
        having({"exec": some(command=several("a", "b"))}).filter(lambda found: found["exec"].get("command")),
        having({"httpGet": having({"port": one(80, "http")}, path=one("/", "/x"), scheme=one("HTTP", "HTTPS"))}),
        having({"tcpSocket": having({"port": one(80, "http")})}),
        having({"grpc": having({"port": one(80)}, service=TEXT)}),
    ),
    some(initialDelaySeconds=one(0, 5), periodSeconds=one(0, 5, 10), timeoutSeconds=one(1, 2), failureThreshold=one(0, 3, 4)),
)
VARIABLE = st.builds(
    lambda name, way: {"name": name, **way},
    one("A", "B", "C"),
    st.one_of(
        some(value=TEXT),
        having({"valueFrom": having({"fieldRef": having({"fieldPath": one("metadata.name", "metadata.uid")}, apiVersion=one("v1"))})}),
        having({"valueFrom": having({"configMapKeyRef": having({"name": one("x"), "key": one("a", "b")}, optional=FLAG)})}),
        having({"valueFrom": having({"resourceFieldRef": having({"resource": one("limits.cpu")}, divisor=one("0", "1", "1000m"))})}),
    ),
)
PORT = st.builds(
    lambda port, host: {**port, **({"hostPort": host and host + port["containerPort"]} if host is not None else {})},
    having({"containerPort": one(80, 81)}, protocol=one("TCP", "UDP")),
    one(None, 0, 9000),
)
CONTAINER_FIELDS: dict[str, Some] = {
    "args": st.lists(one("a", "b"), max_size=3),
    "command": st.lists(one("a", "b"), max_size=2),
    "env": keyed(VARIABLE, "name"),
    "envFrom": st.lists(having({"configMapRef": having({"name": one("x", "y")}, optional=FLAG)}, prefix=one("", "P_")), max_size=2),
    "imagePullPolicy": one("Always", "IfNotPresent"),
    "lifecycle": having({"preStop": having({"exec": having({"command": one(["a"], ["b"])})})}),
    "livenessProbe": PROBE,
    "ports": keyed(PORT, "containerPort", "protocol"),
    "readinessProbe": PROBE,
    "resources": some(
        requests=some(cpu=one("0.5", "500m", "0.6", "0.50009"), memory=one("1Gi", "1024Mi", 1 << 30, "1e9")),
        limits=some(cpu=one("2", "2000m", 3), memory=one("2Gi", "3Gi")),
    ),
    "securityContext": some(
        allowPrivilegeEscalation=FLAG,
        capabilities=some(add=several("CHOWN", "KILL"), drop=several("ALL", "KILL")),
        readOnlyRootFilesystem=FLAG,
        runAsUser=one(0, 1),
        runAsNonRoot=FLAG,
    ),
    "stdin": FLAG,
    "terminationMessagePath": one("/dev/termination-log", "/x"),
    "tty": FLAG,
    "volumeMounts": keyed(having({"name": one("data"), "mountPath": one("/a", "/b")}, readOnly=FLAG, subPath=TEXT), "mountPath"),
    "workingDir": one("", "/x"),
}


def container(*names: str) -> Some:
    return having({"name": one(*names), "image": one("x:1", "x", "y:latest", "z@sha256:" + "0" * 64)}, **CONTAINER_FIELDS)


VOLUME_SOURCE = st.one_of(
    st.just({}),
    having({"emptyDir": some(sizeLimit=one("1Gi", "1024Mi", "2Gi"), medium=one("", "Memory"))}),
    having({"configMap": having({"name": one("x", "y")}, defaultMode=one(0o644, 0o600, 0), optional=FLAG)}),
    having(
        {"secret": having({"secretName": one("x", "y")}, items=one([], [{"key": "a", "path": "a"}, {"key": "b", "path": "b", "mode": 0}]))}
    ),
    having({"hostPath": having({"path": one("/a", "/b")}, type=one("", "Directory"))}),
    having(
        {
            "projected": having(
                {
                    "sources": st.lists(
                        st.one_of(
                            having({"serviceAccountToken": having({"path": one("t")}, expirationSeconds=one(3600, 7200), audience=TEXT)}),
                            having({"downwardAPI": one({"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]})}),
                        ),
                        min_size=1,
                        max_size=1,
                    )
                },
                defaultMode=one(0o644, 0o600),
            )
        }
    ),
)
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_APART = having({"weight": one(1, 100), "podAffinityTerm": having({"topologyKey": one("host"), "labelSelector": SELECTOR})})
POD = having(
    {"containers": st.builds(lambda first, more: [first, *more], container("a"), keyed(container("b", "c"), "name", most=1))},
    affinity=having({"podAntiAffinity": having({_PREFERRED: st.lists(_APART, min_size=1, max_size=2)})}),
    automountServiceAccountToken=FLAG,
    dnsPolicy=one("ClusterFirst", "Default"),
    enableServiceLinks=FLAG,
    hostAliases=keyed(having({"ip": one("10.0.0.1", "10.0.0.2"), "hostnames": several("a", "b")}), "ip"),
    hostNetwork=one(*OFF),
    imagePullSecrets=keyed(having({"name": one("x", "y", "z")}), "name"),
    initContainers=keyed(container("i", "j"), "name", most=2),
    nodeSelector=LABELS,
    schedulerName=one("default-scheduler", "other"),
    securityContext=some(fsGroup=one(0, 1), runAsNonRoot=FLAG, supplementalGroups=several(0, 1, 2)),
    serviceAccountName=one("", "x", "y"),
    shareProcessNamespace=FLAG,
    terminationGracePeriodSeconds=one(0, 30, 60),
    tolerations=st.lists(having({"key": one("a", "b"), "operator": one("Exists")}, effect=one("NoExecute", "NoSchedule", "")), max_size=2),
    topologySpreadConstraints=keyed(
        having(
            {"topologyKey": one("zone", "host"), "whenUnsatisfiable": one("DoNotSchedule", "ScheduleAnyway"), "maxSkew": one(1, 2)},
            labelSelector=SELECTOR,
            nodeTaintsPolicy=one("Honor", "Ignore"),
        ),
        "topologyKey",
        "whenUnsatisfiable",
    ),
    volumes=keyed(st.builds(lambda name, source: {"name": name, **source}, one("u", "v", "w"), VOLUME_SOURCE), "name"),
)
STATEFUL_SET = having(
    {
        "serviceName": one(*["kv"] * 15, "other"),
        "selector": st.just({"matchLabels": {"app": "kv"}}),
        "template": having(
            {"metadata": having({"labels": LABELS.map(lambda found: {**found, "app": "kv"})}, annotations=LABELS), "spec": POD}
        ),
        "volumeClaimTemplates": st.lists(
            having(
                {
                    "metadata": st.just({"name": "data"}),
                    "spec": having(
                        {
                            "accessModes": one(["ReadWriteOnce"]),
                            "resources": one({"requests": {"storage": "1Gi"}}, {"requests": {"storage": "1024Mi"}}),
                        },
                        volumeMode=one("Filesystem"),
                    ),
                }
            ),
            min_size=1,
            max_size=1,
        ),
    },
    minReadySeconds=one(0, 5),
    ordinals=having({"start": one(0, 1)}),
    persistentVolumeClaimRetentionPolicy=some(whenDeleted=one("Retain", "Delete"), whenScaled=one("Retain", "Delete")),
    replicas=one(0, 1, 3),
    revisionHistoryLimit=one(0, 10, 3),
    updateStrategy=st.one_of(some(type=one("RollingUpdate"), rollingUpdate=some(partition=one(0, 1))), having({"type": one("OnDelete")})),
)
SERVICE = having(
    {
        "ports": keyed(
            having({"port": one(53, 80)}, protocol=one("TCP", "UDP"), targetPort=one(53, 80, 81, "http"), appProtocol=TEXT.filter(bool)),
            "port",
            "protocol",
            least=1,
        ).map(lambda ports: [{**port, "name": f"p{port['port']}{port.get('protocol', 'TCP').lower()}"} for port in ports])
    },
    externalIPs=several("1.2.3.4", "1.2.3.5"),
    internalTrafficPolicy=one("Cluster", "Local"),
    ipFamilyPolicy=one("SingleStack"),
    publishNotReadyAddresses=FLAG,
    selector=LABELS,
    sessionAffinity=one("None"),
    trafficDistribution=one("PreferClose"),
    type=one("ClusterIP"),
)
HEADLESS = st.builds(lambda spec: {**spec, "clusterIP": "None"}, SERVICE)
NODE_PORT = st.builds(lambda spec, more: {**spec, "type": "NodePort", **more}, SERVICE, some(externalTrafficPolicy=one("Cluster", "Local")))
ENCODED = one(*(base64.b64encode(found).decode() for found in (b"", b"x", b"something longer")))
VOLUME = having(
    {
        "capacity": one({"storage": "10Gi"}, {"storage": "10240Mi"}),
        "accessModes": one(["ReadWriteOnce"], ["ReadWriteMany", "ReadWriteOnce"]),
        "csi": having({"driver": one("x"), "volumeHandle": one(*["vol-1"] * 9, "vol-2")}, fsType=one("", "ext4"), readOnly=one(*OFF)),
    },
    claimRef=having({"namespace": one("default"), "name": one("a", "b")}, apiVersion=one("v1"), kind=one("PersistentVolumeClaim")),
    mountOptions=several("noatime", "ro"),
    persistentVolumeReclaimPolicy=one("Retain", "Delete"),
    storageClassName=one("", "reconciler-dry"),
    volumeMode=one("Filesystem"),
)
CLAIM = having(
    {
        "accessModes": one(["ReadWriteOnce"]),
        "storageClassName": one("reconciler-dry"),
        "volumeName": one("dry-kv-0-data"),
        "resources": having({"requests": having({"storage": one("10Gi", "10240Mi", "20Gi", "5Gi")})}),
    },
    volumeMode=one("Filesystem"),
)
BUDGET = st.builds(
    lambda way, more: {**way, **more},
    st.one_of(having({"maxUnavailable": one(0, 1, "50%", "0%")}), having({"minAvailable": one(0, 1, "50%")})),
    some(selector=some(matchLabels=LABELS), unhealthyPodEvictionPolicy=one("AlwaysAllow", "IfHealthyBudget")),
)
NETWORK_PORT = some(protocol=one("TCP", "UDP"), port=one(80, 81, "http"))
RULES = {"ports": st.lists(NETWORK_PORT, max_size=2)}
NETWORK_POLICY = having(
    {"podSelector": some(matchLabels=LABELS)},
    ingress=st.lists(some(**RULES, **{"from": st.lists(PEER, max_size=2)}), max_size=2),
    egress=st.lists(some(**RULES, to=st.lists(PEER, max_size=2)), max_size=2),
    policyTypes=one(["Ingress"], ["Egress", "Ingress"], ["Ingress", "Egress"], []),
)


def _with(version: str, kind: str, *, spec: Some | None = None, **top: Some) -> Some:
    base = {"apiVersion": st.just(version), "kind": st.just(kind), "metadata": METADATA}
    return having({**base, **({} if spec is None else {"spec": spec})}, **top)


MANIFESTS: dict[str, Some] = {
    "StatefulSet": _with("apps/v1", "StatefulSet", spec=STATEFUL_SET),
    "Service": _with("v1", "Service", spec=SERVICE),
    "Service without an address": _with("v1", "Service", spec=HEADLESS),
    "Service with node ports": _with("v1", "Service", spec=NODE_PORT),
    "ConfigMap": _with("v1", "ConfigMap", data=some(a=TEXT, b=TEXT, c=TEXT), binaryData=some(d=ENCODED, e=ENCODED), immutable=one(*OFF)),
    "Secret": _with("v1", "Secret", data=some(a=ENCODED, b=ENCODED, c=ENCODED), stringData=some(b=TEXT, d=TEXT), type=one("Opaque")),
    "PersistentVolume": _with("v1", "PersistentVolume", spec=VOLUME),
    "PersistentVolumeClaim": _with("v1", "PersistentVolumeClaim", spec=CLAIM),
    "PodDisruptionBudget": _with("policy/v1", "PodDisruptionBudget", spec=BUDGET),
    "NetworkPolicy": _with("networking.k8s.io/v1", "NetworkPolicy", spec=NETWORK_POLICY),
}


@st.composite
def manifests(draw: st.DrawFn, name: str) -> Object:
    """A manifest, now and then with a zero or a null where it says nothing."""
    found: Object = copy.deepcopy(draw(MANIFESTS[name]))
    for _ in range(draw(one(0, 0, 1, 2))):
        at, fields = draw(one(*_structures(schema.at(found["kind"], ()), found)))
        free = sorted(field for field in fields if field not in at and field not in _FIXED)
        if free:
            field = draw(one(*free))
            at[field] = draw(one(*_nothings(fields[field])))
    return found


_FIXED = frozenset(
    {
        *("annotations", "labels"),  # where our marks are
        *("protocol", "topologyKey", "whenUnsatisfiable", "nodePort"),  # keys, which no null can be, and what is allocated
        "podAntiAffinity",  # an empty one goes with what it lies in
        *("dataSource", "dataSourceRef", "sessionAffinityConfig"),  # the API drops empty ones
        "finalizers",  # where the API has its own
        "ordinals",  # the API writes the zero into an empty one
        *("name", "namespace", "generateName", "selfLink", "uid", "ownerReferences"),
        *("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "resourceVersion"),
    }
)
_ZEROS: Mapping[str, Any] = {"string": "", "integer": 0, "boolean": False, "number": 0, "quantity": "0", "int-or-string": 0, "bytes": ""}


def _nothings(type_: schema.Type) -> tuple[Any, ...]:
    """What says nothing, or next to nothing, in a field of *type_*."""
    match type_.form:
        case "struct":
            return ({},)
        case "list":
            return (None, [])
        case "mapping":
            return (None, {})
        case _:
            return (None, _ZEROS.get(type_.name))


def _structures(type_: schema.Type, value: Any) -> Iterator[tuple[Object, Mapping[str, schema.Type]]]:
    """Every structure in *value*, with the fields that it may have."""
    match type_.form:
        case "struct" if isinstance(value, dict):
            fields = schema.fields(type_.name)
            yield value, fields
            for field, below in value.items():
                yield from _structures(fields.get(field, schema.ANY), below)
        case "list" if isinstance(value, list) and type_.below:
            for item in value:
                yield from _structures(type_.below, item)
        case _:
            pass


Doing = Callable[[Object], object]


def merged(onto: Any, more: Any) -> Any:
    """*more* laid over *onto*, as a person edits: lists as they are, mappings field by field."""
    if isinstance(onto, dict) and isinstance(more, dict):
        return {**onto, **{name: merged(onto.get(name), value) for name, value in more.items()}}
    return more


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of everything in *value* that is no mapping."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from leaves(below, (*path, name))
    else:
        yield path
