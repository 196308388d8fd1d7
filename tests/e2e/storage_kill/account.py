"""What the writers said: the calls that they announced, and those of which they were told the end."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Line = dict[str, Any]


class Account:
    """Everything that was said about one database, and what of it is new.

    `is_whole` tells that no writer was killed: then every call that was announced was also answered, and what
    is handed out once was handed to somebody. `keeps_claims` tells that no server was killed: a claim is
    visible, not durable, so a crash may take it back.
    """

    def __init__(self, *, is_whole: bool = False, keeps_claims: bool = True) -> None:
        self.is_whole = is_whole
        self.keeps_claims = keeps_claims
        self.opened = 0
        self._tried: dict[str, list[Line]] = defaultdict(list)
        self._told: dict[str, list[Line]] = defaultdict(list)
        self._seen: dict[str, int] = {}

    def hear(self, lines: Iterable[bytes]) -> None:
        """Take in what one writer said.

        Raises:
            AssertionError: When it failed by itself.
        """
        for text in lines:
            if not text.endswith(b"\n"):
                continue  # cut short: the writer was killed while it spoke
            line = json.loads(text)
            assert line.get("told") != "failed", f"a writer failed by itself:\n{line.get('why')}"
            self.opened += line.get("told") == "open"
            said = self._tried if "tried" in line else self._told
            said[line.get("tried") or line["told"]].append(line)

    def mark(self) -> None:
        """Call everything so far old."""
        self._seen = {kind: len(lines) for kind, lines in self._told.items()}

    def tried(self, kind: str) -> list[Line]:
        return self._tried[kind]

    def told(self, kind: str) -> list[Line]:
        return self._told[kind]

    def news(self, kind: str) -> list[Line]:
        """What was told since the mark."""
        return self._told[kind][self._seen.get(kind, 0) :]

    @property
    def answers(self) -> int:
        """How many calls were answered."""
        return sum(map(len, self._told.values()))


def by(lines: Iterable[Line], *names: str) -> dict[Any, list[Line]]:
    """Group lines by what they have under these names."""
    groups: dict[Any, list[Line]] = defaultdict(list)
    for line in lines:
        key = tuple(line[name] for name in names)
        groups[key[0] if len(key) == 1 else key].append(line)
    return groups
