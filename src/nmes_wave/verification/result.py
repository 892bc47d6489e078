"""What `verify` found."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.plan import PULSE_DTYPE

#: One row for each expected event; see `Verification`.
EVENT_DTYPE = np.dtype(
    [
        *((name, PULSE_DTYPE[name]) for name in PULSE_DTYPE.names or ()),
        ("time_s", np.float64),
        ("time_error_us", np.float64),
        ("amplitude_error", np.float64),
        ("charge_error", np.float64),
        ("net_charge_uc", np.float64),
        ("shape_error", np.float64),
        ("found", np.bool_),
        ("covered", np.bool_),
        ("decidable", np.bool_),
        ("fault", "U10"),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Jump:
    """A place from which on everything comes at another time.

    Attributes
    ----------
    time_s
        In the recording: that of the first event that is shifted.
    frames
        Of the recording, positive: late (frames were put in); negative: early
        (frames were lost).
    """

    time_s: float
    frames: float


@dataclass(frozen=True, kw_only=True)
class ChannelVerification:
    """One channel of a recording held against its plan.

    Attributes
    ----------
    name
        Of the channel, in the protocol.
    column
        Of the recording that carries it.
    gain, polarity, latency_s
        As in `Verification`, of this channel; the gain is NaN if it is dead.
    noise_rms_ma
        R.m.s. of the recorded noise in the band that is compared.
    droop_hz
        Corner of the first-order high-pass that the recording shows; 0 if none.
    crosstalk
        Recorded here per milliampere planned on each channel, over this gain; 0
        where simultaneous events leave it open.
    expected, found, undecidable, not_covered, missing, extra
        Numbers of events.
    worst_time_error_us, worst_amplitude_error, worst_charge_error
        Largest magnitude among the events found; 0 without any.
    worst_net_charge_uc, worst_shape_error
        The same.
    """

    name: str
    column: int
    gain: float
    polarity: int
    latency_s: float
    noise_rms_ma: float
    droop_hz: float
    crosstalk: tuple[float, ...]
    expected: int
    found: int
    undecidable: int
    not_covered: int
    missing: int
    extra: int
    worst_time_error_us: float
    worst_amplitude_error: float
    worst_charge_error: float
    worst_net_charge_uc: float
    worst_shape_error: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Verification:
    """A recording held against its plan; made by `verify`, prints as a report.

    Attributes
    ----------
    protocol
        Name of the plan's protocol.
    failures
        What is wrong, in sentences with numbers; empty: passed.
    latency_s
        Time of the recording at which the plan's frame 0 lies. Negative: the
        recording began later. NaN if nothing of the plan was found.
    gain
        Recorded milliamperes per planned milliampere, the median of the
        channels', never negative. Without ``ma_per_unit`` the recording's full
        scale counts as the plan's ``full_scale_ma``, and the gain is not judged.
    polarity
        +1; -1 if any channel is inverted.
    clock_ppm
        How much faster the recording's clock runs than the plan's.
    droop_hz, noise_rms_ma
        The largest of the channels'.
    jumps
        Where everything after comes earlier or later, see `Jump`.
    channels
        See `ChannelVerification`.
    missing
        Rows of `pulses`: events that are not in the recording.
    extra
        What is not in the plan: ``time_s`` in the recording, ``channel``,
        ``amplitude_ma`` as recorded.
    pulses
        One row for each event that delivers anything: the fields of
        ``plan.pulses()``, and ``time_s`` (onset in the recording),
        ``time_error_us`` (late: positive; against the clock of the neighbours),
        ``amplitude_error``, ``charge_error`` and ``shape_error`` (relative to
        the event as planned, times the channel's gain), ``net_charge_uc`` (over
        the gain), ``found``; ``covered``: the recording holds the whole of it;
        ``decidable``: it is strong enough to be told from the noise; ``fault``,
        what is wrong first of all: ``missing``, ``inverted``, ``width``,
        ``shape``, ``time``, ``amplitude``, ``charge``, ``net charge``, or empty.
        Errors are NaN where nothing was found.
    """

    protocol: str
    failures: tuple[str, ...]
    latency_s: float
    gain: float
    polarity: int
    clock_ppm: float
    droop_hz: float
    noise_rms_ma: float
    jumps: tuple[Jump, ...]
    channels: tuple[ChannelVerification, ...]
    missing: NDArray[np.void]
    extra: NDArray[np.void]
    pulses: NDArray[np.void]

    @property
    def passed(self) -> bool:
        """Nothing missing, nothing extra, and no error above its tolerance."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, the events that passed left out."""
        faulty = self.pulses[self.pulses["fault"] != ""]
        channels = [
            {**vars(channel), "crosstalk": list(channel.crosstalk)}
            for channel in self.channels
        ]
        plain: dict[str, Any] = _plain(
            {
                "protocol": self.protocol,
                "passed": self.passed,
                "failures": list(self.failures),
                "latency_s": self.latency_s,
                "gain": self.gain,
                "polarity": self.polarity,
                "clock_ppm": self.clock_ppm,
                "droop_hz": self.droop_hz,
                "noise_rms_ma": self.noise_rms_ma,
                "n_expected": len(self.pulses),
                "n_found": int(self.pulses["found"].sum()),
                "n_missing": len(self.missing),
                "n_extra": len(self.extra),
                "jumps": [vars(jump) for jump in self.jumps],
                "channels": channels,
                "faulty": _records(faulty),
                "extra": _records(self.extra),
            }
        )
        return plain

    def to_json(self) -> str:
        """Return `to_dict` as JSON text; a NaN is null."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return f"<Verification {self._headline()}>"

    def __str__(self) -> str:
        lines = [
            self._headline(),
            f"latency {self.latency_s * 1000:.4f} ms, gain {self.gain:.5g}, polarity "
            f"{self.polarity:+d}, clock {self.clock_ppm:+.2f} ppm, noise "
            f"{self.noise_rms_ma:.3g} mA r.m.s., droop {self.droop_hz:.3g} Hz",
            *self.failures,
        ]
        rows = [_HEADINGS, *(_cells(channel) for channel in self.channels)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        not_covered = int((~self.pulses["covered"]).sum())
        undecidable = int((~self.pulses["decidable"] & self.pulses["covered"]).sum())
        if not_covered:
            lines.append(f"not covered by the recording: {not_covered} events")
        if undecidable:
            lines.append(f"too weak to be told from the noise: {undecidable} events")
        return "\n".join(lines)

    def _headline(self) -> str:
        verdict = "passed" if self.passed else "failed"
        return (
            f"{self.protocol}: {verdict}, {int(self.pulses['found'].sum())} of "
            f"{len(self.pulses)} events found, {len(self.missing)} missing, "
            f"{len(self.extra)} extra"
        )


_HEADINGS = (
    "channel", "gain", "found", "missing", "extra", "time µs", "amplitude %",
    "charge %", "net µC", "shape %", "noise mA",
)  # fmt: skip


def _cells(channel: ChannelVerification) -> tuple[str, ...]:
    return (
        channel.name,
        f"{channel.gain * channel.polarity:.5g}",
        f"{channel.found}/{channel.expected}",
        str(channel.missing),
        str(channel.extra),
        f"{channel.worst_time_error_us:.3f}",
        f"{100 * channel.worst_amplitude_error:.3f}",
        f"{100 * channel.worst_charge_error:.3f}",
        f"{channel.worst_net_charge_uc:.4f}",
        f"{100 * channel.worst_shape_error:.2f}",
        f"{channel.noise_rms_ma:.3g}",
    )


def _records(rows: NDArray[np.void]) -> list[dict[str, Any]]:
    names = rows.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in rows.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
