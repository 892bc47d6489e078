"""What was asked beside what will be delivered, field by field.

Worked out from the descriptions in closed form: nothing is rendered and no
event is enumerated, so a day costs no more than a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from nmes_wave.compiling import frames_of_us
from nmes_wave.delivery_table import (
    Delivery,
    DeliveryRow,
    DeliveryVerdict,
    Value,
    pair,
)
from nmes_wave.grid import least_spare_s
from nmes_wave.lobes import (
    HALF_CYCLE,
    burst_loss,
    custom_losses,
    half_cycle,
    shape_area,
)
from nmes_wave.output import Output
from nmes_wave.spec import Burst, Channel, CustomPulse, Pulse, Stage, StimProtocol
from nmes_wave.spec._fields import exact
from nmes_wave.spec.event import PHASE_MEAN

#: The filter behind a DAC overshoots a step by up to 13.9 % (a linear-phase
#: example, 65 taps a phase): a peak needs this much room below full scale.
HEADROOM_DB = 1.2
#: The same filter needs 3 to 4 frames for a flat top.
FLAT_TOP_FRAMES = 4
#: A carrier above this part of the sample rate is a caution.
CARRIER_PART = 0.1
#: A charge that is off by more than this part is a caution (a choice).
CHARGE_PART = 0.05

_UNITS = {
    "hz": "Hz", "s": "s", "ms": "ms", "us": "µs", "ma": "mA", "uc": "µC",
    "percent": "%",
}  # fmt: skip


__all__ = ["Delivery", "DeliveryRow", "DeliveryVerdict", "delivery_of"]


def delivery_of(protocol: StimProtocol, output: Output) -> Delivery:
    """Say what of a protocol an output will deliver.

    Parameters
    ----------
    protocol, output
        A protocol that `build_plan` accepts for this output.

    Returns
    -------
    Delivery
    """
    scales = output.full_scales_ma(len(protocol.channels))
    rows: list[DeliveryRow] = []
    for channel, full_scale_ma in zip(protocol.channels, scales, strict=True):
        for s in range(len(channel.stages)):
            rows += _StageDelivery(channel, s, output, full_scale_ma).rows()
    return Delivery(output, tuple(rows))


def _frame_us(output: Output) -> float:
    return 1e6 / output.sample_rate_hz


class _StageDelivery:
    """The rows of one stage, and what several of them need."""

    def __init__(
        self, channel: Channel, s: int, output: Output, full_scale_ma: float
    ) -> None:
        self.channel, self.s, self.output = channel, s, output
        self.stage = channel.stages[s]
        self.snap = output.edges == "snap"
        self.frame_us = _frame_us(output)
        self.full_scale_ma = full_scale_ma
        self.ma_per_code = full_scale_ma / output.max_code
        self.uc_per_code_frame = self.ma_per_code * self.frame_us / 1000
        # as the kernel has it, at envelope 1 and intensity 1
        x = self.stage.amplitude_ma / full_scale_ma * output.max_code
        self.level = math.floor(x * (1 + 1e-12))
        self.on_grid = _onsets_on_grid(channel, s, output)
        # where every event begins on a frame boundary, all are alike
        self.aligned = self.snap or self.on_grid

    def rows(self) -> list[DeliveryRow]:
        event = self.stage.event
        rows = [*self.timing(), self.amplitude()]
        if isinstance(event, Pulse):
            rows += self.pulse(event)
        elif isinstance(event, Burst):
            rows += self.burst(event)
        else:
            rows += self.custom(event)
        return [*rows, self.net_charge()]

    def row(
        self,
        field: str,
        asked: float,
        delivered: Value | None = None,
        note: str = "",
        caution: str = "",
    ) -> DeliveryRow:
        """Return a row; without `delivered`, what was asked is delivered."""
        values = pair(asked if delivered is None else delivered)
        low, high = (
            asked if abs(v - asked) <= 1e-12 * abs(asked) else v for v in values
        )
        verdict = DeliveryVerdict.QUANTIZED
        if low == high == asked:
            verdict = DeliveryVerdict.EXACT
        return DeliveryRow(
            channel=self.channel.name,
            stage=self.s,
            field=field,
            unit=_UNITS[field.rsplit("_", 1)[1]],
            asked=asked,
            delivered=low if low == high else (low, high),
            error=low - asked if low == high else (low - asked, high - asked),
            verdict=DeliveryVerdict.CAUTION if caution else verdict,
            note="; ".join(filter(None, (caution, note))),
        )

    # -- when ---------------------------------------------------------------

    def timing(self) -> Iterator[DeliveryRow]:
        train, stage = self.stage.train, self.stage
        rounded = self.snap and not self.on_grid
        note = "every event begins on a frame boundary"
        if not self.aligned:
            note = "events begin anywhere in a frame, as asked to 1e-6 frame"
        shared = "events so close add up in the frame they share"
        yield self.row(
            "rate_hz", train.rate_hz, note=note, caution=shared if self.shares() else ""
        )
        if train.rate_end_hz is not None:
            yield self.row("rate_end_hz", train.rate_end_hz)
        if rounded:
            half_us = self.frame_us / 2
            yield replace(
                self.row("onset_us", 0.0, (-half_us, half_us)),
                asked=None,
                delivered=None,
                note="rounded to the nearest frame boundary",
            )
        for name in ("first_interval_ms", "n_let_interval_ms"):
            asked = getattr(train, name)
            if asked is None:
                continue
            frames = self.output.frames(exact(asked) / 1000)
            around = Fraction(math.floor(frames)), Fraction(math.ceil(frames))
            low_ms, high_ms = (self.us(frames) / 1000 for frames in around)
            yield self.row(name, asked, (low_ms, high_ms) if rounded else asked)
        n = stage.duty_cycle.repeats * self.channel.repeats
        note = f"{stage.n_events} events"
        if train.n_let > 1:
            note += f" of {train.n_let}"
        if n > 1:
            note += f" in each of {n} on-periods"
        yield self.row("on_period_s", stage.on_period_s, note=note)

    def shares(self) -> bool:
        """Whether a frame can hold the end of one event and the next one's begin."""
        if self.snap:
            return False  # the sample grid's check leaves two frames
        spare = least_spare_s(self.channel, self.s) * self.output.sample_rate_hz
        added = Fraction(0)
        if isinstance(self.stage.event, Pulse) and self.stage.event.balanced:
            asked, delivered = self.gap(self.stage.event)
            added = delivered[1] - asked
        return spare < added + (0 if self.on_grid else 1) - 1e-6

    # -- how large ----------------------------------------------------------

    def amplitude(self) -> DeliveryRow:
        asked = self.stage.amplitude_ma
        delivered = self.level * self.ma_per_code
        notes = [f"1 LSB = {1000 * self.ma_per_code:.3g} µA ({self.output.dtype})"]
        caution = ""
        if asked:
            below_db = 20 * math.log10(self.full_scale_ma / asked)
            near = f"{below_db:.2f} dB below full scale"
            if below_db < HEADROOM_DB:
                caution = f"{near}: filters overshoot, keep {HEADROOM_DB:g} dB"
            elif not self.level:
                caution = "below one LSB: nothing is delivered"
            part = self.highest_mean()
            if part < 1:
                highest = f"{delivered * part:.5g}"
                notes.append(f"samples reach {highest} mA")
        return self.row("amplitude_ma", asked, delivered, "; ".join(notes), caution)

    def highest_mean(self) -> float:
        """Largest mean over one frame of the first phase, of level 1."""
        event = self.stage.event
        if isinstance(event, CustomPulse):
            return 1.0
        if isinstance(event, Burst):
            width, shape = half_cycle(event, self.output), HALF_CYCLE[event.shape]
        else:
            width, shape = self.width(event.phase_width_us), event.shape
        if shape == "rectangular":
            return 1.0
        frame = min(1.0, float(1 / width))
        begin = (1 - frame) / 2  # symmetric shapes peak in the middle
        if shape == "exponential_rise":
            begin = 1 - frame
        elif shape == "exponential_decay":
            begin = 0.0
        return (shape_area(shape, begin + frame) - shape_area(shape, begin)) / frame

    def width(self, us: float) -> Fraction:
        """Return a phase's width in frames, as delivered."""
        frames = frames_of_us(us, self.output)
        return Fraction(max(1, _half_up(frames))) if self.snap else frames

    def us(self, frames: Fraction) -> float:
        return float(frames * 1_000_000 / Fraction(self.output.sample_rate_hz))

    # -- pulses -------------------------------------------------------------

    def pulse(self, event: Pulse) -> Iterator[DeliveryRow]:
        width = self.width(event.phase_width_us)
        yield self.phase_width(event, width)
        second = event.effective_recovery_shape
        if event.balanced and (event.recovery_ratio != 1 or second != event.shape):
            yield from self.recovery(event, width)
        if event.balanced:
            asked, gaps = self.gap(event)
            asked_us = event.interphase_gap_us
            # not back and forth between units: exact stays exact
            low_us, high_us = (
                asked_us if frames == asked else self.us(frames) for frames in gaps
            )
            note = ""
            if gaps[1] > asked and not self.snap:
                note = "the recovery phase waits for a frame boundary"
            yield self.row("interphase_gap_us", asked_us, (low_us, high_us), note)
        yield self.charge(event, self.phase_charge(event, width))

    def recovery(self, event: Pulse, width: Fraction) -> Iterator[DeliveryRow]:
        recovery = frames_of_us(event.phase_width_us, self.output)
        recovery *= Fraction(event.recovery_ratio)
        if self.snap:
            recovery = Fraction(max(1, _half_up(recovery)))
        asked_us = event.recovery_width_us
        yield self.row("recovery_width_us", asked_us, self.us(recovery))
        means = PHASE_MEAN[event.shape] / PHASE_MEAN[event.effective_recovery_shape]
        level = self.level * float(width / recovery) * means
        yield self.row(
            "recovery_level_ma",
            self.stage.amplitude_ma * event.recovery_level,
            level * self.ma_per_code,
            "" if level.is_integer() else "the mean of whole codes",
        )

    def phase_width(self, event: Pulse | CustomPulse, width: Fraction) -> DeliveryRow:
        note = "" if self.snap else "the frame that holds an edge has its mean"
        if self.aligned and width.denominator == 1:
            note = f"{width} frames"
        narrowest_us = event.phase_width_us
        if isinstance(event, CustomPulse):
            narrowest_us = min(width for width, area in event.lobes() if area)
        elif _varies_width(self.stage):
            narrowest_us *= self.stage.envelope.start_level
            note = f"ramps begin at {narrowest_us:.4g} µs"
            if self.snap:
                note += f", all ±{self.frame_us / 2:.4g} µs"
        frames = float(frames_of_us(narrowest_us, self.output))
        caution = ""
        if frames < FLAT_TOP_FRAMES:
            caution = f"{frames:.3g} frames: a flat top needs {FLAT_TOP_FRAMES}"
        delivered = self.us(width) if self.snap else event.phase_width_us
        return self.row(
            "phase_width_us", event.phase_width_us, delivered, note, caution
        )

    def gap(self, event: Pulse) -> tuple[Fraction, tuple[Fraction, Fraction]]:
        """Return the gap asked and the lowest and highest delivered, in frames."""
        asked = frames_of_us(event.interphase_gap_us, self.output)
        if self.snap:
            rounded = Fraction(_half_up(asked))
            return asked, (rounded, rounded)
        if self.on_grid and not _varies_width(self.stage):
            width = frames_of_us(event.phase_width_us, self.output)
            delivered = max(asked, math.ceil(width) - width)
            return asked, (delivered, delivered)
        return asked, (asked, max(asked, Fraction(1)))

    def phase_charge(self, event: Pulse, width: Fraction) -> float:
        """Code-frames of the first phase, truncated as the kernel does."""
        if event.shape == "rectangular":
            return math.floor(self.level * width)
        return math.floor(self.level * (float(width) * PHASE_MEAN[event.shape]))

    def charge(
        self, event: Pulse | Burst | CustomPulse, code_frames: float, lost: float = 0.0
    ) -> DeliveryRow:
        note = ""
        if isinstance(event, Pulse) and event.balanced:
            note = "exactly the same in both phases"
        asked = self.stage.amplitude_ma * event.phase_area_us / 1000
        high = code_frames * self.uc_per_code_frame
        low = (code_frames - lost) * self.uc_per_code_frame
        off = max(abs(low - asked), abs(high - asked))
        caution = ""
        if off > CHARGE_PART * asked:
            caution = f"off by more than {100 * CHARGE_PART:g} %"
        return self.row("charge_per_phase_uc", asked, (low, high), note, caution)

    def net_charge(self) -> DeliveryRow:
        event = self.stage.event
        if isinstance(event, Burst) or event.balanced:
            note = "the codes of an event add up to exactly 0"
            return self.row("net_charge_uc", 0.0, note=note)
        asked = self.stage.amplitude_ma * event.net_area_us / 1000
        if isinstance(event, Pulse):
            codes = self.phase_charge(event, self.width(event.phase_width_us))
            codes *= event.polarity
        else:
            codes = math.trunc(self.level * self.net_area(event))
        alternates = self.stage.train.alternate_polarity
        note = "of each event" + (", every second negated" if alternates else "")
        return self.row("net_charge_uc", asked, codes * self.uc_per_code_frame, note)

    # -- bursts and custom shapes -------------------------------------------

    def net_area(self, event: CustomPulse) -> Fraction:
        """Return the signed area in frames, exactly."""
        points = [(frames_of_us(t, self.output), Fraction(a)) for t, a in event.points]
        areas = ((a + b) / 2 * (t1 - t0) for (t0, a), (t1, b) in pairwise(points))
        return event.polarity * sum(areas, Fraction(0))

    def burst(self, event: Burst) -> Iterator[DeliveryRow]:
        half = half_cycle(event, self.output)
        note, caution = f"{float(2 * half):.4g} frames a cycle", ""
        if event.carrier_hz > CARRIER_PART * self.output.sample_rate_hz:
            note, caution = "", f"{note}: above a tenth of the sample rate"
        yield self.row("carrier_hz", event.carrier_hz, note=note, caution=caution)
        area = float(half) * PHASE_MEAN[HALF_CYCLE[event.shape]]
        lost = burst_loss(event, self.output, self.aligned, self.shares())
        yield self.charge(event, self.level * area, self.level * lost)
        yield from self.lobe_loss(lost, lost / area)

    def custom(self, event: CustomPulse) -> Iterator[DeliveryRow]:
        yield self.phase_width(event, frames_of_us(event.phase_width_us, self.output))
        areas, losses = custom_losses(event, self.output, self.aligned, self.shares())
        largest = areas >= areas.max() * (1 - 1e-12)
        lost = float(losses[largest].max())
        yield self.charge(event, self.level * float(areas.max()), self.level * lost)
        yield from self.lobe_loss(float(losses.max()), float((losses / areas).max()))

    def lobe_loss(self, frames: float, part: float) -> Iterator[DeliveryRow]:
        note = "no lobes share a frame"
        if frames:
            note = "most that a lobe loses in the frames it shares"
        lost_uc = self.level * frames * self.uc_per_code_frame
        yield self.row("lobe_loss_uc", 0.0, (0.0, lost_uc), note)
        yield self.row("lobe_loss_percent", 0.0, (0.0, 100 * part))


