"""Attachment stores (contract 2.F)."""

from __future__ import annotations

import asyncio
import hashlib

from lash.contracts import AttachmentStore
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, refused
from lash.testing.conformance.trial import Trial
from lash.values import AttachmentCreateMeta

PIXEL = AttachmentCreateMeta(media_type="image/png", width=7, height=11, label="pixel")


@case(Contract.ATTACHMENT_STORE, seed=True)
async def attachment_put_get_round_trips_bytes_and_meta(trial: Trial[AttachmentStore]) -> None:
    """Bytes come back as they were, with a computed id and length, and the caller's meta."""
    data = bytes([1, 2, 3, 4, 5])
    reference = await trial.subject.put(data, PIXEL)
    stored = await trial.subject.get(reference.id)
    expect_equal(stored.data, data, "the bytes")
    expect_equal(stored.meta.id, reference.id, "the id")
    expect_equal(stored.meta.byte_len, len(data), "the length")
    expect_equal(stored.meta.media_type, "image/png", "the media type")
    expect_equal((stored.meta.width, stored.meta.height), (7, 11), "the dimensions")
    expect_equal(stored.meta.label, "pixel", "the label")


@case(Contract.ATTACHMENT_STORE, seed=True)
async def attachment_is_content_addressed(trial: Trial[AttachmentStore]) -> None:
    """Equal bytes have one id, different bytes have two."""
    first = await trial.subject.put(bytes([9, 9, 9]), PIXEL)
    same = await trial.subject.put(bytes([9, 9, 9]), PIXEL)
    different = await trial.subject.put(bytes([9, 9, 8]), PIXEL)
    expect_equal(same.id, first.id, "the id of equal bytes")
    expect(different.id != first.id, "different bytes have different ids")


@case(Contract.ATTACHMENT_STORE, seed=True, rule="R-7")
async def attachment_get_unknown_is_not_found(trial: Trial[AttachmentStore]) -> None:
    """An id that nothing is stored under is not found, whatever it looks like."""
    with refused("attachment_not_found", "an unknown id"):
        await trial.subject.get("sha256:does-not-exist")


@case(Contract.ATTACHMENT_STORE, seed=True)
async def attachment_reports_declared_persistence(trial: Trial[AttachmentStore]) -> None:
    """The store reports the persistence that its backend declares."""
    expect_equal(trial.subject.persistence, trial.declared.persistence, "the persistence")


@case(Contract.ATTACHMENT_STORE, seed=True, rule="R-6", needs=Feature.SECOND_HANDLE)
async def attachment_store_survives_reopen(trial: Trial[AttachmentStore]) -> None:
    """Bytes, id and length are there for the second handle."""
    reference = await trial.subject.put(bytes([4, 3, 2, 1]), PIXEL)
    stored = await trial.second.get(reference.id)
    expect_equal(stored.data, bytes([4, 3, 2, 1]), "the bytes")
    expect_equal((stored.meta.id, stored.meta.byte_len), (reference.id, 4), "the meta")


@case(Contract.ATTACHMENT_STORE, rule="R-2")
async def attachment_ids_are_the_hash_of_the_bytes(trial: Trial[AttachmentStore]) -> None:
    """The id is the SHA-256 of the bytes and of nothing else: the golden one, whatever the meta."""
    data = bytes([1, 2, 3, 4, 5])
    plain = await trial.subject.put(data, AttachmentCreateMeta(media_type="application/octet-stream"))
    golden = "74f81fe167d99b4cb41d6d0ccda82278caee9f3e2f25d5e5a3936ff3dcec60d0"
    expect_equal(plain.id, golden, "the id")
    expect_equal((await trial.subject.put(data, PIXEL)).id, golden, "the id under another meta")


@case(Contract.ATTACHMENT_STORE)
async def empty_and_binary_bytes_are_attachments(trial: Trial[AttachmentStore]) -> None:
    """No bytes, every byte and a megabyte are stored like any others."""
    for data in (b"", bytes(range(256)), b"\0" * 1_048_576):
        reference = await trial.subject.put(data, PIXEL)
        expect_equal(reference.byte_len, len(data), "the length of the reference")
        stored = await trial.subject.get(reference.id)
        expect(stored.data == data, f"{len(data)} bytes come back as they were")
        expect_equal(stored.meta, reference, "the meta is the reference")


@case(Contract.ATTACHMENT_STORE)
async def the_newest_meta_of_equal_bytes_counts(trial: Trial[AttachmentStore]) -> None:
    """Putting the bytes again replaces what is said of them."""
    await trial.subject.put(b"x", PIXEL)
    again = await trial.subject.put(b"x", AttachmentCreateMeta(media_type="text/plain"))
    expect_equal((await trial.subject.get(again.id)).meta, again, "the meta")
    expect_equal((again.media_type, again.width, again.label), ("text/plain", None, None), "nothing is kept")


@case(Contract.ATTACHMENT_STORE, rule="R-44")
async def attachment_ids_are_never_paths(trial: Trial[AttachmentStore]) -> None:
    """Anything but 64 lower-case hex digits is not found, however it was made."""
    digest = (await trial.subject.put(b"x", PIXEL)).id
    for hostile in (
        "",
        " ",
        "..",
        "../" + digest,
        "./" + digest,
        digest + "/",
        digest + "\n",
        digest + "\0",
        digest.upper(),
        digest[:-1],
        "/etc/passwd",
        "\ud800" * 64,
        "\u0660" * 64,
    ):
        with refused("attachment_not_found", f"the id {hostile!a}"):
            await trial.subject.get(hostile)


@case(Contract.ATTACHMENT_STORE)
async def concurrent_puts_do_not_mix(trial: Trial[AttachmentStore]) -> None:
    """Many writers, equal bytes among them: each id holds its own bytes."""
    bodies = [bytes([index % 4]) * 5_000 for index in range(16)]
    references = await asyncio.gather(*(trial.subject.put(body, PIXEL) for body in bodies))
    for body, reference in zip(bodies, references, strict=True):
        expect_equal(reference.id, hashlib.sha256(body).hexdigest(), "the id")
        expect((await trial.subject.get(reference.id)).data == body, "the bytes of an id are its own")
