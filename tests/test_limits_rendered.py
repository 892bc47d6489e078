"""What `check` says of a protocol, against what is found on its rendered samples."""

from __future__ import annotations

from dataclasses import fields, replace

import exposures
import numpy as np
import pytest
import strategies
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nmes_wave.errors import SpecError
from nmes_wave.limits import Limits, check
from nmes_wave.output import Output
from nmes_wave.plan import build_plan
from nmes_wave.spec import Channel, CustomPulse, Electrode, StimProtocol

#: Evaluates every rule and refuses nothing.
WIDE = Limits(**{field.name: 1e12 for field in fields(Limits)})
SLOW = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
#: Part of a peak, a charge or a square that is left where a phase of six frames and
#: more begins and ends within frames: a frame holds the mean of what it spans.
LEFT = 0.75
AREA_CM2 = 7.5
LONGEST_S = 15.0


@st.composite
def dense_plans(draw):
    """Two channels of anything legal, sampled densely."""
    rate_hz = draw(st.sampled_from([96_000.0, 192_000.0]))
    frame_us = 1e6 / rate_hz
    short = st.builds(
        Channel,
        name=st.just("one"),
        stages=st.lists(
            strategies.stages(10 * frame_us, strategies.any_event(10 * frame_us)),
            min_size=1,
            max_size=2,
        ),
        start_s=st.sampled_from([0.0, 0.0137]),
        repeats=st.integers(1, 12),
    )
    any_channel = st.one_of(short, exposures.channels(most_stages=2))
    electrodes = [Electrode(area_cm2=4 * AREA_CM2), Electrode(area_cm2=AREA_CM2)]
    try:
        channels = [
            replace(draw(any_channel), name=name, electrodes=electrodes)
            for name in ("one", "two")
        ]
        output = Output(
            sample_rate_hz=rate_hz,
            full_scale_ma=110.0,
            dtype=draw(st.sampled_from(["int24", "float32"])),
            coupling="dc",
        )
        protocol = StimProtocol(name="p", channels=channels)
        assume(protocol.duration_s < LONGEST_S)
        return build_plan(protocol, output, WIDE)
    except SpecError:
        assume(False)


class Rendered:
    """One channel's samples, cut where events begin and where the sign changes."""

    def __init__(self, ma, pulses, frame_s):
        self.ma, self.frame_s = ma, frame_s
        self.onset = np.floor(pulses["frame"]).astype(int)
        signs = np.sign(ma)
        cuts = np.flatnonzero(np.diff(signs)) + 1
        self.cuts = np.unique(np.concatenate([[0], cuts, self.onset]))

    def most_in_a_second(self):
        """Highest integral of the square over any one second."""
        n = round(1 / self.frame_s)
        sums = np.concatenate([np.zeros(n), np.cumsum(self.ma**2) * self.frame_s])
        later = np.concatenate([sums[n:], np.full(n, sums[-1])])
        return (later - sums).max()

    def phase_charges_uc(self):
        return np.add.reduceat(self.ma, self.cuts) * self.frame_s * 1000

    def first_runs_us(self):
        """Length of what has one sign at the begin of each event."""
        ends = np.append(self.cuts, len(self.ma))
        first = np.searchsorted(self.cuts, self.onset)
        lengths = ends[first + 1] - self.onset
        return lengths[self.ma[self.onset] != 0] * self.frame_s * 1e6

    def highest_mean_ua(self):
        """Highest mean over a second, events whole in the second of their onset."""
        charges = np.add.reduceat(self.ma, self.onset) * self.frame_s * 1000
        times = self.onset * self.frame_s
        sums = np.concatenate([[0.0], np.cumsum(charges)])
        starts = np.concatenate([times, times - 1]) + 1e-9
        inside = np.searchsorted(times, starts + 1) - np.searchsorted(times, starts)
        begin = np.searchsorted(times, starts)
        return np.abs(sums[begin + inside] - sums[begin]).max()


def is_flat(channel):
    """Whether every event has its whole amplitude and width, and reaches it."""
    return all(
        stage.envelope.ramp_up_s == stage.envelope.ramp_down_s == 0
        and not isinstance(stage.event, CustomPulse)  # its levels may stay below 1
        for stage in channel.stages
    )


