"""How volumes and interfaces let go of an instance: it takes time, then it is told. Used by their own actions and by termination."""

from __future__ import annotations

from functools import partial
from typing import Any

from lab.aws.world import World


def detach_volume(world: World, backend: Any, attachment: Any) -> None:
    """Begin to detach what *attachment* attaches."""
    attachment.status = "detaching"
    seconds = world.settings.release(attachment.volume.id, attachment.instance.id)
    world.later.add(seconds, partial(_volume_gone, world, backend, attachment))


def _volume_gone(world: World, backend: Any, attachment: Any) -> None:
    volume, instance = attachment.volume, attachment.instance
    if volume.attachment is attachment:
        backend.detach_volume(volume.id, instance.id, attachment.device)
        tell_volume(world, "volume.detached", attachment)


def tell_volume(world: World, kind: str, attachment: Any) -> None:
    """Publish what befell the volume of *attachment*."""
    volume, instance = attachment.volume, attachment.instance
    world.events.publish(kind, volume=volume.id, instance=instance.id, device=attachment.device)


def detach_interface(world: World, interface: Any) -> None:
    """Begin to detach *interface*."""
    interface.attachment_status = "detaching"
    seconds = world.settings.release(interface.id, interface.instance.id)
    world.later.add(seconds, partial(_interface_gone, world, interface, interface.attachment_id))


def _interface_gone(world: World, interface: Any, attachment: str) -> None:
    if interface.attachment_id == attachment:
        tell_interface(world, "interface.detached", interface)
        interface.instance.detach_eni(interface)


def tell_interface(world: World, kind: str, interface: Any) -> None:
    """Publish what befell *interface*, which is still attached."""
    world.events.publish(kind, interface=interface.id, instance=interface.instance.id, address=interface.private_ip_address or "")
