"""Plans whose pulses are the truth, and recordings of them that are spoiled."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, lfilter
from tools import program

import nmes_wave as nw

UNLIMITED = nw.Limits.named("unlimited")
FULL_SCALE_MA = 60.0
AMPLITUDE_MA = 40.0
#: Russian current.
RUSSIAN = nw.Burst(carrier_hz=2500.0, cycles=25)


def plan_of(
    event=None,
    rate_hz=50.0,
    sample_rate_hz=48_000.0,
    on_s=2.0,
    off_s=1.0,
    repeats=1,
    start_s=0.0137,
    envelope=None,
    amplitude_ma=AMPLITUDE_MA,
    coupling="ac",
    **train,
):
    stage = nw.Stage(
        event=event or nw.Pulse(phase_width_us=300.0),
        train=nw.Train(rate_hz=rate_hz, **train),
        duty_cycle=nw.DutyCycle(on_s=on_s, off_s=off_s, repeats=repeats),
        amplitude_ma=amplitude_ma,
        envelope=envelope or nw.Envelope(),
    )
    channel = nw.Channel(name="one", stages=[stage], start_s=start_s)
    output = nw.Output(
        sample_rate_hz=sample_rate_hz, full_scale_ma=FULL_SCALE_MA, coupling=coupling
    )
    protocol = nw.StimProtocol(name="measured", channels=[channel])
    return nw.build_plan(protocol, output, UNLIMITED)


def rendered(plan):
    return plan.to_ma(plan.render())


def resampled(samples_ma, rate_hz, new_rate_hz):
    """What sox makes of it."""
    sox = program("sox", "sox")
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "a.wav", Path(folder) / "b.wav"
        unit = samples_ma / (2 * FULL_SCALE_MA)
        soundfile.write(before, unit, int(rate_hz), "PCM_32")
        done = [sox, before, "-D", after, "rate", "-h", str(int(new_rate_hz))]
        subprocess.run(done, check=True, capture_output=True, timeout=60)
        made, _ = soundfile.read(after, always_2d=True)
    return made * 2 * FULL_SCALE_MA


def spoiled(
    samples_ma,
    rate_hz,
    *,
    snr_db=None,
    droop_hz=0.0,
    new_rate_hz=None,
    flip=False,
    offset_ma=0.0,
    amplitude_ma=AMPLITUDE_MA,
    seed=1,
):
    """Return a recording and its rate; noise is white, its r.m.s. under the peak."""
    made = -samples_ma if flip else samples_ma
    if droop_hz:
        made = lfilter(*butter(1, droop_hz, "highpass", fs=rate_hz), made, axis=0)
    if new_rate_hz:
        made, rate_hz = resampled(made, rate_hz, new_rate_hz), new_rate_hz
    if snr_db is not None:
        sd = amplitude_ma * 10 ** (-snr_db / 20)
        made = made + np.random.default_rng(seed).normal(0, sd, made.shape)
    return made + offset_ma, rate_hz


def delivered(plan):
    """The truth: events that deliver something."""
    pulses = plan.pulses()
    return pulses[pulses["amplitude_ma"] > 0]
