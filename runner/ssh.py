"""How Ansible reaches hosts: the mounted key as ssh accepts it, known host keys, connections that end with the session."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.place import Place

_SHORT = 60
_KEYS = ("ssh-privatekey", "id_ed25519", "id_ecdsa", "id_rsa", "key")


@contextmanager
def prepared(place: Place, user: str) -> Iterator[dict[str, str]]:
    """Ansible's settings for ssh. Without known hosts, a host's key is taken on first sight, and held to for the session."""
    folder = place.root / "ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    key = place.mounted("ssh", *_KEYS) or place.mounted("ssh")
    # A socket's path has about a hundred characters: the session's own folder may lie too deep.
    sockets = folder if len(str(folder)) <= _SHORT else _elsewhere(place)
    settings = {
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_SSH_COMMON_ARGS": shlex.join(_host_key_options(place, folder)),
        "ANSIBLE_HOST_KEY_CHECKING": "true",  # ansible_runner turns it off
        "ANSIBLE_TIMEOUT": "20",
    }
    if user:
        settings["ANSIBLE_REMOTE_USER"] = user
    if key is not None:
        settings["ANSIBLE_PRIVATE_KEY_FILE"] = str(_private(folder / "key", key))
    try:
        yield settings
    finally:
        _hang_up(sockets)
        forget(place)


def _elsewhere(place: Place) -> Path:
    sockets = Path(tempfile.mkdtemp(prefix="ssh-"))
    (place.root / "sockets").symlink_to(sockets)
    return sockets


def forget(place: Place) -> None:
    """Remove key, known hosts and sockets; also for a session that was killed and could not."""
    shutil.rmtree(place.root / "ssh", ignore_errors=True)
    if (link := place.root / "sockets").is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()


def _private(path: Path, key: Path) -> Path:
    """A copy that ssh accepts: nobody else may read it, and its last line ends."""
    path.touch(mode=0o600)
    path.write_bytes(key.read_bytes().rstrip(b"\n") + b"\n")
    return path


def _host_key_options(place: Place, folder: Path) -> list[str]:
    known = place.mounted("known-hosts", "known_hosts", "ssh_known_hosts") or place.mounted("known-hosts")
    authority = place.mounted("ssh-ca", "ssh-ca.pub", "ca.pub") or place.mounted("ssh-ca")
    hosts = folder / "known_hosts"
    keys = known.read_text(encoding="utf-8") if known else ""
    trusted = [line for line in authority.read_text(encoding="utf-8").splitlines() if line.strip()] if authority else []
    hosts.write_text("".join([keys, *(f"\n@cert-authority * {line}\n" for line in trusted)]), encoding="utf-8")
    checking = "yes" if known or authority else "accept-new"
    return ["-o", f"UserKnownHostsFile={hosts}", "-o", "GlobalKnownHostsFile=/dev/null", "-o", f"StrictHostKeyChecking={checking}"]


def _hang_up(sockets: Path) -> None:
    """End the masters that ControlPersist keeps: nothing of a session outlives it."""
    for socket in [path for path in sockets.iterdir() if path.is_socket()] if sockets.is_dir() else []:
        subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "session"], capture_output=True, timeout=10, check=False)
