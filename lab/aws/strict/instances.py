"""Instances: pages of descriptions within EC2's bounds, the time that stopping takes, and what a terminated instance lets go of."""

from __future__ import annotations

from functools import partial
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import instances
from moto.ec2.responses.instances import InstanceResponse

from lab.aws.strict import pages, tags
from lab.aws.strict.attachment import detach_interface, tell_volume
from lab.aws.strict.base import StrictBase


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
        if any(self.ec2_backend.get_instance(each).state == "stopping" for each in started):
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
            _enter(each, "stopping", 64)
            self.world.later.add(self.world.settings.stopping, partial(self._stopped, each))
            self.world.events.publish("instance.stopping", instance=each.id)
        return result

    def _stopped(self, instance: Any) -> None:
        if instance.state == "stopping":
            _enter(instance, "stopped", 80)
            self.world.events.publish("instance.stopped", instance=instance.id)

    def terminate_instances(self) -> ActionResult:
        doomed = set(self._get_param("InstanceIds", []))
        volumes = [each.attachment for each in self.ec2_backend.volumes.values() if each.attachment]
        result = super().terminate_instances()
        for attachment in volumes:
            if attachment.instance.id in doomed:
                tell_volume(self.world, "volume.detached", attachment)
        for each in doomed:
            self._let_go(self.ec2_backend.get_instance(each))
            self.world.events.publish("instance.terminated", instance=each)
        return result

    def _let_go(self, instance: Any) -> None:
        """The primary interface goes with its instance, others stay and are detached; moto leaves all attached."""
        for interface in list(instance.nics.values()):
            if interface.device_index == 0:
                instance.detach_eni(interface)
                interface.delete()
            else:
                detach_interface(self.world, interface)

    def describe_instances(self) -> ActionResult:
        wanted = self._get_param("MaxResults")
        pages.alone(self._get_param("InstanceIds", []), wanted, "instancesSet")
        # Without a size, moto would cut at 100 where EC2 gives all.
        self.params["MaxResults"] = pages.size(wanted) or len(self.ec2_backend.reservations) or pages.MOST
        try:
            return super().describe_instances()
        except ValueError:
            raise EC2ClientError("InvalidPaginationToken", "The specified pagination token is not valid or is expired.") from None


def _enter(instance: Any, state: str, code: int) -> None:
    found = instance._state  # noqa: SLF001 - moto has no other way
    found.name, found.code = state, code
