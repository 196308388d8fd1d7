"""Stored data that does not decode any more is an error, and never an absence or a default."""

from __future__ import annotations

from lash.contracts import ProcessRegistry, RuntimePersistence
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, expect_present, refused
from lash.testing.conformance.samples.processes import MINUTE_MS, registration
from lash.testing.conformance.samples.queue import IDLE, draft
from lash.testing.conformance.samples.sessions import FULL, append, committed, meta, node
from lash.testing.conformance.trial import Trial
from lash.values import ActivePath

CODE = "stored_data_corrupt"


@case(Contract.PROCESS_REGISTRY, rule="R-19", needs=Feature.DAMAGE)
async def a_process_that_cannot_be_read_is_not_unknown(trial: Trial[ProcessRegistry]) -> None:
    """`get_process` says None for what was never registered, and raises for what cannot be read."""
    await trial.subject.register_process(registration("p1"))
    await trial.subject.register_process(registration("p2"))
    await trial.damage("process", "p1")
    with refused(CODE, "reading a damaged process"):
        await trial.subject.get_process("p1")
    with refused(CODE, "listing processes, one of them damaged"):
        await trial.subject.list_non_terminal()
    expect_present(await trial.subject.get_process("p2"), "the process beside it")
    expect_equal(await trial.subject.get_process("p3"), None, "a process that was never registered")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-30", needs=Feature.DAMAGE)
async def a_node_that_cannot_be_read_is_not_left_out(trial: Trial[RuntimePersistence]) -> None:
    """Neither a node nor a history that holds it is served without it."""
    await committed(trial.subject, append(node("n1"), node("n2", "n1"), node("n3", "n2")))
    await trial.damage("node", "n2")
    with refused(CODE, "loading a damaged node"):
        await trial.subject.load_node("n2")
    for scope in (FULL, ActivePath()):
        with refused(CODE, f"loading a session with a damaged node: {scope}"):
            await trial.subject.load_session(scope)
    expect_present(await trial.subject.load_node("n1"), "the node beside it")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-30", needs=Feature.DAMAGE)
async def a_checkpoint_that_cannot_be_read_is_not_empty(trial: Trial[RuntimePersistence]) -> None:
    """A session is not served without its checkpoint."""
    await committed(trial.subject)
    await trial.damage("checkpoint", "root")
    with refused(CODE, "loading a session with a damaged checkpoint"):
        await trial.subject.load_session(FULL)


@case(Contract.RUNTIME_PERSISTENCE, rule="R-30", needs=Feature.DAMAGE)
async def meta_that_cannot_be_read_is_not_missing(trial: Trial[RuntimePersistence]) -> None:
    """Meta that is there and does not decode is no None."""
    await trial.subject.save_session_meta(meta())
    await trial.damage("meta", "root")
    with refused(CODE, "loading damaged meta"):
        await trial.subject.load_session_meta()


@case(Contract.RUNTIME_PERSISTENCE, rule="R-30", needs=Feature.DAMAGE)
async def work_that_cannot_be_read_is_not_passed_over(trial: Trial[RuntimePersistence]) -> None:
    """Neither a list nor a claim goes on as if the batch were not there."""
    first = await trial.subject.enqueue_queued_work(draft("first"))
    await trial.subject.enqueue_queued_work(draft("second"))
    await trial.damage("batch", first.batch_id)
    with refused(CODE, "listing damaged work"):
        await trial.subject.list_queued_work("root")
    with refused(CODE, "claiming damaged work"):
        await trial.subject.claim_ready_queued_work("root", "owner", IDLE, MINUTE_MS, 10)
