"""What `@tool` makes of a function, and what it refuses."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from lash.errors import LashError
from lash.tools import Retry, Tool, ToolContext, ToolSet, tool
from lash.values import stable_hash


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Tree(msgspec.Struct):
    name: str
    children: list[Tree] = []


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Options(TypedDict, total=False):
    verbose: bool


def refused(define: Any) -> LashError:
    with pytest.raises(LashError) as caught:
        define()
    assert caught.value.code == "tool_definition_invalid"
    return caught.value


def test_schema_comes_from_the_annotations() -> None:
    @tool
    def search(
        query: Annotated[str, msgspec.Meta(min_length=1)], limit: int = 10, lang: str | None = None
    ) -> str:
        """Search the index."""
        return query

    assert search.spec.input_schema == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1},
            "limit": {"type": "integer", "default": 10},
            "lang": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": ["query"],
        "additionalProperties": False,
    }
    assert search.description == "Search the index."
    assert search.effect == "at_most_once"


def test_a_tool_is_still_the_function() -> None:
    @tool(effect="read_only")
    def add(a: int, b: int = 2) -> int:
        return a + b

    assert add(1) == 3
    assert add(a=1, b=5) == 6


def test_nested_types_become_definitions_that_resolve() -> None:
    @tool
    def paint(
        tree: Tree,
        at: Point,
        how: Options,
        colour: Colour = Colour.RED,
        mode: Literal["fast", "slow"] = "fast",
    ) -> None: ...

    schema = paint.spec.input_schema
    assert set(schema["$defs"]) == {"Tree", "Point", "Options", "Colour"}
    assert schema["properties"]["colour"] == {"$ref": "#/$defs/Colour", "default": "red"}
    assert schema["properties"]["mode"] == {"enum": ["fast", "slow"], "default": "fast"}
    assert schema["required"] == ["tree", "at", "how"]
    args = {"tree": {"name": "a", "children": [{"name": "b"}]}, "at": {"x": 1}, "how": {"verbose": True}}
    assert paint.arguments.check(args) == []
    values = paint.arguments.convert(args)
    assert values == {
        "tree": Tree("a", [Tree("b")]),
        "at": Point(1.0),
        "how": {"verbose": True},
    }


def test_a_type_that_is_called_like_the_argument_record_does_not_clash() -> None:
    clashing = msgspec.defstruct("f_arguments", [("x", int)])

    @tool
    def f(one: clashing) -> None: ...  # type: ignore[valid-type]

    assert f.arguments.check({"one": {"x": 1}}) == []
    assert f.arguments.check({"one": {"x": "1"}}) != []


def test_docstring_sections_are_sorted() -> None:
    @tool
    def move(
        source: str, target: Annotated[str, msgspec.Meta(description="Wins.")], ctx: ToolContext
    ) -> None:
        """Move a file.

        It must exist.

        Args:
            source: Where it is
                now: a path.
            target (str): Loses.
            ctx: Not for the model.

        Returns:
            Nothing.

        Raises:
            ToolError: Not for the model.
        """

    assert move.description == "Move a file.\n\nIt must exist.\n\nReturns:\n    Nothing."
    assert move.spec.input_schema["properties"] == {
        "source": {"type": "string", "description": "Where it is now: a path."},
        "target": {"type": "string", "description": "Wins."},
    }


def test_a_docstring_may_be_missing() -> None:
    @tool
    def f() -> None: ...

    assert f.description == ""
    assert f.spec.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}


def test_local_types_may_be_named_under_postponed_annotations() -> None:
    class Local(msgspec.Struct):
        n: int

    @tool
    def f(one: Local) -> int:
        return one.n

    assert f.arguments.convert({"one": {"n": 3}}) == {"one": Local(3)}


def test_a_method_is_bound_by_its_object() -> None:
    class Counter:
        def __init__(self) -> None:
            self.total = 0

        @tool
        def add(self, n: int) -> int:
            self.total += n
            return self.total

        @tool
        @classmethod
        def kind(cls, n: int) -> str:
            return f"{cls.__name__}{n}"

    counter = Counter()
    bound: Tool[..., Any] = counter.add  # type: ignore[assignment]
    assert list(bound.spec.input_schema["properties"]) == ["n"]
    assert bound(n=2) == 2
    assert counter.total == 2
    assert Counter.kind(n=1) == "Counter1"
    assert "instance.add" in refused(lambda: ToolSet([Counter.add])).message


def test_bound_methods_partials_and_callable_objects_become_tools() -> None:
    class Greeter:
        def greet(self, name: str, greeting: str = "hi") -> str:
            """Greet somebody."""
            return f"{greeting} {name}"

        def __call__(self, name: str) -> str:
            """Call somebody."""
            return name

    bound = tool(Greeter().greet)
    assert (bound.name, bound.description) == ("greet", "Greet somebody.")
    partial = tool(functools.partial(Greeter().greet, greeting="yo"), name="yo")
    assert list(partial.spec.input_schema["properties"]) == ["name"]
    assert partial(name="x") == "yo x"  # type: ignore[call-arg]
    callable_ = tool(Greeter())
    assert (callable_.name, callable_.description) == ("Greeter", "Call somebody.")


def test_what_a_default_cannot_say_in_json_is_not_shown() -> None:
    missing: Any = object()
    not_an_int: Any = None

    @tool
    def f(a: int = missing, b: int = not_an_int, c: float = float("nan")) -> bool:
        return a is missing

    assert all("default" not in shown for shown in f.spec.input_schema["properties"].values())
    assert f.arguments.convert({}) == {}  # so that Python applies its own, the very object


def test_paths_are_strings_to_the_model() -> None:
    @tool
    def f(p: Path = Path("a")) -> str:
        return p.name

    assert f.spec.input_schema["properties"]["p"] == {"type": "string", "format": "path", "default": "a"}
    assert f.arguments.convert({"p": "x/y"}) == {"p": Path("x/y")}
    assert f.arguments.check({"p": 1}) != []


def test_parameters_without_a_fixed_name_are_refused() -> None:
    def var(*args: int) -> None: ...
    def kw(**args: int) -> None: ...
    def pos(a: int, /) -> None: ...
    def bare(a) -> None: ...  # type: ignore[no-untyped-def]

    assert "*args" in refused(lambda: tool(var)).message
    assert "**args" in refused(lambda: tool(kw)).message
    assert "'a' is positional-only" in refused(lambda: tool(pos)).message
    problem = refused(lambda: tool(bare))
    assert "tool bare: parameter 'a' has no annotation" in problem.message
    assert (problem.tool, problem.parameter) == ("bare", "a")


class Unserialisable:
    pass


@dataclasses.dataclass
class HoldsUnserialisable:
    inner: Unserialisable


@pytest.mark.parametrize(
    "annotation", [object, complex, Iterator[int], list[Unserialisable], HoldsUnserialisable, "Nowhere"]
)
def test_types_that_json_cannot_carry_are_refused(annotation: Any) -> None:
    def f(a: Any) -> None: ...

    f.__annotations__ = {"a": annotation}
    problem = refused(lambda: tool(f))
    assert "tool f" in problem.message


def test_a_pattern_that_json_schema_does_not_know_is_refused() -> None:
    def flag(a: Annotated[str, msgspec.Meta(pattern="(?a:x)")]) -> None: ...
    def broken(a: Annotated[str, msgspec.Meta(pattern="[")]) -> None: ...

    refused(lambda: tool(flag))
    refused(lambda: tool(broken))


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "naïve", "a.b", "a\n"])
def test_names_that_vendors_do_not_accept_are_refused(name: str) -> None:
    def f() -> None: ...

    refused(lambda: tool(f, name=name))


def test_a_lambda_needs_a_name() -> None:
    assert "name=" in refused(lambda: tool(lambda: None)).message
    assert tool(lambda: None, name="nothing").name == "nothing"


@pytest.mark.parametrize(
    "options",
    [
        {"effect": "sometimes"},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": "1"},
        {"retry": 0},
        {"retry": True},
        {"retry": "2"},
        {"serial_key": ""},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    def f() -> None: ...

    refused(lambda: tool(f, **options))


def test_classes_generators_and_tools_are_no_tools() -> None:
    def generator() -> Iterator[int]:
        yield 1

    refused(lambda: tool(Point))
    refused(lambda: tool(generator))
    refused(lambda: tool(tool(lambda: None, name="x")))
    refused(lambda: tool(3))  # type: ignore[call-overload]
    refused(lambda: Retry(attempts=0))


def test_a_set_names_all_its_collisions_at_once() -> None:
    def a() -> None: ...
    def b() -> None: ...

    problem = refused(lambda: ToolSet([a, tool(a), b, b]))
    assert problem.names == ["a", "b"]


def test_a_set_keeps_the_order_and_hashes_each_spec() -> None:
    def b() -> None: ...
    def a() -> None: ...

    tools = ToolSet([b, a])
    assert tools.names == ("b", "a")
    assert [spec.name for spec in tools.specs()] == ["b", "a"]
    assert tools.digest("a") == stable_hash(
        {
            "name": "a",
            "description": "",
            "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
        }
    )
    assert tools.digest("a") != tools.digest("b")
    with pytest.raises(LashError) as caught:
        tools.digest("c")
    assert caught.value.code == "tool_unavailable"
