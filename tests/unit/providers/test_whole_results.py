"""The full text of a result that was cut for the model is not given to the model after all."""

from __future__ import annotations

from lash.values import WHOLE_RESULT_LABEL, AttachmentRef, ToolResultPart


def test_whole_text_of_a_cut_result_is_not_among_what_is_shown() -> None:
    whole = AttachmentRef(id="a" * 64, media_type="text/plain", byte_len=10, label=WHOLE_RESULT_LABEL)
    chart = AttachmentRef(id="b" * 64, media_type="image/png", byte_len=10, label="chart")
    part = ToolResultPart(call_id="c", name="t", content="cut", attachments=(whole, chart))
    assert part.shown_attachments == (chart,)
