"""What a container sees where: from its spec and the Pod's prepared volumes to a list of mounts. Touches the disk only for subPaths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab import layout
from lab.agent.container import Mount
from lab.agent.environment import ConfigError, expand
from lab.agent.state import Json

LOCAL_DOMAINS = ("svc.cluster.local", "cluster.local")
KERNEL = ("/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True)
class Volume:
    """A prepared volume: the folder or file that stands for it."""

    source: Path
    read_only: bool = False


def of_container(spec: Json, volumes: Mapping[str, Volume], variables: Mapping[str, str]) -> list[Mount]:
    """The mounts that *spec* asks for.

    Raises:
        ConfigError: it names a volume that the Pod has not, or a subPath outside of it.
    """
    return [_mount(wanted, volumes, variables) for wanted in spec.get("volumeMounts", [])]


def ordered(mounts: Iterable[Mount]) -> list[Mount]:
    """Outer ones first: a mount below another must come after it."""
    return sorted(mounts, key=lambda mount: len(PurePosixPath(mount.target).parts))


def _mount(wanted: Json, volumes: Mapping[str, Volume], variables: Mapping[str, str]) -> Mount:
    if wanted["name"] not in volumes:
        raise ConfigError(f"volume {wanted['name']!r} is not among the Pod's")
    volume = volumes[wanted["name"]]
    source = volume.source
    part = wanted.get("subPath") or expand(wanted.get("subPathExpr", ""), variables)
    if part:
        source = _below(source, part)
    return Mount(str(source.resolve()), wanted["mountPath"], wanted.get("readOnly", False) or volume.read_only)


def _below(root: Path, part: str) -> Path:
    if ".." in PurePosixPath(part).parts or PurePosixPath(part).is_absolute():
        raise ConfigError(f"subPath {part!r} must stay within its volume")
    place = root / part
    if not place.exists():
        place.mkdir(parents=True)
    if not place.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"subPath {part!r} leads out of its volume")
    return place


def resolv_conf(pod: Json) -> str:
    """The resolver's configuration by the Pod's dnsPolicy; the lab's DNS server is the only one there is."""
    spec = pod["spec"]
    policy, extra = spec.get("dnsPolicy", "ClusterFirst"), spec.get("dnsConfig") or {}
    cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork"))
    servers = [layout.DNS] if policy != "None" else []
    search = [f"{pod['metadata']['namespace']}.{LOCAL_DOMAINS[0]}", *LOCAL_DOMAINS] if cluster else []
    options = {"ndots": "5"} if cluster else {}
    options |= {option["name"]: option.get("value", "") for option in extra.get("options", [])}
    lines = [f"nameserver {server}" for server in dict.fromkeys([*servers, *extra.get("nameservers", [])])]
    names = [*search, *extra.get("searches", [])]
    lines += [f"search {' '.join(names)}"] if names else []
    lines += [f"options {' '.join(f'{name}:{value}' if value else name for name, value in options.items())}"] if options else []
    return "\n".join(lines) + "\n"


def hostname(pod: Json, node: str) -> str:
    spec = pod["spec"]
    return str(node if spec.get("hostNetwork") else spec.get("hostname") or pod["metadata"]["name"])[:63]


def hosts(pod: Json, address: str, node: str) -> str:
    """The hosts file that a kubelet keeps for the Pod."""
    name = hostname(pod, node)
    domain = pod["spec"].get("subdomain")
    full = f"{name}.{domain}.{pod['metadata']['namespace']}.{LOCAL_DOMAINS[0]}\t" if domain and not pod["spec"].get("hostNetwork") else ""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", f"{address}\t{full}{name}"]
    lines += ["\t".join([alias["ip"], *alias.get("hostnames", [])]) for alias in pod["spec"].get("hostAliases", [])]
    return "\n".join(lines) + "\n"


def lowers(mountinfo: str, besides: Path) -> list[str]:
    """The machine's file systems beside the root, from /proc/self/mountinfo; none of the kernel's, nothing under *besides*."""
    points = (line.split()[4] for line in mountinfo.splitlines())
    found = {point.encode().decode("unicode_escape") for point in points}
    skipped = (*KERNEL, str(besides))
    kept = [point for point in found if point != "/" and not any(point == one or point.startswith(one + "/") for one in skipped)]
    return sorted((point for point in kept if Path(point).is_dir()), key=lambda point: (point.count("/"), point))
