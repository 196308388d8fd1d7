"""Session meta: independent of the head (contract 2.D.12)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, expect_present
from lash.testing.conformance.samples.sessions import committed, meta
from lash.testing.conformance.trial import Trial
from lash.values import CausedByTurn, ChildSession


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def session_metadata_round_trips(trial: Trial[RuntimePersistence]) -> None:
    """All six fields come back, without any commit."""
    await trial.subject.save_session_meta(meta())
    loaded = expect_present(await trial.subject.load_session_meta(), "the meta that was saved")
    for name in ("session_id", "session_name", "created_at", "model", "cwd", "relation"):
        expect_equal(getattr(loaded, name), getattr(meta(), name), f"the field {name}")


@case(Contract.RUNTIME_PERSISTENCE)
async def the_last_meta_wins(trial: Trial[RuntimePersistence]) -> None:
    """Saving again replaces all of it, before and after commits."""
    store = trial.subject
    expect_equal(await store.load_session_meta(), None, "the meta of a fresh store")
    await store.save_session_meta(meta())
    await committed(store)
    child = ChildSession(parent_session_id="p1", caused_by=CausedByTurn(session_id="p1", turn_id="t1"))
    renamed = meta("Renamed").replace(cwd=None, relation=child)
    await store.save_session_meta(renamed)
    expect_equal(await store.load_session_meta(), renamed, "the meta that was saved last")
