"""What the strict response classes of EC2 share: the world, idempotency by client token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses._base_response import EC2BaseResponse

from lab.aws.world import World

SAID_BY_STATE = {
    "CreateVolumeResponse.State",
    "ModifyVolumeResponse.VolumeModification.ModificationState",
    "ModifyVolumeResponse.VolumeModification.Progress",
}
"""Where moto's answers have a constant for a state that these classes keep."""


class StrictBase(EC2BaseResponse):
    """One request's answer; *world* is set once, by the server."""

    world: ClassVar[World]
    RESPONSE_KEY_PATH_TO_TRANSFORMER: ClassVar[dict[str, Callable[[Any], Any]]] = {  # type: ignore[misc]
        path: transform for path, transform in EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.items() if path not in SAID_BY_STATE
    }

    def _once(self, make: Callable[[], Any]) -> Any:
        """What *make* makes, or what it made for the same client token and parameters before."""
        token = self._get_param("ClientToken")
        if not token:
            return make()
        action = self._get_action()
        asked = {name: value for name, value in self._get_params().items() if name not in {"ClientToken", "DryRun"}}
        asked_words = json.dumps(asked, sort_keys=True, default=str)
        before = self.world.tokens.get((action, token))
        if before is None:
            made = make()
            self.world.tokens[action, token] = (asked_words, made)
            return made
        if before[0] != asked_words:
            message = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
            raise EC2ClientError("IdempotentParameterMismatch", message)
        return before[1]
