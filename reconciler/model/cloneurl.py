"""URLs that git clones from: relative ones resolved as git resolves a submodule's, and credentials kept out of sight."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def is_relative(url: str) -> bool:
    return url.startswith(("./", "../"))


def resolve(base: str, url: str) -> str:
    """*url* taken from *base*, by git's rule (https://git-scm.com/docs/git-submodule, `add`): each `../` takes a component off *base*.

    ValueError where it climbs out of what *base* has.
    """
    if not is_relative(url):
        return url
    root = re.match(r"[a-z+]+://[^/]*/|[^/:]+:|/?", base)
    start = root[0] if root else ""
    parts = [part for part in base[len(start) :].split("/") if part]
    rest = url
    while is_relative(rest):
        if rest.startswith("../") and not parts:
            raise ValueError(f"climbs out of {redact(base)}")
        if rest.startswith("../"):
            parts.pop()
        rest = rest.partition("/")[2]
    return start + "/".join([*parts, rest])


def redact(text: str) -> str:
    """*text* without the credentials of any URL in it; a lone user name of ssh stays, since it is part of the address."""
    text = re.sub(r"(?<=://)[^/@\s:]*:[^/@\s]*@", "***@", text)
    return re.sub(r"(?<=https://)[^/@\s]+@|(?<=http://)[^/@\s]+@", "***@", text)


def bare(url: str) -> str:
    """*url* without its credentials, as it may be written down."""
    parts = urlsplit(url) if "://" in url else None
    if not parts or "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    kept = f"{user.partition(':')[0]}@" if parts.scheme == "ssh" else ""
    return parts._replace(netloc=kept + host).geturl()
