"""Assignability (lashlang.md 5.3, with gradual `any`), and unions."""

import pytest

from lashlang.check import Relations
from lashlang.check.relations import bounded, union
from lashlang.syntax import (
    TypeAny,
    TypeEnum,
    TypeInt,
    TypeList,
    TypeNull,
    TypeRef,
    TypeStr,
    TypeUnion,
    format_type,
    parse,
    without_offsets,
)


def ty(text):
    return without_offsets(parse(f"type T = {text}")).items[0].ty


NAMES = {"Id": ty("str"), "Loop": ty("Loop"), "Tree": ty("{ kids: list[Tree] }"), "Maybe": ty("Id | null")}
relations = Relations(lambda ref: NAMES.get(ref.name))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("str", "any"),
        ("any", "str"),
        ("any", "{ a: int }"),
        ("list[any]", "list[str]"),
        ("int", "float"),
        ('enum["a"]', "str"),
        ('enum["a"]', 'enum["a", "b"]'),
        ("list[int]", "list[float]"),
        ("{ a: int }", "dict"),
        ("dict", "{ a: int }"),
        ("{ a: int, b: str }", "{ a: float }"),
        ("{}", "{ a: int? }"),
        ("{ a: int }", "{ a: int? }"),
        ("int", "int | null"),
        ("int | null", "null | int | str"),
        ("Id", "str"),
        ("str", "Id"),
        ("null", "Maybe"),
        ("Maybe", "str | null"),
        ("Mail", "Mail"),
        ("Mail", "Mail | null"),
        ("Tree", "{ kids: list[Tree] }"),
        ("{ kids: list[{ kids: list[any] }] }", "Tree"),
        ("Loop", "int"),
        ("Process<int, int>", "Process<float, any>"),
        ("TriggerHandle<int>", "TriggerHandle<float>"),
    ],
)
def test_source_fits_target(source, target):
    assert relations.assignable(ty(source), ty(target))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("float", "int"),
        ("bool", "int"),
        ("null", "str"),
        ("str", 'enum["a"]'),
        ('enum["a", "c"]', 'enum["a", "b"]'),
        ("list[str]", "list[int]"),
        ("list[int]", "dict"),
        ("{ a: int }", "{ a: str }"),
        ("{}", "{ a: int }"),
        ("{ a: int? }", "{ a: int }"),
        ("int | null", "int"),
        ("str", "int | null"),
        ("Id", "int"),
        ("Mail", "Files"),
        ("Mail", "str"),
        ("str", "Mail"),
        ("Maybe", "str"),
        ("{ kids: list[int] }", "Tree"),
        ("Process<int, str>", "Process<int, int>"),
        ("TriggerHandle<str>", "TriggerHandle<int>"),
    ],
)
def test_source_does_not_fit_target(source, target):
    assert not relations.assignable(ty(source), ty(target))


def test_process_types_of_different_arity_do_not_fit():
    from lashlang.syntax import TypeProcess

    assert not relations.assignable(
        TypeProcess(TypeAny(), TypeAny(), 2), TypeProcess(TypeAny(), TypeAny(), 1)
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["int", "int"], "int"),
        (["int", "str | int", "null"], "int | str | null"),
        (["int", "any"], "any"),
        ([], "any"),
        ([f'enum["{n}"]' for n in range(20)], "any"),
    ],
)
def test_union_is_flat_without_repeats(options, text):
    assert format_type(union(ty(option) for option in options)) == text


def test_large_type_is_made_rougher_and_small_one_kept():
    small = TypeList(TypeUnion((TypeInt(), TypeNull())))
    assert bounded(small) is small
    wide = TypeList(ty("{" + ",".join(f"f{n}: str" for n in range(300)) + "}"))
    assert bounded(wide) == TypeList(TypeAny())
    assert bounded(wide.item) == ty("dict")


def test_type_values_compare_and_hash():
    assert TypeEnum(["a"]) == TypeEnum(("a",))
    assert len({TypeRef("A"), TypeRef("A"), TypeStr()}) == 2
