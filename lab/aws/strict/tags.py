"""Tags within AWS's bounds, at creation and after: fifty a resource, keys of 128 and values of 256 characters, `aws:` kept for AWS."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.responses.tags import TagResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from lab.aws.strict.base import StrictBase

MOST, KEY, VALUE = 50, 128, 256
RESERVED = "aws:"


def check_specifications(params: dict[str, Any]) -> None:
    """Refuse tags that may not be given at creation, before anything is made."""
    for specification in params.get("TagSpecifications") or params.get("TagSpecification") or []:
        check(specification.get("Tags", []))


def check(tags: list[dict[str, Any]]) -> None:
    """Refuse tags that no resource may have."""
    keys = [tag.get("Key") or "" for tag in tags]
    for tag, key in zip(tags, keys, strict=True):
        if not key:
            raise _invalid("Tag key cannot be empty.")
        if key.lower().startswith(RESERVED):
            raise _invalid("Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > KEY:
            raise _invalid(f"Tag key exceeds the maximum length of {KEY} characters")
        if len(tag.get("Value") or "") > VALUE:
            raise _invalid(f"Tag value exceeds the maximum length of {VALUE} characters")
    if len(set(keys)) < len(keys):
        raise _invalid("Duplicate tag keys are not allowed")
    if len(keys) > MOST:
        raise EC2ClientError("TagLimitExceeded", f"The maximum number of tags for a resource has been reached: {MOST}.")


def _invalid(message: str) -> EC2ClientError:
    return EC2ClientError("InvalidParameterValue", message)


class Tags(StrictBase, TagResponse):
    """EC2's actions on tags."""

    def create_tags(self) -> ActionResult:
        check(self._get_param("Tags", []))
        return super().create_tags()

    def delete_tags(self) -> ActionResult:
        tags, resources = self._get_param("Tags", []), self._get_param("Resources", [])
        if tags:
            return super().delete_tags()
        self.error_on_dryrun()
        for resource in resources:
            kept = {key: value for key, value in self.ec2_backend.tags[resource].items() if key.startswith(RESERVED)}
            self.ec2_backend.tags[resource] = kept
        return EmptyResult()


def _own(resource: Any) -> list[dict[str, str]]:
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "") if resource.id else ""
    found = resource.ec2_backend.tags.get(resource.id, {})
    return [{"resource_id": resource.id, "key": key, "value": value, "resource_type": kind} for key, value in found.items()]


def install() -> None:
    """Let a resource look up its own tags; moto walks through those of all resources, which makes a page of n volumes cost n²."""
    TaggedEC2Resource.get_tags = _own  # type: ignore[assignment,method-assign]
