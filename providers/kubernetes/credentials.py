"""How a request proves who sends it: a certificate in the TLS context, or a header whose token may have to be made anew."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from providers.kubernetes.kubeconfig import Access, Program
from reconciler import errors

_GROUP = "client.authentication.k8s.io"
_SPOKEN = tuple(f"{_GROUP}/{version}" for version in ("v1", "v1beta1", "v1alpha1"))
_WITHIN = 120  # seconds for a program that makes tokens: a person may have to say yes in a browser


class Credentials:
    """What goes into the header `Authorization`, kept until it has expired or the server takes it no more."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._header: str | None = None
        self._expires: dt.datetime | None = None

    def header(self, refused: str | None = None) -> str | None:
        """The header's value, None for no header; another one than *refused*, where another can be had."""
        with self._lock:  # a program is run once, however many threads wait for what it says
            expired = self._expires is not None and dt.datetime.now(dt.UTC) >= self._expires
            if self._header is None or expired or self._header == refused:
                self._header = self._made()
            return self._header

    @property
    def renewable(self) -> bool:
        return bool(self._access.user.token_file or self._access.user.exec)

    def _made(self) -> str | None:
        user = self._access.user
        if user.token_file:
            return f"Bearer {self._access.path(user.token_file).read_text().strip()}"
        if user.token:
            return f"Bearer {user.token}"
        if user.exec:
            status = _run(user.exec, self._access.folder)
            until = status.get("expirationTimestamp")
            self._expires = dt.datetime.fromisoformat(until) if until else None
            return f"Bearer {status['token']}"
        if user.username and user.password:
            return f"Basic {base64.b64encode(f'{user.username}:{user.password}'.encode()).decode()}"
        if user.provider:
            raise OSError("auth-provider is no more; use `exec`, as the cloud's own tool writes it")
        return None


def _run(program: Program, folder: Path) -> dict[str, Any]:
    """The status of the ExecCredential that *program* prints. It is told which version to speak; OSError where it does not."""
    if program.version not in _SPOKEN:
        raise OSError(f"{program.command} speaks {program.version}, none of {', '.join(_SPOKEN)}")
    spoken = {"apiVersion": program.version, "kind": "ExecCredential", "spec": {"interactive": False}}
    own = {variable.name: variable.value for variable in program.env or ()}
    command = str(folder / program.command) if os.sep in program.command else program.command
    environment = {**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(spoken)}
    done = subprocess.run([command, *(program.args or ())], env=environment, capture_output=True, check=False, timeout=_WITHIN)
    if done.returncode:
        raise OSError(f"{program.command} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    try:
        status: dict[str, Any] = json.loads(done.stdout)["status"]
        status["token"]
    except (ValueError, LookupError, TypeError) as error:
        raise OSError(f"{program.command} printed no token") from error
    return status


def context(access: Access) -> ssl.SSLContext | None:
    """What a connection to the cluster is made with; None where it is plain HTTP."""
    cluster, user = access.cluster, access.user
    if not cluster.server.startswith("https:"):
        return None
    if cluster.authority:
        made = ssl.create_default_context(cafile=access.path(cluster.authority))
    elif cluster.authority_data:
        made = ssl.create_default_context(cadata=base64.b64decode(cluster.authority_data).decode())
    else:
        made = ssl.create_default_context()
    if cluster.insecure:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if user.certificate or user.certificate_data:
        with tempfile.TemporaryDirectory() as folder:  # of ours alone; OpenSSL reads certificates from files only
            made.load_cert_chain(
                _file(access, user.certificate, user.certificate_data, Path(folder) / "certificate"),
                _file(access, user.key, user.key_data, Path(folder) / "key"),
            )
    return made


def _file(access: Access, named: str | None, text: str | None, into: Path) -> Path:
    """Where the thing lies that is either in a file already (*named*) or in the kubeconfig itself (*text*), which goes first."""
    if text:
        into.touch(mode=0o600)
        into.write_bytes(base64.b64decode(text))
        return into
    if not named:
        raise errors.UsageError(f"a client certificate for {access.cluster.server} has no key", hint="add `client-key` to the user")
    return access.path(named)
