"""What an output's grid, range and coupling cannot hold."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from nmes_wave.compiling import frames_of_us
from nmes_wave.errors import SpecError
from nmes_wave.output import Output
from nmes_wave.spec import Burst, Channel, CustomPulse, Pulse, Stage, StimProtocol
from nmes_wave.spec._fields import exact
from nmes_wave.spec.event import PHASE_MEAN

#: Frame numbers beyond this are not exact in a float64.
MAX_FRAMES = 2**53
#: Of one event at full scale, in code-frames.
MAX_CHARGE = 2**62


def check_grid(protocol: StimProtocol, output: Output) -> None:
    """Raise `SpecError` for what the output's grid, range or coupling cannot hold."""
    scales = output.full_scales_ma(len(protocol.channels))
    marked = output.trigger.channel if output.trigger else None
    if marked is not None and marked >= len(protocol.channels):
        raise SpecError(
            "Output.trigger.channel",
            marked,
            f"must be a channel of the protocol, 0 to {len(protocol.channels) - 1}",
        )
    for c, (channel, full_scale_ma) in enumerate(
        zip(protocol.channels, scales, strict=True)
    ):
        end = output.frames(channel.exact_end_s)
        if end >= MAX_FRAMES:
            raise SpecError(
                f"channels[{c}]",
                f"{float(end):.3g} frames",
                f"must end before frame 2^53 at {output.sample_rate_hz:g} Hz",
            )
        for s, stage in enumerate(channel.stages):
            place = f"channels[{c}].stages[{s}]"
            if stage.amplitude_ma > full_scale_ma:
                raise SpecError(
                    f"{place}.amplitude_ma",
                    stage.amplitude_ma,
                    f"must be at most the output's full_scale_ma, {full_scale_ma:g} mA",
                )
            _check_event(stage, output, f"{place}.event")
            _check_touching(channel, s, output, f"{place}.event")


def _check_event(stage: Stage, output: Output, place: str) -> None:
    event = stage.event
    monophasic = not isinstance(event, Burst) and not event.balanced
    if monophasic and output.coupling == "ac":
        raise SpecError(
            f"{place}.balanced",
            False,
            "is monophasic: an AC-coupled output cannot hold it "
            '(coupling="dc" declares one that can)',
        )
    frame_us = 1e6 / output.sample_rate_hz
    narrowest = 1.0
    if stage.envelope.modulates == "width":
        ramps = stage.envelope.ramp_up_s + stage.envelope.ramp_down_s
        narrowest = stage.envelope.start_level if ramps > 0 else 1.0
    if isinstance(event, CustomPulse):
        shortest = min(width for width, area in event.lobes() if area)
    else:
        shortest = event.phase_width_us * narrowest
    longest = event.duration_us / frame_us
    if longest * output.max_code >= MAX_CHARGE:
        raise SpecError(
            f"{place}",
            f"{event.duration_us:g} µs long",
            f"must be shorter than {MAX_CHARGE / output.max_code * frame_us:.3g} µs "
            f"at {output.sample_rate_hz:g} Hz and {output.dtype}: its charge is "
            "counted in 64 bits",
        )
    if shortest < frame_us * (1 - 1e-9):
        raise SpecError(
            f"{place}",
            f"a phase of {shortest:g} µs",
            f"must be at least one frame, {frame_us:g} µs at "
            f"{output.sample_rate_hz:g} Hz: use a longer phase or a higher rate",
        )
    if output.edges == "snap" and isinstance(event, Pulse) and event.balanced:
        _check_snapped(event, output, place, narrowest)


def _check_snapped(event: Pulse, output: Output, place: str, narrowest: float) -> None:
    """Refuse rounded widths that lift a recovery phase above the first one's peak."""
    first_mean = PHASE_MEAN[event.shape]
    second_mean = PHASE_MEAN[event.effective_recovery_shape]
    if first_mean == second_mean:
        return  # the second width rounds to no less than the first
    width = frames_of_us(event.phase_width_us * narrowest, output)
    first = float(width) + 0.5
    second = float(width) * event.recovery_ratio - 0.5
    if first_mean * first > second_mean * second:
        raise SpecError(
            f"{place}.recovery_ratio",
            event.recovery_ratio,
            'with edges="snap" the rounded recovery phase could peak above the first '
            'one; use a larger ratio or edges="area"',
        )


