"""The init container of a CouchDB member: what its server keeps secret, written in the server's own forms into the Pod's memory.

The administrator's password is hashed here, with a salt that all members share: a session that one of them began counts with all of them,
and no server has to write its configuration anew. Only the standard library.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SECRETS = Path("/etc/service-secrets")
OWN = Path("/run/service")
_ITERATIONS = 600_000  # CouchDB's own; each server does it once and keeps the outcome in memory


def write(secrets: Path = SECRETS, own: Path = OWN) -> None:
    """Make the files of *own* out of those of *secrets*."""
    cookie, uuid, secret, salt = ((secrets / name).read_text() for name in ("cookie", "uuid", "secret", "salt"))
    password = (secrets / "password").read_bytes().rstrip(b"\n")  # as a shell reads it
    admin = hashed(password, salt)
    _put(own / "secret.ini", f"[couchdb]\nuuid = {uuid}\n[chttpd_auth]\nsecret = {secret}\n[admins]\nadmin = {admin}\n")
    _put(own / ".erlang.cookie", cookie)


def hashed(password: bytes, salt: str) -> str:
    """A password as CouchDB writes it: PBKDF2 with SHA-256, key, salt and iterations."""
    key = hashlib.pbkdf2_hmac("sha256", password, salt.encode(), _ITERATIONS)
    return f"-pbkdf2:sha256-{key.hex()},{salt},{_ITERATIONS}"


def _put(path: Path, text: str) -> None:
    """For its owner alone, or Erlang takes no cookie from it. What an earlier start left can be replaced, not written to."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.chmod(0o400)
    new.replace(path)


if __name__ == "__main__":
    write()
