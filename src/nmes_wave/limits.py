"""Limits, and what `check` says of a protocol that must keep them.

A report says what is missing and what is close as well as what fails; it
decides nothing about safety for a person.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any

from nmes_wave import _exposure_tmp as exposure  # until the exposure package is done
from nmes_wave.errors import SpecError
from nmes_wave.spec import Channel, StimProtocol
from nmes_wave.spec._fields import Range, Spec

_Limit = Annotated[float, Range(ge=0)] | None

#: From this part of a limit on, a value is a CAUTION.
CAUTION_FROM = 0.8
#: Float64 rounding of the analytic figures; a value this close is at the limit.
_ROUNDING = 1e-9


class Verdict(StrEnum):
    """What a rule says."""

    PASS = "PASS"
    CAUTION = "CAUTION"
    FAIL = "FAIL"
    NOT_EVALUATED = "NOT_EVALUATED"


@dataclass(frozen=True, kw_only=True)
class Limits(Spec):
    """What a protocol must keep; None: not evaluated.

    Parameters
    ----------
    max_amplitude_ma
        Peak of a channel. 100 mA is a choice.
    max_phase_width_us
        Width of a first phase. 1000 µs: the widest published protocol here.
    max_charge_per_phase_uc
        65 µC: the maximum of a certified stimulator (RehaStim2, 130 mA × 500 µs).
    max_rate_hz
        Rate of a train; N-lets and the first interval count in the r.m.s.
        150 Hz is a choice.
    max_rms_ma
        R.m.s. over any second. 50 mA: IEC 60601-2-10 as two makers quote it
        ("the stimulator output current can never exceed 50 mA r.m.s.",
        Enraf-Nonius; XBody Newave). The standard itself was not read.
    max_rms_density_ma_cm2
        R.m.s. over the smallest electrode. 2 mA/cm²: IEC notice ("any electrodes
        that have current densities exceeding 2 mA/cm2 may require the special
        attention of the OPERATOR", AS 60601.2.10:2018), which makers read as
        r.m.s.
    max_power_density_w_cm2
        Into 500 Ω, highest one-second average, smallest electrode. 0.25 W/cm²:
        FDA 1999, guidance for powered muscle stimulators, note 6, "to reduce the
        risk of thermal burns".
    max_net_dc_ua
        Highest one-second mean. 50 µA: the baseline guard of a research
        stimulator (Digitimer DS5).
    max_total_current_ma
        Sum of magnitudes over channels at any instant. 200 mA is a choice.

    Raises
    ------
    SpecError
        For a limit that is negative or no number.
    """

    max_amplitude_ma: _Limit = 100.0
    max_phase_width_us: _Limit = 1000.0
    max_charge_per_phase_uc: _Limit = 65.0
    max_rate_hz: _Limit = 150.0
    max_rms_ma: _Limit = 50.0
    max_rms_density_ma_cm2: _Limit = 2.0
    max_power_density_w_cm2: _Limit = 0.25
    max_net_dc_ua: _Limit = 50.0
    max_total_current_ma: _Limit = 200.0

    @staticmethod
    def named(name: str) -> Limits:
        """Return a named set.

        Parameters
        ----------
        name
            ``default``, or ``unlimited``: nothing is evaluated, for computation
            only; a hardware sink refuses a plan built with it.

        Raises
        ------
        SpecError
            For another name.
        """
        if name == "default":
            return Limits()
        if name == "unlimited":
            return Limits(**{f.name: None for f in fields(Limits)})
        known = ", ".join(Limits.names())
        raise SpecError("Limits.named", name, f"must be one of {known}")

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the sets."""
        return ("default", "unlimited")


#: Unit, and where the default comes from, in the words that a report shows.
_RULES = {
    "amplitude_ma": ("mA", "choice"),
    "phase_width_us": ("µs", "widest published protocol here"),
    "charge_per_phase_uc": ("µC", "maximum of RehaStim2"),
    "rate_hz": ("Hz", "choice"),
    "rms_ma": ("mA", "IEC 60601-2-10, as two makers quote it"),
    "rms_density_ma_cm2": ("mA/cm²", "IEC 60601-2-10, notice"),
    "power_density_w_cm2": ("W/cm²", "FDA 1999, note 6"),
    "net_dc_ua": ("µA", "Digitimer DS5, baseline guard"),
    "total_current_ma": ("mA", "choice"),
}


@dataclass(frozen=True)
class Finding:
    """What one rule says of one channel.

    Attributes
    ----------
    rule : str
        Named after its quantity.
    channel : str or None
        None: of the whole protocol.
    value, limit : float or None
        None where it could not be evaluated, or is not limited.
    unit : str
    verdict : Verdict
    source : str
        Where the default limit comes from; "given" for another one.
    note : str
        What is missing, or how far the value is a bound.
    """

    rule: str
    channel: str | None
    value: float | None
    limit: float | None
    unit: str
    verdict: Verdict
    source: str
    note: str = ""

    def describe(self) -> str:
        """Say the finding in one line."""
        where = "all channels" if self.channel is None else repr(self.channel)
        text = f"{self.rule} of {where}: "
        if self.value is None or self.limit is None:
            return f"{text}{self.verdict.lower().replace('_', ' ')}, {self.note}"
        relation = "above" if self.verdict is Verdict.FAIL else "of"
        text += f"{self.value:.4g} {self.unit} {relation} the limit of "
        text += f"{self.limit:.4g} {self.unit} ({self.source})"
        return f"{text}; {self.note}" if self.note else text


@dataclass(frozen=True)
class Report:
    """All findings of a check.

    Attributes
    ----------
    findings : tuple of Finding
        Rule by rule, channel by channel.
    """

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no rule fails."""
        return all(f.verdict is not Verdict.FAIL for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        rows = [
            {f.name: getattr(finding, f.name) for f in fields(Finding)}
            for finding in self.findings
        ]
        return {"passed": self.passed, "findings": rows}

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def __str__(self) -> str:
        head = ("rule", "channel", "value", "limit", "unit", "verdict", "")
        rows = [head]
        for f in self.findings:
            value = "-" if f.value is None else f"{f.value:.4g}"
            limit = "-" if f.limit is None else f"{f.limit:.4g}"
            channel = "all" if f.channel is None else f.channel
            rows.append((f.rule, channel, value, limit, f.unit, f.verdict, f.note))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = []
        for row in rows:
            cells = [
                cell.rjust(width) if i in (2, 3) else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        lines.append("passed" if self.passed else "FAILED")
        return "\n".join(lines)


def check(protocol: StimProtocol, limits: Limits | None = None) -> Report:
    """Hold a protocol against limits.

    Parameters
    ----------
    protocol
        What is to be delivered.
    limits
        None: the defaults.

    Returns
    -------
    Report
        PASS; CAUTION from 80 % of a limit upward; FAIL above it; NOT_EVALUATED
        where a limit is None or something (an electrode's area) is missing.
    """
    limits = Limits() if limits is None else limits
    findings = []
    for rule in _RULES:
        if rule == "total_current_ma":
            findings.append(_total(protocol, limits))
            continue
        for channel in protocol.channels:
            findings.append(_finding(rule, channel, limits))
    return Report(tuple(findings))


def _finding(rule: str, channel: Channel, limits: Limits) -> Finding:
    limit = getattr(limits, f"max_{rule}")
    if limit is None:
        return _made(rule, channel.name, None, limit, "no limit set")
    area_cm2 = channel.smallest_area_cm2
    if rule.endswith("_cm2") and area_cm2 is None:
        return _made(rule, channel.name, None, limit, "no electrode area given")
    if rule == "rms_density_ma_cm2":
        assert area_cm2 is not None
        return _made(rule, channel.name, exposure.rms_ma(channel) / area_cm2, limit)
    return _made(rule, channel.name, getattr(exposure, rule)(channel), limit)


def _total(protocol: StimProtocol, limits: Limits) -> Finding:
    limit = limits.max_total_current_ma
    if limit is None:
        return _made("total_current_ma", None, None, limit, "no limit set")
    value, exact = exposure.total_current_ma(protocol.channels)
    note = "" if exact else "an upper bound: the channels' events wander"
    finding = _made("total_current_ma", None, value, limit, note)
    highest = max(exposure.amplitude_ma(c) for c in protocol.channels)
    if finding.verdict is not Verdict.FAIL or exact or highest > limit:
        return finding
    return _made("total_current_ma", None, value, limit, note, Verdict.CAUTION)


def _made(
    rule: str,
    channel: str | None,
    value: float | None,
    limit: float | None,
    note: str = "",
    verdict: Verdict | None = None,
) -> Finding:
    unit, source = _RULES[rule]
    if limit != getattr(_DEFAULTS, f"max_{rule}"):
        source = "given"
    if verdict is None:
        verdict = _verdict(value, limit)
    return Finding(rule, channel, value, limit, unit, verdict, source, note)


def _verdict(value: float | None, limit: float | None) -> Verdict:
    if value is None or limit is None:
        return Verdict.NOT_EVALUATED
    if value > limit * (1 + _ROUNDING):
        return Verdict.FAIL
    if value >= CAUTION_FROM * limit * (1 - _ROUNDING) and value > 0:
        return Verdict.CAUTION
    return Verdict.PASS


_DEFAULTS = Limits()
