"""Limits, and a protocol checked against them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from nmes_wave.errors import SpecError
from nmes_wave.exposure import ChannelExposure, total_current
from nmes_wave.ranges import PublishedRange, PublishedRanges, is_quantity, quantities
from nmes_wave.spec import StimProtocol
from nmes_wave.spec._fields import Range, Spec

#: A value from this part of its limit upward is a caution.
CAUTION_FROM = 0.8
#: Rounding of float64 arithmetic, relative; nothing else is forgiven.
ROUNDING = 1e-9
#: Two statements of the total that are this close are one (half sines).
ONE_TOTAL = 2e-3

_Limit_mA = Annotated[float, Range(ge=0, unit="mA")]
_Limit_us = Annotated[float, Range(ge=0, unit="µs")]
_Limit_uC = Annotated[float, Range(ge=0, unit="µC")]
_Limit_Hz = Annotated[float, Range(ge=0, unit="Hz")]
_Limit_mA_cm2 = Annotated[float, Range(ge=0, unit="mA/cm²")]
_Limit_W_cm2 = Annotated[float, Range(ge=0, unit="W/cm²")]
_Limit_uA = Annotated[float, Range(ge=0, unit="µA")]


@dataclass(frozen=True, kw_only=True)
class Limits(Spec):
    """The most that a protocol may deliver, rule by rule; None: not evaluated.

    The defaults are choices and quotations. They are not a statement that a
    stimulus within them is safe, and no conformity with a standard is claimed.

    Parameters
    ----------
    max_amplitude_ma
        Peak of the first phase, each channel. 100 mA: a choice, within the
        0–130 mA of a certified stimulator (RehaStim2 manual, p. 28).
    max_phase_width_us
        Width of the first phase, of the widest lobe of a custom shape, or half
        a carrier cycle. 1000 µs: the widest published protocol here, "1 ms,
        symmetrical biphasic" (Yoshida, as tabled by Conley et al. 2021, Sports
        Health 13:116, Table 5).
    max_charge_per_phase_uc
        Charge of the largest phase. 65 µC: the maximum of a certified
        stimulator, 130 mA × 500 µs (RehaStim2 manual, p. 28: 0–130 mA, 20–500
        µs).
    max_rate_hz
        Rate of the train, the fast end of a sweep; of bursts, not of their
        carrier. N-lets and first intervals count in the r.m.s. alone. 150 Hz: a
        choice.
    max_rms_ma
        Root mean square, highest over any one second. 50 mA: IEC 60601-2-10 as
        two makers quote it: "the stimulator output current can never exceed 50
        mA r.m.s." (Enraf-Nonius Endomed 484, p. 47); "the limitation (50mA) in
        point 201.12.4.104 of the standard" (XBody Newave, p. 42). The standard
        itself was not seen.
    max_rms_density_ma_cm2
        The same over the smallest electrode of the channel. 2 mA/cm²: a notice
        of IEC 60601-2-10 ("any electrodes that have current densities exceeding
        2 mA/cm2 may require the special attention of the OPERATOR", AS
        60601.2.10:2018), which makers read as r.m.s.
    max_power_density_w_cm2
        Power into 500 Ω over the smallest electrode, highest one-second
        average. 0.25 W/cm²: FDA, Guidance Document for Powered Muscle
        Stimulator 510(k)s, 1999, note 6: averaged over an output duration of
        one second, it should be < 0.25 W/cm² "to reduce the risk of thermal
        burns".
    max_net_dc_ua
        Net direct current, highest one-second mean. 50 µA: the baseline guard
        of Digitimer's DS5 (manual, p. 29: "Average Low level (baseline) current
        (AvL) 50µA").
    max_total_current_ma
        Sum of magnitudes over channels at any instant. 200 mA: a choice.

    Raises
    ------
    SpecError
        For a negative limit.
    """

    max_amplitude_ma: _Limit_mA | None = 100.0
    max_phase_width_us: _Limit_us | None = 1000.0
    max_charge_per_phase_uc: _Limit_uC | None = 65.0
    max_rate_hz: _Limit_Hz | None = 150.0
    max_rms_ma: _Limit_mA | None = 50.0
    max_rms_density_ma_cm2: _Limit_mA_cm2 | None = 2.0
    max_power_density_w_cm2: _Limit_W_cm2 | None = 0.25
    max_net_dc_ua: _Limit_uA | None = 50.0
    max_total_current_ma: _Limit_mA | None = 200.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the named sets."""
        return ("default", "unlimited")

    @classmethod
    def named(cls, name: str) -> Limits:
        """Return a named set.

        Parameters
        ----------
        name
            ``default``, the same as ``Limits()``; or ``unlimited``, which
            evaluates nothing and is for computation only: a hardware sink
            refuses a plan that was built with it.

        Raises
        ------
        SpecError
            For an unknown name.
        """
        if name == "default":
            return cls()
        if name == "unlimited":
            return cls(**{field.name: None for field in dataclasses.fields(cls)})
        names = ", ".join(map(repr, cls.names()))
        raise SpecError("Limits.named", name, f"must be one of {names}")


