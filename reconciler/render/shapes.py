"""What commands print as JSON, a shape each: `specs/schema/out/` is made from them. Fields are only ever added.

Ages are as in the text (`5s`, `12m`, `3h`, `9d`; "" where there is none), times ISO 8601 in UTC or seconds since the epoch, as said.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from reconciler.model import condition, snapshot
from reconciler.model.change import Action
from reconciler.model.componentstate import Applied as LayerStatus
from reconciler.model.componentstate import Status
from reconciler.model.resource import Owner
from reconciler.model.session import Progress, Succeeded

Ready = Literal["Ready", "NotReady", "-"]
VolumeState = Literal["bound", "retained", "orphaned"]
Word = Literal["no-op", "create", "update", "delete", "forget"]


Summary = TypedDict(  # how often each word of the footer applies; a replacement counts as add and as destroy
    "Summary",
    {"import": int, "add": int, "change": int, "destroy": int, "forget": int, "hold": int, "refuse": int, "keep": int},
)


class Importing(TypedDict):
    """The live id of what is taken over."""

    id: str


class Body(TypedDict):
    """As in Terraform's plan: trees of the changed fields, and the same trees with true where a value is unknown or secret."""

    actions: list[Word]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    after_unknown: NotRequired[dict[str, Any]]
    before_sensitive: NotRequired[dict[str, Any]]
    after_sensitive: NotRequired[dict[str, Any]]
    replace_paths: NotRequired[list[list[str]]]
    importing: NotRequired[Importing]


class ResourceChange(TypedDict):
    """One thing and what becomes of it; *type* is Terraform's. *previous_address* is the one of before a `movedFrom`."""

    address: str
    previous_address: NotRequired[str]
    mode: Literal["managed"]
    type: str
    name: str
    action_reason: str
    owner: Owner
    impact: str
    change: Body


class ResourceDrift(TypedDict):
    """What left what was last applied, by the apply of commit *since*: before is what was recorded, after what is live."""

    address: str
    text: str
    mode: Literal["managed"]
    type: str
    name: str
    since: str
    change: Body


class Conflict(TypedDict):
    """A field that somebody else puts back time and again; *since* is ISO 8601, to the minute."""

    address: str
    path: str
    owner: str
    times: int
    since: str


class Ignored(TypedDict):
    """A field that is left to others. Of a secret one neither value is told."""

    address: str
    path: str
    reason: str
    differs: bool
    live: NotRequired[Any]
    declared: NotRequired[Any]


class Still(TypedDict):
    """What nothing is done about, and why."""

    address: str
    reason: str


class HeldService(TypedDict):
    """A service that is left as it is, and the fault that holds it."""

    service: str
    reason: str


class Components(TypedDict):
    """How the components of one configuration stand; *layers* are the indexes that somebody still needs."""

    configuration: str
    total: int
    pending: int
    failed: int
    configured: int
    layers: list[int]


class Diagnostic(TypedDict):
    """As in Terraform's `validate -json`, with the place in the spec; line 0 where it has none."""

    severity: Literal["error", "warning"]
    summary: str
    detail: str
    path: str
    line: int
    column: int


class Operation(TypedDict):
    """A step of the engine, held against the plan."""

    address: str
    op: str
    fields: list[str]
    planned: str
    verdict: Literal["planned", "allowed", "differs", "worse"]


class EngineStack(TypedDict):
    """What the engine's preview of one stack says; *error* where it could not tell."""

    stack: str
    error: str
    operations: list[Operation]


class Plan(TypedDict):
    """`plan`. With *errored* and no changes, the environment's own document is at fault."""

    format_version: str
    environment: str
    errored: bool
    diagnostics: NotRequired[list[Diagnostic]]
    revision: NotRequired[str]
    tree: NotRequired[str]
    digest: NotRequired[str]
    summary: NotRequired[Summary]
    resource_changes: NotRequired[list[ResourceChange]]
    resource_drift: NotRequired[list[ResourceDrift]]
    warnings: NotRequired[list[str]]
    conflicts: NotRequired[list[Conflict]]
    ignored: NotRequired[list[Ignored]]
    held: NotRequired[list[Still]]
    held_services: NotRequired[list[HeldService]]
    refused: NotRequired[list[Still]]
    components: NotRequired[list[Components]]
    engine: NotRequired[list[EngineStack]]


