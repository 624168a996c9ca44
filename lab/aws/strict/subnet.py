"""Which addresses of a subnet may be had: not its first four and last, none that is taken. Moto gives any at random, twice too."""

from __future__ import annotations

import ipaddress
from typing import Any

from moto.ec2.exceptions import EC2ClientError

RESERVED_FIRST = 4


def check(backend: Any, subnet: Any, address: str) -> None:
    """Refuse *address* unless it is free in *subnet*."""
    try:
        inside = ipaddress.ip_address(address) in ipaddress.ip_network(subnet.cidr_block)
    except ValueError:
        raise EC2ClientError("InvalidParameterValue", f"invalid value for parameter address: {address}") from None
    if not inside:
        raise EC2ClientError("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
    if ipaddress.ip_address(address) not in _usable(subnet):
        raise EC2ClientError("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
    if address in _taken(backend, subnet):
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address} is in use.")


def free(backend: Any, subnet: Any) -> str:
    """An address of *subnet* that is free: the first after the one given last, for an address just freed should rest."""
    usable, taken = _usable(subnet), _taken(backend, subnet)
    first = int(usable[0])
    last = subnet.__dict__.get("lab_last_address", first - 1)
    for step in range(len(usable)):
        address = usable[(last + 1 + step - first) % len(usable)]
        if str(address) not in taken:
            subnet.lab_last_address = int(address)
            return str(address)
    message = f"The specified subnet '{subnet.id}' does not have enough free addresses to satisfy the request."
    raise EC2ClientError("InsufficientFreeAddressesInSubnet", message)


class _Range:
    """The addresses from *first* to *last*, both included."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last

    def __len__(self) -> int:
        return max(0, self._last - self._first + 1)

    def __getitem__(self, place: int) -> ipaddress.IPv4Address:
        return ipaddress.IPv4Address(self._first + place)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, ipaddress.IPv4Address) and self._first <= int(address) <= self._last


def _usable(subnet: Any) -> _Range:
    network = ipaddress.IPv4Network(subnet.cidr_block)
    return _Range(int(network.network_address) + RESERVED_FIRST, int(network.broadcast_address) - 1)


def _taken(backend: Any, subnet: Any) -> set[str]:
    interfaces = (each for each in backend.enis.values() if each.subnet.id == subnet.id)
    return set(subnet._subnet_ips) | {address["PrivateIpAddress"] for each in interfaces for address in each.private_ip_addresses}  # noqa: SLF001
