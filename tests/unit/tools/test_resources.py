"""Live objects, by type."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NewType, Protocol

import msgspec
import pytest

from lash.errors import LashError
from lash.tools import Resource, Resources, ToolContext, ToolSet, tool


class Pool:
    name = "pool"


class FastPool(Pool):
    name = "fast"


class Client(ABC):
    @abstractmethod
    def get(self) -> str: ...


class HttpClient(Client):
    def get(self) -> str:
        return "got"


class Sends(Protocol):
    def send(self) -> str: ...


class Mailer:
    def send(self) -> str:
        return "sent"


ReadPool = NewType("ReadPool", Pool)


class Settings(msgspec.Struct):
    debug: bool = False


def code_of(run: Any) -> str:
    with pytest.raises(LashError) as caught:
        run()
    return caught.value.code


async def test_marked_and_plain_annotations_get_the_live_object(call: Any) -> None:
    @tool
    def f(n: int, db: Resource[Pool], client: Client, settings: Resource[Settings]) -> list[Any]:
        return [n, db.name, type(client).__name__, settings.debug]

    assert list(f.spec.input_schema["properties"]) == ["n"]
    given = [FastPool(), HttpClient(), Settings(debug=True)]
    assert (await call(f, {"n": 1}, resources=given)).content == [1, "fast", "HttpClient", True]


async def test_protocols_and_new_types_are_found_under_their_own_key(call: Any) -> None:
    @tool
    def f(mail: Resource[Sends], pool: Resource[ReadPool]) -> str:
        return f"{mail.send()} {pool.name}"

    given = {Sends: Mailer(), ReadPool: FastPool(), Pool: Pool()}
    assert (await call(f, resources=given)).content == "sent fast"


async def test_the_context_hands_out_resources_too(call: Any) -> None:
    @tool
    async def f(ctx: ToolContext) -> str:
        return ctx.resource(Pool).name

    assert (await call(f, resources={Pool: FastPool()})).content == "fast"
    assert (await call(f)).error.code == "resource_missing"


async def test_an_optional_resource_may_be_missing(call: Any) -> None:
    @tool
    def f(pool: Resource[Pool] | None = None) -> bool:
        return pool is None

    assert (await call(f)).content is True
    assert (await call(f, resources=[Pool()])).content is False


def test_every_missing_resource_is_named_when_the_set_is_bound() -> None:
    @tool
    def f(pool: Resource[Pool], client: Client) -> None: ...

    with pytest.raises(LashError) as caught:
        ToolSet([f]).bind(Resources())
    assert caught.value.code == "resource_missing"
    assert caught.value.missing == ["Pool for f(pool)", "Client for f(client)"]


def test_several_that_fit_are_ambiguous_unless_one_fits_exactly() -> None:
    @tool
    def f(pool: Resource[Pool]) -> None: ...

    class SlowPool(Pool):
        pass

    tools = ToolSet([f])
    assert code_of(lambda: tools.bind(Resources([FastPool(), SlowPool()]))) == "resource_ambiguous"
    exact = Pool()
    assert Resources([FastPool(), exact]).get(Pool) is exact
    assert code_of(lambda: Resources([Pool(), Pool()])) == "resource_ambiguous"


def test_an_argument_is_not_silently_a_resource() -> None:
    @tool
    def f(settings: Settings) -> None: ...

    assert code_of(lambda: ToolSet([f]).bind(Resources([Settings()]))) == "resource_ambiguous"


def test_binding_does_not_change_the_set() -> None:
    @tool
    def f(pool: Resource[Pool]) -> None: ...

    tools = ToolSet([f])
    bound = tools.bind(Resources([Pool()]))
    assert bound is not tools
    assert bound.digest("f") == tools.digest("f")
