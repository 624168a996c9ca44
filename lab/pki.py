"""The lab's certificate authority and everything it signs: made anew by each `up`, worth nothing outside the lab."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=30)
_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Signed:
    """A key and the certificate that the lab's authority gave it, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs for one lab."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def serve(self, name: str, addresses: Iterable[str], names: Iterable[str] = ()) -> Signed:
        """A server's certificate for *addresses* and *names*."""
        hosts = [*(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses), *map(x509.DNSName, names)]
        return self._sign(_subject(name), ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName(hosts))

    def identify(self, user: str, *groups: str) -> Signed:
        """A client's certificate: Kubernetes reads the user from its common name, the groups from its organizations."""
        return self._sign(_subject(user, *groups), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _sign(self, subject: x509.Name, usage: x509.ObjectIdentifier, hosts: x509.SubjectAlternativeName | None) -> Signed:
        key = _new_key()
        builder = _builder(subject, self.certificate.subject, key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            builder = builder.add_extension(hosts, critical=False)
        return Signed(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _pem(key))


def establish() -> Authority:
    key = _new_key()
    subject = _subject("reconciler lab")
    builder = _builder(subject, subject, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def kubeconfig(authority: Authority, server: str, signed: Signed, user: str) -> str:
    """A kubeconfig that carries all it needs (JSON, which is YAML)."""
    cluster = {"server": server, "certificate-authority-data": _base64(authority.pem)}
    client = {"client-certificate-data": _base64(signed.certificate), "client-key-data": _base64(signed.key)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": user, "user": client}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user, "namespace": "default"}}],
        "current-context": "lab",
    }
    return json.dumps(document, indent=1)


def write_service_account_key(folder: Path) -> None:
    """The pair that signs and checks the tokens of service accounts."""
    key = _new_key()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_private(folder / "service-account.key", _pem(key))
    (folder / "service-account.pub").write_bytes(public)


def write_signed(folder: Path, name: str, signed: Signed) -> None:
    (folder / f"{name}.crt").write_bytes(signed.certificate)
    write_private(folder / f"{name}.key", signed.key)


def write_private(path: Path, content: bytes) -> None:
    """Write what only its owner may read, whole or not at all; others can't read it even for a moment."""
    draft = path.with_name(f"{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.replace(path)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _subject(name: str, *groups: str) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFETIME)
    )
