"""Execution graphs: nodes named by hashes, effects by the sites that running programs report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from random import Random

import msgspec
import pytest
from tests.unit.lashlang.machine.programs import HOST, Maker

import lashlang
from lashlang import (
    Execution,
    LangError,
    LinkedProgram,
    ModuleArtifact,
    Ok,
    ProcessGraph,
    ProcessRef,
    check,
    compile_program,
    map_main,
    map_process,
    parse,
    source_map,
    surface_of_tools,
)
from lashlang.check import HostSurface

SURFACE = surface_of_tools(
    ["echo", "mail.send"], "processes", "sleep", "process_signals", "label_annotations"
)

SOURCE = """
@label(title: "Score it", description: "until it is good")
process score(doc: any) {
  @label(title: "Ask")
  r = await tools.echo({ d: doc })?
  if r.d == 1 { yield 1  sleep for 5 } else { wake 2  fail r }
  for i in range(3) { if i == 2 { break }  a = await [tools.echo({ i: i }), mail.send({})] }
  h = start score(doc: 2)
  m = wait signal
  finish m
}
process idle() { finish 1 }
@label(title: "Begin")
x = 1
job = start score(doc: x)
signal run job with 1
cancel job
submit (await job)?
"""


def linked(source: str = SOURCE) -> LinkedProgram:
    return check(parse(source), SURFACE)


def edges(graph: ProcessGraph) -> list[str]:
    names = {node.id: f"{node.kind} {node.name}".strip() for node in graph.nodes}
    return [f"{names[e.source]} -{e.label}-> {names[e.target]}" for e in graph.edges]


def test_a_process_is_mapped_with_its_branches_loops_and_ends() -> None:
    artifact = ModuleArtifact.from_program(linked())
    ref = artifact.exports.processes["score"]
    graph = map_process(artifact, ref)
    assert (graph.entry_kind, graph.entry_name, graph.entry_ref) == ("process", "score", ref.key)
    assert edges(graph) == [
        "process score -calls-> resource_operation tools.echo",
        "resource_operation tools.echo -uses-> resource tools",
        "resource_operation tools.echo -branches-> branch if",
        "branch if -then-> branch_arm then",
        "branch_arm then -emits-> process_event yield",
        "process_event yield -sleeps-> sleep for",
        "branch if -else-> branch_arm else",
        "branch_arm else -emits-> process_event wake",
        "process_event wake -terminates-> terminal fail",
        "sleep for -branches-> branch if",
        "branch if -then-> branch_arm then",
        "branch if -calls-> resource_operation tools.echo",
        "resource_operation tools.echo -uses-> resource tools",
        "branch if -calls-> resource_operation mail.send",
        "resource_operation mail.send -uses-> resource mail",
        "sleep for -child-> child_process score",
        "resource_operation tools.echo -child-> child_process score",
        "resource_operation mail.send -child-> child_process score",
        "branch_arm then -child-> child_process score",
        "child_process score -waits-> wait signal",
        "wait signal -terminates-> terminal finish",
    ]


def test_labels_are_on_the_entry_on_the_effect_inside_and_on_steps() -> None:
    graph = map_main(ModuleArtifact.from_program(linked()), include_reachable=True)
    told = {(node.kind, node.title, node.description) for node in graph.nodes if node.title}
    assert told == {
        ("process", "Score it", "until it is good"),
        ("resource_operation", "Ask", ""),
        ("step", "Begin", ""),
    }


def test_reachable_processes_are_drawn_once_and_cycles_end() -> None:
    artifact = ModuleArtifact.from_program(linked())
    alone, whole = map_main(artifact), map_main(artifact, include_reachable=True)
    assert Counter(node.kind for node in alone.nodes)["process"] == 0
    assert [node.name for node in whole.nodes if node.kind == "process"] == ["score"]
    assert sum(edge.label == "starts" for edge in whole.edges) == 2
    assert set(alone.nodes) <= set(whole.nodes)


def test_every_effect_of_a_run_is_on_the_map_at_its_site() -> None:
    program = linked()
    graph = map_main(ModuleArtifact.from_program(program))
    sites = {node.site: node.kind for node in graph.nodes if node.site}
    run = Execution(compile_program(program))
    seen: list[tuple[str, str]] = []

    def host(effect: lashlang.Effect) -> Ok:
        seen.append((effect.kind, sites[effect.site]))
        return Ok({"__handle__": "process", "id": "1"})

    run.advance(host)
    assert seen == [
        ("start", "child_process"),
        ("signal_run", "signal"),
        ("cancel", "signal"),
        ("await", "wait"),
    ]


def test_effects_of_random_programs_are_on_their_maps() -> None:
    surface = HostSurface.from_host(HOST)
    for seed in range(40):
        program = check(parse(Maker(Random(seed)).program()), surface)
        artifact = ModuleArtifact.from_program(program)
        code = compile_program(artifact)
        graphs = {"main": map_main(artifact)}
        graphs |= {
            f"process:{name}": map_process(artifact, ref) for name, ref in artifact.exports.processes.items()
        }
        for entry, graph in graphs.items():
            drawn = {node.site for node in graph.nodes if node.site}
            real = {site.id for site in code.entry(entry).body.sites}
            assert drawn <= real
            assert len({node.id for node in graph.nodes}) == len(graph.nodes)
            assert {end for edge in graph.edges for end in (edge.source, edge.target)} <= {
                n.id for n in graph.nodes
            }


def test_nodes_lead_back_to_the_text_through_the_source_map() -> None:
    program = linked()
    graph = map_main(ModuleArtifact.from_program(program), include_reachable=True)
    spans = source_map(program).spans
    text = {
        f"{node.kind} {node.name}": SOURCE[slice(*spans[node.node])] for node in graph.nodes if node.node > 0
    }
    assert text["resource_operation mail.send"] == "mail.send({})"
    assert text["sleep for"] == "sleep for 5"
    assert text["wait await"] == "await job"
    assert text["branch_arm else"] == "{ wake 2  fail r }"


def test_ids_are_the_same_in_another_process_and_for_another_layout() -> None:
    here = msgspec.to_builtins(map_main(ModuleArtifact.from_program(linked()), include_reachable=True))
    script = (
        "import json, sys, msgspec, lashlang\n"
        "s = lashlang.surface_of_tools(['echo', 'mail.send', 'more'], 'processes', 'sleep', 'process_signals',"
        " 'label_annotations')\n"
        "a = lashlang.ModuleArtifact.from_program(lashlang.check(lashlang.parse(sys.argv[1]), s))\n"
        "a = lashlang.ModuleArtifact.from_store_bytes(a.to_store_bytes())\n"
        "print(json.dumps(msgspec.to_builtins(lashlang.map_main(a, include_reachable=True))))\n"
    )
    source = "# another text\n" + SOURCE.replace("  ", "    ").replace("x = 1", "let x   = 1")
    child = subprocess.run([sys.executable, "-c", script, source], capture_output=True, text=True, check=True)
    there = json.loads(child.stdout)
    assert [n["id"] for n in there["nodes"]] == [n["id"] for n in here["nodes"]]
    assert there["edges"] == json.loads(json.dumps(here["edges"]))
    other = map_main(
        ModuleArtifact.from_program(linked(SOURCE.replace("wake 2", "wake 3"))), include_reachable=True
    )
    assert not {node.id for node in other.nodes} & {n["id"] for n in here["nodes"]}


def test_a_process_of_another_module_is_refused() -> None:
    with pytest.raises(LangError) as refused:
        map_process(ModuleArtifact.from_program(linked()), ProcessRef("0" * 64, 0))
    assert refused.value.code == "unknown_process"
