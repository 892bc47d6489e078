"""Limits, verdicts, and the report."""

from __future__ import annotations

import json
import time
from dataclasses import fields, replace

import pytest

from nmes_wave.errors import LimitError, SpecError
from nmes_wave.limits import Limits, check
from nmes_wave.output import Output
from nmes_wave.plan import build_plan
from nmes_wave.report import Verdict
from nmes_wave.spec import (
    Channel,
    DutyCycle,
    Electrode,
    Envelope,
    Pulse,
    Stage,
    StimProtocol,
    Train,
)

RULES = [
    "amplitude_ma",
    "phase_width_us",
    "charge_per_phase_uc",
    "rate_hz",
    "rms_ma",
    "rms_density_ma_cm2",
    "power_density_w_cm2",
    "net_dc_ua",
    "total_current_ma",
]
UNITS = ["mA", "µs", "µC", "Hz", "mA", "mA/cm²", "W/cm²", "µA", "mA"]


def channel(name="quadriceps", area_cm2=80.0, event=None, **changes):
    values = {"phase_width_us": 250.0, "amplitude_ma": 40.0, "rate_hz": 50.0} | changes
    stage = Stage(
        event=event or Pulse(phase_width_us=values["phase_width_us"]),
        train=Train(
            rate_hz=values["rate_hz"],
            phase_deg=values.get("phase_deg", 0.0),
            rate_end_hz=values.get("rate_end_hz"),
        ),
        envelope=Envelope(ramp_up_s=3.0, ramp_down_s=2.0),
        duty_cycle=DutyCycle(on_s=15.0, off_s=45.0, repeats=15),
        amplitude_ma=values["amplitude_ma"],
    )
    electrodes = [Electrode(area_cm2=area_cm2)] * 2 if area_cm2 else []
    return Channel(name=name, stages=[stage], electrodes=electrodes)


def protocol(*channels):
    return StimProtocol(name="p", channels=channels or [channel()])


def found(report, rule, name="quadriceps"):
    """The finding of a rule."""
    where = None if rule == "total_current_ma" else name
    (finding,) = (f for f in report.findings if (f.rule, f.channel) == (rule, where))
    return finding


# -- the limits ---------------------------------------------------------------


def test_defaults():
    assert [f.name for f in fields(Limits)] == [f"max_{rule}" for rule in RULES]
    values = [getattr(Limits(), f.name) for f in fields(Limits)]
    assert values == [100.0, 1000.0, 65.0, 150.0, 50.0, 2.0, 0.25, 50.0, 200.0]


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf"), "50", True])
def test_a_limit_is_a_number_that_is_not_negative(limit):
    with pytest.raises(SpecError, match=r"Limits\.max_rms_ma"):
        Limits(max_rms_ma=limit)


# -- verdicts -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("amplitude_ma", "verdict"),
    [
        (0.0, "PASS"),
        (79.9, "PASS"),
        (80.0, "CAUTION"),
        (100.0, "CAUTION"),
        (100.0 * (1 + 1e-12), "CAUTION"),
        (100.0 * (1 + 1e-8), "FAIL"),
        (120.0, "FAIL"),
    ],
)
def test_verdicts_by_amplitude(amplitude_ma, verdict):
    report = check(protocol(channel(amplitude_ma=amplitude_ma)))
    assert found(report, "amplitude_ma").verdict == verdict
    assert found(report, "amplitude_ma").value == amplitude_ma


MONOPHASIC = Pulse(phase_width_us=250.0, balanced=False)


@pytest.mark.parametrize(
    ("rule", "changes", "value", "remedy"),
    [
        ("amplitude_ma", {"amplitude_ma": 101.0}, 101.0, "lower amplitude_ma"),
        ("phase_width_us", {"phase_width_us": 1001.0}, 1001.0, "phase_width_us"),
        (
            "charge_per_phase_uc",
            {"phase_width_us": 700.0, "amplitude_ma": 100.0},
            70.0,
            "shorten the phase",
        ),
        ("rate_hz", {"rate_hz": 20.0, "rate_end_hz": 160.0}, 160.0, "lower the rate"),
        # 100 mA · sqrt(2 · 650 µs · 200 Hz) = 50.99 mA
        (
            "rms_ma",
            {"phase_width_us": 650.0, "amplitude_ma": 100.0, "rate_hz": 200.0},
            50.990195,
            "the rate",
        ),
        # 100 mA · sqrt(2 · 500 µs · 50 Hz) = 22.36 mA, on 10 cm²
        (
            "rms_density_ma_cm2",
            {"phase_width_us": 500.0, "amplitude_ma": 100.0, "area_cm2": 10.0},
            2.2360680,
            "larger electrodes",
        ),
        # (22.36 mA)² · 500 Ω = 0.25 W, on 0.9 cm²
        (
            "power_density_w_cm2",
            {"phase_width_us": 500.0, "amplitude_ma": 100.0, "area_cm2": 0.9},
            0.25 / 0.9,
            "larger electrodes",
        ),
        # 40 mA · 250 µs · 50 Hz
        ("net_dc_ua", {"event": MONOPHASIC}, 500.0, "balanced event"),
    ],
)
def test_every_rule_refuses(rule, changes, value, remedy):
    described = protocol(channel(**changes))
    finding = found(check(described), rule)
    assert finding.verdict is Verdict.FAIL
    assert finding.value == pytest.approx(value, rel=1e-6)
    output = Output(sample_rate_hz=48000, full_scale_ma=120.0, coupling="dc")
    with pytest.raises(LimitError, match=f"{rule} on quadriceps: .*{remedy}") as caught:
        build_plan(described, output)
    assert not caught.value.report.passed
    assert not isinstance(caught.value, ValueError)


