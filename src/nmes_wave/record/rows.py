"""The rows of a record: as the engine hands them over, as the file holds them.

The engine counts in frames and codes, the file in seconds, milliamperes and
microcoulombs. A line holds enough digits to get frames and codes back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.faults import Fault
from nmes_wave.plan import Plan

#: What the engine's ring holds; the kernel has the same order and types.
RECORD_DTYPE = np.dtype(
    [
        ("kind", np.int64),
        ("onset", np.float64),  # frames of the device's clock since the start
        ("plan_frame", np.float64),
        ("channel", np.int64),  # -1: all, or none
        ("stage", np.int64),
        ("on_period", np.int64),
        ("index", np.int64),
        ("n_frames", np.int64),
        ("level", np.int64),  # codes
        ("sign", np.int64),
        ("net", np.int64),  # codes
        ("value", np.float64),
        ("load", np.int64),
        ("asked", np.float64),  # plan frame; -1: nobody asked
    ]
)


class RecordKind(IntEnum):
    """What a record tells; the kernel has the same numbers."""

    EVENT = 0
    CAPPED = 1
    LEFT_OUT = 2
    CUT = 3
    START = 4
    SET_INTENSITY = 5
    PAUSE = 6
    RESUME = 7
    STOP = 8
    LOAD = 9
    FAULT = 10
    UNDERRUN = 11
    END = 12
    RECORDS_LOST = 13  # made by the writer: the ring was full


#: The column ``trial_type``; a capped event is an event.
TRIAL_TYPES = {
    kind: "event" if kind is RecordKind.CAPPED else kind.name.lower()
    for kind in RecordKind
}
COMMANDS = ("start", "set_intensity", "pause", "resume", "stop", "load")
NOTES = ("fault", "underrun", "end", "records_lost")

#: The engine's numbers of faults (`nmes_wave.faults.Fault`).

_STATUS = {
    RecordKind.EVENT: "delivered",
    RecordKind.CAPPED: "capped",
    RecordKind.LEFT_OUT: "left out",
    RecordKind.CUT: "cut",
}
UNCONFIRMED = "unconfirmed"
STATUSES = (*_STATUS.values(), UNCONFIRMED)

#: One row for each event; see `nmes_wave.read_events`.
EVENT_DTYPE = np.dtype(
    [
        ("onset_s", np.float64),
        ("plan_frame", np.float64),
        ("duration_s", np.float64),
        ("channel", np.int64),
        ("stage", np.int64),
        ("on_period", np.int64),
        ("index", np.int64),
        ("amplitude_ma", np.float64),
        ("polarity", np.int64),
        ("net_charge_uc", np.float64),
        ("intensity", np.float64),
        ("load", np.int64),
        ("status", "U11"),
    ]
)

#: The columns of the table in their order, as the sidecar describes them. BIDS
#: fixes the names and the unit of the first two, the others carry theirs.
COLUMNS: dict[str, dict[str, Any]] = {
    "onset": {
        "Description": "Begin, on the device's clock since the start of the session: "
        "frames handed to the device / sample rate. What is handed over sounds one "
        "latency of the device later.",
        "Units": "s",
    },
    "duration": {
        "Description": "Time of the frames that the event touches, all phases and "
        "gaps; 0 for what is no event.",
        "Units": "s",
    },
    "trial_type": {
        "Description": "What happened. Every event has one row of type event.",
        "Levels": {
            "event": "an event (pulse, burst, custom shape) handed to the device",
            "left_out": "an event that was not started: it would have lifted the sum "
            "over channels above its cap",
            "cut": "the event of this channel that began last ended early, here; its "
            "true duration and net charge stand here",
            "start": "command: delivery begins",
            "set_intensity": "command: the intensity moves towards the target in the "
            "column intensity",
            "pause": "command: the plan's clock stands still",
            "resume": "command: the plan's clock goes on",
            "stop": "command: ramp to zero",
            "load": "command: another plan follows",
            "fault": "the session faulted; the column value has the number of the "
            "reason: " + ", ".join(f"{f:d} {f.describe()}" for f in Fault),
            "underrun": "the device ran dry; the column value counts underruns",
            "end": "the plan, or the ramp after a stop, has ended",
            "records_lost": "as many rows as the column value says are missing here: "
            "they came faster than they could be written",
        },
    },
    "channel": {"Description": "Number of the channel; n/a: all, or none."},
    "stage": {"Description": "Number of the stage in its channel."},
    "on_period": {
        "Description": "Number of the on-period (contraction) of the stage, counting "
        "on through the channel's repeats."
    },
    "index": {
        "Description": "Number of the event in its on-period; the members of an N-let "
        "share it."
    },
    "plan_frame": {
        "Description": "Onset in the plan. It stands still in pauses, and starts anew "
        "with every load.",
        "Units": "frames",
    },
    "amplitude_ma": {
        "Description": "Peak of the first phase after envelope, intensity and cap: "
        "codes * full scale / largest code.",
        "Units": "mA",
    },
    "polarity": {
        "Description": "1 as the event is described at polarity 1, -1 negated; "
        "polarity and alternation included."
    },
    "net_charge_uc": {
        "Description": "Sum of the event's codes as charge; 0 if it is balanced.",
        "Units": "µC",
    },
    "intensity": {
        "Description": "Part of the planned amplitude, 0 to 1: of an event at its "
        "onset, of set_intensity the target."
    },
    "load": {
        "Description": "Which plan: 0 the session's own, then one more for each load."
    },
    "status": {
        "Description": "What became of the event.",
        "Levels": {
            "delivered": "handed to the device as described",
            "capped": "delivered with an amplitude lowered to the channel's cap",
            "left out": "not started",
            "cut": "ended early",
            "unconfirmed": "handed over less than one latency before an underrun or "
            "the loss of the device, or sounding then: nobody knows how much of it "
            "was delivered, nor that it was balanced",
        },
    },
    "asked_frame": {
        "Description": "Of a command: where in the plan the session was when it was "
        "asked; plan_frame is where it took effect.",
        "Units": "frames",
    },
    "value": {"Description": "Of a fault its number, else a count; see trial_type."},
}
NAMES = tuple(COLUMNS)
ABSENT = "n/a"
HEADER = "\t".join(NAMES) + "\n"

# 9 decimals of a second: half a thousandth of a frame at 768 kHz. plan_frame and
# onset differ by whole frames, so that the fraction of the onset is not lost.
_EVENT = "%.9f\t%.9f\t%s\t%d\t%d\t%d\t%d\t%r\t%r\t%d\t%r\t%s\t%d\t%s\tn/a\tn/a\n"
_CUT = "%.9f\t%.9f\tcut\t%d\tn/a\tn/a\tn/a\t%r\tn/a\tn/a\t%r\tn/a\t%d\tcut\tn/a\tn/a\n"
_OTHER = "%.9f\t0\t%s\t%s\tn/a\tn/a\tn/a\t%r\tn/a\tn/a\tn/a\t%s\t%d\tn/a\t%s\t%s\n"


class RowFormat:
    """Turns records into lines of the table.

    Parameters
    ----------
    plans
        Of the loads, in order; all have the same rate and channels.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        output = plans[0].output
        self._rate = float(output.sample_rate_hz)
        self._ma_per_code = np.stack(
            [plan.output.ma_per_code(plan.n_channels) for plan in plans]
        )

    def lines(self, records: NDArray[np.void], unconfirmed: NDArray[np.bool_]) -> bytes:
        """Return the lines of `records`, in their order."""
        kind = records["kind"]
        ma_per_code = self._ma_per_code[records["load"], records["channel"]]
        delivered = kind != RecordKind.LEFT_OUT
        columns = {name: records[name] for name in ("channel", "stage", "on_period")}
        columns |= {
            "onset_s": records["onset"] / self._rate,
            "duration_s": delivered * records["n_frames"] / self._rate,
            "ma": delivered * records["level"] * ma_per_code,
            "uc": delivered * records["net"] * ma_per_code / self._rate * 1e3,
        }
        lists = {name: column.tolist() for name, column in columns.items()}
        rows = zip(
            kind.tolist(),
            unconfirmed.tolist(),
            lists["onset_s"],
            lists["duration_s"],
            lists["channel"],
            lists["stage"],
            lists["on_period"],
            records["index"].tolist(),
            records["plan_frame"].tolist(),
            lists["ma"],
            records["sign"].tolist(),
            lists["uc"],
            records["value"].tolist(),
            records["load"].tolist(),
            records["asked"].tolist(),
            strict=True,
        )
        return "".join([_line(*row) for row in rows]).encode("ascii")


