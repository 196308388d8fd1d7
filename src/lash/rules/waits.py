"""How waits are opened and resolved, and what may be parked on them (contract 5, B-23)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from lash.errors import LashError
from lash.rules.identifiers import check_text
from lash.rules.leases import TIME_MAX_MS
from lash.rules.storable import check_storable
from lash.values import Json, ProcessRecord, WaitDraft, WaitKind, WaitRecord, wait_token_hash

_KINDS = frozenset(get_args(WaitKind))


def check_wait(draft: WaitDraft) -> None:
    """Refuse a wait that could not be stored, or that nobody could mean.

    Raises:
        LashError: `invalid_argument`; `json_not_representable`.
    """
    check_wait_key(draft.key)
    check_text(draft.scope_key, what="scope key")
    if draft.kind not in _KINDS:
        raise LashError(
            "invalid_argument",
            f"wait {draft.key!r} is of kind {draft.kind!r}; choose one of {', '.join(sorted(_KINDS))}",
            key=draft.key,
        )
    if draft.deadline_ms is not None and not 0 <= draft.deadline_ms <= TIME_MAX_MS:
        raise LashError(
            "invalid_argument",
            f"wait {draft.key!r} ends at {draft.deadline_ms} ms, which is no time",
            key=draft.key,
            deadline_ms=draft.deadline_ms,
        )
    if draft.token is not None:
        check_token(draft.token)
    check_storable([draft.on_timeout, draft.detail], what=f"wait {draft.key!r}")


def check_wait_key(key: str) -> None:
    """Refuse what cannot be the key of a wait.

    Raises:
        LashError: `invalid_argument`.
    """
    check_text(key, what="wait key")
    if not key.strip():
        raise LashError("invalid_argument", "the key of a wait must not be blank")


def check_token(token: str) -> None:
    """Refuse what cannot be a token; the error does not show it.

    Raises:
        LashError: `invalid_argument`.
    """
    if not token.strip() or not token.isprintable():
        raise LashError(
            "invalid_argument", "the token of a wait is blank or holds characters that do not print"
        )


def opened_wait(stored: WaitRecord | None, draft: WaitDraft, now_ms: int) -> WaitRecord:
    """Return the wait after an opening: the first one stands, a later one fills in what is missing."""
    token_hash = None if draft.token is None else wait_token_hash(draft.token)
    if stored is None:
        return WaitRecord(
            key=draft.key,
            created_at_ms=now_ms,
            scope_key=draft.scope_key,
            kind=draft.kind,
            deadline_ms=draft.deadline_ms,
            on_timeout=draft.on_timeout,
            token_hash=token_hash,
            detail=draft.detail,
            opened_at_ms=now_ms,
        )
    has_deadline = stored.deadline_ms is not None
    return stored.replace(
        scope_key=stored.scope_key or draft.scope_key,
        kind=draft.kind if stored.opened_at_ms is None else stored.kind,
        deadline_ms=stored.deadline_ms if has_deadline else draft.deadline_ms,
        on_timeout=stored.on_timeout if has_deadline else draft.on_timeout,
        token_hash=stored.token_hash or token_hash,
        detail=draft.detail if stored.detail is None else stored.detail,
        opened_at_ms=now_ms if stored.opened_at_ms is None else stored.opened_at_ms,
    )


def resolved_wait(
    stored: WaitRecord | None,
    key: str,
    value: Json,
    *,
    scope_key: str,
    now_ms: int,
    timed_out: bool = False,
) -> WaitRecord:
    """Return an unresolved wait, or one that nobody has opened yet, with its resolution."""
    wait = stored or WaitRecord(key=key, created_at_ms=now_ms, scope_key=scope_key)
    return wait.replace(resolution=value, resolved_at_ms=now_ms, timed_out=timed_out)


def is_open(wait: WaitRecord) -> bool:
    """Whether a wait was opened and waits still."""
    return wait.opened_at_ms is not None and not wait.is_resolved


def is_due(wait: WaitRecord, now_ms: int) -> bool:
    """Whether the deadline of an open wait has come."""
    return is_open(wait) and wait.deadline_ms is not None and wait.deadline_ms <= now_ms


def parking_keys(wait_keys: Sequence[str]) -> tuple[str, ...]:
    """Return the keys to park on, each once, in their order.

    Raises:
        LashError: `invalid_argument` for none, or a blank one: what is parked on nothing never goes on.
    """
    if not wait_keys:
        raise LashError("invalid_argument", "to park takes at least one wait key")
    for key in wait_keys:
        check_wait_key(key)
    return tuple(dict.fromkeys(wait_keys))


def is_wanted_back(record: ProcessRecord) -> bool:
    """Whether somebody asked something of a process for which it may not stay parked."""
    return record.cancel_requested or record.abandon_requested


def wait_unknown() -> LashError:
    """Return the error for a token that resolves nothing. It tells nothing else (contract 5, B-23)."""
    return LashError(
        "wait_unknown",
        "no wait has this token: it was never given out, it was altered, or its wait is over and gone",
    )


def token_taken(key: str) -> LashError:
    """Return the error for opening a wait with the token of another one."""
    return LashError(
        "wait_token_taken",
        f"the token for wait {key!r} belongs to another wait; take a fresh random one",
        key=key,
    )
