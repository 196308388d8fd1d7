"""The tables, in SQLite's dialect, as the engine's migrations.

Three layouts here are measured, not a matter of taste:

* What is read in ranges or may exceed 1 KB lives in a rowid table; `WITHOUT ROWID` is for small rows only,
  because a row of more than a quarter of a page (8 KiB) goes to overflow pages of its own.
* A node's key is `sid << 32 | seq`, so a session's nodes are neighbours and a path is read as a range. A node
  knows the run that it ends: `run_seq` is the first node of the unbroken line of parents with consecutive
  numbers, `run_parent` the parent of that first one. A history without branches is one run.
* Rows of work that is over are kept out of every index that running work uses (`WHERE settled_at_ms IS NULL`),
  so that cost follows the change and not the age.

Differences that another dialect will have: `AUTOINCREMENT`, `WITHOUT ROWID`, `json_each`, and the row lock
that `LOCK_SESSION` stands for.
"""

from __future__ import annotations

from lash.backends.sql.process_schema import ARTIFACTS, HOST_EVENTS, PROCESSES

APPLICATION_ID = 0x6C617368  # "lash"

_SESSIONS = """
CREATE TABLE session (
    sid INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    agent TEXT,                              -- NULL: never admitted, but something of it is stored
    title TEXT,
    labels BLOB NOT NULL DEFAULT '[]',
    search_text TEXT NOT NULL DEFAULT '',
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    deleted_at_ms INTEGER,                   -- the row stays: an id is used once for all time
    lease_generation INTEGER NOT NULL DEFAULT 0,
    lease_owner_id TEXT,
    lease_token TEXT,
    lease_claimed_at_ms INTEGER NOT NULL DEFAULT 0,
    lease_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0,     -- 0: no head yet
    leaf_node_id TEXT,
    path_digest TEXT NOT NULL DEFAULT '',
    next_seq INTEGER NOT NULL DEFAULT 1,
    current_agent_frame_id TEXT NOT NULL DEFAULT '',
    checkpoint_ref TEXT,
    manifest BLOB,
    ledger BLOB NOT NULL DEFAULT '[]',       -- running totals by (source, model)
    setup_hash TEXT NOT NULL DEFAULT '',     -- of what session_setup holds
    park_id TEXT,                            -- set while its turn is parked
    parked_turn_id TEXT,
    parked_on BLOB
);
CREATE TABLE session_setup (                 -- the parts of a head that few commits change
    sid INTEGER PRIMARY KEY,
    config BLOB NOT NULL,
    frames BLOB NOT NULL
);
CREATE TABLE session_meta (
    sid INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);
CREATE TABLE session_label (
    label TEXT NOT NULL,
    session_id TEXT NOT NULL,
    PRIMARY KEY (label, session_id)
) WITHOUT ROWID;
CREATE TABLE owner (                         -- engines that may hold something; others cannot be known dead
    owner_id TEXT PRIMARY KEY,
    opened_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""

_HISTORY = """
CREATE TABLE node (
    key INTEGER PRIMARY KEY,                 -- sid << 32 | seq
    node_id TEXT NOT NULL,
    run_seq INTEGER NOT NULL,
    run_parent INTEGER,
    hidden INTEGER NOT NULL DEFAULT 0,       -- tombstoned
    at_ms INTEGER,                           -- NULL: the body has the time
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX node_by_id ON node (key >> 32, node_id);
CREATE INDEX node_hidden ON node (key) WHERE hidden = 1;
CREATE TABLE blob (
    blob_seq INTEGER PRIMARY KEY,
    ref TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL
);
CREATE TABLE stamp (
    stamp_seq INTEGER PRIMARY KEY,
    sid INTEGER NOT NULL,
    turn_id TEXT NOT NULL,
    turn_commit_hash BLOB NOT NULL,
    head_revision INTEGER NOT NULL,
    manifest BLOB NOT NULL,
    receipt BLOB,
    node_tails BLOB                          -- of the receipt's node ids; see `receipts`
);
CREATE UNIQUE INDEX stamp_by_turn ON stamp (sid, turn_id);
CREATE INDEX stamp_by_revision ON stamp (sid, head_revision);
CREATE TABLE usage_counted (
    sid INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (sid, key)
) WITHOUT ROWID;
"""

_QUEUE = """
CREATE TABLE queue (
    enqueue_seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid INTEGER NOT NULL,
    batch_id TEXT NOT NULL,
    state TEXT NOT NULL,
    settled_at_ms INTEGER,
    source_key TEXT,
    delivery_policy TEXT NOT NULL,
    slot_policy TEXT NOT NULL,
    merge_key TEXT NOT NULL,
    available_at_ms INTEGER NOT NULL,
    enqueued_at_ms INTEGER NOT NULL,
    agent TEXT,
    turn_id TEXT,
    content_hash BLOB,
    wake_process_id TEXT,
    wake_sequence INTEGER,
    taken INTEGER NOT NULL DEFAULT 0,        -- under a claim, live or not, or part of a turn
    claim_id TEXT,
    claim_owner_id TEXT,
    claim_token TEXT,
    claimed_at_ms INTEGER NOT NULL DEFAULT 0,
    claim_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    fencing_token INTEGER NOT NULL DEFAULT 0,
    run_turn_id TEXT,
    injected_effect_id TEXT,
    runs INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE queue_items (                   -- apart, so that a claim does not write the payloads again;
    -- without those of turns that are committed: the history has them
    enqueue_seq INTEGER PRIMARY KEY,
    items BLOB NOT NULL
);
CREATE INDEX queue_open ON queue (sid, taken) WHERE settled_at_ms IS NULL;
CREATE INDEX queue_scheduled ON queue (sid, available_at_ms)
    WHERE settled_at_ms IS NULL AND available_at_ms > 0;
CREATE INDEX queue_by_key ON queue (sid, source_key);
"""

_EFFECTS = """
CREATE TABLE effect (
    effect_seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid INTEGER NOT NULL,                    -- 0: the scope belongs to no session
    scope_hash INTEGER NOT NULL,
    key_hash INTEGER NOT NULL,
    scope_type TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    replay_key TEXT NOT NULL,
    envelope_hash BLOB NOT NULL,
    kind TEXT NOT NULL,
    effect_id TEXT NOT NULL,
    label TEXT NOT NULL,
    at_most_once INTEGER NOT NULL,
    state TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    due_at_ms INTEGER,
    attempts INTEGER NOT NULL DEFAULT 1,
    runs INTEGER NOT NULL DEFAULT 1,
    settled INTEGER NOT NULL DEFAULT 0,
    settled_by TEXT,
    error BLOB,
    claim_owner_id TEXT,
    claim_token TEXT,
    claim_expires_at_ms INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX effect_by_scope ON effect (sid, scope_hash);
CREATE INDEX effect_by_key ON effect (key_hash);
CREATE INDEX effect_claimed ON effect (claim_owner_id) WHERE claim_owner_id IS NOT NULL;
CREATE TABLE effect_outcome (                -- until the commit of the turn, whose nodes then hold it
    effect_seq INTEGER PRIMARY KEY,
    digests BLOB,
    outcome BLOB
);
"""

_WAITS = """
CREATE TABLE wait (
    wait_seq INTEGER PRIMARY KEY,
    wait_key TEXT NOT NULL UNIQUE,
    scope_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    opened_at_ms INTEGER,                    -- NULL: resolved before anybody opened it
    deadline_ms INTEGER,
    on_timeout BLOB,
    token_hash TEXT,
    detail BLOB,
    value BLOB,
    resolved_at_ms INTEGER,
    timed_out INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX wait_by_scope ON wait (scope_key) WHERE scope_key <> '';
CREATE UNIQUE INDEX wait_by_token ON wait (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX wait_open ON wait (kind, wait_seq) WHERE resolved_at_ms IS NULL AND opened_at_ms IS NOT NULL;
CREATE INDEX wait_due ON wait (deadline_ms, wait_seq) WHERE resolved_at_ms IS NULL AND deadline_ms IS NOT NULL;
CREATE INDEX wait_unowned ON wait (resolved_at_ms) WHERE scope_key = '' AND resolved_at_ms IS NOT NULL;
CREATE TABLE parking (                       -- what a turn or a process is parked on, a row for each key
    wait_key TEXT NOT NULL,
    park_id TEXT NOT NULL,                   -- names this parking: the row of what is parked has it, too
    sid INTEGER,                             -- of a turn
    pid INTEGER,                             -- of a process
    PRIMARY KEY (wait_key, park_id)
) WITHOUT ROWID;
CREATE INDEX parking_by_id ON parking (park_id);
"""

_ATTACHMENTS = """
CREATE TABLE attachment (
    attachment_seq INTEGER PRIMARY KEY,
    attachment_id TEXT NOT NULL UNIQUE,
    data BLOB NOT NULL
);
CREATE TABLE attachment_description (        -- apart, so that a new label does not write the bytes again
    attachment_id TEXT PRIMARY KEY,
    body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE attachment_manifest (
    sid INTEGER NOT NULL,
    attachment_id TEXT NOT NULL,
    canonical_uri TEXT NOT NULL,
    intent_at_ms INTEGER NOT NULL,
    committed_at_ms INTEGER,
    PRIMARY KEY (sid, attachment_id)
) WITHOUT ROWID;
CREATE INDEX attachment_manifest_by_id ON attachment_manifest (attachment_id);
CREATE INDEX attachment_manifest_open ON attachment_manifest (intent_at_ms, attachment_id)
    WHERE committed_at_ms IS NULL;
"""

MIGRATIONS = (
    "".join((_SESSIONS, _HISTORY, _QUEUE, _EFFECTS, _WAITS, _ATTACHMENTS, PROCESSES, HOST_EVENTS, ARTIFACTS)),
)
