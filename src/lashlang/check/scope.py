"""What each variable is known to be at the point the checker has reached.

Branches are journals on top of one map, so that a join costs what the branches assigned and not how many
variables there are. A name bound in any arm counts as bound behind it: whether it really is, only running
shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from lashlang.check.relations import ANY, bounded, union
from lashlang.syntax import TypeExpr

Place = Literal["main", "process", "fn"]


class Scope:
    """The variables of the foreground, of one process, or of one function."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.reachable = True
        self._types: dict[str, TypeExpr] = {}
        self._journals: list[dict[str, TypeExpr | None]] = []

    def get(self, name: str) -> TypeExpr | None:
        """The type of a bound name, or None."""
        return self._types.get(name)

    def names(self) -> Iterable[str]:
        """Every bound name."""
        return self._types

    def types(self) -> dict[str, TypeExpr]:
        """Every bound name with its type, ordered by name."""
        return dict(sorted(self._types.items()))

    def bind(self, name: str, ty: TypeExpr) -> None:
        """Makes `name` a variable of type `ty` from here on."""
        if self._journals:
            self._journals[-1].setdefault(name, self._types.get(name))
        self._types[name] = bounded(ty)

    def enter(self) -> None:
        """Starts a branch: what is bound from here on can be taken back."""
        self._journals.append({})

    def leave(self) -> dict[str, TypeExpr]:
        """Ends the branch that was started last and undoes its bindings; returns what they were."""
        journal = self._journals.pop()
        changed = {name: self._types[name] for name in journal}
        for name, before in journal.items():
            if before is None:
                del self._types[name]
            else:
                self._types[name] = before
        return changed

    def join(self, arms: list[tuple[dict[str, TypeExpr], bool]]) -> None:
        """Binds what the arms of a branch changed; each arm comes with whether its end is reachable."""
        names: dict[str, None] = {}
        for changed, _ in arms:
            names.update(dict.fromkeys(changed))
        for name in names:
            before = self._types.get(name)
            options: list[TypeExpr] = []
            for changed, reachable in arms:
                ty = changed.get(name, before)
                if reachable and ty is not None:
                    options.append(ty)
            self.bind(name, union(options) if options else (before or ANY))
