"""Stand-in for `pulumi-resource-aws` in the lab: volumes, records, zones, interfaces and addresses, checked and diffed as by the real one.

Each type is a module of its own (`aws_volume`, …); here is what they share: settings, tags, and the order of making, waiting and reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from lab.plugins import aws_address, aws_association, aws_interface, aws_record, aws_schema, aws_settings, aws_volume, aws_zone
from lab.plugins.aws_account import Account
from lab.plugins.aws_client import AwsError
from lab.plugins.aws_schema import Schema
from lab.plugins.patience import Cancelled, OutOfTime, Patience
from lab.plugins.properties import UNKNOWN, Bag, Path, Values, has_unknown
from lab.plugins.provider import Difference, Failure, Live, Partial, Refused, Subject


class Kind(Protocol):
    """What the module of a type gives. A create is two calls, so that what was made is never lost when the rest fails."""

    @property
    def TITLE(self) -> str: ...  # noqa: N802 - a constant of the module
    @property
    def SCHEMA(self) -> Schema: ...  # noqa: N802
    @property
    def CREATE_SECONDS(self) -> float: ...  # noqa: N802
    @property
    def DELETE_SECONDS(self) -> float: ...  # noqa: N802
    def check(self, news: Values) -> Iterator[Failure]: ...
    def replaced(self, olds: Values, news: Values) -> frozenset[str]: ...
    def create(self, account: Account, news: Values) -> str: ...
    def settle(self, account: Account, id_: str, news: Values, seconds: float) -> None: ...
    def read(self, account: Account, id_: str, known: Values) -> Values | None: ...
    def update(self, account: Account, id_: str, olds: Values, news: Values, seconds: float) -> None: ...
    def delete(self, account: Account, id_: str, olds: Values, seconds: float) -> None: ...


KINDS: Mapping[str, Kind] = {
    "aws:ebs/volume:Volume": aws_volume,
    "aws:route53/record:Record": aws_record,
    "aws:route53/zone:Zone": aws_zone,
    "aws:ec2/networkInterface:NetworkInterface": aws_interface,
    "aws:ec2/eip:Eip": aws_address,
    "aws:ec2/eipAssociation:EipAssociation": aws_association,
}


class Aws:
    """The provider: one per configuration, asked by the engine in many threads at once."""

    package = "pulumi_aws"

    def __init__(self) -> None:
        self._settings = aws_settings.Settings({})
        self._account: Account | None = None

    def check_config(self, news: Values) -> Iterator[Failure]:
        if not has_unknown(news) and (missing := aws_settings.missing_region(aws_settings.read(news))):
            yield Failure("region", missing)

    def diff_config(self, olds: Values, news: Values) -> Difference:
        changed = {name for name in {*olds, *news} - {"version"} if olds.get(name) != news.get(name)}
        return Difference({(name,): "update" for name in changed})

    def configure(self, settings: Values, patience: Patience, engine: str) -> None:  # noqa: ARG002 - the protocol's
        self._settings = aws_settings.read(settings)
        client, account = aws_settings.connect(self._settings, patience)
        self._account = Account(client, account)

    def check(self, on: Subject, olds: Values, news: Values) -> tuple[Values, Sequence[Failure]]:  # noqa: ARG002 - the protocol's
        kind = _kind(on)
        given = {name: value for name, value in news.items() if not name.startswith("__") and name != "tagsAll"}
        failures = list(aws_schema.failures(kind.SCHEMA, given))
        checked = {**aws_schema.defaults(kind.SCHEMA), **given}
        failures += [] if failures else list(kind.check(checked))
        return self._with_all_tags(kind, checked), failures

    def diff(self, on: Subject, olds: Values, news: Values) -> Difference:
        kind = _kind(on)
        found = aws_schema.diff(kind.SCHEMA, olds, news)
        also = kind.replaced(olds, news)
        replaces = found.replaces | {path for path in found.changes if path[0] in also}
        return Difference(found.changes, replaces, found.delete_first)

    def create(self, on: Subject, news: Values) -> Live:
        kind = _kind(on)
        if on.preview:
            return Live("", aws_schema.unknowns(kind.SCHEMA, news))
        account = self._at(news)
        with _saying(f"creating {kind.TITLE}"):
            id_ = kind.create(account, news)
        try:
            kind.settle(account, id_, news, on.timeout or kind.CREATE_SECONDS)
            outputs = kind.read(account, id_, news)
        except (Refused, Cancelled, OutOfTime) as error:
            raise Partial(Live(id_, news, news), [f"waiting for {kind.TITLE} ({id_}) create: {error}"]) from error
        if outputs is None:
            raise Partial(Live(id_, news, news), [f"reading {kind.TITLE} ({id_}): couldn't find resource"])
        return Live(id_, self._tagged(kind, {**_own(kind, news), **outputs}))

    def read(self, on: Subject, outputs: Values, inputs: Values) -> Live | None:
        kind = _kind(on)
        known = {**inputs, **outputs}
        with _saying(f"reading {kind.TITLE} ({on.id})"):
            found = kind.read(self._at(known), on.id, known)
        if found is None:
            return None
        own = _own(kind, known) if known else aws_schema.defaults(kind.SCHEMA)
        live = self._tagged(kind, {**own, **found})
        declared = aws_schema.projected(kind.SCHEMA, live, inputs) if inputs else _importable(kind, live)
        return Live(str(live.get("id", on.id)), live, self._with_all_tags(kind, declared))

    def update(self, on: Subject, olds: Values, news: Values) -> Live:
        kind = _kind(on)
        if on.preview:
            return Live(on.id, {**olds, **news})
        account = self._at(news)
        with _saying(f"updating {kind.TITLE} ({on.id})"):
            kind.update(account, on.id, olds, news, on.timeout or kind.CREATE_SECONDS)
            found = kind.read(account, on.id, {**olds, **news})
        if found is None:
            raise Refused(f"reading {kind.TITLE} ({on.id}): couldn't find resource")
        return Live(on.id, self._tagged(kind, {**_own(kind, news), **found}))

    def delete(self, on: Subject, olds: Values) -> None:
        kind = _kind(on)
        with _saying(f"deleting {kind.TITLE} ({on.id})"):
            kind.delete(self._at(olds), on.id, olds, on.timeout or kind.DELETE_SECONDS)

    def secrets(self, on: Subject, inputs: Bag, outputs: Values) -> frozenset[Path]:  # noqa: ARG002 - the protocol's
        """An output is as secret as the input of its name; `tagsAll` holds what `tags` holds."""
        beside = {("tagsAll", *path[1:]) for path in inputs.secrets if path[0] == "tags"}
        return inputs.secrets | beside

    def _at(self, values: Values) -> Account:
        """The account in the region that a resource names for itself, if it does."""
        if self._account is None:
            raise Refused("the provider was not configured")
        region = values.get("region")
        if not isinstance(region, str) or region == self._account.region:
            return self._account
        return replace(self._account, client=replace(self._account.client, region=region))

    def _with_all_tags(self, kind: Kind, values: Values) -> Values:
        if "tagsAll" not in kind.SCHEMA:
            return values
        tags = values.get("tags") or {}
        merged = UNKNOWN if tags is UNKNOWN else {**self._settings.default_tags, **tags}
        return {**values, "tagsAll": merged} if merged else {name: value for name, value in values.items() if name != "tagsAll"}

    def _tagged(self, kind: Kind, outputs: Values) -> Values:
        """`tagsAll` as AWS has them but for those that belong to others; `tags` without the provider's defaults."""
        if "tagsAll" not in kind.SCHEMA:
            return outputs
        keys, prefixes = self._settings.ignored_tags
        mine = {key: value for key, value in outputs["tagsAll"].items() if key not in keys and not key.startswith(("aws:", *prefixes))}
        default = self._settings.default_tags
        asked = outputs.get("tags") or {}
        own = {key: value for key, value in mine.items() if default.get(key) != value or key in asked}
        return {**outputs, "tagsAll": mine, "tags": own}


class _Saying:
    """Put what was being done before AWS's own words."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, AwsError | OutOfTime):
            raise Refused(f"{self._doing}: {error}") from error


def _saying(doing: str) -> _Saying:
    return _Saying(doing)


def _kind(on: Subject) -> Kind:
    kind = KINDS.get(on.token)
    if kind is None:
        raise Refused(f"{on.token}: the lab's stand-in for pulumi-resource-aws has only {', '.join(sorted(KINDS))}")
    return kind


def _importable(kind: Kind, live: Values) -> Values:
    """The inputs of an import, without those that AWS fills in and no program may give (a gp2 volume's iops)."""
    declared = aws_schema.declared(kind.SCHEMA, live)
    refused = {failure.property for failure in kind.check(declared)}
    return {name: value for name, value in declared.items() if name not in refused or not kind.SCHEMA[name].computed}


def _own(kind: Kind, values: Values) -> Values:
    """The properties that AWS knows nothing of, such as `finalSnapshot`: they are what the program says."""
    return {name: values[name] for name, field in kind.SCHEMA.items() if name in values and not field.output and not field.computed}
