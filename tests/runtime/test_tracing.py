"""Traces of turns: one record for each thing, joined across a crash, without content unless asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import lash
from lash.testing import call, reply
from lash.tracing import JsonlTraceSink, MemoryTraceSink, Trace, TraceRecord, read_trace
from lash.tracing.page import once_each, trace_page
from lash.values import TokenUsage, plain

from .conftest import scripted_agent


@lash.tool(effect="read_only")
async def look(place: str) -> str:
    """Look."""
    return f"secret of {place}"


@lash.tool(effect="read_only")
async def fail() -> str:
    """Fail."""
    raise lash.ToolError("broken", "it does not work")


def traced_agent() -> lash.Agent:
    steps = [
        reply(call("look", place="attic"), call("fail"), usage=TokenUsage(input_tokens=10, output_tokens=5)),
        reply("done, secretly", usage=TokenUsage(input_tokens=20, output_tokens=7)),
    ]
    return scripted_agent(steps, tools=[look, fail])


async def one_turn(trace: Any, agent: lash.Agent | None = None) -> None:
    async with lash.open("memory:", agent or traced_agent(), trace=trace) as runtime:
        session = await runtime.session("s")
        await session.turn("go", turn_id="t1")


async def test_a_turn_is_a_span_with_its_calls_in_it() -> None:
    sink = MemoryTraceSink()
    await one_turn(sink)

    spans = [record for record in sink.records if record.type != "event"]
    (turn,) = [record for record in spans if record.type == "turn"]
    calls = [record for record in spans if record.type != "turn"]
    assert Counter((one.type, one.name) for one in calls) == {
        ("model_call", "scripted"): 2,
        ("tool_call", "look"): 1,
        ("tool_call", "fail"): 1,
    }
    assert {one.parent_span_id for one in calls} == {turn.span_id}
    assert {one.trace_id for one in sink.records} == {turn.trace_id}
    assert len({one.span_id for one in sink.records}) == len(sink.records)
    assert all(one.started_at_ms <= one.ended_at_ms for one in sink.records)
    assert [one.error for one in calls if one.name == "fail"] == ["tool_failed"]
    assert (turn.attributes["input_tokens"], turn.attributes["output_tokens"]) == (30, 12)
    assert (turn.error, turn.attributes["head_revision"]) == (None, 1)


async def test_content_is_left_out_unless_it_is_asked_for() -> None:
    bare, full = MemoryTraceSink(), MemoryTraceSink()
    await one_turn(bare)
    await one_turn(Trace([full], content=True))

    assert "secret" not in json.dumps([plain(record) for record in bare.records])
    by_name = {record.name: record for record in full.records}
    assert by_name["look"].content == {"args": {"place": "attic"}, "result": "secret of attic"}
    assert by_name["turn"].content["text"] == "done, secretly"


async def test_redaction_changes_and_drops_records_before_any_sink_sees_them() -> None:
    def redact(record: TraceRecord) -> TraceRecord | None:
        if record.name == "fail":
            return None
        if record.name == "look":
            raise ValueError("what to do with this?")
        return record.replace(session_id="hidden")

    sink = MemoryTraceSink()
    await one_turn(Trace([sink], content=True, redact=redact))

    assert {record.session_id for record in sink.records} == {"hidden"}
    assert not {record.name for record in sink.records} & {"fail", "look"}


async def test_a_sink_that_breaks_harms_neither_the_turn_nor_the_other_sinks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def append(self, record: TraceRecord) -> None:
            raise OSError("the disk is full")

        def close(self) -> None:
            raise OSError("still full")

    good = MemoryTraceSink()
    await one_turn(Trace([Broken(), good]))

    assert "turn" in {record.name for record in good.records}
    assert "the disk is full" in caplog.text
    assert "still full" in caplog.text


@pytest.mark.parametrize("wanted", [5, b"x", object()])
async def test_what_is_no_trace_is_refused(wanted: object) -> None:
    with pytest.raises(lash.LashError) as caught:
        lash.open("memory:", trace=wanted)  # type: ignore[arg-type]
    assert caught.value.code == "invalid_argument"


async def test_a_trace_file_is_read_back_and_its_cut_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    await one_turn(path)
    whole = list(read_trace(path))
    with path.open("a") as file:
        file.write('{"type": "turn", "na')

    assert list(read_trace(path)) == whole
    assert {record.type for record in whole} == {"turn", "model_call", "tool_call", "event"}

    with path.open("a") as file:
        file.write("\n")
    with pytest.raises(lash.LashError) as caught:
        list(read_trace(path))
    assert caught.value.code == "trace_unreadable"
    assert f"line {len(whole) + 1}" in caught.value.message


async def test_a_turn_that_was_cut_is_one_trace_that_has_each_call_once(tmp_path: Path) -> None:
    """Acceptance s: killed in the middle of a tool, driven on by another process."""
    program = (
        "import asyncio, os, sys, lash\n"
        "from lash.testing import ScriptedModel, call\n"
        "@lash.tool(effect='read_only')\n"
        "async def first() -> str:\n"
        "    'First.'\n"
        "    return 'one'\n"
        "@lash.tool(effect='read_only')\n"
        "async def second() -> str:\n"
        "    'Second.'\n"
        "    if sys.argv[1] == 'die':\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return 'two'\n"
        "model = ScriptedModel([call('first'), call('second'), 'done'], by_request=True)\n"
        "agent = lash.Agent('a', model=model, tools=[first, second])\n"
        "async def main():\n"
        "    async with lash.open('agent.db', agent, trace='trace.jsonl') as runtime:\n"
        "        session = await runtime.session('s')\n"
        "        print((await session.turn('go', turn_id='t1')).text)\n"
        "asyncio.run(main())\n"
    )

    def run(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, how], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert run("die").returncode == -9
    assert run("live").stdout == "done\n"

    records = list(read_trace(tmp_path / "trace.jsonl"))
    shown = once_each(records)
    assert len({record.trace_id for record in records}) == 1
    assert Counter(record.name for record in shown if record.type == "tool_call") == {"first": 1, "second": 1}
    assert Counter(record.type for record in shown)["model_call"] == 3
    assert not any(record.replayed for record in shown), "what was done is shown as it was done"
    assert [record.attributes["restarts"] for record in shown if record.name == "turn_started"] == [0, 1]
    (turn,) = [record for record in shown if record.type == "turn"]
    assert turn.attributes["stop"] is None


async def test_the_page_holds_every_record_once_and_loads_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    await one_turn(Trace([JsonlTraceSink(path)], content=True))

    done = subprocess.run(
        [sys.executable, "-m", "lash.cli", "trace", "view", str(path), "--title", "A <b>turn</b>"],
        capture_output=True,
        text=True,
        check=True,
    )

    page = Path(done.stdout.strip()).read_text()
    assert done.stdout.strip() == str(tmp_path / "trace.html")
    assert "<title>A &lt;b&gt;turn&lt;/b&gt;</title>" in page
    assert "http" not in page.replace("http-equiv", "")
    data = page.split('type="application/json">')[1].split("</script>")[0]
    told = [record["span_id"] for record in json.loads(data)]
    assert sorted(told) == sorted(record.span_id for record in read_trace(path))


def test_a_record_cannot_break_out_of_the_page() -> None:
    nasty = "</script><script>alert(1)</script>\u2028"
    record = TraceRecord(
        type="event",
        name=nasty,
        started_at_ms=1,
        ended_at_ms=1,
        trace_id="0" * 32,
        span_id="1" * 16,
        session_id="s",
        turn_id="t",
    )
    page = trace_page([record], title="x")
    data = page.split('type="application/json">')[1].split("</script>")[0]
    assert json.loads(data)[0]["name"] == nasty
    assert "alert(1)</script>" not in page


def test_a_trace_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lash.cli", "trace", "view", str(tmp_path / "none.jsonl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "trace_unreadable" in done.stderr


async def test_opentelemetry_gets_one_joined_trace_with_the_conventional_names() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from lash.tracing.otel import OTelTraceSink

    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    sink = OTelTraceSink(exporter, meter_provider=MeterProvider([reader]), events=False)
    await one_turn(sink)

    spans = {span.name: span for span in exporter.get_finished_spans()}
    turn, tool, chat = spans["invoke_agent"], spans["execute_tool look"], spans["chat scripted"]
    assert tool.parent is not None
    assert chat.parent is not None
    assert tool.parent.span_id == chat.parent.span_id == turn.context.span_id
    assert len({span.context.trace_id for span in spans.values()}) == 1
    assert chat.attributes is not None
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.attributes["gen_ai.request.model"] == "scripted"
    assert tool.attributes is not None
    assert tool.attributes["gen_ai.tool.name"] == "look"
    assert turn.attributes is not None
    assert turn.attributes["gen_ai.conversation.id"] == "s"
    assert spans["execute_tool fail"].status.description == "tool_failed"
    assert not any(key.startswith("lash.content") for span in spans.values() for key in span.attributes or {})
    data = reader.get_metrics_data()
    assert data is not None
    metrics = {m.name: m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}
    points = metrics["gen_ai.client.token.usage"].data.data_points
    assert {p.attributes["gen_ai.token.type"]: p.sum for p in points} == {"input": 30, "output": 12}


def test_without_its_extra_the_opentelemetry_sink_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk.trace'] = None\n"
        "import lash, lash.tracing\n"
        "try:\n"
        "    import lash.tracing.otel\n"
        "except lash.LashError as error:\n"
        "    print(error.code, error.message)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("extra_missing ")
    assert "lash-runtime[otel]" in told


async def test_opentelemetry_wants_one_way_out() -> None:
    from lash.tracing.otel import OTelTraceSink

    with pytest.raises(lash.LashError) as caught:
        OTelTraceSink()
    assert caught.value.code == "invalid_argument"


def test_scripts_of_the_page_are_valid(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT RUN: there is no node here to read the page's script")
    page = trace_page([], title="x")
    script = tmp_path / "page.js"
    script.write_text(page.split("<script>\n")[1].split("</script>")[0])
    subprocess.run([node, "--check", str(script)], check=True)
