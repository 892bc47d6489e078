"""Protocols held against published ranges: a caution outside them, never a fail."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmes_wave as nw

NUSSBAUM = nw.presets.load("acl-nussbaum-2017")


def protocol(
    event: nw.Pulse | nw.Burst, *, rate_hz: float = 50, **duty: float
) -> nw.StimProtocol:
    duty = {"on_s": 10, "off_s": 50, "repeats": 12} | duty
    stage = nw.Stage(
        event=event,
        train=nw.Train(rate_hz=rate_hz),
        duty_cycle=nw.DutyCycle(**duty),
        amplitude_ma=20,
    )
    return nw.StimProtocol(
        name="one", channels=[nw.Channel(name="quadriceps", stages=[stage])]
    )


def held(p: nw.StimProtocol) -> dict[str, nw.Finding]:
    report = nw.check(p, ranges=NUSSBAUM)
    assert report.passed
    return {f.rule: f for f in report.findings if f.is_range}


PULSE = nw.Pulse(phase_width_us=300)
RUSSIAN = nw.Burst(carrier_hz=2500, cycles=25)


def test_without_ranges_nothing_is_added():
    plain = nw.check(protocol(PULSE))
    with_ranges = nw.check(protocol(PULSE), ranges=NUSSBAUM)
    assert with_ranges.findings[: len(plain.findings)] == plain.findings
    assert not any(f.is_range for f in plain.findings)


def test_inside_all_ranges():
    # Nussbaum 2017, Table 7: "30–50 Hz PC … or 2500 Hz AC in 50 Hz bursts";
    # "250–400 µs"; "ON:OFF 6–10:12–50 s"; "12–15 contractions/session".
    for event in (PULSE, RUSSIAN):
        verdicts = {rule: f.verdict for rule, f in held(protocol(event)).items()}
        untold = {rule for rule, v in verdicts.items() if v == "NOT_EVALUATED"}
        assert untold == {"range_days_per_week", "range_weeks"}
        assert {v for r, v in verdicts.items() if r not in untold} == {"PASS"}
    assert "range_phase_width_us" not in held(protocol(RUSSIAN))
    assert "range_carrier_hz" not in held(protocol(PULSE))


@pytest.mark.parametrize(
    ("p", "rule", "value", "low", "high"),
    [
        (protocol(PULSE, rate_hz=51), "rate_hz", 51, 30, 50),
        (protocol(PULSE, rate_hz=29.9), "rate_hz", 29.9, 30, 50),
        (protocol(RUSSIAN, rate_hz=40), "rate_hz", 40, 50, 50),
        (protocol(nw.Burst(carrier_hz=2400, cycles=9)), "carrier_hz", 2400, 2500, 2500),
        (protocol(nw.Pulse(phase_width_us=200)), "phase_width_us", 200, 250, 400),
        (protocol(PULSE, on_s=5), "on_s", 5, 6, 10),
        (protocol(PULSE, off_s=11), "off_s", 11, 12, 50),
        (protocol(PULSE, repeats=60), "contractions", 60, 12, 15),
    ],
)
def test_outside_one_is_a_caution(p, rule, value, low, high):
    findings = held(p)
    cautions = [f for f in findings.values() if f.verdict == "CAUTION"]
    assert [f.rule for f in cautions] == [f"range_{rule}"]
    (finding,) = cautions
    assert (finding.value, finding.low, finding.limit) == (value, low, high)
    assert finding.source == "nussbaum-2017, Table 7"
    words = finding.describe()
    assert "outside the published range of" in words
    assert f"{value:g}" in words


def test_the_ends_are_inside():
    for rate_hz in (30, 50):
        p = protocol(PULSE, rate_hz=rate_hz, on_s=6, off_s=12, repeats=15)
        assert "CAUTION" not in {f.verdict for f in held(p).values()}


@given(
    rate_hz=st.floats(1, 145),
    width_us=st.floats(20, 1000),
    on_s=st.integers(1, 30),
    off_s=st.integers(0, 90),
    repeats=st.integers(1, 40),
)
def test_the_verdict_is_the_comparison(rate_hz, width_us, on_s, off_s, repeats):
    p = protocol(
        nw.Pulse(phase_width_us=width_us),
        rate_hz=rate_hz,
        on_s=on_s,
        off_s=off_s,
        repeats=repeats,
    )
    expected = {
        "rate_hz": 30 <= rate_hz <= 50,
        "phase_width_us": 250 <= width_us <= 400,
        "on_s": 6 <= on_s <= 10,
        "off_s": 12 <= off_s <= 50,
        "contractions": 12 <= repeats <= 15,
    }
    found = held(p)
    for rule, inside in expected.items():
        assert found[f"range_{rule}"].verdict == ("PASS" if inside else "CAUTION"), rule


def test_each_channel_is_held_and_its_worst_stage_counts():
    p = protocol(PULSE)
    (channel,) = p.channels
    (stage,) = channel.stages
    slow, fast = (replace(stage, train=nw.Train(rate_hz=r)) for r in (4, 55))
    mixed = replace(channel, name="mixed", stages=(stage, slow, fast))
    report = nw.check(replace(p, channels=(channel, mixed)), ranges=NUSSBAUM)
    rates = {f.channel: f for f in report.findings if f.rule == "range_rate_hz"}
    assert rates["quadriceps"].verdict == "PASS"
    assert (rates["mixed"].verdict, rates["mixed"].value) == ("CAUTION", 4)
    contractions = {
        f.channel: f.value for f in report.findings if f.rule == "range_contractions"
    }
    assert contractions == {"quadriceps": 12, "mixed": 36}


def test_the_report_tells_ranges_apart_from_limits():
    report = nw.check(protocol(PULSE, rate_hz=80), ranges=NUSSBAUM)
    text = str(report)
    limits, ranges = text.split("limits:\n")[1].split("ranges:\n")
    assert "nussbaum-2017" not in limits
    assert "range_rate_hz" in ranges
    assert "nussbaum-2017, Table 7" in ranges
    (line,) = (x for x in text.splitlines() if "range_rate_hz  " in x)
    assert "30 to 50  Hz" in line
    rows = json.loads(report.to_json())["findings"]
    (row,) = (r for r in rows if r["rule"] == "range_rate_hz")
    assert (row["low"], row["value"], row["limit"]) == (30, 80, 50)


def test_a_limit_that_fails_still_fails():
    p = protocol(nw.Pulse(phase_width_us=1001))
    assert not nw.check(p, ranges=NUSSBAUM).passed


@pytest.mark.parametrize("ranges", ["acl-nussbaum-2017", 5, nw.Limits()])
def test_what_has_no_ranges_is_refused(ranges):
    with pytest.raises(nw.SpecError, match="has no ranges; give a preset of the kind"):
        nw.check(protocol(PULSE), ranges=ranges)
