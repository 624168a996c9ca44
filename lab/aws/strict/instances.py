"""Instances: pages of descriptions within EC2's bounds, the time that stopping takes, and what a terminated instance lets go of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import instances
from moto.ec2.responses.instances import InstanceResponse

from lab.aws.strict import pages, tags
from lab.aws.strict.attachment import detach_interface, tell_volume
from lab.aws.strict.base import StrictBase

_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_AGAIN = 0.05  # seconds until a machine that still runs is looked at again


class Instance(instances.Instance):
    """An instance that can be described without its primary interface. It has its parent's name because moto's serializer goes by it."""

    @property
    def private_ip(self) -> str | None:
        return self.nics[0].private_ip_address if 0 in self.nics else None

    private_ip_address = private_ip

    @property
    def public_ip(self) -> str | None:
        return self.nics[0].public_ip if 0 in self.nics else None

    public_ip_address = public_ip

    @property
    def private_dns_name(self) -> str:
        return super().private_dns_name if self.private_ip else ""


def install() -> None:
    """Let moto make its instances of this kind."""
    instances.Instance = Instance  # type: ignore[misc]


class Instances(StrictBase, InstanceResponse):
    """EC2's actions on instances, as far as they differ from moto's."""

    def run_instances(self) -> ActionResult:
        tags.check_specifications(self._get_params())
        return super().run_instances()

    def start_instances(self) -> ActionResult:
        started = self._get_param("InstanceIds", [])
        if any(self.ec2_backend.get_instance(each).state not in ("stopped", "running") for each in started):
            message = "The instance is not in a state from which it can be started."
            raise EC2ClientError("IncorrectInstanceState", message)
        result = super().start_instances()
        for each in started:
            self.world.events.publish("instance.running", instance=each)
        return result

    def stop_instances(self) -> ActionResult:
        running = [each for each in map(self.ec2_backend.get_instance, self._get_param("InstanceIds", [])) if each.state == "running"]
        result = super().stop_instances()
        for each in running:
            self._leave(each, "stopping", self._stopped, self.world.settings.stopping)
        return result

    def _stopped(self, instance: Any) -> None:
        _enter(instance, "stopped")
        self.world.events.publish("instance.stopped", instance=instance.id)

    def terminate_instances(self) -> ActionResult:
        self.error_on_dryrun()
        doomed = [self.ec2_backend.get_instance(each) for each in self._get_param("InstanceIds", [])]
        told = [{"InstanceId": each.id, "PreviousState": _shown(each.state), "CurrentState": _shown("shutting-down")} for each in doomed]
        for each in doomed:
            if each.state not in ("shutting-down", "terminated"):
                seconds = max(self.world.settings.stopping, self.world.settings.releasing.get(each.id, 0))
                self._leave(each, "shutting-down", self._terminated, seconds)
        return ActionResult({"TerminatingInstances": told})

    def _terminated(self, instance: Any) -> None:
        """Volumes are let go of, and so are further interfaces; the primary one is deleted, where moto leaves all attached."""
        volumes = [each.attachment for each in self.ec2_backend.volumes.values() if each.attachment]
        self.ec2_backend.terminate_instances([instance.id])
        for attachment in volumes:
            if attachment.instance is instance:
                tell_volume(self.world, "volume.detached", attachment)
        for interface in list(instance.nics.values()):
            if interface.device_index == 0:
                instance.detach_eni(interface)
                interface.delete()
            else:
                detach_interface(self.world, interface)
        self.world.events.publish("instance.terminated", instance=instance.id)

    def _leave(self, instance: Any, state: str, then: Callable[[Any], None], seconds: float) -> None:
        """Let *instance* pass through *state* for *seconds*, and for as long as its machine is said to run."""
        _enter(instance, state)
        self.world.events.publish(f"instance.{state}", instance=instance.id)
        self.world.later.add(seconds, partial(self._left, instance, state, then))

    def _left(self, instance: Any, state: str, then: Callable[[Any], None]) -> None:
        if instance.state != state:
            return
        if self.world.settings.machines.get(instance.id):
            self.world.later.add(_AGAIN, partial(self._left, instance, state, then))
        else:
            then(instance)

    def describe_instances(self) -> ActionResult:
        wanted = self._get_param("MaxResults")
        pages.alone(self._get_param("InstanceIds", []), wanted, "instancesSet")
        # Without a size, moto would cut at 100 where EC2 gives all.
        self.params["MaxResults"] = pages.size(wanted) or len(self.ec2_backend.reservations) or pages.MOST
        try:
            return super().describe_instances()
        except ValueError:
            raise EC2ClientError("InvalidPaginationToken", "The specified pagination token is not valid or is expired.") from None


def _enter(instance: Any, state: str) -> None:
    found = instance._state  # noqa: SLF001 - moto has no other way
    found.name, found.code = state, _CODES[state]


def _shown(state: str) -> dict[str, Any]:
    return {"Name": state, "Code": _CODES[state]}
