"""How fast the kernel renders, beside what the machine can do in the same run.

``make bench`` runs it. Every figure that counts is a ratio of two medians from
one run; `test_ratios` prints them with their targets and fails below those.

The sparse scenario: 8 channels x 60 s at 48 kHz of 50 Hz, 300 us pulses with
ramps and the default limits, `render_into` a touched buffer.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

import nmes_wave as nw

RATE_HZ = 48_000
N_CHANNELS = 8
SECONDS = 60
DTYPES = ["int16", "int24", "float32"]


def stage(event=None):
    return nw.Stage(
        event=event or nw.Pulse(phase_width_us=300.0),
        train=nw.Train(rate_hz=50.0),
        duty_cycle=nw.DutyCycle(on_s=float(SECONDS)),
        envelope=nw.Envelope(ramp_up_s=3.0, ramp_down_s=2.0),
        amplitude_ma=20.0,
    )


def plan_of(dtype="int24", event=None, n_channels=N_CHANNELS):
    electrodes = [nw.Electrode(area_cm2=25.8)]
    protocol = nw.StimProtocol(
        name="sparse",
        channels=[
            nw.Channel(name=f"{i}", stages=[stage(event)], electrodes=electrodes)
            for i in range(n_channels)
        ],
    )
    output = nw.Output(sample_rate_hz=RATE_HZ, full_scale_ma=100.0, dtype=dtype)
    limits = nw.Limits(max_total_current_ma=20.0 * n_channels)
    return nw.build_plan(protocol, output, limits)


def touched(plan, frames=RATE_HZ * SECONDS):
    return np.ones((frames, plan.n_channels), plan.output.numpy_dtype)


def numpy_channels(out, plan):
    """Render the scenario as one would in NumPy: each channel, vectorised."""
    t = np.arange(len(out)) / RATE_HZ
    unit = plan.output.max_code / 100.0
    for c in range(out.shape[1]):
        within = t % (1 / 50.0)
        up, down = np.minimum(t / 3.0, 1.0), np.minimum((SECONDS - t) / 2.0, 1.0)
        level = 20.0 * np.minimum(up, down) * unit
        first = within < 300e-6
        second = (within >= 300e-6) & (within < 600e-6)
        out[:, c] = np.rint(level * (first.astype(float) - second))


def seconds(run, *arguments):
    begun = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begun


@pytest.mark.parametrize("dtype", DTYPES)
def test_fill(benchmark, dtype):
    buffer = touched(plan_of(dtype))
    benchmark(buffer.fill, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_render_sparse(benchmark, dtype):
    plan = plan_of(dtype)
    buffer = touched(plan)
    benchmark(plan.render_into, buffer, 0)


@pytest.mark.parametrize("shape", ["sine", "square"])
def test_render_russian(benchmark, shape):
    plan = plan_of(event=nw.Burst(carrier_hz=2500.0, cycles=25, shape=shape))
    buffer = touched(plan, RATE_HZ * 10)
    benchmark(plan.render_into, buffer, 0)


@pytest.mark.parametrize("frames", [16, 64, 256, 1024])
def test_render_one_block(benchmark, frames):
    plan = plan_of()
    block = touched(plan, frames)
    starts = iter(range(0, 10**12, frames))
    benchmark(lambda: plan.render_into(block, next(starts) % plan.n_frames))


def test_numpy_that_computes_each_channel(benchmark):
    plan = plan_of()
    buffer = touched(plan)
    benchmark.pedantic(numpy_channels, (buffer, plan), rounds=3)


def test_build_plan(benchmark):
    benchmark(plan_of)


@pytest.mark.parametrize(
    "code",
    ["import numpy", "import nmes_wave", "from nmes_wave.cli import main; main()"],
    ids=["numpy", "nmes_wave", "presets"],
)
def test_start(benchmark, code):
    command = [sys.executable, "-c", code, "presets"]
    benchmark(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.skipif(
    "not config.getoption('benchmark_enable')", reason="a measurement: make bench"
)
def test_ratios(capsys):
    rows = []
    for dtype, target in (("int24", 0.6), ("float32", None), ("int16", None)):
        plan = plan_of(dtype)
        buffer = touched(plan)
        fill, kernel = [], []
        for _ in range(25):  # alternating, so that both see the same noise
            fill.append(seconds(buffer.fill, 0))
            kernel.append(seconds(plan.render_into, buffer, 0))
        ratio = float(np.median(fill) / np.median(kernel))
        rows.append((f"sparse {dtype}: fill / kernel", ratio, target, "at least"))
        if dtype == "int24":
            slow = np.median([seconds(numpy_channels, buffer, plan) for _ in range(3)])
            ratio = float(slow / np.median(kernel))
            rows.append(("sparse int24: NumPy / kernel", ratio, 50.0, "at least"))
    plan = plan_of()
    block = touched(plan, 64)
    times = [
        seconds(plan.render_into, block, start) for start in range(0, 64 * 20_000, 64)
    ]
    median_us = float(np.median(times)) * 1e6
    rows.append(("64 frames x 8 channels, us (median)", median_us, 1.0, "at most"))
    with capsys.disabled():
        print()
        for name, value, target, sense in rows:
            wanted = "" if target is None else f"   ({sense} {target:g})"
            print(f"  {name:40s} {value:8.2f}{wanted}")
    for name, value, target, sense in rows:
        if target is not None:
            assert value >= target if sense == "at least" else value <= target, name
