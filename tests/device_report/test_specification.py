"""Section 3: the sixteen rows, against worked and independent figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from exposures import any_second, any_stages, placed_events
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import nmes_wave as nw
from nmes_wave.exposure import ChannelExposure

NAMES = [
    "Waveform",
    "Shape",
    "Maximum output voltage",
    "Maximum output current",
    "Pulse width",
    "Frequency",
    "Interferential modes only: beat frequency",
    "Multiphasic waveforms only: symmetrical phases, phase duration",
    "Net charge per pulse @ 500 Ω",
    "Maximum phase charge @ 500 Ω",
    "Maximum current density @ 500 Ω",
    "Maximum power density @ 500 Ω, smallest electrode conductive area",
    "Burst mode",
    "ON time",
    "OFF time",
    "Additional features",
]
ASYMMETRIC = nw.Pulse(
    phase_width_us=300,
    recovery_ratio=6,
    recovery_shape="exponential_decay",
    interphase_gap_us=50,
)
MONOPHASIC = nw.Pulse(phase_width_us=300, balanced=False, polarity=-1)
RUSSIAN = nw.Burst(carrier_hz=2500, cycles=25)
TRIPHASIC = nw.CustomPulse(
    points=[(0, 0.5), (200, 0.5), (200, -1), (400, -1), (400, 0.5), (600, 0.5)]
)
KINDS = {
    "pulse": {},
    "burst": {"event": RUSSIAN, "rate_hz": 50},
    "asymmetric": {"event": ASYMMETRIC},
    "monophasic": {"event": MONOPHASIC},
    "custom": {"event": TRIPHASIC},
    "doublet": {"n_let": 2, "n_let_interval_ms": 5, "rate_hz": 20},
    "sweep": {"rate_end_hz": 80},
    "first interval": {"first_interval_ms": 10},
    "jitter": {"jitter": 0.2},
    "alternating": {"alternate_polarity": True},
    "ramps": {"envelope": nw.Envelope(ramp_up_s=2, ramp_down_s=1)},
    "width ramps": {
        "envelope": nw.Envelope(ramp_up_s=2, start_level=0.5, modulates="width")
    },
    "continuous": {"on": nw.DutyCycle(on_s=3600)},
    "nothing": {"amplitude_ma": 0},
}


@pytest.mark.parametrize(
    ("event", "rate_hz", "charge", "rms", "density", "mean", "power"),
    [
        (300, 35, "30 µC", "14.5 mA", "0.56 mA/cm²", "2.1 mA", "0.0041 W/cm²"),
        (500, 100, "50 µC", "31.6 mA", "1.23 mA/cm²", "10 mA", "0.0194 W/cm²"),
    ],
)
def test_worked_figures(
    stage, channel, report, row, event, rate_hz, charge, rms, density, mean, power
):
    # standards: 100 mA on 25.8 cm², to the digits that are printed there
    pulse = nw.Pulse(phase_width_us=event)
    made = report(channel(stage(pulse, rate_hz=rate_hz)))
    density_row, power_row = row(made, 11), row(made, 12)
    found = [
        row(made, 10)[""],
        density_row["r.m.s. current"],
        density_row["r.m.s. density"],
        density_row["average absolute current"],
        power_row["power density"],
    ]
    assert [entry.text for entry in found] == [charge, rms, density, mean, power]
    for entry in found:
        assert entry.calculation.endswith(entry.text)
    numbers = f"100 mA · sqrt(2 · {event} µs · {rate_hz} Hz)"
    assert found[1].calculation == f"I_rms = I·sqrt(2·t·f) = {numbers} = {rms}"
    assert density_row["peak density"].value == pytest.approx(100 / 25.8)
    assert "Not stated in the guidance" in density_row["note"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compliance_v", [150, 12])
def test_sixteen_rows_in_order(stage, channel, report, kind, compliance_v):
    made = report(channel(stage(**KINDS[kind])), compliance_v=compliance_v)
    (mode,) = made.modes
    rows = made.specification(mode)
    assert [int(r.number) for r in rows] == [*range(1, 17)]
    assert [r.name for r in rows] == NAMES
    for found in rows:
        assert found.entries
        for entry in found.entries:
            assert entry.text
            value = entry.value
            numbers = value if isinstance(value, tuple) else [value]
            assert all(x is None or math.isfinite(x) for x in numbers)


def test_voltage_and_current_at_each_load(stage, channel, report, row):
    made = report(channel(stage()), compliance_v=120, tolerance_percent=5)
    volts, current = row(made, 3), row(made, 4)
    loads = ("@ 500 Ω", "@ 2 kΩ", "@ 10 kΩ")
    assert [volts[load].value for load in loads] == [50, 120, 120]
    assert [current[load].value for load in loads] == pytest.approx([100, 60, 12])
    assert volts["@ 500 Ω"].text == "50 V ± 5 %"
    assert current["@ 10 kΩ"].text == "12 mA ± 5 %, limited by the compliance voltage"
    untold = report(channel(stage()))
    assert "± %: not known to the software" in row(untold, 3)["note"]
    assert row(untold, 3)["@ 500 Ω"].text == "50 V"


def test_rows_of_a_burst(stage, channel, report, row):
    made = report(channel(stage(RUSSIAN, rate_hz=50)))
    burst = row(made, 13)
    assert burst["a) pulses per burst"].value == 25
    assert burst["b) bursts per second"].value == 50
    assert burst["c) burst duration"].value == pytest.approx(0.01)
    assert burst["d) duty cycle, b × c"].value == pytest.approx(0.5)
    # half a sine cycle of 200 µs: I·T·2/π; a sine half of the time: I/2
    assert row(made, 10)[""].value == pytest.approx(100 * 0.2 * 2 / math.pi)
    assert row(made, 11)["r.m.s. current"].value == pytest.approx(50)
    assert row(made, 11)["average absolute current"].value == pytest.approx(
        100 / math.pi
    )
    assert row(made, 6)["carrier"].value == 2500


def test_rows_of_a_doublet(stage, channel, report, row):
    made = report(channel(stage(n_let=2, n_let_interval_ms=5, rate_hz=20)))
    burst = row(made, 13)
    assert burst["a) pulses per burst"].value == 2
    assert burst["c) burst duration"].value == pytest.approx(0.0056)
    assert burst["d) duty cycle, b × c"].value == pytest.approx(0.112)
    assert row(made, 11)["r.m.s. current"].value == pytest.approx(
        100 * math.sqrt(2 * 300e-6 * 40)
    )
    assert row(made, 6)["groups of 2 pulses"].value == 20


def test_rows_of_other_waveforms(stage, channel, report, row):
    made = report(channel(stage(ASYMMETRIC)))
    assert row(made, 1)[""].text == "pulsed biphasic, asymmetrical, charge-balanced"
    assert row(made, 2)[""].text == "rectangular, recovery phase exponential decay"
    assert row(made, 8)["symmetrical phases"].value is False
    assert row(made, 8)["duration of phase 2"].value == 1800
    made = report(channel(stage(MONOPHASIC)))
    assert row(made, 8)[""].text == "not applicable: monophasic"
    assert row(made, 9)["per pulse"].value == pytest.approx(-30)
    assert row(made, 9)["on the output's integers"].value == pytest.approx(
        -30, rel=1e-6
    )
    assert row(made, 9)["net direct current"].value == pytest.approx(1050)
    assert row(made, 9)["method of achieving zero net charge"].text.startswith("None")
    made = report(channel(stage(TRIPHASIC)))
    assert "multiphasic, 3 phases" in row(made, 1)[""].text
    assert row(made, 10)[""].value == pytest.approx(20)
    made = report(channel(stage(rate_end_hz=80)))
    assert row(made, 6)["pulses"].value == (35, 80)
    ramps = nw.Envelope(ramp_up_s=2, start_level=0.5, modulates="width")
    made = report(channel(stage(envelope=ramps)))
    assert row(made, 5)["first phase"].value == (150, 300)


@pytest.mark.parametrize("dtype", ["int16", "int24", "int32", "float32"])
@pytest.mark.parametrize("event", [nw.Pulse(phase_width_us=301.7), ASYMMETRIC, RUSSIAN])
def test_net_charge_on_the_integers_is_zero(stage, channel, report, row, dtype, event):
    output = nw.Output(sample_rate_hz=44_100, full_scale_ma=130, dtype=dtype)
    made = report(channel(stage(event)), output=output)
    entry = row(made, 9)["on the output's integers"]
    assert entry.value == 0
    assert dtype in entry.calculation
    assert "AC-coupled" in row(made, 9)["method of achieving zero net charge"].text


def test_on_time_with_ramps_outside(stage, channel, report, row):
    on = nw.DutyCycle(on_s=5, off_s=0.5, ramps_count_as_on=False)
    ramps = nw.Envelope(ramp_up_s=2, ramp_down_s=1)
    made = report(channel(stage(on=on, envelope=ramps)))
    assert row(made, 14)[""].value == 8
    assert row(made, 14)[""].calculation == "ramp 2 s + 5 s + ramp 1 s = 8 s"
    assert "less" not in row(made, 14)["note"]
    assert "This is less" in row(made, 15)["note"]


def test_power_density_that_the_guidance_would_not_have(stage, channel, report, row):
    pulse = nw.Pulse(phase_width_us=1000)
    many = channel(stage(pulse, rate_hz=150, amplitude_ma=130), area_cm2=10)
    found = row(report(many), 12)
    assert found["power density"].value == pytest.approx(0.2535)
    assert found["below 0.25 W/cm² (note 6)"].value is False
    assert found["below 0.25 W/cm² (note 6)"].text.startswith("NO")
    fewer = channel(stage(pulse, rate_hz=147, amplitude_ma=130), area_cm2=10)
    assert row(report(fewer), 12)["below 0.25 W/cm² (note 6)"].value is True


def test_without_electrodes_densities_are_not_evaluated(stage, channel, report, row):
    made = report(channel(stage(), area_cm2=None))
    for number, label in ((11, "r.m.s. density"), (12, "power density")):
        entry = row(made, number)[label]
        assert entry.value is None
        assert entry.text.startswith("not evaluated: give")
    assert row(made, 11)["r.m.s. current"].text == "14.5 mA"


def test_the_smallest_electrode_of_the_mode_counts(stage, channel, report, row):
    made = report(
        channel(stage(), name="a", area_cm2=50),
        channel(stage(), name="b", area_cm2=25),
        channel(stage(), name="c", area_cm2=None),
    )
    (mode,) = made.modes
    assert mode.channels == ("a", "b", "c")
    assert row(made, 11)["peak density"].value == pytest.approx(4)
    assert "not counted: c" in row(made, 11)["note"]


def test_clipping_one_phase_is_told(stage, channel, report, row):
    # 40 V into 500 Ω leaves 80 of 100 mA, and all of the recovery phase's 25
    pulse = nw.Pulse(phase_width_us=300, recovery_ratio=4)
    made = report(channel(stage(pulse)), compliance_v=40)
    net = row(made, 9)
    assert net["per pulse"].value == pytest.approx(80 * 0.3 - 30)
    assert "NOT balanced" in net["note"]
    assert "−6 µC per pulse @ 500 Ω" in net["note"]
    assert net["net direct current"].value == pytest.approx(6 * 35)
    assert row(made, 10)[""].value == pytest.approx(30)
    rms = 1e3 * math.sqrt((0.08**2 * 300e-6 + 0.025**2 * 1200e-6) * 35)
    assert row(made, 11)["r.m.s. current"].value == pytest.approx(rms)
    # a phase of several pieces is one phase
    pieces = [(0, 1), (100, 0.9), (300, 1), (300, -0.475), (900, -0.475)]
    made = report(channel(stage(nw.CustomPulse(points=pieces))), compliance_v=40)
    assert row(made, 10)[""].value == pytest.approx(47.5 * 0.6)
    made = report(channel(stage(nw.CustomPulse(points=pieces))), compliance_v=20)
    assert row(made, 10)[""].value == pytest.approx(40 * 0.6)
    made = report(channel(stage(nw.CustomPulse(points=pieces[:3], balanced=False))),
                  compliance_v=40)  # fmt: skip
    assert row(made, 10)[""].value == pytest.approx(80 * 0.3)
    # as much of both: balanced still
    made = report(channel(stage(nw.Pulse(phase_width_us=300))), compliance_v=40)
    assert row(made, 9)["per pulse"].value == 0
    assert row(made, 9)["note"] == ""


# -- against the events one by one ---------------------------------------------------


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(made=any_stages(jitter=False), part=st.sampled_from([2.0, 0.7, 0.2]))
def test_the_fullest_second_holds_no_more(channel, report, row, made, part):
    """R.m.s. and mean are no less than any second's, and by one event at most."""
    if made.amplitude_ma == 0:
        return
    compliance_v = part * made.amplitude_ma * 0.5
    most_ma = compliance_v / 0.5
    whole = channel(made)
    try:
        found = row(report(whole, compliance_v=compliance_v), 11)
    except nw.SpecError:
        assume(False)  # what 48 kHz cannot hold
    events = placed_events(whole, np.random.default_rng(1))
    for label, of in (
        ("r.m.s. current", lambda i: np.clip(i, -most_ma, most_ma) ** 2),
        ("average absolute current", lambda i: np.abs(np.clip(i, -most_ma, most_ma))),
    ):
        power = 2 if label.startswith("r") else 1
        seconds = any_second(events, of)
        value = found[label].value ** power
        assert value >= seconds.max() * (1 - 1e-3)
        if part > 1:
            one = max(of(i) @ length for _, length, i in (e.pieces(24) for e in events))
            assert value <= (seconds.max() + one) * (1 + 1e-3)
    if part > 1:
        assert found["r.m.s. current"].value == pytest.approx(
            ChannelExposure(whole).rms_ma
        )
