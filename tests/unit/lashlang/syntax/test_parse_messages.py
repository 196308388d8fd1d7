"""Every message of the parser as the text that its reader gets, reviewed by hand.

`parse_messages.txt` holds blocks: `=== source`, the program, `--- message`, and what `str(error)` says.
"""

from pathlib import Path

import pytest

from lashlang.catalogue import CATALOGUE
from lashlang.errors import ParseError
from lashlang.syntax import parse

SNAPSHOTS = Path(__file__).with_name("parse_messages.txt").read_text(encoding="utf-8")


def blocks():
    for block in SNAPSHOTS.split("=== source\n")[1:]:
        source, message = block.split("\n--- message\n")
        yield source, message.rstrip("\n")


@pytest.mark.parametrize(("source", "message"), list(blocks()))
def test_message_reads(source, message):
    with pytest.raises(ParseError) as caught:
        parse(source)
    assert str(caught.value) == message


def test_every_code_of_the_parser_but_one_is_shown():
    parsing = {code for code, entry in CATALOGUE.items() if entry.phase == "parse"}
    shown = {code for code in parsing if f"error[{code}]" in SNAPSHOTS}
    assert parsing - shown == {"source_too_large"}
