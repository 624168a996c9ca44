"""Refusals, with the codes and names of the real server, by which clients tell them apart."""

from __future__ import annotations

from typing import Any

NAMES = {
    2: "BadValue",
    6: "HostUnreachable",
    9: "FailedToParse",
    11: "UserNotFound",
    13: "Unauthorized",
    18: "AuthenticationFailed",
    20: "IllegalOperation",
    23: "AlreadyInitialized",
    26: "NamespaceNotFound",
    31: "RoleNotFound",
    59: "CommandNotFound",
    64: "WriteConcernFailed",
    70: "ShardNotFound",
    72: "InvalidOptions",
    74: "NodeNotFound",
    91: "ShutdownInProgress",
    93: "InvalidReplicaSetConfig",
    94: "NotYetInitialized",
    96: "OperationFailed",
    100: "UnsatisfiableWriteConcern",
    103: "NewReplicaSetConfigurationIncompatible",
    115: "CommandNotSupported",
    133: "FailedToSatisfyReadPreference",
    189: "PrimarySteppedDown",
    203: "ShardingStateNotInitialized",
    262: "ExceededTimeLimit",
    308: "CurrentConfigNotCommittedYet",
    10107: "NotWritablePrimary",
    11000: "DuplicateKey",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    51003: "Location51003",
    4926900: "Location4926900",
    7369100: "Location7369100",
}


class Refusal(Exception):
    """A command is refused; drivers know what to do by *code*."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def document(self) -> dict[str, Any]:
        """As the server says it."""
        return {"ok": 0.0, "errmsg": str(self), "code": self.code, "codeName": NAMES[self.code]}
