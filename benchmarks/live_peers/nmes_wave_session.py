"""Ours: a session on the audio sink; beside the counts, what callbacks took in C."""

from __future__ import annotations

import sys
from pathlib import Path

from measuring import answer, measure, work

sys.path.insert(0, str(Path(__file__).parents[1]))

from live_figures.durations import Durations
from live_figures.plans import plan_of

import nmes_wave as nw
from nmes_wave.sinks.audio import AudioSink


class TimedSink(AudioSink):
    """The audio sink; the engine that it calls can be asked."""

    def begin(self, engine):
        self.engine = engine
        super().begin(engine)


asked = work()
plan = plan_of(asked["plan"], asked["channels"], sample_rate_hz=asked["sample_rate_hz"])
sink = TimedSink()
moments = []


def counted():
    moments.append(Durations.of(sink.engine))
    return moments[-1].n, session.status.underruns


with nw.Session(plan, sink=sink, underrun="count", watchdog_s=60.0) as session:
    session.start(intensity=1.0)
    found = measure(asked, counted, session.wait)
    pulses = session.status.pulses
first = moments[1] - moments[0]  # of the first phase
answer(
    found,
    "nmes-wave",
    "sounddevice",
    "numpy",
    durations=first.to_json(),
    pulses=pulses,
    latency_s=sink.latency_s,
)
