"""The named sets of limits, their sources, and Shannon's k beside them."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest

from nmes_wave.errors import LimitError, SpecError
from nmes_wave.limit_sets import SETS
from nmes_wave.limits import Limits, check
from nmes_wave.output import Output
from nmes_wave.plan import build_plan
from nmes_wave.report import RULES, Verdict
from nmes_wave.spec import (
    Channel,
    DutyCycle,
    Electrode,
    Pulse,
    Stage,
    StimProtocol,
    Train,
)
from nmes_wave.stream import caps

OUTPUT = Output(sample_rate_hz=48_000, full_scale_ma=150.0, coupling="dc")


def protocol(area_cm2=25.8, balanced=True, **changes):
    values = {"phase_width_us": 500.0, "amplitude_ma": 90.0, "rate_hz": 50.0} | changes
    stage = Stage(
        event=Pulse(phase_width_us=values["phase_width_us"], balanced=balanced),
        train=Train(rate_hz=values["rate_hz"]),
        duty_cycle=DutyCycle(on_s=2.0, off_s=2.0, repeats=2),
        amplitude_ma=values["amplitude_ma"],
    )
    electrodes = [Electrode(area_cm2=a) for a in (4 * area_cm2, area_cm2)]
    one = Channel(name="one", stages=[stage], electrodes=electrodes)
    return StimProtocol(name="p", channels=[one])


def found(report, rule):
    (finding,) = (f for f in report.findings if f.rule == rule)
    return finding


# -- the sets -----------------------------------------------------------------


def test_the_names():
    assert Limits.names() == (
        "default",
        "powered-muscle-stimulator",
        "certified-device",
        "implant",
        "unlimited",
    )
    assert Limits.named("default") == Limits()
    assert set(asdict(Limits.named("unlimited")).values()) == {None}
    for name in Limits.names():
        assert f"``{name}``" in Limits.named.__doc__


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("implnt", "implant"),
        ("certified", "certified-device"),
        ("muscle-stimulator", "powered-muscle-stimulator"),
        ("DEFAULT", None),
        (5, None),
    ],
)
def test_an_unknown_name_is_told_the_nearest(name, nearest):
    meant = f"did you mean {nearest}" if nearest else "valid are default, powered"
    with pytest.raises(SpecError, match=meant):
        Limits.named(name)


# What the sources say; the defaults stand in test_limits.py.
IEC_AND_FDA = {
    "rms_ma": (50.0, "IEC 60601-2-10, as two makers quote it"),
    "rms_density_ma_cm2": (
        2.0,
        "a notice of IEC 60601-2-10, which makers read as r.m.s.",
    ),
    "power_density_w_cm2": (0.25, "FDA 1999, Powered Muscle Stimulator 510(k)s, n"),
}
CERTIFIED = {
    "rms_density_ma_cm2": (2.0, "RehaStim2 manual 2.5c, p. 9"),
    "power_density_w_cm2": (0.1, "RehaStim2 manual 2.5c, p. 9"),
}
IMPLANT = {"net_dc_ua": (0.025, "25 nA, as Sit & Sarpeshkar 2007")}


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("powered-muscle-stimulator", IEC_AND_FDA),
        ("certified-device", CERTIFIED),
        ("implant", IMPLANT),
    ],
)
def test_a_set_is_what_its_sources_say_and_the_report_names_them(name, quoted):
    limits = Limits.named(name)
    findings = {f.rule: f for f in check(protocol(), limits).findings}
    for rule, (limit, source) in quoted.items():
        assert getattr(limits, f"max_{rule}") == findings[rule].limit == limit
        assert source in findings[rule].source
    differs = {f"max_{rule}" for rule in SETS[name]}
    for field in fields(Limits):
        if field.name not in differs:
            assert getattr(limits, field.name) == field.default


def test_a_muscle_stimulators_other_limits_are_choices_or_none():
    report = check(protocol(), Limits.named("powered-muscle-stimulator"))
    for finding in report.findings[:-1]:
        if finding.rule in IEC_AND_FDA:
            assert finding.verdict is not Verdict.NOT_EVALUATED
        elif finding.rule in ("amplitude_ma", "total_current_ma"):
            assert finding.source.startswith("a choice of this project")
        else:
            assert (finding.limit, finding.source) == (None, "")
            assert finding.verdict is Verdict.NOT_EVALUATED


#: Recalled without a source: r.m.s. limits of other bands, net current of
#: implants and iontophoresis, density of iontophoresis.
RECALLED = {
    "rms_ma": {80.0, 100.0},
    "net_dc_ua": {0.1, 10.0, 100.0},
    "rms_density_ma_cm2": {0.5},
    "charge_per_phase_uc": {20.0},
}


def test_what_is_only_recalled_is_not_shipped():
    for name in Limits.names():
        limits = Limits.named(name)
        for rule, recalled in RECALLED.items():
            assert getattr(limits, f"max_{rule}") not in recalled
    quoted = [q for of_set in SETS.values() for q in of_set.values()]
    assert all((q.limit is None) == (q.source == "") for q in quoted)
    assert {rule for of_set in SETS.values() for rule in of_set} <= set(RULES)


@pytest.mark.parametrize("name", [n for n in Limits.names() if n != "unlimited"])
def test_every_set_but_one_bounds_what_a_session_caps_by(name):
    codes, total_ma = caps(Limits.named(name), OUTPUT, 1)
    assert codes[0] <= 100.0 / 150.0 * OUTPUT.max_code < OUTPUT.max_code
    assert total_ma == 200.0


@pytest.mark.parametrize(
    ("name", "changes", "failing"),
    [
        # 90 mA · sqrt(2 · 500 µs · 50 Hz) = 20.1 mA: 0.2 W into 500 Ω, on 1.5 cm²
        ("default", {"area_cm2": 1.5}, {"rms_density_ma_cm2"}),
        ("powered-muscle-stimulator", {"area_cm2": 1.5}, {"rms_density_ma_cm2"}),
        (
            "certified-device",
            {"area_cm2": 1.5},
            {"rms_density_ma_cm2", "power_density_w_cm2"},
        ),
        # 1 mA for 100 µs, once a second, are 0.1 µA
        (
            "implant",
            {"amplitude_ma": 1.0, "phase_width_us": 100.0, "rate_hz": 1.0}
            | {"balanced": False},
            {"net_dc_ua"},
        ),
        (
            "default",
            {"amplitude_ma": 1.0, "phase_width_us": 100.0, "rate_hz": 1.0}
            | {"balanced": False},
            set(),
        ),
        ("default", {"phase_width_us": 1200.0, "amplitude_ma": 20.0}, {"phase_"}),
        (
            "powered-muscle-stimulator",
            {"phase_width_us": 1200.0, "amplitude_ma": 20.0},
            set(),
        ),
    ],
)
def test_sets_refuse_by_their_own_limits(name, changes, failing):
    described = protocol(**changes)
    limits = Limits.named(name)
    failed = {f.rule for f in check(described, limits).findings if f.verdict == "FAIL"}
    assert len(failed) == len(failing)
    assert all(any(f.startswith(start) for f in failed) for start in failing)
    if failing:
        with pytest.raises(LimitError, match=sorted(failed)[0]):
            build_plan(described, OUTPUT, limits)
    else:
        build_plan(described, OUTPUT, limits)


def test_a_set_with_one_limit_changed_keeps_the_other_sources():
    own = replace(Limits.named("implant"), max_amplitude_ma=2.0)
    report = check(protocol(amplitude_ma=1.0), own)
    assert found(report, "amplitude_ma").source == "given"
    assert "Sarpeshkar" in found(report, "net_dc_ua").source
    own = replace(Limits.named("certified-device"), max_rms_ma=None)
    report = check(protocol(), own)
    assert found(report, "rms_ma").source == ""
    assert "RehaStim2" in found(report, "power_density_w_cm2").source
    only = replace(Limits.named("unlimited"), max_net_dc_ua=7.0)
    assert found(check(protocol(), only), "net_dc_ua").source == "given"


# -- Shannon's k --------------------------------------------------------------


def test_k_of_the_worked_example():
    # 130 mA for 500 µs: 65 µC, on 25.8 cm²
    finding = found(check(protocol(amplitude_ma=130.0)), "shannon_k")
    assert round(finding.value, 2) == 2.21
    assert 10**finding.value == pytest.approx(65.0**2 / 25.8, rel=1e-12)
    assert (finding.limit, finding.verdict) == (None, "NOT_EVALUATED")
    assert finding.source.startswith("Shannon 1992")
    assert "does not apply to skin" in finding.note
    assert finding.describe().startswith("shannon_k on one: 2.21, information only: ")


@pytest.mark.parametrize(("charge_uc", "k"), [(42.7, 1.85), (28.6, 1.5), (50.8, 2.0)])
def test_charges_of_published_k(charge_uc, k):
    described = protocol(phase_width_us=1000.0, amplitude_ma=charge_uc)
    assert found(check(described), "shannon_k").value == pytest.approx(k, abs=2e-3)


def test_k_never_decides():
    huge = check(protocol(area_cm2=1e-6), Limits.named("unlimited"))
    assert found(huge, "shannon_k").value > 9
    assert huge.passed


def test_k_is_one_line_beneath_the_table_and_counts_nowhere():
    channels = [
        replace(protocol(area_cm2=25.8 + i).channels[0], name=f"{i}") for i in range(8)
    ]
    report = check(StimProtocol(name="p", channels=channels))
    (line,) = (x for x in str(report).splitlines() if "shannon_k" in x)
    assert line == str(report).splitlines()[-1]
    assert line.startswith("shannon_k on 0: 1.89, information only")  # the highest
    assert "NOT_EVALUATED" not in str(report)
    data = json.loads(report.to_json())
    assert sum(f["rule"] == "shannon_k" for f in data["findings"]) == 8


@pytest.mark.parametrize("changes", [{"amplitude_ma": 0.0}, {"area_cm2": None}])
def test_without_charge_or_electrodes_there_is_no_k(changes):
    if "area_cm2" in changes:
        one = replace(protocol().channels[0], electrodes=())
        described = StimProtocol(name="p", channels=[one])
    else:
        described = protocol(**changes)
    assert "shannon_k" not in {f.rule for f in check(described).findings}
