"""What `sleep` may be given (lashlang.md 3.5)."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Final

from lashlang.machine.fault import type_error, value_error
from lashlang.machine.values import Value, kind, preview

_DURATION: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*(ms|s|m|h)?", re.ASCII)
_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_MAX_MS: Final = 2**53


def duration_ms(value: Value) -> int:
    """`sleep for value`: milliseconds, as a number or as text like `"250"`, `"5s"`, `"1.5h"`.

    Raises:
        Fault: `value_error` for a malformed, negative or endless duration, `type_error` for another kind.
    """
    if type(value) is str:
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise value_error(
                f'`sleep for` cannot read the duration {preview(value)}; write "5s" or milliseconds'
            )
        number = float(match[1]) * _UNITS[match[2] or "ms"]
    elif type(value) in (int, float):
        number = float(value)
    else:
        raise type_error(f'`sleep for` expects milliseconds or text like "5s", got {kind(value)}')
    if not math.isfinite(number) or not 0 <= number <= _MAX_MS:
        raise value_error(f"`sleep for` needs a duration from 0 up, got {preview(value)}")
    return math.ceil(number)


def deadline_ms(value: Value) -> int:
    """`sleep until value`: milliseconds since the epoch, as a number or as RFC 3339 text.

    Raises:
        Fault: `value_error` for text that is no time, `type_error` for another kind.
    """
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise value_error(f"`sleep until` cannot read the time {preview(value)}; write it as RFC 3339")
        return math.ceil(moment.timestamp() * 1000)
    if type(value) not in (int, float):
        raise type_error(f"`sleep until` expects epoch milliseconds or RFC 3339 text, got {kind(value)}")
    if not math.isfinite(value) or abs(value) > _MAX_MS:
        raise value_error(f"`sleep until` needs a finite time, got {preview(value)}")
    return math.ceil(float(value)) if type(value) is float else int(value)
