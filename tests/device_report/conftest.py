"""Reports of one stage, and of anything."""

from __future__ import annotations

import datetime

import pytest

import nmes_wave as nw

UNLIMITED = nw.Limits.named("unlimited")


@pytest.fixture(scope="session")
def stage():
    """Return a stage of 300 µs, 35 Hz, 100 mA, 10 s on and 50 s off, or another."""

    def make(event=None, *, amplitude_ma=100.0, envelope=None, on=None, **train):
        return nw.Stage(
            event=event or nw.Pulse(phase_width_us=300),
            train=nw.Train(**({"rate_hz": 35.0} | train)),
            duty_cycle=on or nw.DutyCycle(on_s=10, off_s=50),
            envelope=envelope or nw.Envelope(),
            amplitude_ma=amplitude_ma,
        )

    return make


@pytest.fixture(scope="session")
def channel():
    """Return a channel with electrodes of 25.8 cm²."""

    def make(*stages, name="one", area_cm2=25.8, **more):
        electrodes = [nw.Electrode(area_cm2=area_cm2)] * 2 if area_cm2 else []
        return nw.Channel(name=name, stages=stages, electrodes=electrodes, **more)

    return make


@pytest.fixture(scope="session")
def report():
    """Return the report of a protocol of some channels."""

    def make(*channels, name="worked", compliance_v=150.0, output=None, **more):
        protocol = nw.StimProtocol(name=name, channels=channels)
        full_scale_ma = 1.25 * max(s.amplitude_ma for c in channels for s in c.stages)
        grid = nw.Output(
            sample_rate_hz=48_000, full_scale_ma=full_scale_ma or 1.0, coupling="dc"
        )
        return nw.DeviceReport(
            plan=nw.build_plan(protocol, output or grid, UNLIMITED),
            compliance_v=compliance_v,
            **({"date": datetime.date(2026, 1, 31)} | more),
        )

    return make


@pytest.fixture(scope="session")
def row():
    """Return a row of the first mode's table, its entries by their label."""

    def find(report, number, mode=0):
        rows = report.specification(report.modes[mode])
        (found,) = (r for r in rows if r.number == str(number))
        return {entry.label: entry for entry in found.entries} | {"note": found.note}

    return find