class _Rule(NamedTuple):
    unit: str
    source: str  # of the default
    remedy: str


_RULES = {
    "amplitude_ma": _Rule("mA", "a choice", "lower amplitude_ma"),
    "phase_width_us": _Rule(
        "µs",
        "the widest published protocol here, Yoshida in Conley et al. 2021",
        "shorten phase_width_us",
    ),
    "charge_per_phase_uc": _Rule(
        "µC",
        "the maximum of a certified stimulator, RehaStim2",
        "lower amplitude_ma or shorten the phase",
    ),
    "rate_hz": _Rule("Hz", "a choice", "lower the rate of the train"),
    "rms_ma": _Rule(
        "mA",
        "IEC 60601-2-10, as two makers quote it",
        "lower amplitude_ma, the phase width or the rate",
    ),
    "rms_density_ma_cm2": _Rule(
        "mA/cm²",
        "a notice of IEC 60601-2-10, read as r.m.s.",
        "lower amplitude_ma, the phase width or the rate, or use larger electrodes",
    ),
    "power_density_w_cm2": _Rule(
        "W/cm²",
        "FDA 1999, Powered Muscle Stimulator 510(k)s, note 6",
        "lower amplitude_ma, the phase width or the rate, or use larger electrodes",
    ),
    "net_dc_ua": _Rule(
        "µA",
        "the baseline guard of Digitimer's DS5",
        "use a balanced event, or lower amplitude_ma or the rate",
    ),
    "total_current_ma": _Rule(
        "mA",
        "a choice",
        "lower amplitude_ma, or keep channels apart by phase_deg or start_s",
    ),
}
_NO_LIMIT = "no limit set"
_NO_ELECTRODES = "no electrode area: give the channel its electrodes"


