"""The Environment document: where its services live, and how the reconciler reaches it."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from reconciler.model import allowance
from reconciler.model.document import LABEL, Distinct, Flag, Named, Names, NotEmpty, Part, Positive, Text, Whole
from reconciler.model.duration import Duration
from reconciler.model.quantity import Quantity


def _domain(name: str) -> str:
    labels = name.split(".")
    if len(name) > _LONGEST_ZONE or len(labels) < 2 or not all(re.fullmatch(LABEL, label) for label in labels):  # noqa: PLR2004
        raise ValueError("must be a domain in lower case without a dot at its end: db.example.internal")
    return name


def _allowance(text: str) -> str:
    allowance.parse(text)
    return text


def _api(url: str) -> str:
    if not re.fullmatch(rf"kubernetes://{LABEL}/{LABEL}(:[a-z0-9-]+)?|https?://[^\s/]+(/\S*)?", url):
        raise ValueError("must be kubernetes://<namespace>/<service>, or http://… or https://…")
    return url


Allowances = Annotated[tuple[Annotated[Text, AfterValidator(_allowance)], ...], Distinct]

_LONGEST_ZONE = 189  # leaves 63 for a member's label, and a dot, of the 253 of a name
Policy = Literal["automatic", "creations", "approval"]
Unreachable = Literal["wait", "stop"]


# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions; of 50 tags some are ours, and whoever else's
_KEY, _VALUE, _TAGS, _NAMES = 128, 256, 30, 220
_SIGNS = frozenset(" _.:/=+-@")


def _tag_name(name: str) -> str:
    if not 0 < len(name) <= _KEY or not _spellable(name):
        raise ValueError(f"the name of a tag must be 1 to {_KEY} letters, digits, spaces and any of _ . : / = + - @")
    for prefix, whose in (("aws:", "AWS's own"), ("reconciler/", "for our marks")):
        if name.lower().startswith(prefix):
            raise ValueError(f"names that begin with {prefix} are {whose}; choose another")
    return name


def _tag_value(value: str) -> str:
    if len(value) > _VALUE or not _spellable(value):
        raise ValueError(f"the value of a tag must be at most {_VALUE} letters, digits, spaces and any of _ . : / = + - @")
    return value


def _spellable(text: str) -> bool:
    return all(char.isalnum() or char in _SIGNS for char in text)


def _tags(tags: dict[str, str]) -> dict[str, str]:
    """Their names are kept in one tag's value, where a space and an @ take two characters."""
    together = sum(len(name) + name.count(" ") + name.count("@") + 1 for name in tags)
    if len(tags) > _TAGS or together > _NAMES:
        raise ValueError(
            f"too many tags: there may be {_TAGS}, with names of {_NAMES} characters together; these {len(tags)} have {together}"
        )
    return tags


Tags = Annotated[dict[Annotated[str, AfterValidator(_tag_name)], Annotated[str, AfterValidator(_tag_value)]], AfterValidator(_tags)]


class Aws(Part):
    """Account and network. Without *region* it is that of the first zone."""

    region: Text | None = None
    endpoint: Text | None = None
    profile: Text | None = None
    role_arn: Text | None = None
    vpc: Text | None = None
    subnets: dict[str, Text] = Field(default_factory=dict)  # by zone
    security_groups: Names = ()
    tags: Tags = Field(default_factory=dict)


class Dns(Part):
    """The hosted zone that records are written to."""

    zone: Annotated[str, AfterValidator(_domain)] = "db.internal"
    private: Flag = True
    ttl: Duration = Duration.parse("5s")


class Kubernetes(Part):
    """The cluster, and the namespace of what services do not place themselves."""

    context: Text | None = None
    kubeconfig: Text | None = None
    namespace: Text = "default"


class EngineSettings(Part):
    """How the Pulumi engine runs, and what its plugins use to write. Without *backend* its checkpoints lie beside the store."""

    backend: Text | None = None
    secrets_provider: Text = "passphrase"
    parallel: Positive = 8
    allow: Allowances = ()
    role_arn: Text | None = None
    profile: Text | None = None
    kubeconfig: Text | None = None
    context: Text | None = None


class MembersSettings(Part):
    """What the members role uses: records that follow Pods, attachments, marks; and what becomes of a node that does not answer.

    Its instance may still run, and write: *unreachable* says whether to wait for a person then, or to stop it *unreachable_after*.
    """

    role_arn: Text | None = None
    profile: Text | None = None
    kubeconfig: Text | None = None
    context: Text | None = None
    unreachable: Unreachable = "wait"
    unreachable_after: Duration = Duration.parse("5m")


class Ssh(Part):
    """How sessions reach hosts."""

    user: Text
    key_secret: Text
    known_hosts_secret: Text | None = None
    ca_secret: Text | None = None


class ComputeResources(Part):
    """What a container asks for and may have."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    limits: dict[str, Quantity] = Field(default_factory=dict)

    def manifest(self) -> dict[str, dict[str, str]]:
        """As a container's manifest writes it, without what is empty."""
        pairs = {"requests": self.requests, "limits": self.limits}
        return {name: {key: str(amount) for key, amount in amounts.items()} for name, amounts in pairs.items() if amounts}


class Sessions(Part):
    """How Ansible sessions run."""

    executor: Literal["kubernetes", "local"] = "kubernetes"
    image: Text = "reconciler/runner:0.1"
    service_account: Text | None = None
    resources: ComputeResources = ComputeResources()
    max_concurrent: Positive = 20
    deadline: Duration = Duration.parse("1h")
    batch_size: Positive = 25
    batch_window: Duration = Duration.parse("60s")
    retry_policy: Positive = 3
    ttl: Duration = Duration.parse("7d")
    ssh: Ssh | None = None
    vault_password_secret: Text | None = None
    ansible_config: Text | None = None
    collections: Names = ()


class Guard(Part):
    """How much a plan may delete before a person has to say so."""

    max_deletes: Annotated[Whole, Field(ge=0)] = 10
    max_delete_percent: Annotated[Whole, Field(ge=0, le=100)] = 30


class Window(Part):
    """When `serve` may act by itself."""

    cron: Text
    duration: Duration
    time_zone: Text = "UTC"


class EnvironmentSpec(Part):
    """The `spec` of an Environment document."""

    zones: Annotated[Names, NotEmpty]
    aws: Aws = Aws()
    dns: Dns = Dns()
    kubernetes: Kubernetes = Kubernetes()
    engine: EngineSettings = EngineSettings()
    members: MembersSettings = MembersSettings()
    api: Annotated[Text, AfterValidator(_api)] | None = None
    store: Text | None = None
    events: Text = "local"
    sessions: Sessions = Sessions()
    guard: Guard = Guard()
    policy: Policy = "automatic"
    windows: tuple[Window, ...] = ()
    paused: Flag = False

    @property
    def region(self) -> str:
        """The AWS region: that of `aws`, else that of the first zone."""
        return self.aws.region or self.zones[0].rstrip("abcdefghijklmnopqrstuvwxyz")


class Environment(EnvironmentSpec, Named):
    """One environment of a config repository."""
