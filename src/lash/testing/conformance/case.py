"""What a case is, and the table of all of them.

A case is an async function that states one claim in its docstring and proves it on a fresh subject. It is
registered by its own name; the names of the seed's cases are fixed. A case needs no pytest, and must not
lean on `assert`: the kit also runs under `python -O` (see `expectations`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any, TypeVar

from lash.errors import LashBug
from lash.testing.conformance.cases import MODULES
from lash.testing.conformance.trial import Trial

S = TypeVar("S")
CaseBody = Callable[[Trial[S]], Awaitable[None]]


class Contract(StrEnum):
    """What a case is about; the value is the name of the subject that it gets."""

    EFFECT_HOST = "effect_host"
    RECORDED_EFFECTS = "recorded_effects"  # an effect host that remembers outcomes
    PROCESS_REGISTRY = "process_registry"
    RUNTIME_PERSISTENCE = "runtime_persistence"
    HOST_EVENT_STORE = "host_event_store"
    ATTACHMENT_STORE = "attachment_store"
    ARTIFACT_STORE = "artifact_store"
    TURN_INGRESS = "turn_ingress"
    EFFECT_JOURNAL = "effect_journal"
    SESSION_LEASES = "session_leases"
    SESSION_CATALOG = "session_catalog"
    DURABLE_WAITS = "durable_waits"
    DATABASE = "database"  # what only shows over several contracts of one database
    LASH = "lash"  # lash's own in-memory classes and codecs: the same for every backend


class Feature(StrEnum):
    """What a case needs beside a fresh subject. Offered by whoever makes the subjects, never guessed."""

    CLOCK = "clock"  # the subject takes its time from the kit's clock
    SECOND_HANDLE = "second_handle"  # two handles on the same data, both open from the start
    PERSISTENT_MANIFEST = "persistent_manifest"
    NOOP_MANIFEST = "noop_manifest"
    INLINE = "inline"  # an effect host that remembers nothing
    PROCESSES = "processes"  # other operating-system processes can open the same database
    CRASHES = "crashes"  # what a process acknowledged survives that it is killed
    DAMAGE = "damage"  # stored data can be made unreadable from outside


@dataclass(frozen=True, kw_only=True)
class Case:
    """One claim about one contract."""

    name: str
    contract: Contract
    claim: str
    body: CaseBody[Any]
    rules: tuple[str, ...] = ()
    needs: frozenset[Feature] = frozenset()
    uses: frozenset[Contract] = frozenset()
    is_seed: bool = False

    @property
    def module(self) -> str:
        """The module that the case stands in."""
        return self.body.__module__


_CASES: dict[str, Case] = {}


def case(
    contract: Contract,
    *,
    rule: str | tuple[str, ...] = (),
    needs: Feature | tuple[Feature, ...] = (),
    uses: Contract | tuple[Contract, ...] = (),
    seed: bool = False,
) -> Callable[[CaseBody[S]], CaseBody[S]]:
    """Register the decorated function as a case under its own name.

    Args:
        contract: Which contract it is about.
        rule: The rules (`R-31`, `B-4`) that it shows.
        needs: What it needs beside a fresh subject.
        uses: Other contracts of the database that it leads its subject through.
        seed: Whether it is one of the seed's cases, under the seed's name.
    """

    def register(body: CaseBody[S]) -> CaseBody[S]:
        name, claim = body.__name__, inspect.getdoc(body)
        if name in _CASES:
            raise LashBug(f"two conformance cases are called {name!r}")
        if not claim:
            raise LashBug(f"conformance case {name!r} does not state its claim")
        _CASES[name] = Case(
            name=name,
            contract=contract,
            claim=" ".join(claim.split()),
            body=body,
            rules=(rule,) if isinstance(rule, str) else rule,
            needs=frozenset((needs,) if isinstance(needs, Feature) else needs),
            uses=frozenset((uses,) if isinstance(uses, Contract) else uses),
            is_seed=seed,
        )
        return body

    return register


def all_cases() -> tuple[Case, ...]:
    """Return every case, by contract and in the order in which they are written."""
    for name in MODULES:
        import_module(f"lash.testing.conformance.cases.{name}")
    order = list(Contract)
    return tuple(sorted(_CASES.values(), key=lambda case: order.index(case.contract)))


def cases_of(*contracts: Contract) -> tuple[Case, ...]:
    """Return the cases of some contracts."""
    return tuple(case for case in all_cases() if case.contract in contracts)


def find_cases(names: Iterable[str]) -> tuple[Case, ...]:
    """Return the cases of these names, in the order of `all_cases`; names without a case are left out."""
    wanted = set(names)
    return tuple(case for case in all_cases() if case.name in wanted)