@SLOW
@given(dense_plans())
def test_no_rendered_sample_exceeds_what_was_checked(plan):
    found = {(f.rule, f.channel): f.value for f in check(plan.protocol, WIDE).findings}
    frame_s = 1 / plan.output.sample_rate_hz
    ma = plan.to_ma(plan.render())
    lsb_ma = 110.0 / plan.output.max_code
    rows = plan.pulses()
    total_ma = found["total_current_ma", None]
    assert np.abs(ma).sum(axis=1).max() <= total_ma * (1 + 1e-9) + 2 * lsb_ma

    for c, channel in enumerate(plan.protocol.channels):
        value = {rule: v for (rule, name), v in found.items() if name == channel.name}
        samples = Rendered(ma[:, c], rows[rows["channel"] == c], frame_s)
        peak_ma = np.abs(samples.ma).max()
        amplitude_ma = value["amplitude_ma"]
        assert peak_ma <= amplitude_ma + lsb_ma

        # Events that touch share a frame.
        frame_uc = amplitude_ma * frame_s * 1000
        charge_uc = np.abs(samples.phase_charges_uc()).max()
        assert charge_uc <= value["charge_per_phase_uc"] * (1 + 1e-6) + frame_uc

        runs_us = samples.first_runs_us()
        assert runs_us.max(initial=0) <= value["phase_width_us"] + 2e6 * frame_s

        # A recovery phase may begin a frame late: out of one second, into another.
        frame = amplitude_ma**2 * frame_s
        square = samples.most_in_a_second()
        assert square**0.5 <= (value["rms_ma"] ** 2 + frame) ** 0.5 + lsb_ma
        density = value["rms_density_ma_cm2"]
        assert density == pytest.approx(value["rms_ma"] / AREA_CM2)
        power = value["power_density_w_cm2"]
        assert power == pytest.approx((value["rms_ma"] / 1000) ** 2 * 500 / AREA_CM2)

        balanced = all(s.event.net_area_us == 0 for s in channel.stages)
        mean_ua = samples.highest_mean_ua()
        if balanced:
            assert value["net_dc_ua"] == 0
            assert plan.render()[:, c].astype(np.float64).sum() == 0
        else:
            # the two ends of a second, and the rounding of each event's codes
            room_ua = 2 * frame_uc + len(rows) * lsb_ma * frame_s * 1000
            assert mean_ua <= value["net_dc_ua"] + room_ua


@SLOW
@given(dense_plans())
def test_what_was_checked_is_not_far_above_the_rendered_samples(plan):
    found = {(f.rule, f.channel): f.value for f in check(plan.protocol, WIDE).findings}
    frame_s = 1 / plan.output.sample_rate_hz
    ma = plan.to_ma(plan.render())
    rows = plan.pulses()
    lsb_ma = 110.0 / plan.output.max_code
    for c, channel in enumerate(plan.protocol.channels):
        value = {rule: v for (rule, name), v in found.items() if name == channel.name}
        samples = Rendered(ma[:, c], rows[rows["channel"] == c], frame_s)
        amplitude_ma = value["amplitude_ma"]
        if is_flat(channel):
            assert np.abs(samples.ma).max() >= LEFT * amplitude_ma - lsb_ma
            charge_uc = np.abs(samples.phase_charges_uc()).max()
            assert charge_uc >= LEFT * value["charge_per_phase_uc"] - 1e-6
        if any(stage.train.jitter for stage in channel.stages):
            continue
        # "exceeds the highest second by less than one event"
        one = max(
            s.amplitude_ma**2 * s.event.square_area_us * 1e-6 for s in channel.stages
        )
        square = samples.most_in_a_second()
        room = one + 2 * amplitude_ma**2 * frame_s + 1e-9
        assert value["rms_ma"] ** 2 <= square / LEFT + room
        net_uc = max(abs(s.amplitude_ma * s.event.net_area_us) for s in channel.stages)
        mean_ua = samples.highest_mean_ua()
        # of several shapes one is added for what the ends of a second may cut
        room_ua = 2 * net_uc / 1000 + 2 * amplitude_ma * frame_s * 1000
        rounding_ua = len(rows) * lsb_ma * frame_s * 1000
        assert value["net_dc_ua"] <= mean_ua + room_ua + rounding_ua


@SLOW
@given(dense_plans())
def test_no_two_onsets_are_closer_than_the_rate_that_was_checked(plan):
    rows = plan.pulses()
    rates = {
        f.channel: f.value
        for f in check(plan.protocol, WIDE).findings
        if f.rule == "rate_hz"
    }
    for c, channel in enumerate(plan.protocol.channels):
        for k, stage in enumerate(channel.stages):
            train = stage.train
            of_stage = rows[(rows["channel"] == c) & (rows["stage"] == k)]
            same = np.diff(of_stage["on_period"]) == 0
            frames = np.diff(of_stage["frame"])[same]
            if train.n_let > 1 or train.first_interval_ms is not None:
                continue
            shortest = (1 - train.jitter) / rates[channel.name]
            assert (frames / plan.output.sample_rate_hz >= shortest - 1e-9).all()