class Verdict(StrEnum):
    """How a value stands to its limit."""

    PASS = "PASS"
    #: From 80 % of the limit upward; or only an upper bound is above it; or
    #: outside a published range.
    CAUTION = "CAUTION"
    #: Above the limit.
    FAIL = "FAIL"
    #: Without a limit, or without what the value needs; the note says what.
    NOT_EVALUATED = "NOT_EVALUATED"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule on one channel.

    Attributes
    ----------
    rule
        Name of the rule, which is its quantity with its unit; with ``range_``
        before it, a published range.
    channel
        Name of the channel; None for all channels together.
    value
        The worst case of the whole protocol; None where it is not evaluated.
    limit
        What it is compared with, the upper end of a range; None without one.
    unit
        Of both.
    verdict
        See `Verdict`.
    source
        Where the limit comes from.
    note
        What is missing, or how the value is meant.
    low
        The lower end of a range; None without one.
    """

    rule: str
    channel: str | None
    value: float | None
    limit: float | None
    unit: str
    verdict: Verdict
    source: str
    note: str = ""
    low: float | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is held against a published range, not a limit."""
        return self.rule.startswith(_RANGE)

    def describe(self) -> str:
        """Say the finding in one line, and for a FAIL what to do."""
        where = "over all channels" if self.channel is None else f"on {self.channel}"
        if self.verdict is Verdict.NOT_EVALUATED or self.value is None:
            return f"{self.rule} {where}: not evaluated, {self.note}"
        if self.is_range:
            how = "inside" if self.verdict is Verdict.PASS else "outside"
            return (
                f"{self.rule} {where}: {self.value:.6g} {self.unit} is {how} the "
                f"published range of {_ends(self)} {self.unit} ({self.source})"
            )
        value, limit = f"{self.value:.6g}", f"{self.limit:.6g}"
        if self.verdict is Verdict.FAIL and value == limit:
            value, limit = repr(self.value), repr(self.limit)
        how = {
            Verdict.FAIL: "above",
            Verdict.CAUTION: f"{_percent(self)} of",
            Verdict.PASS: "within",
        }[self.verdict]
        text = f"{self.rule} {where}: {value} {self.unit} is {how} the limit of "
        text += f"{limit} {self.unit} ({self.source})"
        if self.verdict is Verdict.FAIL:
            text += f"; {_RULES[self.rule].remedy}"
        return f"{text}; {self.note}" if self.note else text


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """A protocol against its limits; prints as a table.

    Attributes
    ----------
    protocol
        Title of the protocol.
    findings
        By rule, then by channel.
    """

    protocol: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no rule fails; cautions and what is not evaluated pass."""
        return all(f.verdict is not Verdict.FAIL for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        rows = [dataclasses.asdict(finding) for finding in self.findings]
        for row, finding in zip(rows, self.findings, strict=True):
            row["verdict"] = str(row["verdict"])
            if not finding.is_range:
                del row["low"]
        return {"protocol": self.protocol, "passed": self.passed, "findings": rows}

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return f"<Report {self._headline()}>"

    def __str__(self) -> str:
        """Return the table; channels with the same finding stand together."""
        return "\n".join([self._headline(), *_table(self.findings)])

    def _headline(self) -> str:
        verdicts = [finding.verdict for finding in self.findings]
        counts = [
            f"{verdicts.count(verdict)} {verdict}"
            for verdict in (Verdict.FAIL, Verdict.CAUTION, Verdict.NOT_EVALUATED)
            if verdict in verdicts
        ]
        outcome = "passed" if self.passed else "failed"
        return ", ".join([f"{self.protocol}: {outcome}", *counts])


def check(
    protocol: StimProtocol,
    limits: Limits | None = None,
    ranges: PublishedRanges | None = None,
) -> Report:
    """Compare the worst case of a protocol with limits, and with published ranges.

    All quantities are those of the described waveforms at full intensity, found
    in closed form; nothing is rendered.

    Parameters
    ----------
    protocol
        What would be delivered.
    limits
        What it must keep; None: the defaults of `Limits`.
    ranges
        A preset of the kind ``range``, as ``presets.load("acl-nussbaum-2017")``.
        A protocol that leaves one of its ranges is cautioned and passes all the
        same: a recommendation is no limit.

    Returns
    -------
    Report

    Raises
    ------
    SpecError
        If these are no protocol, no limits and no ranges.
    """
    limits = Limits() if limits is None else limits
    if not isinstance(protocol, StimProtocol):
        raise SpecError("protocol", protocol, "must be a StimProtocol")
    if not isinstance(limits, Limits):
        raise SpecError("limits", limits, "must be Limits, as from Limits.named(name)")
    findings = [*_findings(protocol, limits)]
    if ranges is not None:
        if not getattr(ranges, "ranges", ()):
            words = "has no ranges; give a preset of the kind 'range'"
            raise SpecError("ranges", getattr(ranges, "name", ranges), words)
        for row in ranges.ranges:
            findings += _of_range(protocol, row)
    return Report(protocol=protocol.name, findings=tuple(findings))


def _findings(protocol: StimProtocol, limits: Limits) -> Iterator[Finding]:
    exposures = [(c.name, ChannelExposure(c)) for c in protocol.channels]
    for rule in _RULES:
        limit: float | None = getattr(limits, f"max_{rule}")
        if rule == "total_current_ma":
            yield _total(protocol, limit)
            continue
        for name, exposure in exposures:
            value = None if limit is None else getattr(exposure, rule)
            yield _finding(rule, name, value, limit)


def _finding(
    rule: str, channel: str | None, value: float | None, limit: float | None
) -> Finding:
    note = ""
    if value is None or limit is None:
        verdict = Verdict.NOT_EVALUATED
        note = _NO_LIMIT if limit is None else _NO_ELECTRODES
    elif value > limit * (1 + ROUNDING):
        verdict = Verdict.FAIL
    elif value > 0 and value >= CAUTION_FROM * limit * (1 - ROUNDING):
        verdict = Verdict.CAUTION
    else:
        verdict = Verdict.PASS
    by_default = limit == getattr(Limits, f"max_{rule}")
    return Finding(
        rule=rule,
        channel=channel,
        value=value,
        limit=limit,
        unit=_RULES[rule].unit,
        verdict=verdict,
        source="" if limit is None else _RULES[rule].source if by_default else "given",
        note=note,
    )


def _total(protocol: StimProtocol, limit: float | None) -> Finding:
    if limit is None:
        return _finding("total_current_ma", None, None, None)
    total = total_current(protocol)
    finding = _finding("total_current_ma", None, total.bound_ma, limit)
    if total.bound_ma <= total.reached_ma * (1 + ONE_TOTAL):
        return finding
    note = f"an upper bound, {total.reached_ma:.6g} mA is reached for certain"
    verdict = finding.verdict
    if verdict is Verdict.FAIL and total.reached_ma <= limit * (1 + ROUNDING):
        verdict = Verdict.CAUTION
    return dataclasses.replace(finding, verdict=verdict, note=note)


# -- published ranges ---------------------------------------------------------

_RANGE = "range_"


def _of_range(protocol: StimProtocol, row: PublishedRange) -> Iterator[Finding]:
    """Yield how each channel stands to a range: the value furthest outside."""
    low = -math.inf if row.low is None else float(row.low)
    high = math.inf if row.high is None else float(row.high)
    finding = Finding(
        rule=f"{_RANGE}{row.field}",
        channel=None,
        value=None,
        limit=row.high,
        unit=row.unit,
        verdict=Verdict.NOT_EVALUATED,
        source=row.source,
        note="a protocol does not tell it",
        low=row.low,
    )
    if not is_quantity(row.field):
        yield finding
        return
    for channel in protocol.channels:
        values = [*quantities(channel, row.field, row.event)]
        if not values:
            continue  # a range for bursts says nothing of pulses
        worst = max(values, key=lambda value: max(low - value, value - high))
        inside = low * (1 - ROUNDING) <= worst <= high * (1 + ROUNDING)
        yield dataclasses.replace(
            finding,
            channel=channel.name,
            value=worst,
            verdict=Verdict.PASS if inside else Verdict.CAUTION,
            note="" if inside else "outside the published range",
        )


def _ends(finding: Finding) -> str:
    if finding.low is None:
        return f"up to {finding.limit:.6g}"
    if finding.limit is None:
        return f"from {finding.low:.6g}"
    if finding.low == finding.limit:
        return f"{finding.low:.6g}"
    return f"{finding.low:.6g} to {finding.limit:.6g}"


# -- the table ----------------------------------------------------------------


def _table(findings: tuple[Finding, ...]) -> Iterator[str]:
    alike: dict[Finding, list[str]] = {}
    sources: dict[str, dict[str, None]] = {}
    for finding in findings:
        names = alike.setdefault(dataclasses.replace(finding, channel=None), [])
        names.append("all together" if finding.channel is None else finding.channel)
        if finding.source:
            sources.setdefault(finding.source, {})[finding.rule] = None
    rows: list[tuple[str, ...]] = [
        ("verdict", "rule", "channel", "value", "limit", "unit", "", "")
    ]
    rows += [_cells(finding, names) for finding, names in alike.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (
            cell.rjust(width) if i in _NUMBERS else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(padded).rstrip()
    for heading, of_range in (("limits:", False), ("ranges:", True)):
        lines = [
            f"  {', '.join(rules)}: {source}"
            for source, rules in sources.items()
            if any(rule.startswith(_RANGE) for rule in rules) is of_range
        ]
        if lines:
            yield heading
            yield from lines


_NUMBERS = (3, 4, 6)  # columns


def _cells(finding: Finding, names: list[str]) -> tuple[str, ...]:
    others = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return (
        finding.verdict,
        finding.rule,
        ", ".join(names[:2]) + others,
        "-" if finding.value is None else f"{finding.value:.4g}",
        _ends(finding)
        if finding.is_range
        else "-"
        if finding.limit is None
        else f"{finding.limit:.6g}",
        finding.unit,
        _percent(finding),
        finding.note,
    )


def _percent(finding: Finding) -> str:
    if finding.value is None or not finding.limit or finding.is_range:
        return ""
    return f"{100 * finding.value / finding.limit:.3g} %"
