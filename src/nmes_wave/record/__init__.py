"""The record of a session: written while it runs, read back, compared with the plan."""

from nmes_wave.record.comparing import compare
from nmes_wave.record.comparison import Comparison, Finding
from nmes_wave.record.reader import EventRecord, RecordRow, read_events
from nmes_wave.record.rows import EVENT_DTYPE, RECORD_DTYPE, RecordKind
from nmes_wave.record.sidecar import RecordFacts, plan_sha256
from nmes_wave.record.writer import RecordWriter

__all__ = [
    "EVENT_DTYPE",
    "RECORD_DTYPE",
    "Comparison",
    "EventRecord",
    "Finding",
    "RecordFacts",
    "RecordKind",
    "RecordRow",
    "RecordWriter",
    "compare",
    "plan_sha256",
    "read_events",
]
