"""A protocol in the numbers of the compiled core.

Times become frames as exact decimals first, and only then float64: whole
frames and a fraction for instants, two float64 (`_wide`) for lengths.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

from nmes_wave.output import Output
from nmes_wave.spec import Burst, CustomPulse, Pulse, Stage, StimProtocol
from nmes_wave.spec._fields import exact
from nmes_wave.spec.event import PHASE_MEAN

#: A length this close to whole frames, relative to it, is whole.
WHOLE = Fraction(1, 10**12)


def channels(protocol: StimProtocol, output: Output) -> list[dict[str, Any]]:
    """Return what `CompiledPlan` takes."""
    scales = output.full_scales_ma(len(protocol.channels))
    compiled = []
    for channel, full_scale_ma in zip(protocol.channels, scales, strict=True):
        begin = Fraction(0)
        stages = []
        for stage in channel.stages:
            stages.append(_stage(stage, output, begin))
            begin += stage.exact_duration_s
        compiled.append(
            {
                "stages": stages,
                "repeats": channel.repeats,
                "begin": _instant(output.frames(channel.start_s)),
                "pass_length": _instant(output.frames(channel.exact_pass_s)),
                "full_scale_ma": full_scale_ma,
                "max_code": float(output.max_code),
            }
        )
    return compiled


def trigger(output: Output) -> tuple[str, int, int, int] | None:
    """Return what `CompiledPlan` takes: at, channel (-1: all), frames, code."""
    marker = output.trigger
    if marker is None:
        return None
    channel = -1 if marker.channel is None else marker.channel
    code = math.floor(marker.level * output.max_code * (1 + 1e-12))
    return marker.at, channel, output.trigger_frames, code


def _stage(stage: Stage, output: Output, begin: Fraction) -> dict[str, Any]:
    train, envelope = stage.train, stage.envelope
    sweeps = train.rate_end_hz is not None and train.rate_end_hz != train.rate_hz

    def frames(seconds: float | Fraction) -> float:
        return float(output.frames(seconds))

    return {
        "shape": _shape(stage.event, output),
        "amplitude_ma": stage.amplitude_ma,
        "rate_hz": train.rate_hz,
        "rate_end_hz": train.rate_end_hz if sweeps else None,
        "first_interval": None
        if train.first_interval_ms is None
        else frames(exact(train.first_interval_ms) / 1000),
        "phase": train.phase_deg / 360,
        "jitter": train.jitter,
        "seed": train.seed,
        "n_events": stage.n_events,
        "n_let": train.n_let,
        "n_let_interval": frames(exact(train.n_let_interval_ms or 0.0) / 1000),
        "alternates": train.alternate_polarity,
        "repeats": stage.duty_cycle.repeats,
        "on_period_s": stage.on_period_s,
        "on_period": frames(stage.exact_on_period_s),
        "period": _instant(output.frames(stage.exact_period_s)),
        "begin": _instant(output.frames(begin)),
        "envelope": envelope.shape,
        "modulates_width": envelope.modulates == "width",
        "ramp_up": frames(envelope.ramp_up_s),
        "ramp_down": frames(envelope.ramp_down_s),
        "start_level": envelope.start_level,
    }


def _shape(event: Pulse | Burst | CustomPulse, output: Output) -> dict[str, Any]:
    if isinstance(event, Pulse):
        second = event.effective_recovery_shape
        flat = event.shape == "rectangular" and second == "rectangular"
        return {
            "kind": "rectangular_pulse" if flat else "shaped_pulse",
            "polarity": event.polarity,
            "balanced": event.balanced,
            "first": event.shape,
            "second": second,
            "mean": PHASE_MEAN[event.shape],
            "second_mean": PHASE_MEAN[second],
            "recovery_ratio": event.recovery_ratio,
            "width_us": event.phase_width_us,
            "width": _wide(frames_of_us(event.phase_width_us, output)),
            "gap": _wide(frames_of_us(event.interphase_gap_us, output)),
        }
    if isinstance(event, Burst):
        rate = Fraction(output.sample_rate_hz)
        carrier = Fraction(event.carrier_hz)
        return {
            "kind": event.shape,
            "polarity": event.polarity,
            "balanced": True,
            "width_us": event.phase_width_us,
            "cycles": event.cycles,
            "carrier": float(carrier / rate),
            "half_cycle": _wide(rate / (2 * carrier)),
            "length": _wide(event.cycles * rate / carrier),
        }
    return {
        "kind": "custom",
        "polarity": event.polarity,
        "balanced": event.balanced,
        "width_us": event.phase_width_us,
        "length": _wide(frames_of_us(event.duration_us, output)),
        "segments": _segments(event, output),
    }


def _segments(event: CustomPulse, output: Output) -> list[tuple[Any, ...]]:
    """Return (start, area, level, half slope) of each straight piece, and the end."""
    pieces = []
    for (t0_us, level), (t1_us, next_level) in itertools.pairwise(event.points):
        start, stop = frames_of_us(t0_us, output), frames_of_us(t1_us, output)
        if stop > start:
            pieces += _one_signed(start, stop, Fraction(level), Fraction(next_level))
    scale = Fraction(1)
    if event.balanced:
        areas = [(a + b) / 2 * (t1 - t0) for t0, t1, a, b in pieces]
        positive = sum((x for x in areas if x > 0), Fraction(0))
        negative = -sum((x for x in areas if x < 0), Fraction(0))
        scale = positive / negative
    rows, area = [], Fraction(0)
    for t0, t1, a, b in pieces:
        if a + b < 0:
            a, b = a * scale, b * scale
        half_slope = (b - a) / (2 * (t1 - t0))
        rows.append((_wide(t0), _wide(area), _wide(a), _wide(half_slope)))
        area += (a + b) / 2 * (t1 - t0)
    end = _wide(pieces[-1][1])
    return [*rows, (end, _wide(area), (0.0, 0.0), (0.0, 0.0))]


def _one_signed(
    t0: Fraction, t1: Fraction, a: Fraction, b: Fraction
) -> list[tuple[Fraction, Fraction, Fraction, Fraction]]:
    if a * b >= 0:
        return [(t0, t1, a, b)]
    cross = t0 + (t1 - t0) * a / (a - b)
    return [(t0, cross, a, Fraction(0)), (cross, t1, Fraction(0), b)]


def frames_of_us(us: float, output: Output) -> Fraction:
    """Return a time in µs, as the float64 it is, in frames.

    A time that is a whole number of frames but for its last digits is whole: the
    recovery phase of 83.33333333333334 µs at 48 kHz would wait for a fifth frame.
    """
    frames = Fraction(us) * Fraction(output.sample_rate_hz) / 1_000_000
    whole = round(frames)
    return Fraction(whole) if abs(frames - whole) <= WHOLE * whole else frames


def _wide(value: Fraction) -> tuple[float, float]:
    high = float(value)
    return high, float(value - Fraction(high))


def _instant(frames: Fraction) -> tuple[int, float]:
    whole = frames.numerator // frames.denominator
    return whole, float(frames - whole)
