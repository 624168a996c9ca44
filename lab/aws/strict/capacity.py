"""How large, fast and wide a volume of each type may be. Pure; the figures are those of CreateVolume's and ModifyVolume's reference."""

from __future__ import annotations

from dataclasses import dataclass

from moto.ec2.exceptions import EC2ClientError


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bounds in GiB, IOPS and MiB/s; None where the type doesn't take the parameter. *ratio* is IOPS a GiB."""

    size: tuple[int, int]
    iops: tuple[int, int] | None = None
    throughput: tuple[int, int] | None = None
    ratio: int = 0


TYPES = {
    "gp2": Capacity((1, 16_384)),
    "gp3": Capacity((1, 65_536), iops=(3_000, 80_000), throughput=(125, 2_000), ratio=500),
    "io1": Capacity((4, 16_384), iops=(100, 64_000), ratio=50),
    "io2": Capacity((4, 65_536), iops=(100, 256_000), ratio=1_000),
    "st1": Capacity((125, 16_384)),
    "sc1": Capacity((125, 16_384)),
    "standard": Capacity((1, 1_024)),
}
BASE_IOPS, BASE_THROUGHPUT, THROUGHPUT_AN_IOPS = 3_000, 125, 0.25


@dataclass(frozen=True, slots=True)
class Shape:
    """A volume's measures; *iops* and *throughput* are None where its type has none."""

    type: str
    size: int
    iops: int | None
    throughput: int | None


def shape(kind: str, size: int, iops: int | None, throughput: int | None) -> Shape:
    """The measures of a volume that is asked for, its type's defaults filled in; refused as EC2 refuses."""
    capacity = TYPES.get(kind)
    if capacity is None:
        raise _invalid(f"Invalid volume type: {kind}")
    if iops and not capacity.iops:
        raise EC2ClientError("InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes.")
    if throughput and not capacity.throughput:
        raise EC2ClientError("InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes.")
    iops = iops or (BASE_IOPS if kind == "gp3" else _burst(kind, size))
    throughput = throughput or (BASE_THROUGHPUT if capacity.throughput else None)
    _bounded("Volume size", size, capacity.size, " GiB")
    _bounded("Volume iops", iops, capacity.iops)
    _bounded("Throughput", throughput, capacity.throughput, " MiB/s")
    _ratios(capacity, size, iops, throughput)
    return Shape(kind, size, iops, throughput)


def _burst(kind: str, size: int) -> int | None:
    """The IOPS of a gp2 volume follow its size."""
    return min(max(100, 3 * size), 16_000) if kind == "gp2" else None


def _bounded(what: str, value: int | None, bounds: tuple[int, int] | None, unit: str = "") -> None:
    if bounds is None or value is None:
        return
    low, high = bounds
    if value < low:
        raise _invalid(f"{what} of {value}{unit} is too low; minimum is {low}{unit}.")
    if value > high:
        raise _invalid(f"{what} of {value}{unit} is too high; maximum is {high}{unit}.")


def _ratios(capacity: Capacity, size: int, iops: int | None, throughput: int | None) -> None:
    # 3,000 IOPS and 125 MiB/s come with a gp3 volume of any size.
    if iops and capacity.ratio and iops > max(BASE_IOPS if capacity.throughput else 0, capacity.ratio * size):
        raise _invalid(f"Iops to volume size ratio of {iops / size:.6f} is too high; maximum is {capacity.ratio}")
    if throughput and iops and throughput > iops * THROUGHPUT_AN_IOPS:
        ratio = f"{throughput / iops:.6f} is too high; maximum is {THROUGHPUT_AN_IOPS:.6f} MiBps per iops"
        raise _invalid(f"Throughput (MiBps) to iops ratio of {ratio}")


def _invalid(message: str) -> EC2ClientError:
    return EC2ClientError("InvalidParameterValue", message)
