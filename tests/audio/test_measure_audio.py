"""What a server's recorder heard, measured without knowing what was played."""

from __future__ import annotations

import pytest
from audio.clients import popen_client
from audio.sessions import (
    FULL_SCALE_MA,
    RATE_HZ,
    finish,
    plan_of,
    program,
    record,
    serving,
)

import nmes_wave as nw

pytestmark = pytest.mark.audio

PLAY = """
    with open_session() as session:
        session.start(intensity=1.0)
        session.wait()
"""


@pytest.mark.parametrize("server_name", ["pulse", "jack"])
def test_a_recording_of_a_server_is_measured(server_name):
    plan = plan_of(on_s=1.5)
    with serving(server_name) as server:
        recorder = record(server)
        with popen_client(program(server, plan, PLAY), server.env) as client:
            finish(client)
        recording = recorder.stop()
    found = nw.measure(recording, RATE_HZ, ma_per_unit=FULL_SCALE_MA)
    for planned, channel in zip(plan.protocol.channels, found.channels, strict=True):
        (stage,) = planned.stages
        event = stage.event
        assert channel.n_pulses == planned.n_pulses
        assert (channel.missing, channel.extra) == (0, 0)
        assert channel.rate_hz == pytest.approx(143.3, rel=1e-5)
        # a burst begins with a frame, which is a jitter of the plan's own
        most_us = 0.1 if isinstance(event, nw.Pulse) else 0.4e6 / RATE_HZ
        assert channel.jitter_us < most_us
        assert channel.phase_width_us == pytest.approx(event.phase_width_us, abs=0.1)
        assert channel.amplitude_ma == pytest.approx(stage.amplitude_ma, rel=1e-3)
        charge_uc = stage.amplitude_ma * event.phase_area_us / 1000
        assert channel.charge_per_phase_uc == pytest.approx(charge_uc, rel=1e-3)
        assert channel.net_charge_uc == pytest.approx(0, abs=1e-5)
        assert channel.polarity == event.polarity
    gaps_us = [channel.interphase_gap_us for channel in found.channels[:2]]
    assert gaps_us == pytest.approx([57, 0], abs=0.1)