def _onsets_on_grid(channel: Channel, s: int, output: Output) -> bool:
    """Whether every event of a stage begins on a frame boundary."""
    stage = channel.stages[s]
    train = stage.train
    if train.jitter or train.rate_end_hz not in (None, train.rate_hz):
        return False
    rate, phase = exact(train.rate_hz), exact(train.phase_deg) / 360
    begin_s = sum(
        (before.exact_duration_s for before in channel.stages[:s]), Fraction(0)
    )
    times_s = [exact(channel.start_s), begin_s, phase / rate]
    times_s.append(exact(train.n_let_interval_ms or 0.0) / 1000)
    if channel.repeats > 1:
        times_s.append(channel.exact_pass_s)
    if stage.duty_cycle.repeats > 1:
        times_s.append(stage.exact_period_s)
    if stage.n_events > 1:
        times_s += [1 / rate, exact(train.first_interval_ms or 0.0) / 1000]
    return all(output.frames(time_s).denominator == 1 for time_s in times_s)


def _varies_width(stage: Stage) -> bool:
    envelope = stage.envelope
    ramps_s = envelope.ramp_up_s + envelope.ramp_down_s
    return envelope.modulates == "width" and ramps_s > 0 and envelope.start_level < 1


def _half_up(frames: Fraction) -> int:
    return math.floor(frames + Fraction(1, 2))
