"""The picture of a plan shows what the plan delivers."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import plans

import nmes_wave as nw
from nmes_wave.plot import plot_plan

UNLIMITED = nw.Limits.named("unlimited")


def stage_of(**changes):
    fields = {
        "event": nw.Pulse(phase_width_us=250, interphase_gap_us=100),
        "train": nw.Train(rate_hz=12),
        "envelope": nw.Envelope(ramp_up_s=1, ramp_down_s=0.5),
        "duty_cycle": nw.DutyCycle(on_s=5, off_s=10, repeats=3),
        "amplitude_ma": 40,
    }
    return nw.Stage(**{**fields, **changes})


def plan_of(*stages, name="test", **output):
    channels = [
        nw.Channel(name=f"channel {i}", stages=[stage])
        for i, stage in enumerate(stages)
    ]
    protocol = nw.StimProtocol(name=name, channels=channels)
    grid = {"sample_rate_hz": 48000, "full_scale_ma": 100, **output}
    return nw.build_plan(protocol, nw.Output(**grid), UNLIMITED)


def panels(figure, n_channels):
    """Return the axes of each panel: session, on-period, a few pulses, one pulse."""
    axes = figure.axes
    return [axes[i * n_channels : (i + 1) * n_channels] for i in range(4)]


def steps(ax):
    """Return values and edges of the samples that were drawn."""
    values, edges, _ = ax.patches[0].get_data()
    return values, edges


def test_the_session_has_a_trapezium_for_each_on_period():
    session = panels(plot_plan(plan_of(stage_of())), 1)[0][0]
    outlines = [path.vertices for path in session.collections[0].get_paths()]
    assert [(v[:, 0].min(), v[:, 0].max()) for v in outlines] == [
        (0, 5),
        (15, 20),
        (30, 35),
    ]
    for vertices in outlines:
        on_s, current = (vertices - (vertices[0, 0], 0)).T
        for t_s, ma in [(0.5, 20), (1, 40), (4.5, 40), (4.75, 20)]:
            near = np.isclose(on_s, t_s, atol=0.02)
            assert current[near] == pytest.approx(ma, abs=1.7), t_s
    assert session.get_xlim() == (0, 45)


def test_the_axes_are_in_s_ms_us_and_ma():
    session, on_period, few, pulse = panels(plot_plan(plan_of(stage_of())), 1)
    assert session[0].get_xlabel() == "time (s)"
    assert "(ms)" in on_period[0].get_xlabel()
    assert "(ms)" in few[0].get_xlabel()
    assert "(µs)" in pulse[0].get_xlabel()
    assert {ax.get_ylabel() for ax in (session + on_period + few + pulse)} == {"mA"}
    assert on_period[0].get_xlim() == (0, 5000)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_the_pulse_shows_the_plans_samples_where_they_are(dtype):
    plan = plan_of(stage_of(train=nw.Train(rate_hz=13.7)), dtype=dtype)
    ax = panels(plot_plan(plan), 1)[3][0]
    values, edges_us = steps(ax)
    pulse = plan.pulses()
    pulse = pulse[pulse["amplitude_ma"] == 40]
    # one event's onset is at 0: then the edges are frames, n/fs to (n+1)/fs
    frames = edges_us[np.newaxis, :] * 0.048 + pulse["frame"][:, np.newaxis]
    whole = np.abs(frames - np.rint(frames)).max(axis=1) < 1e-6
    found = [
        round(row[0])
        for row in frames[whole]
        if np.array_equal(
            plan.to_ma(plan.render(round(row[0]), round(row[-1])))[:, 0],
            values,
        )
    ]
    assert found
    assert np.count_nonzero(values) >= 24  # two phases of 12 frames


def test_the_ideal_curve_is_what_was_described():
    ax = panels(plot_plan(plan_of(stage_of())), 1)[3][0]
    grey = max(ax.lines, key=lambda line: line.get_linewidth())
    t_us, current = grey.get_data()
    for begin_us, end_us, ma in [
        (-30, 0, 0),
        (0, 250, 40),
        (250, 350, 0),
        (350, 600, -40),
        (600, 640, 0),
    ]:
        inside = (t_us > begin_us + 0.5) & (t_us < end_us - 0.5)
        assert inside.sum() > 100
        assert np.all(current[inside] == ma), begin_us


def test_a_width_ramp_and_alternating_polarity_are_drawn_as_delivered():
    # No plateau: the pulse shown is event 7, at 2.8 s, and its envelope 0.91.
    stage = stage_of(
        train=nw.Train(rate_hz=2.5, alternate_polarity=True),
        envelope=nw.Envelope(
            ramp_up_s=2.5, ramp_down_s=2.5, start_level=0.25, modulates="width"
        ),
    )
    plan = plan_of(stage, sample_rate_hz=768000)
    ax = panels(plot_plan(plan), 1)[3][0]
    values, edges_us = steps(ax)
    grey = max(ax.lines, key=lambda line: line.get_linewidth())
    middles = (edges_us[1:] + edges_us[:-1]) / 2
    ideal = np.interp(middles, *grey.get_data())
    first = values[values != 0][0]
    assert first == pytest.approx(-40, abs=1e-3)
    assert (values < -39).sum() / 0.768 == pytest.approx(250 * 0.91, abs=3)
    differs = np.abs(values - ideal) > 1
    assert differs.sum() <= 8  # the frames that hold an edge


def test_distributed_channels_interlace_in_the_panel_of_a_few_pulses():
    stages = [stage_of(train=nw.Train(rate_hz=12, phase_deg=90 * i)) for i in range(4)]
    few = panels(plot_plan(plan_of(*stages)), 4)[2]
    firsts = []
    for ax in few:
        curve = max(ax.lines, key=lambda line: len(line.get_xdata()))
        t_ms, current = curve.get_data()
        firsts.append(t_ms[current > 0][0])
    apart = np.diff(sorted(firsts))
    assert apart == pytest.approx(1000 / 12 / 4, abs=0.05)


def test_pulses_of_very_different_length_have_their_own_axes():
    burst = stage_of(event=nw.Burst(carrier_hz=2500, cycles=25))
    pulse = panels(plot_plan(plan_of(stage_of(), burst)), 2)[3]
    (_, short), (_, long) = (ax.get_xlim() for ax in pulse)
    assert short < 1000
    assert long > 10_000


def test_more_than_eight_channels_are_announced():
    figure = plot_plan(plan_of(*[stage_of()] * 11))
    assert len(figure.axes) == 4 * 8
    assert "the first 8 of 11 channels" in figure.get_suptitle()


def test_a_day_on_eight_channels_is_drawn_without_its_events():
    day = [
        stage_of(duty_cycle=nw.DutyCycle(on_s=6, off_s=24, repeats=2880))
        for _ in range(8)
    ]
    plan = plan_of(*day)
    assert plan.n_pulses > 1_500_000
    begin = time.perf_counter()
    figure = plot_plan(plan)
    assert time.perf_counter() - begin < 3
    session = panels(figure, 8)[0]
    assert all(len(ax.collections[0].get_paths()) == 1 for ax in session)
    assert "23,040 on-periods, too dense" in session[0].get_title(loc="left")


def test_an_on_period_of_a_week_is_drawn_as_its_envelope():
    week = stage_of(duty_cycle=nw.DutyCycle(on_s=604_800))
    on_period = panels(plot_plan(plan_of(week)), 1)[1][0]
    assert len(on_period.collections[0].get_paths()) == 2
    assert "too dense" in on_period.get_title(loc="left")


def test_a_name_is_text_and_not_mathematics(tmp_path):
    figure = plot_plan(plan_of(stage_of(), name="costs $1 or \\frac{ \n two"))
    figure.savefig(tmp_path / "a.png")
    assert figure.get_suptitle().startswith("costs $1 or \\frac{ two")


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_it_is_written_in_three_formats(tmp_path, suffix, magic):
    path = tmp_path / f"a.{suffix}"
    plot_plan(plan_of(stage_of())).savefig(path)
    assert path.read_bytes().startswith(magic)


def test_pyplot_is_not_touched():
    code = (
        "import sys, nmes_wave as nw\n"
        "from nmes_wave.plot import plot_plan\n"
        "assert 'matplotlib' not in sys.modules\n"
        "protocol = nw.presets.load('acl-lieber-1996').protocol(amplitude_ma=9)\n"
        "grid = nw.Output(sample_rate_hz=48000, full_scale_ma=10)\n"
        "plot_plan(nw.build_plan(protocol, grid))\n"
        "assert 'matplotlib.figure' in sys.modules\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans())
def test_every_legal_plan_can_be_drawn(plan):
    figure = plot_plan(plan)
    assert len(figure.axes) == 4 * plan.n_channels