class Fault(TypedDict):
    """`validate`: what is wrong, where, and what to do."""

    path: str
    line: int
    column: int
    message: str
    hint: str


class ServiceStanding(TypedDict):
    """How one service stands."""

    service: str
    synced: Literal["Synced", "OutOfSync"]
    ready: Ready
    configured: str
    reason: str
    revision: str


class Condition(TypedDict):
    """Something that a member or a service has or lacks; *message* says what is waited for.

    *since* is ISO 8601, "" where the cluster does not tell.
    """

    type: condition.Type
    status: condition.Status
    reason: str
    message: str
    since: str
    age: str


class Service(ServiceStanding):
    """`status`: with the age of the last apply."""

    age: str
    conditions: list[Condition]


class Member(TypedDict):
    """`members`. *address* is where its record leads, or its interface is. Of its *conditions* each comes before what depends on it."""

    service: str
    member: str
    zone: str
    node: str
    address: str
    record: str
    phase: str
    ready: bool
    reason: str
    age: str
    conditions: list[Condition]


class Volume(TypedDict):
    """`volumes`. *id* is AWS's, *size* a quantity."""

    id: str
    service: str
    member: str
    name: str
    size: Any
    zone: str
    state: VolumeState


class Snapshot(TypedDict):
    """That of one volume; *state* is EBS's word for it."""

    id: str
    member: str
    name: str
    size: str
    state: str


class SnapshotSet(TypedDict):
    """`snapshots`: those that were taken for the time *slot* of a service's schedule. Only a complete set can be restored.

    *taken* is when the last of them was, ISO 8601: a `snapshotTime` from then on may mean this set.
    """

    service: str
    slot: str
    taken: str
    age: str
    state: snapshot.State
    of: int
    volumes: list[Snapshot]


class Applied(TypedDict):
    """`history`: one apply; *summary* is that of its plan."""

    time: str
    environment: str
    action: str
    revision: str
    summary: dict[str, int]
    result: str


class ServiceType(TypedDict):
    """`catalog`. *version* is the default one; *package* is the one that it comes from, "" for this program's own."""

    type: str
    level: Literal["full", "rendered"]
    version: str
    versions: list[str]
    package: str


class Component(TypedDict):
    """`components list`."""

    id: str
    configuration: str
    status: Status
    error_count: int
    enabled: bool


class LayerState(TypedDict):
    """What a component knows of one layer; *commit* has seven digits."""

    playbook: str
    commit: str
    status: LayerStatus
    session: str
    message: str


class ComponentDetail(Component):
    """`components show`."""

    state: list[LayerState]


class Session(TypedDict):
    """`sessions`. *components* is how many it has; *completed* is null until it has ended."""

    name: str
    configuration: str
    status: Progress
    succeeded: Succeeded
    components: int
    layers: list[int]
    created: str
    completed: str | None


class Declared(TypedDict):
    """Who declares it, and at which line."""

    by: str
    origin: str
    owner: Owner


class Live(TypedDict):
    """One live thing; *since* is as AWS or Kubernetes tells it."""

    id: str
    since: str
    attributes: dict[str, Any]


class Verdict(TypedDict):
    """What a plan made now would do to it."""

    action: Action
    reason: str
    impact: str


Reference = TypedDict("Reference", {"field": str, "to": str, "is": str})  # a field that names what another thing has, and what that is now


class FieldAccount(TypedDict):
    """One field. *source* is the line that declares it, `default`, `rendered`, or "" for what nobody declares."""

    path: str
    declared: Any
    live: Any
    owner: str
    source: str


class Account(TypedDict):
    """`explain ADDRESS`. *applied* is the last apply that touched it, as far as this history goes."""

    address: str
    environment: str
    revision: str
    declared: Declared | None
    live: list[Live]
    engine: bool
    states: list[str]
    plan: Verdict | None
    applied: dict[str, Any] | None
    needs: list[str]
    needed_by: list[str]
    references: list[Reference]
    fields: list[FieldAccount]
