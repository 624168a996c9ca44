"""An error as AWS's front doors word it: EC2 in its own XML, the services of the query and REST-XML protocols in another."""

from __future__ import annotations

import uuid
from xml.sax.saxutils import escape

from lab.aws.exchange import Answer

THROTTLED = {"ec2": (503, "RequestLimitExceeded", "Request limit exceeded.")}
THROTTLED_ELSEWHERE = (400, "Throttling", "Rate exceeded")
EC2 = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors>'
    "<RequestID>{}</RequestID></Response>"
)
OTHERS = (
    '<?xml version="1.0"?>\n<ErrorResponse><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error>'
    "<RequestId>{}</RequestId></ErrorResponse>"
)


def answer(service: str, status: int, code: str, message: str) -> Answer:
    """*service*'s error *code* with HTTP *status*."""
    number, words = str(uuid.uuid4()), (escape(code), escape(message))
    sender = "Sender" if status < 500 else "Receiver"
    body = EC2.format(*words, number) if service == "ec2" else OTHERS.format(sender, *words, number)
    return Answer(status, (("Content-Type", "text/xml;charset=UTF-8"), ("x-amzn-requestid", number)), body.encode())


def throttled(service: str) -> Answer:
    """What *service* says to one who asks too fast."""
    return answer(service, *THROTTLED.get(service, THROTTLED_ELSEWHERE))
