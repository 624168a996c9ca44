"""Named changes of manifests, by us and by others, each with the verdict that a person expects of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from tests.contract.dry_run import Mutation, Object, Subject, mutated
from tests.contract.dry_run_manifests import (
    ACCOUNT,
    BINDING,
    BUDGET,
    CLAIM,
    CONFIG,
    CONTAINER,
    HEADLESS,
    NETWORK_POLICY,
    NODE_PORT,
    ROLE,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    VOLUME,
    append,
    both,
    drop,
    put,
    same,
    turn,
)

Others = Callable[[Subject], None]


def _nobody(_on: Subject) -> None:
    pass


@dataclass(frozen=True)
class Case:
    """*base* is applied, *others* do what they do, and *ours* is what the spec says now."""

    name: str
    base: Object
    ours: Mutation
    verdict: str
    others: Others = _nobody


def edited(*mutations: Mutation) -> Others:
    return lambda on: on.edit(both(*mutations))


def applied(**body: Object) -> Others:
    return lambda on: on.add(body)


def told(**status: object) -> Others:
    return lambda on: on.tell(status)


DUAL: Object = {**SERVICE, "spec": {**SERVICE["spec"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}}
COUNTED: Object = {**BUDGET, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kv"}}}}
RECOUNTED = both(drop("spec.minAvailable"), put("spec.maxUnavailable", 1))
POD = "spec.template.spec"
ONE = f"{POD}.containers.0"
BARE = mutated(STATEFUL_SET, put(f"{POD}.volumes.1", {"name": "scratch"}))
SIDECAR = {"name": "proxy", "image": "proxy:2", "volumeMounts": [{"name": "certs", "mountPath": "/certs"}]}
INJECTED = edited(append(f"{POD}.containers", SIDECAR, first=True), append(f"{POD}.volumes", {"name": "certs", "emptyDir": {}}))
BOUND = told(phase="Bound", capacity={"storage": "10Gi"}, accessModes=["ReadWriteOnce"])
ENCODED = base64.b64encode(b"other").decode()
UNUSUAL = "\n".join(CONFIG["binaryData"]["logo"][at : at + 20] for at in range(0, 80, 20))

STATEFUL_SETS = (
    Case("nothing", STATEFUL_SET, same, "keep"),
    Case("an environment variable more", STATEFUL_SET, append(f"{ONE}.env", {"name": "MORE", "value": "1"}), "update"),
    Case("an environment variable less", STATEFUL_SET, drop(f"{ONE}.env.1"), "update"),
    Case("environment variables in another order", STATEFUL_SET, turn(f"{ONE}.env"), "update"),
    Case(
        "a variable in between is in nobody's way",
        STATEFUL_SET,
        same,
        "keep",
        edited(append(f"{ONE}.env", {"name": "X", "value": "1"}, first=True)),
    ),
    Case("an empty variable that is not said", STATEFUL_SET, drop(f"{ONE}.env.2.value"), "keep"),
    Case("a variable renamed", STATEFUL_SET, put(f"{ONE}.env.1.name", "LOG_LEVEL"), "update"),
    Case("a value in place of a reference", STATEFUL_SET, put(f"{ONE}.env.0", {"name": "MEMBER", "value": "kv-0"}), "update"),
    Case("the usual version of a field reference", STATEFUL_SET, put(f"{ONE}.env.0.valueFrom.fieldRef.apiVersion", "v1"), "keep"),
    Case("another image", STATEFUL_SET, put(f"{ONE}.image", "redis:8.2"), "update"),
    Case("another image by others", STATEFUL_SET, same, "update", edited(put(f"{ONE}.image", "redis:7"))),
    Case("arguments in another order", STATEFUL_SET, turn(f"{ONE}.args"), "update"),
    Case("no arguments", STATEFUL_SET, drop(f"{ONE}.args"), "update"),
    Case("an empty command", STATEFUL_SET, put(f"{ONE}.command", []), "keep"),
    Case("0.5 as 500m", STATEFUL_SET, put(f"{ONE}.resources.requests.cpu", "500m"), "keep"),
    Case("0.5 as 0.6", STATEFUL_SET, put(f"{ONE}.resources.requests.cpu", "0.6"), "update"),
    Case("an amount as a number", STATEFUL_SET, put(f"{ONE}.resources.requests.memory", 1 << 30), "keep"),
    Case("an amount finer than a thousandth", STATEFUL_SET, put(f"{ONE}.resources.requests.cpu", "0.4995"), "keep"),
    Case("a request less", STATEFUL_SET, drop(f"{ONE}.resources.requests.cpu"), "update"),
    Case("no resources", STATEFUL_SET, drop(f"{ONE}.resources"), "update"),
    Case("a limit by others", STATEFUL_SET, same, "keep", edited(put(f"{ONE}.resources.limits.cpu", "2"))),
    Case(
        "a probe's defaults said",
        STATEFUL_SET,
        both(put(f"{ONE}.readinessProbe.timeoutSeconds", 1), put(f"{ONE}.readinessProbe.failureThreshold", 3)),
        "keep",
    ),
    Case("a probe's period back to the default", STATEFUL_SET, drop(f"{ONE}.readinessProbe.periodSeconds"), "update"),
    Case("a probe's zero that means the default", STATEFUL_SET, put(f"{ONE}.livenessProbe.periodSeconds", 0), "keep"),
    Case("no probe", STATEFUL_SET, drop(f"{ONE}.readinessProbe"), "update"),
    Case(
        "a probe asks in another way",
        STATEFUL_SET,
        both(drop(f"{ONE}.livenessProbe.httpGet"), put(f"{ONE}.livenessProbe.tcpSocket", {"port": 6379})),
        "update",
    ),
    Case("a port's number in place of its name", STATEFUL_SET, put(f"{ONE}.livenessProbe.httpGet.port", 6379), "update"),
    Case("a port of two protocols", STATEFUL_SET, append(f"{ONE}.ports", {"name": "dns-tcp", "containerPort": 53}), "update"),
    Case("a port's usual protocol said", STATEFUL_SET, put(f"{ONE}.ports.0.protocol", "TCP"), "keep"),
    Case("a port's protocol changed", STATEFUL_SET, drop(f"{ONE}.ports.1.protocol"), "update"),
    Case("a port renamed", STATEFUL_SET, put(f"{ONE}.ports.0.name", "resp"), "update"),
    Case("a port less", STATEFUL_SET, drop(f"{ONE}.ports.0"), "update"),
    Case("a mount elsewhere", STATEFUL_SET, put(f"{ONE}.volumeMounts.1.mountPath", "/etc/other"), "update"),
    Case("a mount writable", STATEFUL_SET, drop(f"{ONE}.volumeMounts.1.readOnly"), "update"),
    Case("false where false is nothing", STATEFUL_SET, both(put(f"{ONE}.stdin", value=False), put(f"{POD}.hostPID", value=False)), "keep"),
    Case("false where false is something", STATEFUL_SET, put(f"{POD}.shareProcessNamespace", value=False), "update"),
    Case("false no more where false was something", STATEFUL_SET, drop(f"{POD}.automountServiceAccountToken"), "update"),
    Case("an empty context where there was none", STATEFUL_SET, put(f"{POD}.initContainers.0.securityContext", {}), "update"),
    Case("a container renamed", STATEFUL_SET, put(f"{POD}.initContainers.0.name", "door"), "update"),
    Case("a container less", STATEFUL_SET, drop(f"{POD}.initContainers"), "update"),
    Case("a sidecar and its volume by others", STATEFUL_SET, same, "keep", INJECTED),
    Case("another image beside a sidecar", STATEFUL_SET, put(f"{ONE}.image", "redis:8.2"), "update", INJECTED),
    Case(
        "a variable by others in our container that goes",
        STATEFUL_SET,
        drop(f"{POD}.initContainers"),
        "update",
        edited(append(f"{POD}.initContainers.0.env", {"name": "X", "value": "1"})),
    ),
    Case("a volume without a source gets one", BARE, put(f"{POD}.volumes.1.configMap", {"name": "kv-config"}), "impossible"),
    Case("a default mode said", STATEFUL_SET, put(f"{POD}.volumes.0.configMap.defaultMode", 0o644), "keep"),
    Case("a default mode changed", STATEFUL_SET, put(f"{POD}.volumes.0.configMap.defaultMode", 0o600), "update"),
    Case("a volume's amount spelt in another way", STATEFUL_SET, put(f"{POD}.volumes.1.emptyDir.sizeLimit", "512Mi"), "keep"),
    Case("a volume of another kind", STATEFUL_SET, put(f"{POD}.volumes.1", {"name": "scratch", "hostPath": {"path": "/mnt"}}), "update"),
    Case(
        "a token's usual duration said",
        STATEFUL_SET,
        put(f"{POD}.volumes.2.projected.sources.0.serviceAccountToken.expirationSeconds", 3600),
        "keep",
    ),
    Case(
        "a token's duration changed",
        STATEFUL_SET,
        put(f"{POD}.volumes.2.projected.sources.0.serviceAccountToken.expirationSeconds", 7200),
        "update",
    ),
    Case("a toleration's seconds", STATEFUL_SET, put(f"{POD}.tolerations.0.tolerationSeconds", 60), "update"),
    Case(
        "a toleration by others in a list that is one value",
        STATEFUL_SET,
        same,
        "update",
        edited(append(f"{POD}.tolerations", {"operator": "Exists"})),
    ),
    Case(
        "a node selector's label by others, in a mapping that is one value",
        STATEFUL_SET,
        same,
        "update",
        edited(put(f"{POD}.nodeSelector.cpu", "x")),
    ),
    Case("one of two spread constraints of a key", STATEFUL_SET, put(f"{POD}.topologySpreadConstraints.1.maxSkew", 3), "update"),
    Case(
        "a spread constraint of the other strictness",
        STATEFUL_SET,
        both(drop(f"{POD}.topologySpreadConstraints.0"), put(f"{POD}.topologySpreadConstraints.0.whenUnsatisfiable", "DoNotSchedule")),
        "update",
    ),
    Case("spread constraints in another order", STATEFUL_SET, turn(f"{POD}.topologySpreadConstraints"), "update"),
    Case("fewer replicas", STATEFUL_SET, put("spec.replicas", 0), "update"),
    Case("replicas left to others", STATEFUL_SET, drop("spec.replicas"), "update"),
    Case("replicas left to others who have set them", STATEFUL_SET, drop("spec.replicas"), "keep", edited(put("spec.replicas", 5))),
    Case("replicas that others set as well", STATEFUL_SET, drop("spec.replicas"), "keep", applied(spec={"replicas": 3})),
    Case("null for replicas", STATEFUL_SET, put("spec.replicas", None), "update"),
    Case("null for what is not there", STATEFUL_SET, put(f"{POD}.priorityClassName", None), "keep"),
    Case(
        "the grace that is usual anyway",
        STATEFUL_SET,
        both(put(f"{POD}.dnsPolicy", "ClusterFirst"), put(f"{POD}.restartPolicy", "Always")),
        "keep",
    ),
    Case("the usual grace", STATEFUL_SET, drop(f"{POD}.terminationGracePeriodSeconds"), "update"),
    Case("a service account no more, which its old name keeps", STATEFUL_SET, drop(f"{POD}.serviceAccountName"), "keep"),
    Case("another service account", STATEFUL_SET, put(f"{POD}.serviceAccountName", "other"), "update"),
    Case("the usual update strategy", STATEFUL_SET, drop("spec.updateStrategy"), "update"),
    Case("a Pod's label less", STATEFUL_SET, drop("spec.template.metadata.labels.tier"), "update"),
    Case("an annotation on Pods by others", STATEFUL_SET, same, "keep", edited(put("spec.template.metadata.annotations.restarted", "now"))),
    Case("the usual history", STATEFUL_SET, drop("spec.revisionHistoryLimit"), "update"),
    Case("another service name", STATEFUL_SET, put("spec.serviceName", "other"), "impossible"),
    Case("another way to manage Pods", STATEFUL_SET, drop("spec.podManagementPolicy"), "impossible"),
    Case(
        "another selector",
        STATEFUL_SET,
        both(put("spec.selector.matchLabels.app", "x"), put("spec.template.metadata.labels.app", "x")),
        "impossible",
    ),
    Case("a claim template's usual mode said", STATEFUL_SET, put("spec.volumeClaimTemplates.0.spec.volumeMode", "Filesystem"), "keep"),
    Case(
        "a claim template spelt in another way",
        STATEFUL_SET,
        put("spec.volumeClaimTemplates.0.spec.resources.requests.storage", "1Gi"),
        "keep",
    ),
    Case("a larger claim template", STATEFUL_SET, put("spec.volumeClaimTemplates.0.spec.resources.requests.storage", "2Gi"), "impossible"),
    Case("no claim templates", STATEFUL_SET, both(drop("spec.volumeClaimTemplates"), put(f"{POD}.volumes.1.name", "data")), "impossible"),
)
SERVICES = (
    Case("nothing, with an address and families by the server", SERVICE, same, "keep"),
    Case("nothing, headless", HEADLESS, same, "keep"),
    Case("nothing, with node ports by the server", NODE_PORT, same, "keep"),
    Case("ports in another order", SERVICE, turn("spec.ports"), "update"),
    Case("a port to elsewhere", SERVICE, put("spec.ports.1.targetPort", 5353), "update"),
    Case("a port to its own number", SERVICE, drop("spec.ports.0.targetPort"), "update"),
    Case("a port's own number said", SERVICE, put("spec.ports.1.targetPort", 53), "keep"),
    Case("the other of two protocols less", SERVICE, drop("spec.ports.2"), "update"),
    Case("another number", SERVICE, put("spec.ports.0.port", 6380), "update"),
    Case("a node port chosen", NODE_PORT, put("spec.ports.0.nodePort", 31234), "update"),
    Case("node ports no more", NODE_PORT, both(put("spec.type", "ClusterIP"), drop("spec.externalTrafficPolicy")), "update"),
    Case("the usual way in", NODE_PORT, drop("spec.externalTrafficPolicy"), "update"),
    Case("node ports from now on", SERVICE, put("spec.type", "NodePort"), "update"),
    Case("the usual type said", SERVICE, put("spec.type", "ClusterIP"), "keep"),
    Case("an address of its own", SERVICE, put("spec.clusterIP", "10.96.77.77"), "impossible"),
    Case("headless no more", HEADLESS, put("spec.clusterIP", "10.96.77.78"), "impossible"),
    Case("headless and not said any more", HEADLESS, drop("spec.clusterIP"), "keep"),
    Case("the family that it has", SERVICE, put("spec.ipFamilies", ["IPv4"]), "keep"),
    Case("another family", SERVICE, put("spec.ipFamilies", ["IPv6"]), "impossible"),
    Case("both families", SERVICE, put("spec.ipFamilyPolicy", "RequireDualStack"), "update"),
    Case(
        "a second family", SERVICE, both(put("spec.ipFamilyPolicy", "RequireDualStack"), put("spec.ipFamilies", ["IPv4", "IPv6"])), "update"
    ),
    Case("families not said any more", DUAL, both(drop("spec.ipFamilies"), drop("spec.ipFamilyPolicy")), "keep"),
    Case(
        "a node port not said any more",
        {**NODE_PORT, "spec": {**NODE_PORT["spec"], "ports": [{"port": 80, "nodePort": 31555}]}},
        drop("spec.ports.0.nodePort"),
        "keep",
    ),
    Case("a policy for families", SERVICE, put("spec.ipFamilyPolicy", "PreferDualStack"), "update"),
    Case("the usual affinity", HEADLESS, drop("spec.sessionAffinity"), "keep"),
    Case("an affinity", SERVICE, put("spec.sessionAffinity", "ClientIP"), "update"),
    Case("addresses that are ready only", HEADLESS, put("spec.publishNotReadyAddresses", value=False), "update"),
    Case(
        "a selector's label by others, in a mapping that is one value", SERVICE, same, "update", edited(put("spec.selector.tier", "gold"))
    ),
    Case("no selector", SERVICE, drop("spec.selector"), "update"),
    Case("a label by others", SERVICE, same, "keep", edited(put("metadata.labels.theirs", "x"))),
)
MAPS = (
    Case("a key more", CONFIG, put("data.more", "x"), "update"),
    Case("a key less", CONFIG, drop("data.empty"), "update"),
    Case("a key renamed", CONFIG, both(drop("data.empty"), put("data.blank", "")), "update"),
    Case("a key by others", CONFIG, same, "keep", edited(put("data.theirs", "x"))),
    Case("a key of ours changed by others", CONFIG, same, "update", edited(put("data.empty", "x"))),
    Case("a key of ours changed by others and given up", CONFIG, drop("data.empty"), "keep", edited(put("data.empty", "x"))),
    Case("a key of ours removed by others", CONFIG, same, "update", edited(drop("data.empty"))),
    Case("a key that others apply as well, given up", CONFIG, drop("data.empty"), "keep", applied(data={"empty": ""})),
    Case("no data at all", CONFIG, drop("data"), "update"),
    Case("no data, but others'", CONFIG, drop("data"), "update", edited(put("data.theirs", "x"))),
    Case("an empty mapping in place of data", CONFIG, put("data", {}), "update"),
    Case("an empty mapping where there is none", {**CONFIG, "binaryData": {}}, drop("binaryData"), "keep"),
    Case("bytes wrapped in lines", CONFIG, put("binaryData.logo", UNUSUAL), "keep"),
    Case("other bytes", CONFIG, put("binaryData.logo", ENCODED), "update"),
    Case("a label less", CONFIG, drop("metadata.labels.team"), "update"),
    Case("a label of ours changed by others", CONFIG, same, "update", edited(put("metadata.labels.team", "web"))),
    Case("an annotation by others", CONFIG, same, "keep", edited(put("metadata.annotations.theirs", "x"))),
    Case("a finalizer by others", CONFIG, same, "keep", edited(append("metadata.finalizers", "others.example/hold"))),
    Case("a finalizer of ours", CONFIG, put("metadata.finalizers", ["ours.example/hold"]), "update"),
    Case(
        "a finalizer beside others'",
        {**CONFIG, "metadata": {"finalizers": ["ours.example/hold"]}},
        drop("metadata.finalizers"),
        "update",
        edited(append("metadata.finalizers", "others.example/hold")),
    ),
    Case("sealed from now on", CONFIG, put("immutable", value=True), "update"),
    Case("sealed and changed", {**CONFIG, "immutable": True}, put("data.empty", "x"), "impossible"),
    Case("sealed no more", {**CONFIG, "immutable": True}, drop("immutable"), "impossible"),
    Case("sealed, and a label more", {**CONFIG, "immutable": True}, put("metadata.labels.more", "x"), "update"),
    Case("a secret's key more", SECRET, put("data.more", ENCODED), "update"),
    Case("a secret's key less", SECRET, drop("data.user"), "update"),
    Case("a secret's value changed", SECRET, put("data.user", ENCODED), "update"),
    Case(
        "a secret's value wrapped in lines",
        SECRET,
        put("data.password", SECRET["data"]["password"][:4] + "\n" + SECRET["data"]["password"][4:]),
        "keep",
    ),
    Case("a secret's type", SECRET, put("type", "example.com/other"), "impossible"),
    Case("a secret's usual type not said", SECRET, drop("type"), "keep"),
    Case("a secret's text that is as its data", SECRET, put("stringData.user", "kv"), "keep"),
    Case("a secret's text that is new", SECRET, put("stringData.more", "x"), "update"),
    Case("a secret's text in place of its data", SECRET, both(drop("data.user"), put("stringData.user", "kv")), "keep"),
    Case("a secret's text given up", {**SECRET, "stringData": {"text": "x"}}, drop("stringData"), "update"),
    Case("a secret's text changed", {**SECRET, "stringData": {"text": "x"}}, put("stringData.text", "y"), "update"),
)
STORAGE = (
    Case("nothing, bound", CLAIM, same, "keep", BOUND),
    Case("a claim grows", CLAIM, put("spec.resources.requests.storage", "20Gi"), "update", BOUND),
    Case("a claim spelt in another way", CLAIM, put("spec.resources.requests.storage", "10240Mi"), "keep", BOUND),
    Case("a claim shrinks", CLAIM, put("spec.resources.requests.storage", "5Gi"), "impossible", BOUND),
    Case("a claim's class", CLAIM, put("spec.storageClassName", "other"), "impossible", BOUND),
    Case("a claim's volume", CLAIM, put("spec.volumeName", "other"), "impossible", BOUND),
    Case("a claim's volume not said any more", CLAIM, drop("spec.volumeName"), "impossible", BOUND),
    Case("a claim's limit", CLAIM, put("spec.resources.limits", {"storage": "30Gi"}), "impossible", BOUND),
    Case("a claim's usual mode said", CLAIM, put("spec.volumeMode", "Filesystem"), "keep", BOUND),
    Case("a claim's access modes", CLAIM, put("spec.accessModes", ["ReadWriteMany"]), "impossible", BOUND),
    Case("a claim's finalizer by the server", CLAIM, put("metadata.labels.more", "x"), "update", BOUND),
    Case(
        "nothing, with a claim's uid by the server",
        VOLUME,
        same,
        "keep",
        edited(put("spec.claimRef.uid", "u-1"), put("spec.claimRef.resourceVersion", "7")),
    ),
    Case("a volume's claim", VOLUME, put("spec.claimRef.name", "data-kv-1"), "update", edited(put("spec.claimRef.uid", "u-1"))),
    Case("a volume's policy", VOLUME, put("spec.persistentVolumeReclaimPolicy", "Delete"), "update"),
    Case("a volume's usual policy not said", VOLUME, drop("spec.persistentVolumeReclaimPolicy"), "keep"),
    Case("a volume's handle", VOLUME, put("spec.csi.volumeHandle", "vol-2"), "impossible"),
    Case("a volume's handle not said any more", VOLUME, drop("spec.csi.fsType"), "impossible"),
    Case("a volume's false that is nothing", VOLUME, drop("spec.csi.readOnly"), "keep"),
    Case(
        "a volume's nodes",
        VOLUME,
        put("spec.nodeAffinity.required.nodeSelectorTerms.0.matchExpressions.0.values", ["us-east-1b"]),
        "impossible",
    ),
    Case("a volume's mode", VOLUME, put("spec.volumeMode", "Block"), "impossible"),
    Case("a volume's options", VOLUME, put("spec.mountOptions", ["noatime"]), "update"),
    Case("a volume's attributes", VOLUME, put("spec.csi.volumeAttributes", {"a": "b"}), "impossible"),
)
POLICIES = (
    Case("nothing, a budget", BUDGET, same, "keep"),
    Case("the other way to count", BUDGET, both(drop("spec.maxUnavailable"), put("spec.minAvailable", 2)), "update"),
    Case("the other way to count by others", BUDGET, same, "impossible", edited(drop("spec.maxUnavailable"), put("spec.minAvailable", 2))),
    Case("the other way to count, which others apply as well", COUNTED, RECOUNTED, "impossible", applied(spec={"minAvailable": 1})),
    Case("a share in place of a number", BUDGET, put("spec.maxUnavailable", "50%"), "update"),
    Case("a share by others", BUDGET, same, "update", edited(put("spec.maxUnavailable", "50%"))),
    Case("no disruption at all", BUDGET, put("spec.maxUnavailable", 0), "update"),
    Case("a budget's eviction policy not said", BUDGET, drop("spec.unhealthyPodEvictionPolicy"), "update"),
    Case("a budget's selector", BUDGET, put("spec.selector.matchLabels", {"app": "x"}), "update"),
    Case(
        "a budget's label by others in a selector that is one value",
        BUDGET,
        same,
        "update",
        edited(put("spec.selector.matchLabels.tier", "x")),
    ),
    Case("nothing, a network policy", NETWORK_POLICY, same, "keep"),
    Case("a rule's usual protocol said", NETWORK_POLICY, put("spec.ingress.0.ports.0.protocol", "TCP"), "keep"),
    Case("a rule's other protocol", NETWORK_POLICY, put("spec.ingress.0.ports.0.protocol", "UDP"), "update"),
    Case("a rule's port by name", NETWORK_POLICY, put("spec.ingress.0.ports.0.port", "redis"), "update"),
    Case("a peer less", NETWORK_POLICY, drop("spec.ingress.0.from.1"), "update"),
    Case("no peers: everybody", NETWORK_POLICY, drop("spec.ingress.0.from"), "update"),
    Case(
        "empty peers in place of no peers",
        {**NETWORK_POLICY, "spec": {"podSelector": {}, "ingress": [{}]}},
        put("spec.ingress.0.from", []),
        "keep",
    ),
    Case("a rule for all in place of no rule", {**NETWORK_POLICY, "spec": {"podSelector": {}}}, put("spec.ingress", [{}]), "update"),
    Case("no rules in place of none said", {**NETWORK_POLICY, "spec": {"podSelector": {}}}, put("spec.ingress", []), "keep"),
    Case("the types that follow from the rules", NETWORK_POLICY, put("spec.policyTypes", ["Ingress"]), "keep"),
    Case("one type more", NETWORK_POLICY, put("spec.policyTypes", ["Ingress", "Egress"]), "update"),
    Case(
        "types in another order",
        {**NETWORK_POLICY, "spec": {**NETWORK_POLICY["spec"], "policyTypes": ["Ingress", "Egress"]}},
        put("spec.policyTypes", ["Egress", "Ingress"]),
        "update",
    ),
    Case(
        "types not said any more",
        {**NETWORK_POLICY, "spec": {**NETWORK_POLICY["spec"], "policyTypes": ["Ingress"]}},
        drop("spec.policyTypes"),
        "keep",
    ),
    Case("a selector for all in place of some", NETWORK_POLICY, put("spec.podSelector", {}), "update"),
    Case("a selector's empty expressions", NETWORK_POLICY, put("spec.podSelector.matchExpressions", []), "keep"),
    Case(
        "a network policy's rule by others, in a list that is one value", NETWORK_POLICY, same, "update", edited(append("spec.ingress", {}))
    ),
)
ACCOUNTS = (
    Case("nothing, an account", ACCOUNT, same, "keep"),
    Case("an account that says nothing of its token", ACCOUNT, drop("automountServiceAccountToken"), "update"),
    Case("nothing, a role", ROLE, same, "keep"),
    Case("a role's verb more", ROLE, append("rules.1.verbs", "update"), "update"),
    Case("a role's rules the other way round", ROLE, turn("rules"), "update"),
    Case("a role's rule by others, in a list that is one value", ROLE, same, "update", edited(drop("rules.1"))),
    Case("nothing, a binding", BINDING, same, "keep"),
    Case("another whom it binds", BINDING, put("subjects.0.name", "other"), "update"),
    Case("a group in place of an account", BINDING, put("subjects", [{"kind": "Group", "name": "all"}]), "update"),
    Case("the usual group of a binding's role not said", BINDING, drop("roleRef.apiGroup"), "keep"),
    Case("another role", BINDING, put("roleRef.name", "other"), "impossible"),
)
CASES = (*STATEFUL_SETS, *SERVICES, *MAPS, *STORAGE, *POLICIES, *ACCOUNTS)
__all__ = ["CASES", "CONTAINER", "Case"]
