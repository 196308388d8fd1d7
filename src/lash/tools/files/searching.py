"""Searching text files for a regular expression, in linear time: a pattern comes from a model.

Python's `re` backtracks, and a pattern of ten characters can keep it busy for ever on a short line. The
engine of the schema library does not, so it does the matching.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lash.errors import ToolError
from lash.tools.files.reading import PageSize, open_text
from lash.tools.files.root import Root
from lash.tools.files.walking import Bounds, Entry, Glob, walk

_FILE_BYTES_MAX = 8 * 1024 * 1024
_TOTAL_BYTES_MAX = 128 * 1024 * 1024
_LINE_CHARS_SHOWN = 300
_PATTERN_BYTES_MAX = 1024 * 1024  # of the compiled pattern
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


def linear_pattern(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    """Return a search for a regular expression that takes time in proportion to the text.

    Args:
        pattern: ECMAScript syntax without look-around and back-references.
        ignore_case: Whether case does not matter.

    Raises:
        ToolError: `pattern_invalid`.
    """
    if not _SPECIAL.search(pattern) and not ignore_case:
        return lambda text: pattern in text
    from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

    try:
        validator = Draft202012Validator(
            {"pattern": f"(?i){pattern}" if ignore_case else pattern},
            pattern_options=RegexOptions(size_limit=_PATTERN_BYTES_MAX),
        )
    except (ValidationError, ValueError) as problem:
        raise ToolError(
            "pattern_invalid",
            f"{pattern[:200]!r} is no regular expression that can be searched for "
            "(look-around and back-references cannot)",
        ) from problem
    return validator.is_valid


@dataclass(slots=True)
class _Report:
    """What a search has found so far."""

    size: PageSize
    lines: list[str] = field(default_factory=list)
    files: int = 0
    binary: int = 0
    too_large: int = 0
    unreadable: int = 0
    scanned_bytes: int = 0
    room: int = 0
    is_full: bool = False

    def add(self, line: str) -> None:
        self.room -= len(line.encode("utf-8", "replace")) + 1
        if self.room < 0 or len(self.lines) >= self.size.lines:
            self.is_full = True
        else:
            self.lines.append(line)

    def text(self) -> str:
        notes = [f"{self.files:,} files searched"]
        notes += [f"{self.binary:,} binary files left out"] if self.binary else []
        notes += [f"{self.too_large:,} files over 8 MiB left out"] if self.too_large else []
        notes += [f"{self.unreadable:,} files could not be read"] if self.unreadable else []
        if self.is_full:
            notes.append("there are more matches: narrow down the pattern, path or glob")
        if self.scanned_bytes > _TOTAL_BYTES_MAX:
            notes.append("stopped at 128 MiB: search a smaller part")
        head = "" if self.lines else "no match; "
        return "\n".join([*self.lines, f"[{head}{'; '.join(notes)}]"])


def search(
    root: Root,
    matches: Callable[[str], bool],
    path: str,
    glob: str | None,
    size: PageSize,
    bounds: Bounds,
) -> str:
    """Return matching lines as `path:line: text`, and a last line that says what was searched.

    Args:
        root: The tree.
        matches: The search, see `linear_pattern`.
        path: A file, or a directory to walk.
        glob: Which files below it: a name pattern (`*.py`) or a path pattern from the root.
        size: The bounds of the answer.
        bounds: The bounds of the walk.

    Raises:
        ToolError: as `Root.located`, `Glob` and `walk`; for `path` itself also `not_text`, `not_a_file`.
    """
    report = _Report(size, room=size.bytes - 200)  # the last line needs some, too
    with root.located(path) as place:
        is_directory, single = place.name is None, place.path
    if not is_directory:
        _search_file(root, single, matches, report)
        return report.text()
    for entry in _candidates(root, path, glob, bounds):
        try:
            _search_file(root, entry.path, matches, report)
        except ToolError as problem:
            if problem.code == "not_text":
                report.binary += 1
            else:  # gone, forbidden, exchanged: one file must not end the search
                report.unreadable += 1
        if report.is_full or report.scanned_bytes > _TOTAL_BYTES_MAX:
            break
    return report.text()


def _candidates(root: Root, path: str, glob: str | None, bounds: Bounds) -> Iterator[Entry]:
    """Yield the files to search. Hidden ones are left out unless the glob names them."""
    wanted = None
    if glob is not None:
        wanted = Glob(root, glob if "/" in glob else f"**/{glob}")

    def enters(entry: Entry) -> bool:
        if wanted is not None and "/" in (glob or ""):
            return wanted.may_match_below(entry.path)
        return not entry.name.startswith(".")

    for entry in walk(root, path, bounds, enters=enters):
        if not entry.is_file:
            continue
        if not entry.name.startswith(".") if wanted is None else _fits(wanted, entry, glob):
            yield entry


def _fits(wanted: Glob, entry: Entry, glob: str | None) -> bool:
    """Whether a file fits; a bare name pattern looks at the name alone, wherever the walk has come to."""
    return wanted.matches(entry.path if "/" in (glob or "") else entry.name)


def _search_file(root: Root, path: str, matches: Callable[[str], bool], report: _Report) -> None:
    with root.located(path) as place:
        if place.status.st_size > _FILE_BYTES_MAX:
            report.too_large += 1
            return
        with open_text(place.open_file(), place.path) as handle:
            data = handle.read(_FILE_BYTES_MAX + 1)
    report.files += 1
    report.scanned_bytes += len(data)
    text = data.decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n"), start=1):
        if matches(line.removesuffix("\r")):
            report.add(f"{place.path}:{number}: {_shown(line)}")
            if report.is_full:
                return


def _shown(line: str) -> str:
    text = line.strip("\r\n")
    return text if len(text) <= _LINE_CHARS_SHOWN else f"{text[:_LINE_CHARS_SHOWN]} […]"
