"""Plans of a few seconds, and recordings of them with known defects."""

from __future__ import annotations

import numpy as np
from scipy.signal import resample_poly

import nmes_wave as nw

RATE_HZ = 48_000
FULL_SCALE_MA = 100.0
LEAD = 1234  # frames that a recording begins early
PULSE = nw.Pulse(phase_width_us=300.0)


def stage(event=PULSE, *, rate_hz=50.0, on_s=1.0, off_s=0.5, repeats=2, **changes):
    ramp_up_s = changes.pop("ramp_up_s", 0.2)
    amplitude_ma = changes.pop("amplitude_ma", 40.0)
    return nw.Stage(
        event=event,
        train=nw.Train(rate_hz=rate_hz, **changes),
        duty_cycle=nw.DutyCycle(on_s=on_s, off_s=off_s, repeats=repeats),
        envelope=nw.Envelope(ramp_up_s=ramp_up_s),
        amplitude_ma=amplitude_ma,
    )


def plan_of(*stages, **output):
    channels = [
        nw.Channel(name=f"muscle {i}", stages=(one,)) for i, one in enumerate(stages)
    ]
    output = {"sample_rate_hz": RATE_HZ, "full_scale_ma": FULL_SCALE_MA, **output}
    return nw.build_plan(
        nw.StimProtocol(name="verified", channels=channels),
        nw.Output(**output),
        nw.Limits.named("unlimited"),
    )


def played(plan, lead=LEAD, tail=2000):
    """What a perfect recorder hears, in parts of full scale."""
    return np.pad(plan.render() / plan.output.max_code, ((lead, tail), (0, 0)))


def noisy(samples, db, seed, peak=0.4):
    """With Gaussian noise so far (peak of a pulse over r.m.s.) below."""
    noise = np.random.default_rng(seed).standard_normal(samples.shape)
    return samples + peak * 10 ** (-db / 20) * noise


def part_of(samples, row, lead=LEAD, before=4, after=60):
    """The frames of one event, a view; `row` is one of plan.pulses()."""
    begin = lead + int(row["frame"]) - before
    return samples[begin : begin + before + after, row["channel"]]


def strong(plan, channel=0):
    """Events on the plateau."""
    rows = plan.pulses()
    mine = rows[rows["channel"] == channel]
    return mine[mine["amplitude_ma"] >= 0.99 * mine["amplitude_ma"].max()]


def moved(wave, frames):
    """A piece that is zero at both ends, later by a part of a frame, too."""
    omega = 2 * np.pi * np.fft.rfftfreq(len(wave))
    return np.fft.irfft(np.fft.rfft(wave) * np.exp(-1j * omega * frames), len(wave))


def wider(wave, frames):
    """A rectangular pulse, both of its phases wider by whole frames."""
    out = np.zeros_like(wave)
    n = int((wave > 0.5 * wave.max()).sum()) + frames
    begin = int(np.argmax(wave > 0.5 * wave.max()))
    out[begin : begin + n] = wave.max()
    out[begin + n : begin + 2 * n] = -wave.max()
    return out


def drifted(samples, ppm):
    """As a clock hears it that runs faster by `ppm`: 8 times finer, then linear."""
    fine = resample_poly(samples, 8, 1, axis=0, window=("kaiser", 9.0))
    n = round(len(samples) * (1 + ppm * 1e-6))
    at = np.arange(n) / (1 + ppm * 1e-6) * 8
    whole = np.minimum(at.astype(int), len(fine) - 2)
    part = (at - whole)[:, np.newaxis]
    return fine[whole] * (1 - part) + fine[whole + 1] * part
