"""Part of the stand-in `aws` plugin: signed calls of EC2, Route53 and STS over plain HTTP.

botocore would do it too, for 0.3 CPU-seconds at each of the many starts of a plugin; the few calls here need no service model.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import random
import ssl
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from lab.plugins.patience import Patience
from lab.plugins.provider import Refused

_EC2, _STS = "2016-11-15", "2011-06-15"
_ROUTE53 = "/2013-04-01/"
_AGAIN = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "PriorRequestNotComplete", "ServiceUnavailable", "InternalError"}
)
_SECONDS = 30.0


class AwsError(Refused):
    """AWS said no; the text is that of AWS's own SDK for Go, which the real plugin passes on."""

    def __init__(self, call: str, status: int, code: str, message: str) -> None:
        super().__init__(f"operation error {call}, https response error StatusCode: {status}, api error {code}: {message}")
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys of an identity, with a session's token where there is one."""

    access_key: str
    secret_key: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request; *title* names it in errors."""

    service: str
    title: str
    method: str
    target: str
    body: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Client:
    """Calls of one identity in one region; *endpoints* stand in for AWS's own addresses."""

    credentials: Credentials
    region: str
    endpoints: Mapping[str, str]
    patience: Patience
    retries: int = 25

    def ec2(self, action: str, **arguments: Any) -> ET.Element:
        """Call EC2's *action*; nested lists and mappings become its dotted parameters."""
        return self._send(_query("ec2", f"EC2: {action}", {"Action": action, "Version": _EC2, **arguments}))

    def sts(self, action: str, **arguments: Any) -> ET.Element:
        """Call STS's *action*."""
        return self._send(_query("sts", f"STS: {action}", {"Action": action, "Version": _STS, **arguments}))

    def route53(self, action: str, method: str, path: str, body: ET.Element | None = None) -> ET.Element:
        """Call Route53's *action*, which lies at *path*."""
        sent = ET.tostring(body, "utf-8", xml_declaration=True) if body is not None else b""
        return self._send(Call("route53", f"Route 53: {action}", method, _ROUTE53 + path, sent, "text/xml"))

    def _send(self, call: Call) -> ET.Element:
        """Send, and again where AWS asks for patience or did not answer: creates carry a token that makes that safe."""
        for attempt in range(self.retries + 1):
            try:
                return self._once(call)
            except (AwsError, OSError, http.client.HTTPException) as error:
                final = isinstance(error, AwsError) and error.code not in _AGAIN and error.status < 500
                if final or attempt == self.retries:
                    raise error if isinstance(error, AwsError) else Refused(f"operation error {call.title}: {error}") from error
            self.patience.sleep(random.uniform(0, min(20.0, 0.1 * 2**attempt)))
        raise AssertionError("the last attempt raises or returns")

    def _once(self, call: Call) -> ET.Element:
        region = "us-east-1" if call.service == "route53" else self.region
        address = urllib.parse.urlsplit(self.endpoints.get(call.service) or _address(call.service, region))
        headers = {"host": address.netloc, "content-type": call.kind}
        headers |= _signature(self.credentials, region, call, headers)
        connection = _connection(address)
        try:
            connection.request(call.method, call.target, call.body, headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise _refusal(call.title, answer.status, body)
        return _parse(body) if body else ET.Element("Empty")


def text(node: ET.Element | None, path: str) -> str | None:
    """The text at *path* below *node*; None where there is none."""
    found = node.find(path) if node is not None else None
    return found.text if found is not None and found.text else None


def number(node: ET.Element, path: str) -> int | None:
    """The whole number at *path*."""
    found = text(node, path)
    return int(found) if found is not None else None


def flag(node: ET.Element, path: str) -> bool:
    """The boolean at *path*; absent is false, as in EC2's answers."""
    return text(node, path) == "true"


def tags(node: ET.Element, path: str = "tagSet/item") -> dict[str, str]:
    """The tags of an EC2 thing."""
    return {text(item, "key") or "": text(item, "value") or "" for item in node.findall(path)}


def tag_specification(kind: str, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The argument that tags an EC2 thing in the call that makes it."""
    return {"TagSpecification": [{"ResourceType": kind, "Tag": pairs(wanted)}]} if wanted else {}


def pairs(wanted: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS's calls take them."""
    return [{"Key": key, "Value": value} for key, value in sorted(wanted.items())]


def _query(service: str, title: str, arguments: Mapping[str, Any]) -> Call:
    sent = urllib.parse.urlencode(list(_flat(arguments))).encode()
    return Call(service, title, "POST", "/", sent, "application/x-www-form-urlencoded; charset=utf-8")


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """EC2's query form: `TagSpecification.1.Tag.2.Key`."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value, 1):
            yield from _flat(item, f"{prefix}.{position}")
    elif value is not None:
        yield prefix, str(value).lower() if isinstance(value, bool) else str(value)


def _address(service: str, region: str) -> str:
    return "https://route53.amazonaws.com" if service == "route53" else f"https://{service}.{region}.amazonaws.com"


def _connection(address: urllib.parse.SplitResult) -> http.client.HTTPConnection:
    if address.scheme == "https":
        return http.client.HTTPSConnection(address.hostname or "", address.port, timeout=_SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)


def _signature(credentials: Credentials, region: str, call: Call, headers: Mapping[str, str]) -> dict[str, str]:
    """AWS's signature version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    added = {"x-amz-date": now} | ({"x-amz-security-token": credentials.token} if credentials.token else {})
    signed = dict(sorted({**headers, **added}.items()))
    path, _, query = call.target.partition("?")
    canonical = "\n".join(
        [
            call.method,
            urllib.parse.quote(path),
            "&".join(sorted(query.split("&"))) if query else "",
            *(f"{name}:{value}" for name, value in signed.items()),
            "",
            ";".join(signed),
            hashlib.sha256(call.body).hexdigest(),
        ]
    )
    scope = f"{now[:8]}/{region}/{call.service}/aws4_request"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    proof = f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    return {**added, "authorization": proof}


def _parse(text_: bytes) -> ET.Element:
    """The answer without its namespaces."""
    root = ET.fromstring(text_)
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    return root


def _refusal(call: str, status: int, body: bytes) -> AwsError:
    """AWS's error in any of the shapes that EC2, STS and Route53 give it."""
    try:
        root = _parse(body)
    except ET.ParseError:
        return AwsError(call, status, "UnknownError", body.decode(errors="replace")[:200])
    if root.tag == "InvalidChangeBatch":
        messages = [node.text or "" for node in root.iter("Message")]
        return AwsError(call, status, "InvalidChangeBatch", "; ".join(messages))
    error = next(root.iter("Error"), root)
    return AwsError(call, status, text(error, "Code") or "UnknownError", text(error, "Message") or "")
