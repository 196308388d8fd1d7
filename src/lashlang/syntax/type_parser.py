"""Type expressions, as they stand behind `:` and `->` and inside `Type {…}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lashlang.syntax.cursor import Cursor
from lashlang.syntax.type_expr import (
    TypeAny,
    TypeBool,
    TypeDict,
    TypeEnum,
    TypeExpr,
    TypeField,
    TypeFloat,
    TypeInt,
    TypeList,
    TypeNull,
    TypeObject,
    TypeProcess,
    TypeRef,
    TypeStr,
    TypeTriggerHandle,
    TypeUnion,
)

_SIMPLE: Final[dict[str, Callable[..., TypeExpr]]] = {
    "str": TypeStr,
    "string": TypeStr,
    "int": TypeInt,
    "integer": TypeInt,
    "float": TypeFloat,
    "number": TypeFloat,
    "bool": TypeBool,
    "boolean": TypeBool,
    "dict": TypeDict,
    "object": TypeDict,
    "any": TypeAny,
}


class TypeParser(Cursor):
    """The part of the parser that reads types."""

    __slots__ = ()

    def type_expr(self) -> TypeExpr:
        """A type, with its alternatives."""
        self.descend()
        start = self.here()
        first = self._term()
        if self.kind == "|":
            options = [first]
            while self.kind == "|":
                self.advance()
                options.append(self._term())
            first = TypeUnion(tuple(options), start=start, end=self.behind())
        self.depth -= 1
        return first

    def object_type(self) -> TypeObject:
        """`{ field: type, … }`."""
        start = self.here()
        opened = self.take("{", "`{` of an object type")
        fields: dict[str, TypeField] = {}
        while self.kind != "}":
            at, index = self.here(), self.pos
            name = self.key("a field name or `}`")
            if name in fields:
                self.jump(index)
                self.expected(f"a new field name (`{name[:40]}` is already a field)")
            self.take(":", f"`:` behind the field `{name[:40]}`")
            ty = self.type_expr()
            optional = self.kind == "?"
            if optional:
                self.advance()
            fields[name] = TypeField(name, ty, optional, start=at, end=self.behind())
            if self.kind != ",":
                break
            self.advance()
        self.close("}", opened, "`,` or `}` of the object type")
        return TypeObject(tuple(fields.values()), start=start, end=self.behind())

    def _term(self) -> TypeExpr:
        start = self.here()
        if self.kind == "string":
            text = self.tokens.values[self.advance()]
            return TypeEnum((str(text),), start=start, end=self.behind())
        if self.kind == "null":
            self.advance()
            return TypeNull(start=start, end=self.behind())
        if self.kind == "{":
            return self.object_type()
        word = self.word()
        if word is None:
            self.expected("a type", hint=_TERM_HINTS.get(self.kind, ""))
        if word == "Type" and self.peek() == "{":
            self.advance()
            return self.object_type()
        self.advance()
        simple = _SIMPLE.get(word)
        if simple is not None:
            self._no_suffix(word)
            return simple(start=start, end=self.behind())
        match word:
            case "enum":
                return self._enum(start)
            case "list":
                opened = self.take("[", "`[` of the item type: list[str]")
                item = self.type_expr()
                self.close("]", opened, "`]` behind the item type")
                return TypeList(item, start=start, end=self.behind())
            case "Process" | "TriggerHandle":
                return self._generic(word, start)
            case _:
                return self._reference(word, start)

    def _no_suffix(self, word: str) -> None:
        """Stops at `str[]` and `dict[str, int]`, which other languages have."""
        if self.kind == "[" and self.adjacent(self.pos):
            listed = self.peek() == "]"
            hint = f"a list is list[{word}]" if listed else "a record of unknown fields is just `dict`"
            self.unexpected(f"the type `{word}` takes no brackets", hint=hint)

    def _enum(self, start: int) -> TypeEnum:
        opened = self.take("[", '`[` of the texts: enum["a", "b"]')
        values: list[str] = []
        while True:
            if self.kind != "string":
                self.expected("a string of the enum")
            values.append(str(self.tokens.values[self.advance()]))
            if self.kind != ",":
                break
            self.advance()
        self.close("]", opened, "`,` or `]` of the enum")
        return TypeEnum(tuple(values), start=start, end=self.behind())

    def _generic(self, word: str, start: int) -> TypeExpr:
        self.take("<", f"`<` behind `{word}`")
        first = self.type_expr()
        if word == "TriggerHandle":
            self.take(">", "`>` behind the event type")
            return TypeTriggerHandle(first, start=start, end=self.behind())
        self.take(",", "`,` and the output type: Process<In, Out>")
        second = self.type_expr()
        self.take(">", "`>` behind the output type")
        return TypeProcess(first, second, start=start, end=self.behind())

    def _reference(self, word: str, start: int) -> TypeRef:
        path = [word]
        while self.kind == ".":
            self.advance()
            path.append(self.name("a name behind `.` of a type"))
        return TypeRef(".".join(path), start=start, end=self.behind())


_TERM_HINTS: Final = {
    "[": "a list is list[item]",
    "(": "types take no parentheses",
    "number": "only texts can be literal types; use int or float",
    "true": "use bool",
    "false": "use bool",
    "?": "a value that may be null is written: str | null",
}
