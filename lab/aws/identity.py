"""Whether a call is signed by who it says and allowed by IAM's policies. Done here, for moto's own check refuses every GET of Route 53
and answers in words that only EC2's clients read.
"""

from __future__ import annotations

import hmac
import re
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.iam.access_control import CreateAccessKeyFailure, create_access_key

from lab import layout
from lab.aws import policy, refusal, touched
from lab.aws.calls import Call
from lab.aws.exchange import Answer, Request

PARTITION = "aws"
AUTHORIZATION = re.compile(
    r"Credential=[^/]+/\d+/(?P<region>[^/]+)/[^,]+,\s*SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>\w+)"
)
ALWAYS = {("sts", "GetCallerIdentity")}

UNSIGNED = (403, "MissingAuthenticationToken", "Request is missing Authentication Token")
UNKNOWN_KEY = (403, "InvalidClientTokenId", "The security token included in the request is invalid.")
FORGED = (403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
EC2_BAD_KEY = (401, "AuthFailure", "AWS was not able to validate the provided access credentials")


def refuse(request: Request, call: Call) -> Answer | None:
    """The answer to a call that may not be made; None where it may."""
    signed = AUTHORIZATION.search(request.headers.get("Authorization", ""))
    if signed is None:
        return refusal.answer(call.service, *UNSIGNED)
    headers = {name.title(): value for name, value in request.headers.items()}
    try:
        holder = create_access_key(DEFAULT_ACCOUNT_ID, PARTITION, call.access_key, headers)
    except CreateAccessKeyFailure:
        return refusal.answer(call.service, *(EC2_BAD_KEY if call.service == "ec2" else UNKNOWN_KEY))
    signer = SigV4Auth(holder.create_credentials(), call.service, signed["region"])
    if not hmac.compare_digest(_signature(signer, request, signed["headers"].split(";")), signed["signature"]):
        return refusal.answer(call.service, *(EC2_BAD_KEY if call.service == "ec2" else FORGED))
    if (call.service, call.action) in ALWAYS:
        return None
    needed = touched.touched(call, request.path, ec2_backends[DEFAULT_ACCOUNT_ID][layout.REGION])
    if policy.permits([inline["policy_document"] for inline in _policies(holder)], needed):
        return None
    return _denied(call, holder.arn)


def _signature(signer: SigV4Auth, request: Request, names: list[str]) -> str:
    url = f"http://{request.headers.get('Host', '')}{request.target}"
    headers = {name: value for name, value in request.headers.items() if name.lower() in names}
    rebuilt = AWSRequest(request.method, url, headers, request.body)
    rebuilt.context["timestamp"] = request.headers.get("X-Amz-Date", "")
    return str(signer.signature(signer.string_to_sign(rebuilt, signer.canonical_request(rebuilt)), rebuilt))


def _policies(holder: Any) -> list[Any]:
    """A user's inline policies, which are all that the lab's users have; moto's own types say less than it returns."""
    return list(holder.collect_policies())


def _denied(call: Call, arn: str) -> Answer:
    why = f"User: {arn} is not authorized to perform: {call.service}:{call.action} because no identity-based policy allows it"
    if call.service == "ec2":
        return refusal.answer("ec2", 403, "UnauthorizedOperation", f"You are not authorized to perform this operation. {why}")
    return refusal.answer(call.service, 403, "AccessDenied", why)
