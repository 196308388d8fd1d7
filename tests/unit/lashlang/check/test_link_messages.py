"""Every message of the linker as the text that its reader gets, reviewed by hand.

`link_messages.txt` holds blocks: `=== source`, the program, `--- message`, and what is said about it on a host with
the typed fixture, two tools and every ability.
"""

from pathlib import Path

import pytest

from lashlang.catalogue import CATALOGUE
from lashlang.check import HostSurface, check, lint
from lashlang.errors import LinkError
from lashlang.syntax import parse

SNAPSHOTS = Path(__file__).with_name("link_messages.txt").read_text(encoding="utf-8")
SURFACE = HostSurface.from_host(
    {
        "surface": "fixture",
        "tools": ["fetch", "inbox.work.send", "inbox.home.send"],
        "abilities": ["processes", "sleep", "process_signals", "triggers", "label_annotations"],
    }
)


def blocks():
    for block in SNAPSHOTS.split("=== source\n")[1:]:
        source, message = block.split("\n--- message\n")
        yield source, message.rstrip("\n")


def said(source):
    try:
        linked = check(parse(source), SURFACE)
    except LinkError as error:
        return str(error)
    return "\n\n".join(finding.render() for finding in lint(linked))


@pytest.mark.parametrize(("source", "message"), list(blocks()))
def test_message_reads(source, message):
    assert said(source) == message


def test_every_code_of_the_linker_but_one_is_shown():
    linking = {code for code, entry in CATALOGUE.items() if entry.phase in ("link", "warning")}
    shown = {code for code in linking if f"[{code}]" in SNAPSHOTS}
    assert linking - shown == {"feature_disabled"}


def test_every_warning_is_shown_at_least_twice():
    warnings = [code for code, entry in CATALOGUE.items() if entry.phase == "warning"]
    assert [code for code in warnings if SNAPSHOTS.count(f"warning[{code}]") < 2] == []
