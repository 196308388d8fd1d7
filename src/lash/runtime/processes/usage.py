"""What a subagent has spent, in the ledgers of those above it (acceptance t).

Each ancestor's ledger gets one row for the subagent's own turn, under the label `subagent` and a key of the
process: whoever writes it again, after whatever crash, writes nothing.
"""

from __future__ import annotations

from lash.contracts import Database
from lash.errors import LashError
from lash.runtime.processes.subagents import Subagent
from lash.values import (
    ActivePath,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    ProcessRecord,
    RuntimeCommit,
    SessionConfig,
    TokenLedgerEntry,
    TurnReceipt,
    session_ancestors,
)

USAGE_SOURCE = "subagent"


async def count_for_ancestors(
    database: Database, child: Subagent, process: ProcessRecord, receipt: TurnReceipt
) -> None:
    """Count what the turn of a subagent has spent for every session above it, once each.

    Raises:
        LashError: what the store raises. Sessions that are gone are passed over.
    """
    if receipt.usage.is_zero:
        return
    read = await database.runtime_persistence(child.session_id).load_session(ActivePath())
    model = "" if read is None else read.config.model.id
    entry = TokenLedgerEntry(
        source=USAGE_SOURCE, model=model, usage=receipt.usage, key=f"subagent:{process.id}:usage"
    )
    for session_id in session_ancestors(child.session_id):
        await _count(database, session_id, entry)


async def _count(database: Database, session_id: str, entry: TokenLedgerEntry) -> None:
    persistence = database.runtime_persistence(session_id)
    while True:
        read = await persistence.load_session(ActivePath())
        if read is None and await database.session_catalog.find_session(session_id) is None:
            return  # a process of the host's: nobody's ledger
        try:
            await persistence.commit_runtime_state(_usage_only(session_id, read, entry))
        except LashError as problem:
            if problem.code == "session_deleted":
                return
            if problem.code != "head_revision_conflict":
                raise
        else:
            return


def _usage_only(session_id: str, read: PersistedSessionRead | None, entry: TokenLedgerEntry) -> RuntimeCommit:
    """Return a commit that changes nothing but the ledger."""
    if read is None:  # its first turn is still running: there is a head from now on, with nothing in it
        return RuntimeCommit(
            session_id=session_id,
            config=SessionConfig(),
            agent_frames=(),
            current_agent_frame_id=f"{session_id}:frame:initial",
            graph=GraphUnchanged(leaf_node_id=None),
            checkpoint=HydratedSessionCheckpoint(),
            usage_deltas=(entry,),
        )
    stored = read.checkpoint or HydratedSessionCheckpoint()
    return RuntimeCommit(
        session_id=session_id,
        expected_head_revision=read.head_revision,
        config=read.config,
        agent_frames=read.agent_frames,
        current_agent_frame_id=read.current_agent_frame_id,
        graph=GraphUnchanged(leaf_node_id=read.graph.leaf_node_id),
        # References only: what they refer to stays as it is.
        checkpoint=stored.replace(tool_state=None, plugin_snapshot=None, execution_state=None),
        usage_deltas=(entry,),
    )
