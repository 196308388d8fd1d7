"""Reading and writing inside containers (lashlang.md 2.6 and 2.7).

No function here touches an attribute that a program named: a record is read by a dict subscript with a string key,
and an image by comparing with its five known names.
"""

from __future__ import annotations

from lashlang.machine.fault import Fault, type_error, value_error
from lashlang.machine.meter import Meter
from lashlang.machine.operators import add
from lashlang.machine.sizes import ENTRY_COST
from lashlang.machine.texts import stringify
from lashlang.machine.values import MAX_ITEMS, Image, Value, kind, preview, to_index, to_text


def field(target: Value, name: str) -> Value:
    """`target.name`: null for a missing key and for null itself."""
    t = type(target)
    if t is dict:
        return target.get(name)
    if target is None:
        return None
    if t is Image:
        return target.fields().get(name)
    raise type_error(f"can't read `.{name}` from {kind(target)}")


def index(target: Value, at: Value) -> Value:
    """`target[at]`: null outside a list or string, and for a missing key."""
    t = type(target)
    if t is list or t is str:
        place = at if type(at) is int else to_index(at, f"an index into a {kind(target)}")
        length = len(target)
        return target[place] if -length <= place < length else None
    if t is dict:
        return target.get(at if type(at) is str else to_text(at, "a record key"))
    if target is None:
        return None
    raise type_error(f"can't read an index from {kind(target)}")


def store(h: Meter, root: Value, path: tuple[Value, ...], value: Value, owned: bool) -> Value:
    """`root` with the place at `path` set to `value`; the old `root` is changed only when it is `owned`.

    Containers below the root are copied along the path, because only roots are ever known to be unshared.
    """
    top = root if owned else _copy(h, root)
    here = top
    for step in path[:-1]:
        inner = _copy(h, _step(here, step))
        _put(h, here, step, inner)
        here = inner
    _put(h, here, path[-1], value)
    return top


def _copy(h: Meter, value: Value) -> Value:
    t = type(value)
    if t is list:
        h.items(len(value))
        return value.copy()
    if t is dict:
        h.entries(len(value))
        return value.copy()
    return value


def _step(container: Value, step: Value) -> Value:
    """What an assignment path passes through; unlike a read, every step must exist."""
    t = type(container)
    if t is dict:
        key = to_text(step, "a record key")
        if key not in container:
            raise value_error(f"can't assign through `{key}`: the record has no such key")
        return container[key]
    if t is list:
        return container[_position(container, step)]
    raise _not_assignable(container, step)


def _put(h: Meter, container: Value, step: Value, value: Value) -> None:
    t = type(container)
    if t is dict:
        key = to_text(step, "a record key")
        if key not in container:
            h.take(ENTRY_COST + len(key))
            if len(container) >= MAX_ITEMS:
                h.entries(len(container) + 1)
        container[key] = value
    elif t is list:
        container[_position(container, step)] = value
    else:
        raise _not_assignable(container, step)


def _position(items: list[Value], step: Value) -> int:
    if type(step) not in (int, float):
        raise type_error(f"a list index in an assignment must be a number, got {kind(step)}")
    place = to_index(step, "a list index")
    if not -len(items) <= place < len(items):
        raise value_error(f"index {place} is outside the list of {len(items)}; use `push` to add an item")
    return place


def _not_assignable(container: Value, step: Value) -> Fault:
    what = "images are immutable" if type(container) is Image else f"it holds {kind(container)}"
    return type_error(f"can't assign to {preview(step)} here: {what}")


def push(h: Meter, items: Value, item: Value, owned: bool) -> list[Value]:
    """Append in place when the list is owned, to a copy otherwise: what assigning `push` to its own list does."""
    if type(items) is not list:
        raise type_error(f"`push` requires a list as the first argument, got {kind(items)}")
    if not owned:
        h.items(len(items) + 1)
    grown: list[Value] = items if owned else items.copy()
    grown.append(item)
    return grown


def extend(h: Meter, left: Value, items: list[Value], owned: bool) -> Value:
    """`x = x + [items…]`: in place when `x` is an owned list, an ordinary `+` otherwise."""
    if owned and type(left) is list:
        left.extend(items)
        return left
    return add(h, left, items)


def iterable(value: Value) -> list[Value]:
    """What `for` runs over: a list and nothing else."""
    if type(value) is not list:
        raise Fault("non_list_iteration", f"`for` expects a list, got {kind(value)}")
    return value


def unwrap(h: Meter, wrapper: Value, what: str = "") -> Value:
    """`wrapper?`: the `value` of a success, an error for a failure (lashlang.md 3.3)."""
    if type(wrapper) is dict and "ok" in wrapper and type(wrapper["ok"]) is not bool:
        raise type_error(f"`?` needs an `ok` that is true or false, got {kind(wrapper['ok'])}")
    if type(wrapper) is not dict or "ok" not in wrapper:
        raise type_error(f"`?` needs a record with a boolean `ok`, got {kind(wrapper)}")
    if wrapper["ok"]:
        if "value" not in wrapper:
            raise type_error("`?` needs a `value` in a record whose `ok` is true")
        return wrapper["value"]
    raise value_error(unwrap_message(h, wrapper.get("error"), what))


def unwrap_message(h: Meter, error: Value, what: str = "") -> str:
    """The text of a failed `?`."""
    text = "unknown error" if error is None else stringify(h, error)
    h.text(len(text))
    return f"`?` unwrapped failed {what}: {text}" if what else f"`?` unwrapped a failure: {text}"
