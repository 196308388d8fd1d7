"""Scripts for the command line: `--model scripted:tests.e2e.cli.scripts:NAME`."""

from lash.testing import call, reply
from lash.values import TokenUsage

COST = TokenUsage(input_tokens=10, output_tokens=2)

readme = [
    reply(call("read_file", path="README.md"), usage=COST),
    reply("It promises durability.", usage=COST),
]
