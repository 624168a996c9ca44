"""What types share whose clients log in with one password and whose members with another: options, Secrets and what is refused. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds import Check
from reconciler.model.document import Flag, Part, SecretRef
from reconciler.model.environment import Environment
from reconciler.model.initialise import Generated, Next, Rotation, Said
from reconciler.model.service import Service
from reconciler.resources import rotation, workload

ADMIN, MEMBERS = "admin", "members"  # the users: whoever has the service's password, and its members among themselves
PASSWORD, INTERNAL = (f"{workload.SECRETS_PATH}/{file}" for file in ("password", "internal"))
LENGTH = 32  # characters of a password: 190 bits


class Options(Part):
    """Whether anybody is asked for a password, and for which."""

    auth: Flag = False
    password: SecretRef | None = None  # of the user admin, in the service's namespace; without it one is made


def options(service: Service) -> Options:
    return Options.model_validate({name: service.options[name] for name in Options.model_fields if name in service.options})


def mounted(service: Service) -> dict[str, SecretRef]:
    """Where a Pod has both passwords from, by the files that they are in."""
    return {"password": password(service), "internal": SecretRef(name=_internal(service), key="password")} if options(service).auth else {}


def password(service: Service) -> SecretRef:
    return options(service).password or SecretRef(name=rotation.name(_auth(service), service.rotation), key="password")


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """The members' password, and the admin's unless somebody else's is named."""
    chosen = options(service)
    if not chosen.auth:
        return ()
    internal = Generated(_internal(service), {"password": LENGTH})
    return (internal,) if chosen.password else (internal, Generated(password(service).name, {"password": LENGTH}))


def rotate(service: Service, _environment: Environment) -> Rotation | None:
    """The admin's password, by which no member comes to another: so nobody has to be told before the first restarts."""
    chosen = options(service)
    return Rotation(None, rotation.former(_auth(service), service.rotation)) if chosen.auth and not chosen.password else None


def _auth(service: Service) -> str:
    return f"{service.name}-auth"


def _internal(service: Service) -> str:
    return f"{service.name}-internal"


def begun(service: Service) -> dict[str, str]:
    """What a service has from its beginning or never gets: a member that asks for a password and one that has none yet are strangers."""
    return {"auth": "true"} if options(service).auth else {}


def lacking(access: Said) -> Next:
    """What is waited for. A look says of each member that it is silent, open to strangers, wrong (not taking the password) or closed."""
    lacks = {"silent": "answers", "open": "refuses strangers", "wrong": f"takes the password of the user {ADMIN}"}
    return next((f"{name} {lacks[how]}" for name, how in access.items() if how in lacks), None)


def checks(service: Service) -> Iterator[Check]:
    chosen = options(service)
    if chosen.password and not chosen.auth:
        yield "options.password", "nobody is asked for it", "add auth: true, or leave password out"