def test_total_current():
    hamstrings = channel("hamstrings", amplitude_ma=90.0)
    two = [channel(amplitude_ma=90.0), hamstrings]
    finding = found(check(protocol(*two)), "total_current_ma")
    assert (finding.value, finding.verdict) == (pytest.approx(180.0), "CAUTION")
    three = [*two, channel("calf", amplitude_ma=30.0)]
    finding = found(check(protocol(*three)), "total_current_ma")
    assert (finding.value, finding.verdict) == (pytest.approx(210.0), "FAIL")
    assert "over all channels: 210 mA is above the limit" in finding.describe()
    # each at another time
    apart = [replace(c, start_s=15.0 * i) for i, c in enumerate(three)]
    finding = found(check(protocol(*apart)), "total_current_ma")
    assert (finding.value, finding.verdict) == (90.0, "PASS")


def test_only_a_bound_of_the_total_above_the_limit_is_a_caution():
    three = [channel(f"{i}", amplitude_ma=90.0, rate_hz=50.0 + i) for i in range(3)]
    report = check(protocol(*three))
    finding = found(report, "total_current_ma")
    assert (finding.value, finding.verdict) == (pytest.approx(270.0), "CAUTION")
    assert finding.note == "an upper bound, 90 mA is reached for certain"
    assert report.passed
    # what is reached for certain is above this one
    report = check(protocol(*three), Limits(max_total_current_ma=80.0))
    assert found(report, "total_current_ma").verdict == "FAIL"


def test_nothing_delivered_keeps_a_limit_of_nothing():
    finding = found(check(protocol(), Limits(max_net_dc_ua=0.0)), "net_dc_ua")
    assert (finding.value, finding.verdict) == (0.0, "PASS")


def test_a_limit_of_its_own():
    report = check(protocol(), Limits(max_rate_hz=40))
    finding = found(report, "rate_hz")
    assert (finding.limit, finding.source, finding.verdict) == (40.0, "given", "FAIL")
    assert found(report, "rms_ma").source == "IEC 60601-2-10, as two makers quote it"


def test_without_a_limit_nothing_is_evaluated():
    report = check(protocol(), Limits.named("unlimited"))
    assert [f.rule for f in report.findings] == [*RULES, "shannon_k"]
    for finding in report.findings[:-1]:
        assert (finding.verdict, finding.value) == ("NOT_EVALUATED", None)
        assert finding.note == "no limit set"
    assert report.passed


def test_densities_without_electrodes_are_not_evaluated():
    report = check(protocol(channel(area_cm2=None)))
    missing = [f for f in report.findings if f.verdict is Verdict.NOT_EVALUATED]
    assert [f.rule for f in missing] == ["rms_density_ma_cm2", "power_density_w_cm2"]
    for finding in missing:
        assert finding.value is None
        assert "not evaluated, no electrode area" in finding.describe()
    assert report.passed


def test_absurd_numbers_are_refused_not_stumbled_over():
    report = check(protocol(channel(amplitude_ma=1e300), channel("b")))
    assert not report.passed
    assert found(report, "power_density_w_cm2").verdict == "FAIL"


# -- the report ---------------------------------------------------------------


def test_one_line_for_each_finding():
    report = check(protocol(channel(amplitude_ma=120.0, rate_hz=10.0)))
    assert found(report, "amplitude_ma").describe() == (
        "amplitude_ma on quadriceps: 120 mA is above the limit of 100 mA (a choice); "
        "lower amplitude_ma"
    )
    assert found(report, "rate_hz").describe() == (
        "rate_hz on quadriceps: 10 Hz is within the limit of 150 Hz (a choice)"
    )
    near = check(protocol(channel(amplitude_ma=85.0)))
    assert found(near, "amplitude_ma").describe() == (
        "amplitude_ma on quadriceps: 85 mA is 85 % of the limit of 100 mA (a choice)"
    )
    narrow = check(protocol(channel(amplitude_ma=100.0000002)))
    text = found(narrow, "amplitude_ma").describe()
    assert "100.0000002 mA is above the limit of 100.0 mA" in text


