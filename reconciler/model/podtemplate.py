"""The shape of a Pod template as far as ours is laid over it: what Kubernetes has beside that passes as it is."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reconciler.model.document import Part, Text, Whole


class Open(BaseModel):
    """A mapping with more fields than these."""

    model_config = ConfigDict(frozen=True, extra="allow", alias_generator=to_camel, populate_by_name=True)


class PodMetadata(Open):
    """Labels and annotations of each Pod."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Item(Open):
    """An item of a list that is merged by its name."""

    name: Text


class Mount(Open):
    """Where a container sees a volume."""

    name: Text
    mount_path: Text


class Port(Open):
    """A port that a container listens on."""

    container_port: Whole


class Container(Open):
    """A container; a service type says which of its fields it needs."""

    name: Text = ""
    image: Text = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[Item, ...] = ()
    ports: tuple[Port, ...] = ()
    volume_mounts: tuple[Mount, ...] = ()
    resources: dict[str, dict[str, Any]] = Field(default_factory=dict)


class PodSpec(Open):
    """The Pod itself."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Item, ...] = ()
    image_pull_secrets: tuple[Item, ...] = ()
    tolerations: tuple[dict[str, Any], ...] = ()
    node_selector: dict[str, str] = Field(default_factory=dict)
    affinity: dict[str, Any] = Field(default_factory=dict)
    security_context: dict[str, Any] = Field(default_factory=dict)


class PodTemplate(Part):
    """What `podTemplate` of a service may be."""

    metadata: PodMetadata = PodMetadata()
    spec: PodSpec = PodSpec()
