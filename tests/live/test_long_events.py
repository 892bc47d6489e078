"""Events that outlast blocks: emergency stops and pauses in the middle of one."""

from __future__ import annotations

import numpy as np
import pytest
from live.simulated import SimulatedSink

import nmes_wave as nw

FS = 8000
#: Two pulses in one event of 200 ms: its running charge is zero from 80 to 120 ms.
TWO_IN_ONE = nw.CustomPulse(
    points=(
        (0, 1),
        (40_000, 1),
        (40_000, -1),
        (80_000, -1),
        (80_000, 0),
        (120_000, 0),
        (120_000, 1),
        (160_000, 1),
        (160_000, -1),
        (200_000, -1),
    )
)
LONG_BURST = nw.Burst(carrier_hz=100.0, cycles=20)
LONG_PULSE = nw.Pulse(phase_width_us=100_000.0)


def plan_of(event):
    stage = nw.Stage(
        event=event,
        train=nw.Train(rate_hz=4.0),
        duty_cycle=nw.DutyCycle(on_s=2.0),
        amplitude_ma=40.0,
    )
    return nw.build_plan(
        nw.StimProtocol(name="long", channels=[nw.Channel(name="one", stages=[stage])]),
        nw.Output(sample_rate_hz=FS, full_scale_ma=100.0),
        nw.Limits.named("unlimited"),
    )


class Device(SimulatedSink):
    hardware = False

    def __init__(self, plan):
        super().__init__(plan)
        self.plan = plan


@pytest.mark.parametrize(
    ("event", "stopped_ms", "ends_ms"),
    [
        # in a lobe: where the charge is zero next
        (TWO_IN_ONE, 30, 80),
        (TWO_IN_ONE, 70, 80),
        (TWO_IN_ONE, 100, 80),
        # 20 ms are left: it completes
        (TWO_IN_ONE, 185, 200),
        (TWO_IN_ONE, 130, 200),
        # with its carrier cycle of 10 ms
        (LONG_BURST, 13, 20),
        (LONG_BURST, 185, 200),
        # the charge of a pulse is zero at its end alone
        (LONG_PULSE, 50, 200),
    ],
)
@pytest.mark.parametrize("block", [7, 64, 1000])
def test_an_emergency_stop_in_a_long_event(event, stopped_ms, ends_ms, block, tmp_path):
    sink = Device(plan_of(event))
    log = tmp_path / "log.tsv"
    with nw.Session(sink.plan, sink=sink, watchdog_s=1000, log=log) as session:
        session.start(1.0)
        sink.call(stopped_ms * FS // 1000)
        session.emergency_stop()
        for _ in range(2 * FS // block):
            sink.call(block)
        sink.silence()
    codes = sink.codes()[:, 0]
    assert codes.sum() == 0
    assert np.flatnonzero(codes)[-1] == ends_ms * FS // 1000 - 1
    (row,) = nw.read_events(log).events
    assert row["status"] == ("cut" if ends_ms < 200 else "delivered")
    assert row["net_charge_uc"] == 0


@pytest.mark.parametrize("event", [TWO_IN_ONE, LONG_BURST, LONG_PULSE])
@pytest.mark.parametrize("at_ms", [13, 130, 199])
@pytest.mark.parametrize("block", [1, 64, 1000])
def test_a_pause_and_a_resumption_within_one_event(event, at_ms, block):
    sink = Device(plan_of(event))
    with nw.Session(sink.plan, sink=sink, watchdog_s=1000, slew_per_s=1e6) as session:
        session.start(1.0)
        sink.call(at_ms * FS // 1000)
        session.pause()
        sink.call(block)
        session.resume()
        while session.state is not nw.State.STOPPED:
            sink.call(block if block > 1 else 99)
        assert session.status.pulses == sink.plan.n_pulses
        sink.silence()
    codes = sink.codes()[:, 0]
    assert codes.sum() == 0
    whole = sink.plan.render(0, FS // 5)[:, 0]
    np.testing.assert_array_equal(codes[: FS // 5], whole)
    # the clock stood while the event ended, and not a frame longer
    stood = max(block, FS // 5 - at_ms * FS // 1000)
    expected = sink.plan.render()[at_ms * FS // 1000 :, 0]
    later = codes[at_ms * FS // 1000 + stood :]
    np.testing.assert_array_equal(
        later[: len(expected)][4000:8000], expected[4000:8000]
    )