def test_findings_come_by_rule_with_their_units():
    report = check(protocol(channel(), channel("hamstrings")))
    rules = [f.rule for f in report.findings]
    each = [r for r in RULES[:-1] for _ in range(2)]
    assert rules == [*each, RULES[-1], "shannon_k", "shannon_k"]
    units = dict(zip([*RULES, "shannon_k"], [*UNITS, ""], strict=True))
    assert all(f.unit == units[f.rule] and f.source for f in report.findings)


def test_json_is_the_report_as_plain_data():
    report = check(protocol(channel(area_cm2=None)))
    data = json.loads(report.to_json())
    assert data == report.to_dict()
    assert (data["protocol"], data["passed"]) == ("p", True)
    assert len(data["findings"]) == len(RULES)
    assert data["findings"][0] == {
        "rule": "amplitude_ma",
        "channel": "quadriceps",
        "value": 40.0,
        "limit": 100.0,
        "unit": "mA",
        "verdict": "PASS",
        "source": "a choice",
        "note": "",
    }
    density = data["findings"][RULES.index("rms_density_ma_cm2")]
    assert (density["value"], density["verdict"]) == (None, "NOT_EVALUATED")


def test_the_table():
    eight = [channel(f"channel {i}", rate_hz=10.0) for i in range(8)]
    hot = channel("hot", amplitude_ma=120.0, area_cm2=None, rate_hz=10.0)
    text = str(check(protocol(*eight, hot)))
    first, headings, *rows = text.splitlines()
    # the total: 440 mA
    assert first == "p: failed, 2 FAIL, 2 NOT_EVALUATED"
    assert headings.split() == ["verdict", "rule", "channel", "value", "limit", "unit"]
    rows = [row.split("  ") for row in rows[: rows.index("limits:")]]
    assert [row[0] for row in rows].count("FAIL") == 2
    assert "channel 0, channel 1 and 6 more" in text
    assert len(rows) < 20
    for rule in RULES:
        assert rule in text


def an_hour(stages_of, repeats):
    """Eight channels, each with stages of its own phase."""
    return protocol(
        *(
            Channel(
                name=f"{i}",
                stages=stages_of(45.0 * i),
                electrodes=[Electrode(area_cm2=25.0)],
                repeats=repeats,
            )
            for i in range(8)
        )
    )


def one_of_an_hour(phase_deg, duty=(10.0, 10.0, 180), **train):
    return Stage(
        event=Pulse(phase_width_us=300.0, interphase_gap_us=100.0),
        train=Train(**{"rate_hz": 50.0, "phase_deg": phase_deg, **train}),
        duty_cycle=DutyCycle(on_s=duty[0], off_s=duty[1], repeats=duty[2]),
        envelope=Envelope(ramp_up_s=3.0, ramp_down_s=2.0),
        amplitude_ma=20.0,
    )


HOURS = {
    "distributed": (lambda phase: [one_of_an_hour(phase)], 1),
    "jitter": (lambda phase: [one_of_an_hour(phase, jitter=0.2)], 1),
    "sweep of triplets": (
        lambda phase: [
            one_of_an_hour(phase, rate_end_hz=20.0, n_let=3, n_let_interval_ms=3.0)
        ],
        1,
    ),
    "without a pause": (lambda phase: [one_of_an_hour(phase, (3600.0, 0.0, 1))], 1),
    "180 stages": (
        lambda phase: [
            one_of_an_hour(phase, (10.0, 10.0, 1), rate_hz=30.0 + 0.1 * k)
            for k in range(180)
        ],
        1,
    ),
    "60 stages three times": (
        lambda phase: [
            one_of_an_hour(phase, (10.0, 10.0, 1), rate_hz=30.0 + 0.1 * k)
            for k in range(60)
        ],
        3,
    ),
}


@pytest.mark.parametrize("kind", HOURS)
def test_an_hour_of_eight_channels_is_checked_at_once(kind):
    hour = an_hour(*HOURS[kind])
    assert hour.duration_s == pytest.approx(3600.0)
    # of this process: the machine may be busy with other things
    begin = time.process_time()
    report = check(hour)
    assert time.process_time() - begin < 2.0
    total_ma = next(f.value for f in report.findings if f.rule == "total_current_ma")
    assert 20.0 <= total_ma <= 160.0
