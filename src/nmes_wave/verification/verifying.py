"""`verify`: from a recording to what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmes_wave.errors import SpecError
from nmes_wave.plan import PULSE_DTYPE, Plan
from nmes_wave.verification.judging import Judgement, false_alarm_z, jump_sentence
from nmes_wave.verification.learning import learn_chain
from nmes_wave.verification.locating import Place, locate
from nmes_wave.verification.observing import EXTRA_DTYPE, Chain, Observer
from nmes_wave.verification.recording import Recording
from nmes_wave.verification.result import (
    EVENT_DTYPE,
    ChannelVerification,
    Verification,
)
from nmes_wave.verification.tolerance import Tolerance
from nmes_wave.verification.tracking import Tracker

#: A channel looks like another if they correlate so much, and so much better than
#: with its own plan.
ALIKE, MUCH_BETTER = 0.3, 2.0


def verify(
    plan: Plan,
    recording: ArrayLike,
    sample_rate_hz: float,
    ma_per_unit: float | Sequence[float] | None = None,
    tolerance: Tolerance | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Verification:
    """Hold a recording against its plan, event by event.

    Latency, gain, polarity, offset, noise, AC coupling, cross-talk and the drift
    of the clock are found from the recording itself.

    Parameters
    ----------
    plan
        What was to be delivered.
    recording
        Shape ``(frames,)`` or ``(frames, channels)``, integers or floats; a
        trigger's column may follow. It is read in blocks: `numpy.memmap` serves.
        Integers are fractions of their type's full scale; where the type is that
        of the plan's own arrays, codes.
    sample_rate_hz
        Of the recording; any.
    ma_per_unit
        Milliamperes that were recorded at 1.0 (integers: at full scale), one
        number or one for each channel. None: the plan's full scale; then the
        gain is told and not judged.
    tolerance
        What passes; None: the defaults of `Tolerance`.
    progress
        Called with frames done and all frames, after each block.

    Returns
    -------
    Verification

    Raises
    ------
    SpecError
        If the recording does not fit the plan or holds what is no number.

    Notes
    -----
    Both sides are compared in the band up to 0.4 of the lower sample rate. An
    event is fitted by its amplitude, delay (up to 0.5 ms) and the offset around
    it. Events of amplitude 0 are not expected. Extra events are sought with the
    filter matched to the channel's strongest event, and sample by sample.

    The plan is placed by the first 20 s of what was recorded. Where several
    places serve equally well (a recording that begins and ends between equal
    on-periods, or inside a long train) the one of least latency is taken.
    """
    if not isinstance(plan, Plan):
        raise SpecError("plan", plan, "must be a Plan, as from build_plan")
    tolerance = Tolerance() if tolerance is None else tolerance
    if not isinstance(tolerance, Tolerance):
        raise SpecError("tolerance", tolerance, "must be a Tolerance")
    source = Recording(plan, recording, sample_rate_hz, ma_per_unit)
    observer = Observer(plan, source)
    place = locate(observer)
    if place is None or float(place.match.max()) < 0.1:
        return _nothing(observer)
    swapped = _straighten(source, place)
    gain = np.diag(place.gain[source.order]).copy()
    match = np.diag(place.match[source.order])
    clear = match > 0.3 * match.max()
    gain[~clear] = float(np.median(np.abs(gain[clear])))
    n = plan.n_channels
    chain = Chain(gain=gain, droop_hz=np.zeros(n), crosstalk=np.zeros((n, n)))
    z = false_alarm_z(8.0 * plan.n_pulses + 2.0 * n * source.n_frames)
    tracker = Tracker(observer, chain, z, tolerance.extra_percent)
    start = max(0, math.floor(place.clock.frame))
    clock = tracker.learn(place.clock, start)
    learn_chain(observer, clock, start, chain)
    track = tracker.run(clock, progress)
    judgement = Judgement(observer, track, chain, tolerance, z)
    return _verification(judgement, chain, tolerance, swapped, ma_per_unit is not None)


def _straighten(source: Recording, place: Place) -> list[str]:
    """Read the columns in the plan's order; return what had to be swapped."""
    from scipy.optimize import linear_sum_assignment

    match = place.match
    columns, channels = linear_sum_assignment(-match)
    said = []
    order = np.arange(len(match))
    for column, channel in zip(columns.tolist(), channels.tolist(), strict=True):
        found, own = match[column, channel], match[channel, channel]
        if column != channel and found > ALIKE and found > MUCH_BETTER * own:
            order[channel] = column
            said.append(
                f"channels are swapped: column {column} of the recording carries "
                f"channel {channel} of the plan (correlation {found:.2f}; its own "
                f"column {own:.2f}); judged as if it were in its place"
            )
    if len({*order.tolist()}) < len(order):  # one of two only
        return []
    source.order = order
    return said


