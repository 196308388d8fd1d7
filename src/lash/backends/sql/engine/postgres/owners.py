"""Who lives: each engine holds a lock by the name of its owner, for as long as its session to the server lasts.

The server frees the lock when the process ends, however it ended. An engine is told dead only by a look at the
locks, and only if it had made itself known after it took its own; owner ids are never used twice. For some
seconds after a start of the server nobody is dead, because everybody has to connect anew.
"""

from __future__ import annotations

OWNER_FUNCTIONS = """
CREATE FUNCTION lash_owner_lock(owner text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $body$ SELECT hashtextextended('lash owner ' || owner, 0) $body$;
CREATE FUNCTION lash_owner_lives(owner text) RETURNS boolean LANGUAGE sql VOLATILE AS $body$
    SELECT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
            AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND l.classid = ((lash_owner_lock(owner) >> 32) & 4294967295)::oid
            AND l.objid = (lash_owner_lock(owner) & 4294967295)::oid)
        OR clock_timestamp() < pg_postmaster_start_time() + make_interval(secs =>
            coalesce(nullif(current_setting('lash.restart_grace_ms', true), ''), '10000')::float8 / 1000)
$body$;
"""
CLOCK_FUNCTIONS = """
CREATE FUNCTION lash_now() RETURNS bigint LANGUAGE sql VOLATILE AS $body$
    SELECT coalesce(nullif(current_setting('lash.test_now_ms', true), '')::bigint,
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$body$;
"""
"""The server's time in milliseconds, or the one to which a test froze it for this transaction."""

TAKE_LIFE = "SELECT pg_try_advisory_lock(lash_owner_lock(%s))"
END_LIFE = "SELECT pg_advisory_unlock(lash_owner_lock(%s))"
