"""SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides. A member is the user `__system` of `local`, whose passwords are the keyfile's keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
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


def stored(password: str, salt: bytes = b"") -> Stored:
    """What is kept of *password*, under a new salt unless one is given."""
    salt = salt or secrets.token_bytes(28)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    return {
        "iterationCount": _ROUNDS,
        "salt": _text(salt),
        "storedKey": _text(hashlib.sha256(_mac(salted, b"Client Key")).digest()),
        "serverKey": _text(_mac(salted, b"Server Key")),
    }


def of_keys(keys: Iterable[str]) -> tuple[Stored, ...]:
    """What is kept of a keyfile: under one salt, since there is one challenge for all."""
    salt = secrets.token_bytes(28)
    return tuple(stored(key, salt) for key in keys)


@dataclass(slots=True)
class Conversation:
    """The server's side: *first* is what the client began with, *known* what is kept of its passwords, none of who is not there."""

    first: bytes
    known: tuple[Stored, ...]
    is_done: bool = False
    _said: str = ""
    _nonce: str = ""

    @property
    def bare(self) -> str:
        return self.first.decode().split(",", 2)[2]

    def begin(self) -> bytes:
        """The challenge; one for users that there are not, too, so that nobody learns who there is."""
        known = self.known[0] if self.known else stored(secrets.token_hex())
        self._nonce = _fields(self.bare)["r"] + secrets.token_urlsafe(24)
        self._said = f"r={self._nonce},s={known['salt']},i={known['iterationCount']}"
        return self._said.encode()

    def end(self, final: bytes) -> bytes:
        """The server's own proof.

        Raises:
            WrongPassword: the client's is none.
        """
        without, _, proof = final.decode().rpartition(",p=")
        if _fields(without).get("r") != self._nonce:
            raise WrongPassword
        transcript = f"{self.bare},{self._said},{without}".encode()
        shown = next((one for one in self.known if _shows(base64.b64decode(proof), one, transcript)), None)
        if shown is None:
            raise WrongPassword
        self.is_done = True
        return f"v={_text(_mac(base64.b64decode(shown['serverKey']), transcript))}".encode()


def _shows(proof: bytes, known: Stored, transcript: bytes) -> bool:
    kept = base64.b64decode(known["storedKey"])
    return hmac.compare_digest(hashlib.sha256(_xor(proof, _mac(kept, transcript))).digest(), kept)


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
