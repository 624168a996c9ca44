"""The Components document: which nodes there are, as ranges, and which configuration they shall have."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from reconciler.model.document import Flag, Named, Names, Part, Positive, Text
from reconciler.model.hostlist import HostList


def _node_template(text: str) -> str:
    if "{" in text.replace("{id}", "") or "}" in text.replace("{id}", ""):
        raise ValueError("has a placeholder other than {id}")
    return text


class ComponentsSpec(Part):
    """The `spec` of a Components document."""

    ids: HostList
    desired_configuration: Text | None = None
    enabled: Flag = True
    retry_policy: Positive | None = None
    groups: Names = ()
    vars: dict[str, Any] = Field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    node: Annotated[Text, AfterValidator(_node_template)] | None = None
    tags: dict[str, str] = Field(default_factory=dict)

    @field_validator("hosts")
    @classmethod
    def _hosts_are_among_ids(cls, hosts: dict[str, dict[str, Any]], known: ValidationInfo) -> dict[str, dict[str, Any]]:
        strangers = [host for host in hosts if "ids" in known.data and host not in known.data["ids"]]
        if strangers:
            raise ValueError(f"names {', '.join(strangers[:5])}, which ids does not contain")
        return hosts


class Components(ComponentsSpec, Named):
    """Components that share everything declared. `load` fills *retry_policy* from the environment; documents may share a name."""

    def node_of(self, id: str) -> str:
        """The Kubernetes node that component *id* is; "" where it is none."""
        return (self.node or "").replace("{id}", id)
