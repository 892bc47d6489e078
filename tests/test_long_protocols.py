"""Hours and days: nothing drifts, nothing is enumerated, nothing is lost."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest

import nmes_wave as nw

DAY_S = 86_400.0


def day(rate_hz=47.3, n_channels=8, duty_cycle=None, **output):
    """A day of off-grid pulses on every channel, the phases spread."""
    protocol = nw.StimProtocol(
        name="a day",
        channels=[
            nw.Channel(
                name=f"channel {i}",
                stages=[
                    nw.Stage(
                        event=nw.Pulse(phase_width_us=250.7, interphase_gap_us=33.3),
                        train=nw.Train(rate_hz=rate_hz, phase_deg=45.0 * i),
                        duty_cycle=duty_cycle or nw.DutyCycle(on_s=DAY_S),
                        amplitude_ma=10.0 + i,
                    )
                ],
            )
            for i in range(n_channels)
        ],
    )
    output = {"sample_rate_hz": 8000, "full_scale_ma": 100, **output}
    return nw.build_plan(protocol, nw.Output(**output))


def test_a_day_of_eight_channels_has_every_event_and_no_net_charge():
    plan = day()
    charge = np.zeros(8, np.int64)
    gross = np.zeros(8, np.int64)
    block = np.empty((16_384, 8), np.int32)
    for start in range(0, plan.n_frames, len(block)):
        plan.render_into(block, start)
        charge += block.sum(axis=0, dtype=np.int64)
        gross += np.abs(block, out=block).sum(axis=0, dtype=np.int64)
    assert (charge == 0).all()
    for c, channel in enumerate(plan.protocol.channels):
        amplitude_ma = channel.stages[0].amplitude_ma
        level = int(amplitude_ma / 100 * plan.output.max_code * (1 + 1e-12))
        phase = int(level * Fraction(250.7) * 8000 / 1_000_000)
        events, rest = divmod(int(gross[c]), 2 * phase)
        assert rest == 0
        assert events == channel.n_pulses == -(-DAY_S * 473 // 10)


@pytest.mark.parametrize("sample_rate_hz", [44_100, 48_000, 768_000])
def test_onsets_after_a_day_are_right_to_a_millionth_of_a_frame(sample_rate_hz):
    plan = day(rate_hz=33.3, n_channels=1, sample_rate_hz=sample_rate_hz)
    rows = plan.pulses(plan.n_frames - sample_rate_hz)
    assert len(rows) == 33
    for row in rows:
        exact = Fraction(int(row["index"])) * sample_rate_hz * 10 / 333
        bound = max(1e-6, 2 * np.spacing(float(exact)))
        assert abs(Fraction(float(row["frame"])) - exact) <= bound


def test_on_periods_of_a_week_begin_where_decimals_say():
    duty_cycle = nw.DutyCycle(on_s=0.1, off_s=0.2, repeats=2_016_000)
    plan = day(rate_hz=10.0, n_channels=1, duty_cycle=duty_cycle)
    assert plan.n_frames == 2_016_000 * 2400
    last = plan.pulses(plan.n_frames - 2400)
    assert last["frame"].tolist() == [plan.n_frames - 2400]
    assert last["on_period"].tolist() == [2_015_999]


def test_a_day_compiles_and_seeks_as_fast_as_a_second():
    def seconds(duty_cycle):
        begun = time.perf_counter()
        plan = day(duty_cycle=duty_cycle)
        plan.render(plan.n_frames - 64)
        return time.perf_counter() - begun

    second = min(seconds(nw.DutyCycle(on_s=1.0)) for _ in range(5))
    whole = min(seconds(nw.DutyCycle(on_s=DAY_S)) for _ in range(5))
    # An enumeration would take a hundred thousand times as long.
    assert whole < 20 * second


@pytest.mark.parametrize(
    ("on_s", "rate_hz", "events"),
    [(10.0, 50.0, 500), (0.1 * 3, 10.0, 3), (0.3, 10.0, 3), (1.0, 33.3, 34)],
)
def test_decimals_give_the_number_of_events_that_a_user_counts(on_s, rate_hz, events):
    plan = day(rate_hz=rate_hz, n_channels=1, duty_cycle=nw.DutyCycle(on_s=on_s))
    assert plan.n_pulses == len(plan.pulses()) == events


@pytest.mark.parametrize("n_channels", [1, 3, 64, 256])
def test_from_one_to_256_channels(n_channels):
    protocol = day().protocol
    first = protocol.channels[0]
    channels = [
        nw.Channel(name=f"{i}", stages=first.stages, start_s=i * 1e-5)
        for i in range(n_channels)
    ]
    output = nw.Output(sample_rate_hz=48_000, full_scale_ma=100, dtype="float32")
    plan = nw.build_plan(
        nw.StimProtocol(name="many", channels=channels),
        output,
        nw.Limits(max_total_current_ma=10.0 * n_channels),
    )
    block = plan.render(0, 4800)
    assert block.shape == (4800, n_channels)
    assert (block.sum(axis=0, dtype=np.float64) == 0).all()
    assert (np.abs(block).max(axis=0) > 0).all()