def _line(
    kind: int,
    unconfirmed: bool,
    onset_s: float,
    duration_s: float,
    channel: int,
    stage: int,
    on_period: int,
    index: int,
    plan_frame: float,
    ma: float,
    sign: int,
    uc: float,
    value: float,
    load: int,
    asked: float,
) -> str:
    if kind == RecordKind.CUT:
        return _CUT % (onset_s, duration_s, channel, plan_frame, uc, load)
    if kind < RecordKind.CUT:
        # a number finds its RecordKind's entry: to make one for each row costs more
        return _EVENT % (
            onset_s,
            duration_s,
            TRIAL_TYPES[kind],  # type: ignore[index]
            channel,
            stage,
            on_period,
            index,
            plan_frame,
            ma,
            sign,
            uc,
            _or_absent(value),
            load,
            UNCONFIRMED if unconfirmed else _STATUS[kind],  # type: ignore[index]
        )
    counts = kind in (RecordKind.FAULT, RecordKind.UNDERRUN, RecordKind.RECORDS_LOST)
    return _OTHER % (
        onset_s,
        TRIAL_TYPES[RecordKind(kind)],
        channel if channel >= 0 else ABSENT,
        plan_frame,
        _or_absent(value) if kind == RecordKind.SET_INTENSITY else ABSENT,
        load,
        _or_absent(asked) if asked >= 0 else ABSENT,
        f"{value:.0f}" if counts else ABSENT,
    )


def _or_absent(value: float) -> float | str:
    return value if math.isfinite(value) else ABSENT
