"""What all documents of a config repository have in common: frozen parts, camelCase in YAML, unknown fields refused."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, Strict, WithJsonSchema
from pydantic.alias_generators import to_camel

from reconciler.model.origin import Origin

API_VERSION = "reconciler/v1"
LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


def _dns_label(text: str) -> str:
    if not re.fullmatch(LABEL, text):
        raise ValueError("must be a DNS label: at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit")
    return text


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    doubles = sorted({str(item) for item in items if items.count(item) > 1})
    if doubles:
        raise ValueError(f"names {', '.join(doubles)} more than once")
    return items


def _not_empty(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("needs at least one item")
    return items


Distinct = AfterValidator(_distinct)
NotEmpty = AfterValidator(_not_empty)
Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Positive = Annotated[int, Strict(), Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]
DnsLabel = Annotated[str, AfterValidator(_dns_label), WithJsonSchema({"type": "string", "pattern": f"^{LABEL}$"})]
Names = Annotated[tuple[Text, ...], Distinct]


class Part(BaseModel):
    """A mapping of a document. From YAML only the camelCase names are taken (`by_name=False`); code may use either."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class SecretRef(Part):
    """A key of a Kubernetes Secret of the environment's namespace; without *key*, the whole Secret."""

    name: DnsLabel
    key: str = ""


class Metadata(Part):
    """What every document says of itself."""

    name: DnsLabel
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Named(Part):
    """What a noun has beside its spec: its metadata, and where it stands."""

    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    origin: Origin = Origin("")
    _locate: Callable[[str], Origin] | None = PrivateAttr(default=None)

    def locate(self, path: str) -> Origin:
        """Where *path* ("spec.volumes.data.size") stands, or the nearest thing around it that is written; only once it is asked for."""
        return self._locate(path) if self._locate else self.origin

    def placed(self, locate: Callable[[str], Origin]) -> Self:
        """The same noun, with how its fields are found."""
        self._locate = locate
        return self
