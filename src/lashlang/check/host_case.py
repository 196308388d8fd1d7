"""The host of a corpus case as a surface: the same object that `lash lang run --host` reads.

Every tool is `any → any`. `surface: "fixture"` adds a small typed catalog, so that what only typed
operations can show has something to be shown on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lashlang.check.surface import HostSurface, SurfaceBuilder
from lashlang.errors import LangError
from lashlang.syntax import TypeBool, TypeField, TypeInt, TypeObject, TypeStr, object_type

_MAIL = TypeObject(
    (TypeField("to", TypeStr()), TypeField("body", TypeStr()), TypeField("cc", TypeStr(), optional=True))
)
_SCHEDULE = TypeObject((TypeField("expr", TypeStr()), TypeField("tz", TypeStr(), optional=True)))
_TICK = object_type([("fired_at", TypeStr())])


def surface_of_case(host: Mapping[str, object]) -> HostSurface:
    """The surface of a case's `host` object.

    Raises:
        LangError: `surface_conflict` when the object is not of the documented form.
    """
    builder = SurfaceBuilder()
    fixture = host.get("surface")
    if fixture == "fixture":
        _add_fixture(builder)
    elif fixture is not None:
        raise LangError("surface_conflict", f'there is no surface {fixture!r}; the only one is "fixture"')
    taken = builder.build()
    for name in _names(host.get("tools"), "tools"):
        path, _, local = name.rpartition(".")
        module = taken.modules.get(path)
        if module is None or local not in module.operations:
            builder.tool(name)
    builder.ability(*_names(host.get("abilities"), "abilities"))
    return builder.build()


def _add_fixture(builder: SurfaceBuilder) -> None:
    by_path = object_type([("path", TypeStr())])
    stat = object_type([("size", TypeInt()), ("name", TypeStr())])
    builder.operation("files", "read", input_type=by_path, output_type=TypeStr())
    builder.operation("files", "stat", input_type=by_path, output_type=stat)
    for path in ("mail.work", "mail.home"):
        builder.operation(path, "send", input_type=_MAIL, output_type=TypeBool())
    for name in ("register", "list", "cancel"):
        builder.operation("triggers", name)
    builder.trigger_source("timer.Schedule", _SCHEDULE, "timer.Tick", _TICK)


def _names(value: object, what: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise LangError("surface_conflict", f"`{what}` of a host must be a list or an object of names")
    return [str(name) for name in value]
