"""``render``: a protocol as a file of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmes_wave.cli._calibration import CalibrationFile, calibrated
from nmes_wave.cli._options import (
    AcceptAssumptions,
    AmplitudeMa,
    Contractions,
    Dtype,
    Edges,
    Fields,
    FullScaleMa,
    Json,
    LimitSet,
    Name,
    SampleRateHz,
    grid,
    limit_set,
    stimulus,
)
from nmes_wave.cli._screen import emit_facts, emit_json, note, progress
from nmes_wave.cli._target import Target, whole
from nmes_wave.plot.captions import clock

if TYPE_CHECKING:
    from pathlib import Path

    from nmes_wave.plan import Plan

#: Samples rendered and written at a time.
_BLOCK = 1 << 20


def render(
    name: Name,
    output: Target,
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    fields: Fields = None,
    sample_rate_hz: SampleRateHz = 48000.0,
    dtype: Dtype = "int24",
    full_scale_ma: FullScaleMa = None,
    calibration: CalibrationFile = None,
    edges: Edges = "area",
    limits: LimitSet = None,
    json: Json = False,
) -> None:
    """Write the samples to a file, its format by the suffix.

    Codes bit for bit: wav, rf64, flac, npy, raw. For other tools: csv (mA), pwl (A,
    for SPICE), vcd (codes, for waveform viewers).
    """
    from nmes_wave.plan import build_plan

    protocol = stimulus(name, amplitude_ma, accept_assumptions, contractions, fields)
    n_channels = len(protocol.channels)
    measured = calibrated(calibration, full_scale_ma, n_channels, sample_rate_hz)
    if measured is not None:
        full_scale_ma = [*measured.full_scale_ma]
    settings = grid(protocol, sample_rate_hz, dtype, full_scale_ma, edges)
    plan = build_plan(protocol, settings, limit_set(limits))
    with whole(output) as place:
        _write(plan, place)
    warned = cautions(plan)
    facts = {
        "file": str(output),
        "frames": plan.n_frames,
        "channels": plan.n_channels,
        "duration_s": plan.duration_s,
        "pulses": plan.n_pulses,
        "sample_rate_hz": settings.sample_rate_hz,
        "dtype": settings.dtype,
        "full_scale_ma": settings.full_scale_ma,
        "full_scale_chosen": not full_scale_ma,
        "cautions": warned,
    }
    if json:
        emit_json(facts)
        return
    emit_facts(
        {
            "file": str(output),
            "frames": f"{plan.n_frames:,} of {channels_words(plan.n_channels)}",
            "duration": f"{clock(plan.duration_s)} at {sample_rate_hz:g} Hz",
            "pulses": f"{plan.n_pulses:,}",
            "format": f"{output.suffix[1:].upper()}, {dtype}",
            "full scale": scale_words(plan, chosen=not full_scale_ma),
        }
    )


def channels_words(n: int) -> str:
    """Return ``1 channel`` or ``4 channels``."""
    return f"{n} channel{'s' * (n > 1)}"


def cautions(plan: Plan) -> list[str]:
    """Say on stderr, and return, what the output changes more than it should."""
    from nmes_wave.delivery_table import DeliveryVerdict

    stages: dict[str, int] = {}
    for row in plan.delivery:
        if row.verdict == DeliveryVerdict.CAUTION:
            text = f"{row.field}: {row.note}"
            stages[text] = stages.get(text, 0) + 1
    lines = [f"{text} ({n} stage{'s' * (n > 1)})" for text, n in stages.items()]
    for line in lines:
        note(f"caution: {line}")
    return lines


def scale_words(plan: Plan, *, chosen: bool) -> str:
    """Say the current at full scale, and why where it was not given."""
    scales = plan.output.full_scales_ma(plan.n_channels)
    words = ", ".join(f"{x:g}" for x in dict.fromkeys(scales)) + " mA"
    if chosen:
        words += ", 1.25 × the highest amplitude (--full-scale-ma sets it)"
    return words


def _write(plan: Plan, path: Path) -> None:
    from nmes_wave.sinks.file import FileSink

    size = min(plan.n_frames, max(1, _BLOCK // plan.n_channels))
    block = np.empty((size, plan.n_channels), plan.output.numpy_dtype)
    sink = FileSink(path)
    with progress("rendering", plan.n_frames) as done:
        try:
            sink.open(plan.output, plan.n_channels, plan.n_frames)
            for start in range(0, plan.n_frames, size):
                part = block[: plan.n_frames - start]
                plan.render_into(part, start)
                sink.write(part)
                done(start + len(part))
        finally:
            sink.close()
