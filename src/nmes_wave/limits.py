"""Limits, and a protocol checked against them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from nmes_wave.errors import SpecError
from nmes_wave.exposure import ChannelExposure, total_current
from nmes_wave.limit_sets import SETS, Quoted
from nmes_wave.ranges import PublishedRange, PublishedRanges, is_quantity, quantities
from nmes_wave.report import RANGE, RULES, SHANNON_K, Finding, Report, Verdict
from nmes_wave.spec import StimProtocol
from nmes_wave.spec._fields import Range, Spec
from nmes_wave.spec._file import nearest

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
        return tuple(SETS)

    @classmethod
    def named(cls, name: str) -> Limits:
        """Return a named set.

        Each limit that differs from the defaults is a quotation; its source
        stands in the report. None of the sets is a statement of safety or of
        conformity with a standard.

        Parameters
        ----------
        name
            ``default``
                The same as ``Limits()``.
            ``powered-muscle-stimulator``
                What FDA's guidance of 1999 and the notice of IEC 60601-2-10
                say of output: 0.25 W/cm² and 2 mA/cm² r.m.s., and the 50 mA
                r.m.s. that two makers quote. Neither bounds the amplitude or
                the total: 100 mA and 200 mA are kept as choices, since a live
                session caps by them. The other rules are not evaluated.
            ``certified-device``
                The defaults with 0.1 W/cm² and 2 mA/cm² r.m.s., as a certified
                device limits itself (RehaStim2 manual 2.5c, p. 9).
            ``implant``
                The defaults with at most 0.025 µA of net current: 25 nA, "the
                industry's safety limit" of cochlear implants (Sit & Sarpeshkar
                2007). Nothing else in it is an implant's.
            ``unlimited``
                Evaluates nothing and is for computation only: a hardware sink
                refuses a plan that was built with it.

        Raises
        ------
        SpecError
            For an unknown name; it says the nearest one.
        """
        if name not in cls.names():
            words = nearest(str(name), [*cls.names()])
            raise SpecError("Limits.named", name, f"is no set of limits; {words}")
        return cls(**{f"max_{rule}": q.limit for rule, q in SETS[name].items()})

    def _quoted(self) -> dict[str, Quoted]:
        """Return each limit with its source.

        Sources are those of the named set that has most of these limits, so that
        they stay when one limit of a set is changed; of two, of the set that has
        most of the others' absence too.
        """
        given = {rule: getattr(self, f"max_{rule}") for rule in RULES}

        def in_common(of_set: dict[str, Quoted]) -> tuple[int, int]:
            same = [given[rule] for rule in RULES if given[rule] == of_set[rule].limit]
            return sum(limit is not None for limit in same), len(same)

        closest = max(map(_whole_set, SETS), key=in_common)
        return {
            rule: closest[rule]
            if limit == closest[rule].limit
            else Quoted(limit, "" if limit is None else "given")
            for rule, limit in given.items()
        }


def _whole_set(name: str) -> dict[str, Quoted]:
    return {
        rule: SETS[name].get(
            rule, Quoted(getattr(Limits, f"max_{rule}"), RULES[rule].source)
        )
        for rule in RULES
    }


_NO_LIMIT = "no limit set"
_NO_ELECTRODES = "no electrode area: give the channel its electrodes"
_NOT_FOR_SKIN = (
    "information only: fitted on neural-tissue contact electrodes (cat cortex); does "
    "not apply to skin"
)


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
        Its findings end, for each channel with electrodes, with Shannon's k
        (rule ``shannon_k``), which is information and has no limit. It was
        fitted on electrodes in contact with neural tissue and does not apply to
        skin.

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
    for rule, quoted in limits._quoted().items():
        if rule == "total_current_ma":
            yield _total(protocol, quoted)
            continue
        for name, exposure in exposures:
            value = None if quoted.limit is None else getattr(exposure, rule)
            yield _finding(rule, name, value, quoted)
    for name, exposure in exposures:
        if exposure.shannon_k is not None:
            yield _shannon(name, exposure.shannon_k)


def _finding(
    rule: str, channel: str | None, value: float | None, quoted: Quoted
) -> Finding:
    note = ""
    limit = quoted.limit
    if value is None or limit is None:
        verdict = Verdict.NOT_EVALUATED
        note = _NO_LIMIT if limit is None else _NO_ELECTRODES
    elif value > limit * (1 + ROUNDING):
        verdict = Verdict.FAIL
    elif value > 0 and value >= CAUTION_FROM * limit * (1 - ROUNDING):
        verdict = Verdict.CAUTION
    else:
        verdict = Verdict.PASS
    return Finding(
        rule=rule,
        channel=channel,
        value=value,
        limit=limit,
        unit=RULES[rule].unit,
        verdict=verdict,
        source=quoted.source,
        note=note,
    )


def _total(protocol: StimProtocol, quoted: Quoted) -> Finding:
    limit = quoted.limit
    if limit is None:
        return _finding("total_current_ma", None, None, quoted)
    total = total_current(protocol)
    finding = _finding("total_current_ma", None, total.bound_ma, quoted)
    if total.bound_ma <= total.reached_ma * (1 + ONE_TOTAL):
        return finding
    note = f"an upper bound, {total.reached_ma:.6g} mA is reached for certain"
    verdict = finding.verdict
    if verdict is Verdict.FAIL and total.reached_ma <= limit * (1 + ROUNDING):
        verdict = Verdict.CAUTION
    return dataclasses.replace(finding, verdict=verdict, note=note)


def _shannon(channel: str, k: float) -> Finding:
    return Finding(
        rule=SHANNON_K,
        channel=channel,
        value=k,
        limit=None,
        unit="",
        verdict=Verdict.NOT_EVALUATED,
        source="Shannon 1992, IEEE Trans Biomed Eng 39:424",
        note=_NOT_FOR_SKIN,
    )


# -- published ranges ---------------------------------------------------------


def _of_range(protocol: StimProtocol, row: PublishedRange) -> Iterator[Finding]:
    """Yield how each channel stands to a range: the value furthest outside."""
    low = -math.inf if row.low is None else float(row.low)
    high = math.inf if row.high is None else float(row.high)
    finding = Finding(
        rule=f"{RANGE}{row.field}",
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
