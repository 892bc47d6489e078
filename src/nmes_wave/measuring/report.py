"""A measurement in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nmes_wave.measuring.result import ChannelMeasurement

#: On-periods that are listed one by one.
_LISTED = 12


def lines(channels: tuple[ChannelMeasurement, ...], calibrated: bool) -> Iterator[str]:
    """Yield the lines of a report after its headline."""
    ma, uc = ("mA", "µC") if calibrated else ("FS", "FS·ms")
    if not calibrated:
        yield "no calibration: currents are parts of full scale (FS)"
    for i, channel in enumerate(channels):
        yield ""
        if not channel.n_pulses:
            yield f"channel {i}: no pulses" + " measured" * bool(channel.unmeasured)
        else:
            yield f"channel {i}: {channel.n_pulses} pulses, {channel.waveform}"
            yield from _figures(channel, ma, uc)
        yield _row("between pulses", _ground(channel, ma))
        if channel.unmeasured:
            words = "without a rest for 0.1 s, or with phases over 1.1 ms"
            yield _row("not measured", f"{channel.unmeasured} stretches, {words}")
        yield from _on_periods(channel, ma)


def _figures(channel: ChannelMeasurement, ma: str, uc: str) -> Iterator[str]:
    u = channel.uncertainty
    words = f"{_with(channel.rate_hz, u.rate_hz)} Hz, jitter {channel.jitter_us:.3g} µs"
    if channel.n_let > 1:
        interval = f"{channel.n_let_interval_ms:.5g}"
        words += f", N-lets of {channel.n_let}, {interval} ms apart"
    yield _row("rate", words)
    yield _row("phase width", f"{_with(channel.phase_width_us, u.phase_width_us)} µs")
    if math.isfinite(channel.recovery_width_us):
        wide = _with(channel.recovery_width_us, u.recovery_width_us)
        gap = _with(channel.interphase_gap_us, u.interphase_gap_us)
        yield _row("recovery", f"{wide} µs, after a gap of {gap} µs")
    sign = f"first phase {'positive' if channel.polarity > 0 else 'negative'}"
    if channel.alternates:
        sign = "polarity alternates"
    yield _row(
        "amplitude", f"{_with(channel.amplitude_ma, u.amplitude_ma)} {ma}, {sign}"
    )
    charge = _with(channel.charge_per_phase_uc, u.charge_per_phase_uc)
    net = _with(channel.net_charge_uc, u.net_charge_uc)
    yield _row("charge", f"{charge} {uc} per phase, net {net} {uc}")
    yield _row("rhythm", f"{channel.missing} missing, {channel.extra} extra")


def _ground(channel: ChannelMeasurement, ma: str) -> str:
    droop = f"{channel.droop_hz:.3g} Hz" if channel.droop_hz else "none"
    return (
        f"offset {channel.offset_ma:.3g} {ma}, noise {channel.noise_rms_ma:.3g} {ma} "
        f"r.m.s.; droop: {droop}"
    )


def _on_periods(channel: ChannelMeasurement, ma: str) -> Iterator[str]:
    rows = channel.on_periods
    for row in rows[:_LISTED]:
        words = (
            f"{row.on_s:.6g} s from {row.start_s + 0.0:.6f} s, {row.n_pulses} pulses"
        )
        words += f", {row.rate_hz:.6g} Hz, {row.amplitude_ma:.4g} {ma}"
        if row.ramp_up_s or row.ramp_down_s:
            words += f", ramps {row.ramp_up_s:.3g} s and {row.ramp_down_s:.3g} s"
        yield _row("on-period", words)
    if len(rows) > _LISTED:
        on, off = np.median(rows.on_s), np.nanmedian(rows.off_s)
        words = f"{len(rows) - _LISTED} more; medians: {on:.6g} s on, {off:.6g} s off"
        yield _row("on-periods", words)


def _row(name: str, words: str) -> str:
    return f"  {name:<16}{words}"


def _with(value: float, uncertainty: float) -> str:
    """Return a value with as many digits as its uncertainty leaves."""
    if not math.isfinite(uncertainty):
        return f"{value:.6g}"
    if uncertainty <= 0:
        return f"{value:.7g}"
    digits = min(9, max(0, 1 - math.floor(math.log10(uncertainty))))
    return f"{value:.{digits}f} ± {uncertainty:.2g}"
