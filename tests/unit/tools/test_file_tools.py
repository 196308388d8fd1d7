"""The read-only file tools: what they show of ordinary and of awkward files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.tools import ToolSet, file_tools
from lash.tools.files.root import Root
from lash.tools.files.walking import Glob


class Files:
    """Calls the tools of one tree by name."""

    def __init__(self, root: Path, call: Any, **settings: int) -> None:
        self.root = root
        self._call = call
        self._tools = {one.name: one for one in file_tools(root, **settings)}

    async def __call__(self, name: str, **args: Any) -> Any:
        result = await self._call(ToolSet([self._tools[name]]), args)
        return result.error.code if result.error else result.content


@pytest.fixture
def files(tmp_path: Path, call: Any) -> Files:
    root = tmp_path / "root"
    (root / "src" / "deep").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (root / "README.md").write_text("# Title\n\nHello there\nBye\n")
    (root / "src" / "a.py").write_text("def alpha():\n    return 1\n")
    (root / "src" / "deep" / "b.py").write_text("def beta():\r\n    return alpha()\r\n")
    (root / "src" / "logo.png").write_bytes(b"\x89PNG\0\0def alpha")
    (root / ".hidden" / "c.py").write_text("def gamma(): pass\n")
    (root / "empty.txt").touch()
    return Files(root, call)


def test_all_of_them_only_read(tmp_path: Path) -> None:
    tools = file_tools(tmp_path)
    assert [one.name for one in tools] == ["read_file", "list_files", "glob", "grep", "stat"]
    assert {one.effect for one in tools} == {"read_only"}
    assert all(one.description for one in tools)
    assert "ctx" not in tools[3].spec.input_schema["properties"]


def test_the_root_must_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(LashError) as caught:
            file_tools(path)
        assert caught.value.code == "root_invalid"


async def test_a_small_file_is_read_whole(files: Files) -> None:
    assert await files("read_file", path="README.md") == "# Title\n\nHello there\nBye"
    assert await files("read_file", path="./src//../README.md") == "# Title\n\nHello there\nBye"
    assert await files("read_file", path=str(files.root / "README.md")) == "# Title\n\nHello there\nBye"
    assert await files("read_file", path="empty.txt") == "[the file is empty]"


async def test_pages_join_to_the_file(files: Files) -> None:
    lines = [f"line {n}" for n in range(1, 1001)]
    (files.root / "long.txt").write_text("\n".join(lines))
    seen: list[str] = []
    offset = 1
    while True:
        page = (await files("read_file", path="long.txt", offset=offset, limit=300)).split("\n")
        seen += page[:-1]
        following = re.search(r"offset=(\d+)", page[-1])
        if following is None:
            break
        offset = int(following.group(1))
    assert page[-1] == "[lines 901 to 1000; the end of the file]"
    assert seen == lines


async def test_a_page_ends_before_the_budget_of_a_result(files: Files) -> None:
    (files.root / "wide.txt").write_text("é" * 500 + "\n" + ("x" * 999 + "\n") * 100)
    page = await files("read_file", path="wide.txt")
    assert len(page.encode()) < 16 * 1024
    assert "left out here" not in page
    assert "more follows: call again with offset=" in page


async def test_a_line_of_megabytes_is_cut_and_the_next_one_is_still_found(files: Files) -> None:
    (files.root / "one.txt").write_text("x" * 3_000_000 + "\nnext\n")
    first, second = (await files("read_file", path="one.txt")).split("\n")
    assert first == "x" * 8000 + " [… 2,992,000 more bytes in this line]"
    assert second == "next"


async def test_an_offset_beyond_the_end_says_how_long_the_file_is(files: Files) -> None:
    assert await files("read_file", path="README.md", offset=5) == "offset_beyond_end"
    assert await files("read_file", path="README.md", offset=0) == "invalid_tool_args"


async def test_a_sparse_file_of_terabytes_does_no_harm(files: Files) -> None:
    with (files.root / "huge").open("wb") as huge:
        huge.write(b"text\n" * 10_000)
        huge.truncate(2**40)
    assert (await files("read_file", path="huge", limit=1)).startswith("text\n")
    assert await files("read_file", path="huge", offset=10_000_000) == "file_too_large"
    assert "1 files over 8 MiB left out" in await files("grep", pattern="text", glob="huge")


async def test_what_is_no_text_file_has_its_own_code(files: Files) -> None:
    os.mkfifo(files.root / "pipe")
    assert await files("read_file", path="src/logo.png") == "not_text"
    assert await files("read_file", path="src") == "not_a_file"
    assert await files("read_file", path="pipe") == "not_a_file"
    assert await files("read_file", path="nowhere") == "not_found"
    assert await files("read_file", path="README.md/x") == "not_a_directory"
    assert await files("list_files", path="README.md") == "not_a_directory"
    assert await files("read_file", path="x" * 300) == "path_invalid"
    assert await files("read_file", path="x/" * 3000) == "path_invalid"
    assert await files("read_file", path="a\0b") == "path_invalid"


async def test_text_in_another_encoding_is_still_readable(files: Files) -> None:
    (files.root / "latin.txt").write_bytes(b"caf\xe9\n")
    (files.root / "bom.txt").write_bytes(b"\xef\xbb\xbfhello")
    assert await files("read_file", path="latin.txt") == "caf\ufffd"
    assert await files("read_file", path="bom.txt") == "hello"


async def test_a_directory_is_listed_in_order(files: Files) -> None:
    (files.root / "link").symlink_to("README.md")
    assert await files("list_files") == "\n".join(
        [".hidden/", "README.md (25 bytes)", "empty.txt (0 bytes)", "link (symbolic link)", "src/"]
    )
    (files.root / "none").mkdir()
    assert await files("list_files", path="none") == "[the directory is empty]"


async def test_long_listings_are_cut_with_a_count(files: Files) -> None:
    for n in range(500):
        (files.root / "src" / "deep" / f"f{n:03}").touch()
    listing = (await files("list_files", path="src/deep")).split("\n")
    assert len(listing) == 381
    assert listing[-1] == "[and 121 more: narrow it down]"


async def test_names_that_are_no_utf8_do_no_harm(files: Files) -> None:
    Path(os.fsdecode(os.fsencode(files.root) + b"/src/\xff.py")).write_text("def alpha\n")
    assert "\ufffd" in await files("list_files", path="src")
    assert "\ufffd" in await files("grep", pattern="alpha")
    assert "\ufffd" in await files("glob", pattern="src/*.py")


async def test_glob_finds_files_by_path(files: Files) -> None:
    assert await files("glob", pattern="**/*.py") == "src/a.py\nsrc/deep/b.py"
    assert await files("glob", pattern="src/*.py") == "src/a.py"
    assert await files("glob", pattern="src/[ab].p?") == "src/a.py"
    assert await files("glob", pattern="src/**") == "src/a.py\nsrc/deep/b.py\nsrc/logo.png"
    assert await files("glob", pattern="**/.hidden/*") == ".hidden/c.py"
    assert await files("glob", pattern="*.rs") == "[no file matches]"
    assert await files("glob", pattern="../**") == "path_outside_root"
    assert await files("glob", pattern="/etc/*") == "path_outside_root"
    assert await files("glob", pattern="nowhere/*") == "not_found"
    assert await files("glob", pattern="") == "pattern_invalid"


async def test_grep_shows_path_line_and_text(files: Files) -> None:
    assert await files("grep", pattern="alpha") == "\n".join(
        [
            "src/a.py:1: def alpha():",
            "src/deep/b.py:2:     return alpha()",
            "[4 files searched; 1 binary files left out]",
        ]
    )
    assert (await files("grep", pattern=r"^def \w+\(\):$", glob="*.py")).startswith(
        "src/a.py:1: def alpha():\nsrc/deep/b.py:1"
    )
    assert (await files("grep", pattern="HELLO", ignore_case=True)).startswith("README.md:3: Hello there\n")
    assert await files("grep", pattern="HELLO") == "[no match; 4 files searched; 1 binary files left out]"
    assert (await files("grep", pattern="beta", path="src/deep/b.py")).startswith(
        "src/deep/b.py:1: def beta():\n"
    )
    assert await files("grep", pattern="alpha", path="src/logo.png") == "not_text"


async def test_grep_looks_at_hidden_files_only_when_asked(files: Files) -> None:
    assert "no match" in await files("grep", pattern="gamma")
    assert (await files("grep", pattern="gamma", path=".hidden")).startswith(".hidden/c.py:1:")
    assert (await files("grep", pattern="gamma", glob=".hidden/*")).startswith(".hidden/c.py:1:")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "a?" * 50 + "a" * 50])
async def test_no_pattern_keeps_the_search_busy(files: Files, pattern: str) -> None:
    (files.root / "evil.txt").write_text(("a" * 5000 + "b\n") * 20)
    answer = await files("grep", pattern=pattern, path="evil.txt")
    assert "1 files searched" in answer or "evil.txt:1:" in answer


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "[", "x{5000}{5000}", "\ud800["])
async def test_patterns_that_cannot_be_searched_for_are_told(files: Files, pattern: str) -> None:
    assert await files("grep", pattern=pattern) in ("pattern_invalid", "invalid_tool_args")


async def test_many_matches_are_cut(files: Files) -> None:
    (files.root / "many.txt").write_text("match\n" * 100_000)
    answer = (await files("grep", pattern="match")).split("\n")
    assert len(answer) <= 381
    assert "there are more matches" in answer[-1]


async def test_one_unreadable_file_does_not_end_a_search(files: Files) -> None:
    (files.root / "gone").symlink_to("nowhere")
    (files.root / "loop").symlink_to("loop")
    assert "src/a.py:1:" in await files("grep", pattern="alpha")


async def test_stat_tells_what_a_path_is(files: Files) -> None:
    os.utime(files.root / "README.md", (0, 86_400))
    assert await files("stat", path="src/../README.md") == {
        "path": "README.md",
        "type": "file",
        "size_bytes": 25,
        "modified_at": "1970-01-02T00:00:00+00:00",
    }
    assert (await files("stat", path="src/deep"))["type"] == "directory"
    assert (await files("stat", path="."))["path"] == "."


def by_regex(pattern: str, path: str) -> bool:
    """What a glob means, said another way."""
    text = (
        re.escape(pattern)
        .replace(r"\*\*/", "(?:[^/.][^/]*/)*")
        .replace(r"\*", "[^/]*")
        .replace(r"\?", "[^/]")
    )
    hidden = any(name.startswith(".") for name in path.split("/"))
    return re.fullmatch(text, path) is not None and not hidden


segments = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "**", "*b"])


@given(
    st.lists(segments, min_size=1, max_size=5).filter(lambda parts: parts[-1] != "**"),
    st.lists(st.sampled_from(["a", "b", "ab", "abb", ".a"]), min_size=1, max_size=5),
)
def test_globs_mean_what_the_equal_regular_expression_means(pattern: list[str], path: list[str]) -> None:
    glob = Glob(Root("."), "/".join(pattern))
    assert glob.matches("/".join(path)) == by_regex("/".join(pattern), "/".join(path))


@given(
    st.lists(segments, min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", "ab", ".a"]), min_size=2, max_size=5),
)
def test_a_walk_enters_every_directory_that_leads_to_a_match(pattern: list[str], path: list[str]) -> None:
    glob = Glob(Root("."), "/".join(pattern))
    if glob.matches("/".join(path)):
        assert all(glob.may_match_below("/".join(path[:n])) for n in range(1, len(path)))
