"""A channel's fits become its measurement."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nmes_wave.measuring.detecting import SMALLEST_PART, Ground
from nmes_wave.measuring.events import halved, sharpened
from nmes_wave.measuring.learning import GAP_SD, Pattern
from nmes_wave.measuring.ramps import ramp_s
from nmes_wave.measuring.result import (
    ON_PERIOD_DTYPE,
    PULSE_DTYPE,
    ChannelMeasurement,
    Uncertainty,
)
from nmes_wave.measuring.rhythm import Rhythm, find_rhythm
from nmes_wave.measuring.samples import Floats
from nmes_wave.measuring.waveforms import Phases

Rows = NDArray[np.void]

#: Resolution of a width, frames: with sharp edges, and with others.
_RESOLUTION = {True: 0.02, False: 0.1}
#: ... of the rate, part of it;
_RATE = 1e-9
#: ... of a level, part of it; of edges that ring, over the phase's width in frames.
_LEVEL_SHARP, _LEVEL = 1e-5, 0.04
#: Pulses of at least this part of the plateau's charge belong to it.
_PLATEAU = 0.9
#: Onsets that are nearer than this part of the event are of one.
_TWICE = 0.5
_COLUMNS = ("onset", "width", "level", "gap", "recovery_width", "recovery_level")


def summarized(
    fits: Rows,
    pattern: Pattern | None,
    ground: Ground,
    rate_hz: float,
    n_frames: int,
    *,
    unmeasured: int,
) -> ChannelMeasurement:
    """Return the measurement of one channel."""
    if len(fits):
        fits = fits[fits["level"] > SMALLEST_PART * fits["level"].max()]
    if pattern is None or not len(fits):
        return _silent(ground, unmeasured)
    if pattern.meets:
        fits = _parted(fits, pattern, sharpened if pattern.sharp else halved)
    fits = _single(fits)
    rhythm = find_rhythm(fits["onset"] / rate_hz)
    pulses = _pulses(fits, pattern, rhythm, rate_hz, n_frames)
    on_periods, plateau = _on_periods(pulses, rhythm)
    plateau &= rhythm.main[rhythm.on_period] & pulses["whole"]
    if not plateau.any():
        plateau = np.ones(len(pulses), bool)
    signs = pulses["polarity"]
    timed = rhythm.main[rhythm.on_period] & rhythm.first & ~rhythm.extra
    noise_s = math.sqrt(float(np.mean(fits["onset_sd"][timed] ** 2))) / rate_hz
    jitter_s = math.sqrt(max(0.0, rhythm.scatter_s**2 - noise_s**2))
    if math.isnan(rhythm.scatter_s):
        jitter_s = math.nan
    rate = 1 / rhythm.main_interval_s
    means = {name: float(pulses[name][plateau].mean()) for name in _MEANS}
    return ChannelMeasurement(
        n_pulses=len(pulses),
        rate_hz=rate,
        jitter_us=1e6 * jitter_s,
        waveform=pattern.model.name,
        polarity=1 if signs.sum() >= 0 else -1,
        alternates=_alternates(signs, rhythm),
        n_let=rhythm.n_let,
        n_let_interval_ms=1e3 * rhythm.n_let_interval_s,
        missing=int(rhythm.missing.sum()),
        extra=int(rhythm.extra.sum()),
        offset_ma=ground.offset_ma,
        noise_rms_ma=ground.noise_rms_ma,
        droop_hz=pattern.corner * rate_hz / (2 * math.pi),
        unmeasured=unmeasured,
        uncertainty=_uncertainty(
            pulses[plateau],
            math.hypot(rate**2 * rhythm.main_interval_sd_s, _RATE * rate),
            pattern,
            rate_hz,
        ),
        on_periods=on_periods.view(np.recarray),
        pulses=pulses,
        **means,
    )


_MEANS = (
    "phase_width_us",
    "recovery_width_us",
    "interphase_gap_us",
    "amplitude_ma",
    "charge_per_phase_uc",
    "net_charge_uc",
)


def _silent(ground: Ground, unmeasured: int) -> ChannelMeasurement:
    nothing = dict.fromkeys(_MEANS, math.nan)
    return ChannelMeasurement(
        n_pulses=0,
        rate_hz=math.nan,
        jitter_us=math.nan,
        waveform="",
        polarity=0,
        alternates=False,
        n_let=1,
        n_let_interval_ms=math.nan,
        missing=0,
        extra=0,
        offset_ma=ground.offset_ma,
        noise_rms_ma=ground.noise_rms_ma,
        droop_hz=0.0,
        unmeasured=unmeasured,
        uncertainty=Uncertainty(rate_hz=math.nan, **nothing),
        on_periods=np.zeros(0, ON_PERIOD_DTYPE).view(np.recarray),
        pulses=np.zeros(0, PULSE_DTYPE),
        **nothing,
    )


def _single(fits: Rows) -> Rows:
    """Return the events in order, those that were found twice once."""
    fits = fits[np.argsort(fits["onset"], kind="stable")]
    near = np.diff(fits["onset"]) < _TWICE * fits["span"][:-1]
    single: Rows = fits[np.concatenate([[True], ~near])]
    return single


def _parted(fits: Rows, pattern: Pattern, part: Callable[[Floats], Floats]) -> Rows:
    model = pattern.model
    rows = part(np.stack([fits[name] for name in _COLUMNS], axis=1))
    out = fits.copy()
    for name, column in zip(_COLUMNS, rows.T, strict=True):
        out[name] = column
    out["charge"] = model.charge(rows)
    out["span"] = model.span(rows)
    return out


def _pulses(
    fits: Rows, pattern: Pattern, rhythm: Rhythm, rate_hz: float, n_frames: int
) -> Rows:
    out = np.zeros(len(fits), PULSE_DTYPE)
    frame_us, uc = 1e6 / rate_hz, 1e3 / rate_hz
    out["onset_s"] = fits["onset"] / rate_hz
    out["on_period"] = rhythm.on_period
    out["polarity"] = fits["polarity"]
    out["amplitude_ma"] = fits["level"]
    out["phase_width_us"] = fits["width"] * frame_us
    two = isinstance(pattern.model, Phases) and bool(pattern.model.recovery)
    out["interphase_gap_us"] = fits["gap"] * frame_us if two else math.nan
    if pattern.meets:
        out["interphase_gap_us"] = 0.0
    out["recovery_width_us"] = fits["recovery_width"] * frame_us if two else math.nan
    out["recovery_amplitude_ma"] = fits["recovery_level"] if two else math.nan
    out["charge_per_phase_uc"] = fits["charge"] * uc
    out["net_charge_uc"] = fits["net"] * uc
    out["shape_error"] = fits["rest"] / fits["level"]
    out["n_let_first"] = rhythm.first
    out["extra"] = rhythm.extra
    end = fits["onset"] + fits["span"]
    out["whole"] = (fits["onset"] > -0.5) & (end < n_frames + 0.5)
    return out


def _on_periods(pulses: Rows, rhythm: Rhythm) -> tuple[Rows, NDArray[np.bool_]]:
    """Return the on-periods, and which pulses are on a plateau."""
    from scipy.ndimage import median_filter

    n = len(rhythm.missing)
    out = np.zeros(n, ON_PERIOD_DTYPE)
    plateau = np.zeros(len(pulses), bool)
    borders = np.searchsorted(rhythm.on_period, np.arange(n + 1))
    for p in range(n):
        part = slice(int(borders[p]), int(borders[p + 1]))
        rows, row = pulses[part], out[p]
        times, charge = rows["onset_s"], rows["charge_per_phase_uc"]
        interval = rhythm.interval_s[p]
        if math.isnan(interval):
            interval = rhythm.main_interval_s
        starts = times[rhythm.first[part]]
        row["start_s"] = times[0]
        row["on_s"] = starts[-1] - times[0] + (0 if math.isnan(interval) else interval)
        row["n_pulses"] = len(rows)
        row["rate_hz"] = 1 / interval
        row["missing"] = rhythm.missing[p]
        row["extra"] = int(rhythm.extra[part].sum())
        since = times - times[0]
        until = row["on_s"] - since
        row["ramp_up_s"] = ramp_s(since, charge)
        row["ramp_down_s"] = ramp_s(until[::-1], charge[::-1])
        # of neighbours: noise must not choose
        calm = median_filter(charge, min(len(charge), 9), mode="reflect")
        high = calm >= _PLATEAU * np.quantile(calm, 0.9)
        on_top = (since >= row["ramp_up_s"]) & (until >= row["ramp_down_s"]) & high
        if not on_top.any():
            on_top = high
        plateau[part] = on_top
        row["amplitude_ma"] = rows["amplitude_ma"][on_top].mean()
        row["charge_per_phase_uc"] = charge[on_top].mean()
    out["off_s"][-1:] = math.nan
    out["off_s"][:-1] = out["start_s"][1:] - out["start_s"][:-1] - out["on_s"][:-1]
    return out, plateau


def _alternates(signs: NDArray[np.int64], rhythm: Rhythm) -> bool:
    same = rhythm.on_period[1:] == rhythm.on_period[:-1]
    turns = (signs[1:] != signs[:-1]) & rhythm.first[1:]
    n = int((same & rhythm.first[1:]).sum())
    return n > 0 and int((turns & same).sum()) > 0.5 * n


def _uncertainty(
    pulses: Rows, rate_sd: float, pattern: Pattern, rate_hz: float
) -> Uncertainty:
    def scatter(name: str) -> float:
        values: Floats = pulses[name]
        if len(values) < 2:
            return math.nan
        return float(values.std(ddof=1)) / math.sqrt(len(values))

    def level(name: str, of: str) -> float:
        part = _LEVEL / frames if not pattern.sharp else _LEVEL_SHARP
        return math.hypot(scatter(name), part * float(pulses[of].mean()))

    frames = float(pulses["phase_width_us"].mean()) * rate_hz / 1e6
    frame_us = 1e6 / rate_hz
    gap_us = (
        GAP_SD * frame_us if pattern.meets else _RESOLUTION[pattern.sharp] * frame_us
    )
    width_us = _RESOLUTION[pattern.sharp] * frame_us
    if pattern.meets and not pattern.sharp:
        width_us = math.hypot(width_us, gap_us / 2)
    return Uncertainty(
        rate_hz=rate_sd,
        phase_width_us=math.hypot(scatter("phase_width_us"), width_us),
        recovery_width_us=math.hypot(scatter("recovery_width_us"), width_us),
        interphase_gap_us=math.hypot(scatter("interphase_gap_us"), gap_us),
        amplitude_ma=level("amplitude_ma", "amplitude_ma"),
        charge_per_phase_uc=level("charge_per_phase_uc", "charge_per_phase_uc"),
        net_charge_uc=level("net_charge_uc", "charge_per_phase_uc"),
    )
