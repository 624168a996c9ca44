"""SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides. A member is the user `__system` of `local`, whose password is the keyfile's content."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

MECHANISM = "SCRAM-SHA-256"
SYSTEM = "__system"
_ROUNDS = 15000  # what the real server asks for


class Stored(TypedDict):
    """What a server keeps of a password, in the fields of `admin.system.users`."""

    iterationCount: int
    salt: str
    storedKey: str
    serverKey: str


class WrongPassword(Exception):
    """The client has not shown that it knows the password."""


def stored(password: str) -> Stored:
    """What is kept of *password*, under a new salt."""
    salt = secrets.token_bytes(28)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    return {
        "iterationCount": _ROUNDS,
        "salt": _text(salt),
        "storedKey": _text(hashlib.sha256(_mac(salted, b"Client Key")).digest()),
        "serverKey": _text(_mac(salted, b"Server Key")),
    }


@dataclass(slots=True)
class Conversation:
    """The server's side: *first* is what the client began with, *known* what is kept of its password, None where there is no such user."""

    first: bytes
    known: Stored | None
    is_done: bool = False
    _said: str = ""
    _nonce: str = ""

    @property
    def bare(self) -> str:
        return self.first.decode().split(",", 2)[2]

    def begin(self) -> bytes:
        """The challenge; one for users that there are not, too, so that nobody learns who there is."""
        known = self.known or stored(secrets.token_hex())
        self._nonce = _fields(self.bare)["r"] + secrets.token_urlsafe(24)
        self._said = f"r={self._nonce},s={known['salt']},i={known['iterationCount']}"
        return self._said.encode()

    def end(self, final: bytes) -> bytes:
        """The server's own proof.

        Raises:
            WrongPassword: the client's is none.
        """
        without, _, proof = final.decode().rpartition(",p=")
        if self.known is None or _fields(without).get("r") != self._nonce:
            raise WrongPassword
        transcript = f"{self.bare},{self._said},{without}".encode()
        kept = base64.b64decode(self.known["storedKey"])
        key = _xor(base64.b64decode(proof), _mac(kept, transcript))
        if not hmac.compare_digest(hashlib.sha256(key).digest(), kept):
            raise WrongPassword
        self.is_done = True
        return f"v={_text(_mac(base64.b64decode(self.known['serverKey']), transcript))}".encode()


def user(first: bytes) -> str:
    """Who it is that begins with *first*."""
    return _fields(first.decode().split(",", 2)[2])["n"].replace("=2C", ",").replace("=3D", "=")


def proving(name: str, password: str) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The client's side: its first message, and what makes its second out of the server's challenge (then nothing out of the proof)."""
    bare = f"n={name},r={secrets.token_urlsafe(24)}"

    def following(challenge: bytes) -> bytes:
        said = challenge.decode()
        if said.startswith("v="):
            return b""
        asked = _fields(said)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(asked["s"]), int(asked["i"]))
        key = _mac(salted, b"Client Key")
        without = f"c=biws,r={asked['r']}"
        proof = _xor(key, _mac(hashlib.sha256(key).digest(), f"{bare},{said},{without}".encode()))
        return f"{without},p={_text(proof)}".encode()

    return f"n,,{bare}".encode(), following


def _fields(text: str) -> dict[str, str]:
    return {part[0]: part[2:] for part in text.split(",")}


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
