"""No path leads out of the root."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lash.errors import ToolError
from lash.tools.files.reading import PageSize, read_page
from lash.tools.files.root import Root

INSIDE, OUTSIDE = "inside", "secret"


def read(root: Root, path: str) -> str:
    return read_page(root, path, 1, 10, PageSize())


def code_of(root: Root, path: str) -> str:
    with pytest.raises(ToolError) as caught:
        read(root, path)
    assert OUTSIDE not in caught.value.message or OUTSIDE in path
    return caught.value.code


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with links of every kind, beside what must not be read."""
    world = tmp_path_factory.mktemp("world")
    (world / OUTSIDE).write_text(OUTSIDE)
    (world / "below-2").mkdir()  # begins like the root
    (world / "below-2" / "f").write_text(OUTSIDE)
    root = world / "below"
    (root / "a" / "b").mkdir(parents=True)
    for directory in (root, root / "a", root / "a" / "b"):
        (directory / "f").write_text(INSIDE)
    (root / "up").symlink_to("..")
    (root / "a" / "up").symlink_to("..")
    (root / "a" / "b" / "far").symlink_to("../../..")
    (root / "abs-in").symlink_to(root / "a")
    (root / "abs-out").symlink_to(world / OUTSIDE)
    (root / "rel-out").symlink_to(f"../{OUTSIDE}")
    (root / "tricky").symlink_to(f"{root}/../{OUTSIDE}")
    (root / "sibling").symlink_to(world / "below-2" / "f")
    (root / "etc").symlink_to("/etc")
    (root / "slash").symlink_to("/")
    (root / "chain").symlink_to("a/up/abs-in/b/f")
    (root / "loop").symlink_to("loop")
    return world


@pytest.mark.parametrize(
    "path", ["f", "a/f", "a/../f", "abs-in/f", "a/up/f", "chain", "a/up/a/up/a/b/../f", "./f"]
)
def test_links_that_stay_inside_work(world: Path, path: str) -> None:
    assert read(Root(world / "below"), path) == INSIDE


@pytest.mark.parametrize(
    "path",
    [
        "..",
        f"../{OUTSIDE}",
        f"a/../../{OUTSIDE}",
        f"up/{OUTSIDE}",
        f"a/up/up/{OUTSIDE}",
        f"a/b/far/{OUTSIDE}",
        "abs-out",
        "rel-out",
        "tricky",
        "sibling",
        "etc/passwd",
        "slash/etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        f"a/up/../{OUTSIDE}",
    ],
)
def test_paths_that_lead_outside_are_refused(world: Path, path: str) -> None:
    assert code_of(Root(world / "below"), path) == "path_outside_root"


def test_absolute_paths_count_by_whole_names(world: Path) -> None:
    root = Root(world / "below")
    assert read(root, f"{world}/below/f") == INSIDE
    assert code_of(root, f"{world}/below-2/f") == "path_outside_root"
    assert code_of(root, f"{world}/below/../{OUTSIDE}") == "path_outside_root"


def test_a_root_that_is_itself_a_link_is_known_by_both_names(world: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(world / "below")
    root = Root(tmp_path / "alias")
    assert read(root, "a/f") == INSIDE
    assert read(root, f"{tmp_path}/alias/f") == INSIDE
    assert read(root, f"{world}/below/f") == INSIDE
    assert read(root, "abs-in/f") == INSIDE


def test_links_that_go_in_circles_end(world: Path) -> None:
    assert code_of(Root(world / "below"), "loop") == "not_found"


def test_the_whole_machine_may_be_the_root() -> None:
    with Root("/").located("/etc") as place:
        assert place.path == "etc"
    assert code_of(Root("/"), "/..") == "path_outside_root"


names = st.sampled_from(
    [
        "a",
        "b",
        "f",
        "..",
        ".",
        "",
        "up",
        "far",
        "abs-in",
        "abs-out",
        "rel-out",
        "tricky",
        "sibling",
        "slash",
        OUTSIDE,
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(
    path=st.lists(names, max_size=12).map("/".join)
    | st.text(max_size=30)
    | st.text("/.~\\%2e\0 a", max_size=30)
)
def test_no_string_reads_what_is_outside(world: Path, path: str) -> None:
    root = Root(world / "below")
    before = len(os.listdir("/dev/fd"))
    try:
        text = read(root, path)
    except ToolError:
        text = INSIDE
    assert text == INSIDE
    assert len(os.listdir("/dev/fd")) == before


_before_open: list[Callable[[object], None]] = []


def _audit(event: str, args: tuple[object, ...]) -> None:
    """Audit hooks stay for ever, and run before the system call: the moment between looking and opening."""
    if event == "open" and _before_open:
        _before_open[0](args[0])


sys.addaudithook(_audit)


@pytest.mark.parametrize("exchanged", ["d", "f"])
def test_a_name_that_is_exchanged_between_looking_and_opening_leads_nowhere(
    tmp_path: Path, exchanged: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_text(OUTSIDE)
    root = tmp_path / "below"
    (root / "d").mkdir(parents=True)
    (root / "d" / "f").write_text(INSIDE)
    original = root / "d" / "f" if exchanged == "f" else root / "d"
    target = tmp_path / "outside" / "f" if exchanged == "f" else tmp_path / "outside"
    happened = []

    def exchange(name: object) -> None:
        if name == exchanged and not happened:
            happened.append(name)
            original.rename(tmp_path / "kept")
            original.symlink_to(target)

    _before_open.append(exchange)
    try:
        code = code_of(Root(root), "d/f")
    finally:
        _before_open.clear()
    assert happened == [exchanged]
    assert code in ("path_changed", "not_a_directory")
