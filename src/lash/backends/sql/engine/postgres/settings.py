"""The numbers that an engine works by, and the part of them that a URL may carry."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from lash.errors import LashError


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """How one `PostgresEngine` behaves; the defaults suit a server in the same network."""

    connections: int = 10
    """At most so many scripts run at once. Two more connections listen and notify."""
    prepare_threshold: int | None = 2
    """A statement that a connection has run so often is prepared. None: never, which is what happens behind a
    pooler whatever this says."""
    prepared_statements: int = 400
    """Prepared statements kept for each connection. It must exceed the number of distinct statements."""
    direct_url: str | None = None
    """Where to listen, past a pooler: notifications and the sign of life need a session of their own. Behind a
    pooler and without it, the database is polled, and what a killed process held is free when it expires."""
    busy_timeout_ms: int = 10_000
    """How long to wait for a lock, or for a free connection, before `store_busy`."""
    abandoned_ms: int = 60_000
    """The server ends a transaction whose process says nothing for so long: it was stopped, or cut off."""
    connect_timeout_ms: int = 10_000
    """How long to try to reach the server before `store_unavailable`."""
    patience_ms: int = 5_000
    """How long a script waits for a server that went away to come back, before `store_unavailable`."""
    attempts: int = 20
    """How often a script is run at most, when the server asks for another try."""
    poll_ms: int = 5_000
    """How often to look whether anything was written: the net below the notifications."""
    pooled_poll_ms: int = 250
    """The same where there are no notifications, because a pooler gives no session to listen on."""
    clock_tolerance_ms: int = 250
    """A script that was given a time further from the server's than this is run again with the right one."""


_OPTIONS = {
    "pool_size": "connections",
    "prepare_threshold": "prepare_threshold",
    "direct_url": "direct_url",
    "listen_url": "direct_url",
}
_PASSWORD = re.compile(r"(?<=:)[^:@/]*(?=@)")


def split_url(url: str, settings: PostgresSettings) -> tuple[str, PostgresSettings]:
    """Return the URL as the driver takes it, and the settings with what the URL says of them.

    `pool_size`, `prepare_threshold` (a number or `none`) and `direct_url`, or by its other name `listen_url`,
    are ours; every other parameter is the driver's.

    Raises:
        LashError: `invalid_argument` for a value that cannot be.
    """
    parts = urlsplit(url)
    theirs: list[str] = []
    ours: dict[str, Any] = {}  # values of several settings
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _OPTIONS:
            ours[_OPTIONS[name]] = _option(url, name, value)
        else:
            theirs.append(f"{quote(name)}={quote(value, safe='')}")
    bare = parts._replace(scheme="postgresql", query="&".join(theirs))
    # An empty authority is dropped by `urlunsplit`, and the driver needs the slashes.
    text = urlunsplit(bare) if parts.netloc else f"postgresql://{bare.path}?{bare.query}".rstrip("?")
    return text, replace(settings, **ours)


def shown_url(url: str) -> str:
    """Return a URL fit for messages: without its password and without its parameters."""
    parts = urlsplit(url)
    host = _PASSWORD.sub("***", parts.netloc)
    return f"postgresql://{host}{unquote(parts.path)}"


def _option(url: str, name: str, value: str) -> int | str | None:
    if _OPTIONS[name] == "direct_url":
        return value
    if name == "prepare_threshold" and value.lower() == "none":
        return None
    if not value.isdecimal() or (name == "pool_size" and int(value) < 1):
        raise LashError(
            "invalid_argument",
            f"{name}={value!r} in {shown_url(url)} must be a positive number"
            + (" or none" if name == "prepare_threshold" else ""),
            name=name,
            value=value,
        )
    return int(value)