def _verification(
    found: Judgement,
    chain: Chain,
    tolerance: Tolerance,
    swapped: list[str],
    calibrated: bool,
) -> Verification:
    observer, events, track = found.observer, found.events, found.track
    plan, rate = observer.plan, observer.rate_hz
    longest = int(np.bincount(found.stretch[found.good], minlength=1).argmax())
    slope = found.clocks[longest].slope * rate / plan.output.sample_rate_hz
    clock_ppm = (1 / slope - 1) * 1e6
    latency_s = float(found.clocks[0].frames(np.zeros(1))[0]) / rate
    jumps = found.jumps
    failures = [*swapped, *(jump_sentence(jump, rate) for jump in jumps)]
    if abs(clock_ppm) > tolerance.clock_ppm:
        failures.append(
            f"the recording's clock is off by {clock_ppm:+.1f} ppm; at most "
            f"{tolerance.clock_ppm:g} ppm"
        )
    channels = []
    for c, channel in enumerate(plan.protocol.channels):
        name = f"channel {c} ({channel.name})"
        one = _channel(found, chain, c, channel.name, latency_s)
        channels.append(one)
        if one.polarity < 0:
            failures.append(f"{name}: inverted")
        if calibrated and abs(one.gain - 1) > tolerance.gain_percent / 100:
            failures.append(
                f"{name}: the gain is {one.gain:.4f} mA/mA, off by "
                f"{100 * (one.gain - 1):+.2f} %; at most {tolerance.gain_percent:g} %"
            )
        failures += found.sentences(c, name)
        extras = track.extras[track.extras["channel"] == c]
        if len(extras):
            failures.append(
                f"{name}: {len(extras)} extra, not in the plan; the first at "
                f"{extras['time_s'][0]:.6f} s, {extras['amplitude_ma'][0]:.4g} mA"
            )
    gains = [channel.gain for channel in channels if not math.isnan(channel.gain)]
    return Verification(
        protocol=plan.protocol.name,
        failures=tuple(failures),
        latency_s=latency_s,
        gain=float(np.median(gains)) if gains else math.nan,
        polarity=min(channel.polarity for channel in channels),
        clock_ppm=clock_ppm,
        droop_hz=max(channel.droop_hz for channel in channels),
        noise_rms_ma=max(channel.noise_rms_ma for channel in channels),
        jumps=jumps,
        channels=tuple(channels),
        missing=events[events["fault"] == "missing"],
        extra=track.extras,
        pulses=events,
    )


def _channel(
    found: Judgement, chain: Chain, c: int, name: str, latency_s: float
) -> ChannelVerification:
    mine = found.events[found.channel == c]
    seen = mine[mine["found"] & mine["covered"] & mine["decidable"]]
    dead = bool(found.dead[c])
    gain = float(found.gains[c])
    late_us = float(np.median(seen["time_error_us"])) if len(seen) else 0.0

    def worst(field: str) -> float:
        return float(np.abs(seen[field]).max(initial=0.0))

    return ChannelVerification(
        name=name,
        column=int(found.observer.recording.order[c]),
        gain=math.nan if dead else abs(gain),
        polarity=1 if dead or gain > 0 else -1,
        latency_s=latency_s + late_us * 1e-6,
        noise_rms_ma=float(found.track.channel_noise[c]),
        droop_hz=float(chain.droop_hz[c]),
        crosstalk=tuple((chain.crosstalk[c] / abs(gain)).tolist()),
        expected=len(mine),
        found=int(mine["found"].sum()),
        undecidable=int((~mine["decidable"] & mine["covered"]).sum()),
        not_covered=int((~mine["covered"]).sum()),
        missing=int((mine["fault"] == "missing").sum()),
        extra=int((found.track.extras["channel"] == c).sum()),
        worst_time_error_us=worst("time_error_us"),
        worst_amplitude_error=worst("amplitude_error"),
        worst_charge_error=worst("charge_error"),
        worst_net_charge_uc=worst("net_charge_uc"),
        worst_shape_error=worst("shape_error"),
    )


def _nothing(observer: Observer) -> Verification:
    """Return that nothing of the plan is in the recording: all is missing."""
    plan, source = observer.plan, observer.recording
    rows = observer.expected(0, plan.n_frames)
    events: NDArray[np.void] = np.zeros(len(rows), EVENT_DTYPE)
    for field in PULSE_DTYPE.names or ():
        events[field] = rows[field]
    for field in ("time_s", "time_error_us", "amplitude_error", "charge_error"):
        events[field] = math.nan
    events["net_charge_uc"] = events["shape_error"] = math.nan
    events["covered"] = events["decidable"] = True
    events["fault"] = "missing"
    block = source.read(0, min(source.n_frames, 1 << 20))
    noise = block.std(axis=1) if block.size else np.zeros(plan.n_channels)
    common: dict[str, Any] = {
        "gain": math.nan, "polarity": 1, "latency_s": math.nan, "droop_hz": 0.0,
    }  # fmt: skip
    channels = []
    for c, channel in enumerate(plan.protocol.channels):
        count = int((rows["channel"] == c).sum())
        channels.append(
            ChannelVerification(
                name=channel.name,
                column=c,
                noise_rms_ma=float(noise[c]),
                crosstalk=(0.0,) * plan.n_channels,
                expected=count,
                found=0,
                undecidable=0,
                not_covered=0,
                missing=count,
                extra=0,
                worst_time_error_us=0.0,
                worst_amplitude_error=0.0,
                worst_charge_error=0.0,
                worst_net_charge_uc=0.0,
                worst_shape_error=0.0,
                **common,
            )
        )
    length_s = source.n_frames / source.rate_hz
    said = f"nothing of the plan was found in {length_s:.3f} s of recording"
    return Verification(
        protocol=plan.protocol.name,
        failures=(said,) if len(rows) else (),
        clock_ppm=math.nan,
        noise_rms_ma=float(noise.max()),
        jumps=(),
        channels=tuple(channels),
        missing=events,
        extra=np.zeros(0, EXTRA_DTYPE),
        pulses=events,
        **common,
    )
