"""Which Secrets a session needs, by where they are mounted."""

from __future__ import annotations

from reconciler.model.environment import Sessions
from reconciler.model.session import Session


def secrets(settings: Sessions, session: Session) -> dict[str, str]:
    """The name of each Secret, by its folder below the mounts."""
    clones = [layer.clone for layer in session.work.layers] + ([session.work.inventory] if session.work.inventory else [])
    wanted = {f"credentials/{clone.credentials}": clone.credentials for clone in clones}
    if ssh := settings.ssh:
        wanted |= {"ssh": ssh.key_secret, "known-hosts": ssh.known_hosts_secret or "", "ssh-ca": ssh.ca_secret or ""}
    wanted["vault"] = settings.vault_password_secret or ""
    return {purpose: name for purpose, name in wanted.items() if name}
