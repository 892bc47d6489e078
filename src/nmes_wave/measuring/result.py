"""What `measure` found on a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: One row for each pulse; see `ChannelMeasurement`.
PULSE_DTYPE = np.dtype(
    [
        ("onset_s", np.float64),
        ("on_period", np.int64),
        ("polarity", np.int64),
        ("amplitude_ma", np.float64),
        ("phase_width_us", np.float64),
        ("interphase_gap_us", np.float64),
        ("recovery_width_us", np.float64),
        ("recovery_amplitude_ma", np.float64),
        ("charge_per_phase_uc", np.float64),
        ("net_charge_uc", np.float64),
        ("shape_error", np.float64),
        ("n_let_first", np.bool_),
        ("extra", np.bool_),
        ("whole", np.bool_),
    ]
)
#: One row for each on-period; see `ChannelMeasurement`.
ON_PERIOD_DTYPE = np.dtype(
    [
        ("start_s", np.float64),
        ("on_s", np.float64),
        ("off_s", np.float64),
        ("n_pulses", np.int64),
        ("rate_hz", np.float64),
        ("amplitude_ma", np.float64),
        ("charge_per_phase_uc", np.float64),
        ("ramp_up_s", np.float64),
        ("ramp_down_s", np.float64),
        ("missing", np.int64),
        ("extra", np.int64),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """Standard uncertainties of a channel's figures; NaN where they are unknown.

    From the scatter of the pulses over the square root of their number, and a
    resolution, added in squares. Times: 0.02 frames where edges end within a
    frame, 0.1 where they ring; 0.29 for a gap that is too short to be seen, and
    half of that for the widths beside it where edges ring. Amplitude and charge,
    and the net charge as part of that of a phase: 0.001 %, where edges ring 4 %
    over the frames of the first phase. Rate: 1e-9 of it. Neither the calibration
    of the recording nor its clock is in it.
    """

    rate_hz: float
    phase_width_us: float
    recovery_width_us: float
    interphase_gap_us: float
    amplitude_ma: float
    charge_per_phase_uc: float
    net_charge_uc: float


@dataclass(frozen=True, kw_only=True)
class ChannelMeasurement:
    """What was found on one channel.

    Figures are means over the pulses of the plateaus: of the on-periods that
    share the main rhythm, without ramps and without pulses that the recording
    cuts. They are NaN where there is nothing to tell.

    Attributes
    ----------
    n_pulses
        Events: pulses, the members of an N-let apart, or bursts.
    rate_hz
        Of pulses, N-lets or bursts within on-periods, by least squares of onset
        over number; on-periods within 2 % of the rate that most pulses have.
    jitter_us
        R.m.s. of the onsets about that rhythm, less what noise adds; NaN where the
        rate sweeps (`rate_hz` is the mean rate then).
    waveform
        Shape: ``rectangular``, ``half_sine`` and so on, of both phases if they
        differ; ``burst of 25 cycles, sine``; ``other``, whose widths lie between
        the points at a tenth of a phase's peak; empty without pulses.
    phase_width_us
        Of the first phase, from foot to foot; of a burst, half a cycle.
    recovery_width_us, interphase_gap_us
        NaN without a recovery phase. A gap of less than a frame is 0.
    amplitude_ma
        Peak of the first phase.
    charge_per_phase_uc
        Of the first phase; of a burst, of half a cycle.
    net_charge_uc
        Mean per pulse, positive in the direction of a positive first phase.
    polarity
        Of the first phase of most pulses, +1 or -1; 0 without pulses.
    alternates
        Whether every second pulse is inverted.
    n_let, n_let_interval_ms
        Members of an N-let, 1 without, and how far apart they are.
    missing, extra
        Pulses (N-lets) that the rhythm lacks, and that stand between two of it.
    offset_ma, noise_rms_ma
        Between the pulses.
    droop_hz
        Corner of a first-order high-pass that the pulses show; 0: none. It is
        undone before amplitude and charge are read.
    unmeasured
        Stretches that are not measured: of more than 0.1 s without a rest, or all
        of a channel whose phases are longer than 1.1 ms.
    uncertainty
        See `Uncertainty`.
    on_periods
        Rows with ``start_s`` (first onset), ``on_s`` (from there to one interval
        after the last onset), ``off_s`` (to the next on-period; NaN after the
        last), ``n_pulses``, ``rate_hz``, ``amplitude_ma`` and
        ``charge_per_phase_uc`` (of the plateau), ``ramp_up_s``,
        ``ramp_down_s``, ``missing``, ``extra``.
    pulses
        Structured array, one row for each pulse: ``onset_s``, ``on_period``,
        ``polarity``, ``amplitude_ma``, ``phase_width_us``,
        ``interphase_gap_us``, ``recovery_width_us``, ``recovery_amplitude_ma``,
        ``charge_per_phase_uc``, ``net_charge_uc``, ``shape_error`` (r.m.s. of
        what the channel's waveform leaves, part of the amplitude),
        ``n_let_first``, ``extra``, ``whole`` (the recording does not cut it).
        What a pulse is too weak to tell is taken from the channel's others.
    """

    n_pulses: int
    rate_hz: float
    jitter_us: float
    waveform: str
    phase_width_us: float
    recovery_width_us: float
    interphase_gap_us: float
    amplitude_ma: float
    charge_per_phase_uc: float
    net_charge_uc: float
    polarity: int
    alternates: bool
    n_let: int
    n_let_interval_ms: float
    missing: int
    extra: int
    offset_ma: float
    noise_rms_ma: float
    droop_hz: float
    unmeasured: int
    uncertainty: Uncertainty
    on_periods: np.recarray[Any, np.dtype[Any]]
    pulses: NDArray[np.void]