def _check_touching(channel: Channel, s: int, output: Output, place: str) -> None:
    """Refuse events whose codes could add up to more than their level.

    In ``area`` mode an event that touches the next one shares a frame with it (a
    moved recovery phase reaches less than a frame further than asked) and their
    codes add up: harmless where the signs differ. In ``snap`` mode
    rounding can lay touching events on top of each other.
    """
    stage = channel.stages[s]
    snap = output.edges == "snap"
    slack_s = (2 if snap else 1) / output.sample_rate_hz
    spares = [spare for spare, agree in _spares_s(channel, s) if snap or agree]
    spare_s = min(spares, default=1.0)
    if spare_s >= slack_s or _on_grid(channel, output):
        return
    raise SpecError(
        place,
        f"{stage.event.duration_us:g} µs long",
        f"leaves {max(0.0, spare_s) * 1e6:.3g} µs to the next event; at least "
        f"{slack_s * 1e6:.4g} µs is needed at {output.sample_rate_hz:g} Hz, as events "
        "do not all begin and end on a frame boundary",
    )


def snapped_protocol(protocol: StimProtocol, output: Output) -> StimProtocol:
    """Return the protocol with the widths that ``edges="snap"`` delivers.

    Rounding can lengthen a phase by half a frame, and that counts for limits.
    """

    def snapped(stage: Stage) -> Stage:
        event = stage.event
        if not isinstance(event, Pulse):
            return stage
        width = _rounded(frames_of_us(event.phase_width_us, output))
        second = frames_of_us(event.phase_width_us, output) * exact(
            event.recovery_ratio
        )
        gap = frames_of_us(event.interphase_gap_us, output)
        frame_us = Fraction(1_000_000) / exact(output.sample_rate_hz)
        rounded = replace(
            event,
            phase_width_us=float(width * frame_us),
            interphase_gap_us=float(math.floor(gap + Fraction(1, 2)) * frame_us),
            recovery_ratio=_rounded(second) / width,
        )
        return replace(stage, event=rounded)

    return protocol.with_stages(snapped)


def _rounded(frames: Fraction) -> int:
    return max(1, math.floor(frames + Fraction(1, 2)))


def _begin_sign(event: Pulse | Burst | CustomPulse) -> int:
    if isinstance(event, CustomPulse):
        level = next(level for _, level in event.points if level)
        return event.polarity * (1 if level > 0 else -1)
    return event.polarity


def _end_sign(event: Pulse | Burst | CustomPulse) -> int:
    if isinstance(event, CustomPulse):
        level = next(level for _, level in reversed(event.points) if level)
        return event.polarity * (1 if level > 0 else -1)
    if isinstance(event, Pulse) and not event.balanced:
        return event.polarity
    return -event.polarity


def least_spare_s(channel: Channel, s: int) -> float:
    """Shortest silence after an event of the stage, borders included."""
    return min((spare for spare, _ in _spares_s(channel, s)), default=1.0)


def _spares_s(channel: Channel, s: int) -> list[tuple[float, bool]]:
    """Silences after events of a stage; and whether the signs around them agree."""
    stage = channel.stages[s]
    train = stage.train
    duration_s = stage.event.duration_us * 1e-6
    begin, end = _begin_sign(stage.event), _end_sign(stage.event)
    turn = -1 if train.alternate_polarity else 1
    spares = []
    if train.n_let_interval_ms is not None:
        spares.append((train.n_let_interval_ms / 1000 - duration_s, begin == end))
    if stage.n_events > 1:
        spare_s = train.shortest_interval_s - train.n_let_span_s - duration_s
        spares.append((spare_s, turn * begin == end))
    followers = [stage] if stage.duty_cycle.repeats > 1 else []
    if s + 1 < len(channel.stages):
        followers.append(channel.stages[s + 1])
    elif channel.repeats > 1:
        followers.append(channel.stages[0])
    step_s = float(stage.exact_period_s)
    last = end * turn ** (stage.n_events - 1)
    for follower in followers:
        spare_s = step_s + follower.first_onset_s - stage.last_end_s
        spares.append((spare_s, _begin_sign(follower.event) == last))
    return spares


def _on_grid(channel: Channel, output: Output) -> bool:
    """Whether every edge of the channel falls on a frame boundary."""
    seconds = [exact(channel.start_s)]
    lengths = []
    for stage in channel.stages:
        event, train = stage.event, stage.train
        if train.jitter or train.rate_end_hz is not None:
            return False
        if stage.envelope.modulates == "width":
            return False
        lengths.append(frames_of_us(event.duration_us, output))
        if isinstance(event, Pulse):
            width = frames_of_us(event.phase_width_us, output)
            gap = frames_of_us(event.interphase_gap_us, output)
            lengths += [width, gap, width * Fraction(event.recovery_ratio)]
        seconds += [
            stage.exact_period_s,
            1 / exact(train.rate_hz),
            exact(train.phase_deg) / 360 / exact(train.rate_hz),
            exact(train.n_let_interval_ms or 0.0) / 1000,
            exact(train.first_interval_ms or 0.0) / 1000,
        ]
    lengths += [output.frames(second) for second in seconds]
    return all(length.denominator == 1 for length in lengths)
