"""What `check` found: rules, verdicts, and the report of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

#: Findings about a published range have this before the quantity's name.
RANGE = "range_"
#: The one finding that is information and has no limit.
SHANNON_K = "shannon_k"


class Rule(NamedTuple):
    """Unit, source of the default limit, and what helps."""

    unit: str
    source: str  # of the default
    remedy: str


RULES = {
    "amplitude_ma": Rule("mA", "a choice", "lower amplitude_ma"),
    "phase_width_us": Rule(
        "µs",
        "the widest published protocol here, Yoshida in Conley et al. 2021",
        "shorten phase_width_us",
    ),
    "charge_per_phase_uc": Rule(
        "µC",
        "the maximum of a certified stimulator, RehaStim2",
        "lower amplitude_ma or shorten the phase",
    ),
    "rate_hz": Rule("Hz", "a choice", "lower the rate of the train"),
    "rms_ma": Rule(
        "mA",
        "IEC 60601-2-10, as two makers quote it",
        "lower amplitude_ma, the phase width or the rate",
    ),
    "rms_density_ma_cm2": Rule(
        "mA/cm²",
        "a notice of IEC 60601-2-10, read as r.m.s.",
        "lower amplitude_ma, the phase width or the rate, or use larger electrodes",
    ),
    "power_density_w_cm2": Rule(
        "W/cm²",
        "FDA 1999, Powered Muscle Stimulator 510(k)s, note 6",
        "lower amplitude_ma, the phase width or the rate, or use larger electrodes",
    ),
    "net_dc_ua": Rule(
        "µA",
        "the baseline guard of Digitimer's DS5",
        "use a balanced event, or lower amplitude_ma or the rate",
    ),
    "total_current_ma": Rule(
        "mA",
        "a choice",
        "lower amplitude_ma, or keep channels apart by phase_deg or start_s",
    ),
}


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
        return self.rule.startswith(RANGE)

    @property
    def is_information(self) -> bool:
        """Whether it is told without being held against anything."""
        return self.rule == SHANNON_K

    def describe(self) -> str:
        """Say the finding in one line, and for a FAIL what to do."""
        where = "over all channels" if self.channel is None else f"on {self.channel}"
        if self.is_information:
            return f"{self.rule} {where}: {self.value:.3g}, {self.note} ({self.source})"
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
            text += f"; {RULES[self.rule].remedy}"
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
        verdicts = [f.verdict for f in self.findings if not f.is_information]
        counts = [
            f"{verdicts.count(verdict)} {verdict}"
            for verdict in (Verdict.FAIL, Verdict.CAUTION, Verdict.NOT_EVALUATED)
            if verdict in verdicts
        ]
        outcome = "passed" if self.passed else "failed"
        return ", ".join([f"{self.protocol}: {outcome}", *counts])


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
        if finding.is_information:
            continue
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
            if any(rule.startswith(RANGE) for rule in rules) is of_range
        ]
        if lines:
            yield heading
            yield from lines
    told = [finding for finding in findings if finding.is_information]
    if told:
        yield max(told, key=lambda finding: finding.value or 0.0).describe()


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
