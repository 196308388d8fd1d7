"""Payload schemas of event types: JSON Schema draft 2020-12, compiled once for each text (ruling 5).

The library is imported by the first schema that says anything; most event types accept everything. A schema
is data of whoever registers a process, so it may refer to itself and to nothing else: the library would fetch
other addresses, files included.
"""

from __future__ import annotations

import functools
import itertools
import json
from typing import TYPE_CHECKING, NoReturn

from lash.errors import LashError
from lash.values import Json, ProcessEventType, canonical_json

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

_SCHEMAS_KEPT = 512
_PROBLEMS_SHOWN = 5
_PROBLEM_CHARS = 300


def check_schema(event_type: ProcessEventType) -> None:
    """Refuse a type whose schema is none.

    Raises:
        LashError: `process_registration_invalid`.
    """
    if not event_type.payload_schema:
        return
    try:
        _validator(canonical_json(event_type.payload_schema))
    except ValueError as problem:
        raise LashError(
            "process_registration_invalid",
            f"the payload schema of event type {event_type.name!r} is no JSON Schema: {_cut(str(problem))}",
            event_type=event_type.name,
        ) from problem


def check_payload(event_type: ProcessEventType, payload: Json) -> None:
    """Refuse a payload that its type's schema does not allow.

    Raises:
        LashError: `process_event_payload_invalid`, naming up to five places.
    """
    if not event_type.payload_schema:
        return
    validator = _validator(canonical_json(event_type.payload_schema))
    problems = [
        _cut(f"at /{'/'.join(map(str, one.instance_path))}: {one.message}")
        for one in itertools.islice(validator.iter_errors(payload), _PROBLEMS_SHOWN)
    ]
    if problems:
        raise LashError(
            "process_event_payload_invalid",
            f"the payload is no {event_type.name!r}: {'; '.join(problems)}",
            event_type=event_type.name,
            problems=problems,
        )


@functools.lru_cache(maxsize=_SCHEMAS_KEPT)
def _validator(schema: bytes) -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(json.loads(schema), retriever=_refuse_to_fetch)


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise ValueError(f"a payload schema may not refer to {uri!r}")


def _cut(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _PROBLEM_CHARS else line[: _PROBLEM_CHARS - 1] + "…"
