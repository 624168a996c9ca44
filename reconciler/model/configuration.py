"""The Configuration and Source documents: which Ansible layers, in which order, and where they are cloned from."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from reconciler.model import cloneurl
from reconciler.model.document import Named, NotEmpty, Part, Positive, SecretRef, Text
from reconciler.model.environment import Window

_SCHEMES = ("https", "http", "ssh", "git", "file")


def _clone_url(url: str) -> str:
    """A URL or path that git clones without running anything but its own transports (`ext::` runs any command)."""
    scheme, colon, rest = url.partition("://")
    if re.search(r"[\s\x00-\x1f]", url) or url.startswith("-") or "::" in url.split("/", maxsplit=1)[0]:
        raise ValueError("is no URL that layers are cloned from")
    if colon and scheme not in _SCHEMES:
        raise ValueError(f"has the scheme {scheme}, which is none of {', '.join(_SCHEMES)}")
    if colon and ":" in rest.split("/", maxsplit=1)[0].rpartition("@")[0]:
        raise ValueError("carries a password, which has no place in git: declare a Source with credentials")
    return url


def _playbook(path: str) -> str:
    if path.startswith(("/", "-")) or ".." in path.split("/"):
        raise ValueError("must be a path inside the layer's repository")
    return path


def _branch(name: str) -> str:
    """By git's own rules, https://git-scm.com/docs/git-check-ref-format."""
    if name.startswith(("-", "/")) or name.endswith(("/", ".", ".lock")) or re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//", name):
        raise ValueError("is no name of a branch")
    return name


def _commit(name: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        raise ValueError("must be a whole commit hash: 40 of 0-9 and a-f (a branch goes into branch)")
    return name


CloneUrl = Annotated[Text, AfterValidator(_clone_url)]
Branch = Annotated[Text, AfterValidator(_branch)]
Commit = Annotated[str, AfterValidator(_commit)]


class Checkout(Part):
    """What is cloned: a repository, by URL or by the name of a Source, at a branch's tip or at a commit."""

    name: str = ""
    clone_url: CloneUrl | None = None
    source: Annotated[Text | None, Field(validate_default=True)] = None
    branch: Branch | None = None
    commit: Annotated[Commit | None, Field(validate_default=True)] = None

    def rooted(self, base_url: str) -> Self:
        """With an absolute URL; ValueError where *base_url* does not lead there."""
        return self.model_copy(update={"clone_url": cloneurl.resolve(base_url, self.clone_url)}) if self.clone_url else self

    @field_validator("source")
    @classmethod
    def _either_url_or_source(cls, source: str | None, known: ValidationInfo) -> str | None:
        return _either("cloneUrl", "source", "clone_url", source, known)

    @field_validator("commit")
    @classmethod
    def _either_branch_or_commit(cls, commit: str | None, known: ValidationInfo) -> str | None:
        return _either("branch", "commit", "branch", commit, known)


def _either(first: str, second: str, field: str, value: str | None, known: ValidationInfo) -> str | None:
    if field in known.data and (known.data[field] is None) == (value is None):
        raise ValueError(f"needs either {first} or {second}" if value is None else f"cannot stand beside {first}")
    return value


class Layer(Checkout):
    """One playbook of a configuration."""

    playbook: Annotated[Text, AfterValidator(_playbook)]


class Rollout(Part):
    """How a configuration reaches its components in steps."""

    canary: Positive = 1
    waves: tuple[Text, ...] = ()
    max_unavailable: dict[str, str] = Field(default_factory=dict)
    max_failures: Positive = 5
    windows: tuple[Window, ...] = ()


class ConfigurationSpec(Part):
    """The `spec` of a Configuration document."""

    description: str = ""
    layers: Annotated[tuple[Layer, ...], NotEmpty]
    additional_inventory: Checkout | None = None
    rollout: Rollout | None = None


class Configuration(ConfigurationSpec, Named):
    """One configuration: layers in the order in which they are applied. `load` makes relative clone URLs absolute."""


class Credentials(Part):
    """The Secret with which a Source is cloned."""

    secret_ref: SecretRef


class SourceSpec(Part):
    """The `spec` of a Source document."""

    clone_url: CloneUrl
    credentials: Credentials | None = None
    ca_cert: Text | None = None


class Source(SourceSpec, Named):
    """A repository that configurations name, with what it takes to clone it."""
