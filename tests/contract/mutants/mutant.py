"""What a mutant is: the memory backend with one behaviour changed while a run lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from lash.backends.memory import MemoryDatabase
from lash.errors import LashError
from lash.testing.conformance import DatabaseSource, KitClock, ReferenceClasses, Reopenable
from lash.testing.conformance.damage import memory_damage

LARGE = 1 << 18  # characters that stand for 8 MiB in the matrix
DEPTH = 3_000  # levels that stand for 100,000

Around = Callable[[Any], Any]  # what is there -> what stands in for it


def memory_database(clock: KitClock) -> Any:
    database = MemoryDatabase(clock=clock)
    return Reopenable(database, database, damage=memory_damage(database))


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A wrong backend, and the case that it was made for. The whole of what catches it is in `matrix.txt`."""

    name: str
    aims_at: str
    changes: tuple[tuple[str, Around], ...] = ()
    make: Callable[[KitClock], Any] = memory_database
    reference: ReferenceClasses = field(default_factory=ReferenceClasses)

    def source(self) -> DatabaseSource:
        return DatabaseSource(self.make, reference=self.reference)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Change the behaviour for as long as the block lasts."""
        with ExitStack() as stack:
            for path, around in self.changes:
                stack.enter_context(changed(path, around))
            yield


MUTANTS: dict[str, Mutant] = {}


def mutant(name: str, aims_at: str, *changes: tuple[str, Around], **options: Any) -> None:
    """Add a mutant: its name says what it does wrong."""
    assert name not in MUTANTS, f"two mutants are called {name!r}"
    MUTANTS[name] = Mutant(name=name, aims_at=aims_at, changes=changes, **options)


@contextmanager
def changed(path: str, around: Around) -> Iterator[None]:
    module, _, names = path.partition(":")
    owner: Any = import_module(module)
    *parents, name = names.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    own = vars(owner).get(name)  # what the owner itself has; nothing when it is inherited
    setattr(owner, name, around(own if isinstance(own, property) else original))
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def value(replacement: Any) -> Around:
    """Stand in with this very thing."""
    return lambda original: replacement


def skipped(original: Any) -> Any:
    """Do nothing."""
    return lambda *args, **kwargs: None


async def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


async_skipped: Around = value(_nothing)
"""Do nothing, when awaited."""


def answers(change: Callable[..., Any]) -> Around:
    """Await what is there, then answer with `change(result, *its arguments)`."""

    def around(original: Any) -> Any:
        async def wrong(*args: Any, **kwargs: Any) -> Any:
            return change(await original(*args, **kwargs), *args)

        return wrong

    return around


def gives(change: Callable[..., Any]) -> Around:
    """The same for what is not awaited."""
    return lambda original: lambda *args, **kwargs: change(original(*args, **kwargs), *args)


def asked(**changes: Callable[[Any], Any]) -> Around:
    """Change keyword arguments on their way in."""

    def around(original: Any) -> Any:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            return original(*args, **{**kwargs, **{k: f(kwargs.get(k)) for k, f in changes.items()}})

        return wrong

    return around


def asked_at(position: int, change: Callable[[Any], Any]) -> Around:
    """Change a positional argument on its way in."""

    def around(original: Any) -> Any:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            changed = [change(a) if at == position else a for at, a in enumerate(args)]
            return original(*changed, **kwargs)

        return wrong

    return around


def read_with(**changes: Any) -> Any:
    """Change what a load returns, where it returns anything."""
    return answers(
        lambda read, *_: None if read is None else read.replace(**{k: f(read) for k, f in changes.items()})
    )


def recoded(old: str, new: str) -> Any:
    """Raise another code in place of one."""

    def around(original: Any) -> Any:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except LashError as error:
                raise LashError(new if error.code == old else error.code, error.message) from error

        return wrong

    return around


def second_with(name: str, make: Any) -> Any:
    """A factory whose second handle has a port of its own."""

    def factory(clock: KitClock) -> Any:
        first, second = MemoryDatabase(clock=clock), MemoryDatabase(clock=clock)
        for port, found in vars(first).items():
            if port != "clock":
                setattr(second, port, found)
        setattr(second, name, make(clock))
        return Reopenable(first, second)

    return factory
