"""The report: what it says, independent of how it is written."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from nmes_wave.device_report.guidance import GUIDANCE, NOTES, STATEMENTS
from nmes_wave.device_report.integers import NetCodes, net_codes
from nmes_wave.device_report.modes import Mode, modes_of
from nmes_wave.device_report.quantity import given, one_line
from nmes_wave.device_report.rows import Row
from nmes_wave.device_report.specification import Specification
from nmes_wave.device_report.tracings import Tracing, titles, tracings
from nmes_wave.device_report.unit import Device, unit_rows
from nmes_wave.errors import FormatError, SpecError
from nmes_wave.grid import snapped_protocol
from nmes_wave.limits import Limits, check
from nmes_wave.plan import Plan
from nmes_wave.plot.captions import clock
from nmes_wave.report import Report
from nmes_wave.spec import Stage, StimProtocol
from nmes_wave.spec._fields import Range, Spec

_WIDTHS = {
    "area": "as described: each phase has the described area",
    "snap": "rounded to whole frames, as the output delivers them; all that follows "
    "is of these, not of the described ones",
}


@dataclass(frozen=True, kw_only=True)
class DeviceReport(Spec):
    """The tables of the FDA's guidance of 1999 for what a plan delivers.

    Attachment II of the Guidance Document for Powered Muscle Stimulator 510(k)s:
    section 1, tracings; section 2, basic unit characteristics; section 3, output
    specifications, one table for each output mode. Computed, not measured; not a
    submission; and the software is not a medical device.

    Parameters
    ----------
    plan
        What is delivered. Its channels' electrodes give the densities.
    compliance_v
        Highest voltage of the current source, 1e-3 to 1e6 V: current into a
        resistor R is ``min(I, compliance_v / R)``.
    tolerance_percent
        Of output voltage and current, as the maker states it; None: the report
        says that it is not known.
    device
        Rows that no software can tell; left out, they are blanks.
    date
        Of the report; None: the day of ``SOURCE_DATE_EPOCH``, else today (UTC).
    command
        How it was made.

    Raises
    ------
    SpecError
        For a value out of range.

    Notes
    -----
    An *output mode* is a distinct setting of event, train, envelope, ON and OFF
    time and amplitude. Stages that differ in nothing else (repeats, phase of the
    train, seed) are one mode, whatever their channels; densities take the
    smallest electrode among these.

    R.m.s. and power density are those of `check`, the fullest one second, over
    all on-periods, stages and passes of the mode. Of an output with
    ``edges="snap"`` modes, tables, tracings and check are those of the widths that
    it delivers, in whole frames. The same report has the same bytes.
    """

    plan: Plan
    compliance_v: Annotated[float, Range(ge=1e-3, le=1e6, unit="V")]
    tolerance_percent: Annotated[float, Range(ge=0, unit="%")] | None = None
    device: Device = field(default_factory=Device)
    date: datetime.date | None = None
    command: str = ""

    @cached_property
    def modes(self) -> tuple[Mode, ...]:
        """The output modes."""
        return modes_of(self._delivered)

    @cached_property
    def _delivered(self) -> StimProtocol:
        """The protocol, with the widths that the output delivers."""
        plan = self.plan
        if plan.output.edges == "snap":
            return snapped_protocol(plan.protocol, plan.output)
        return plan.protocol

    @cached_property
    def unit(self) -> tuple[Row, ...]:
        """The rows of section 2."""
        return unit_rows(self.plan, self.modes, self.device, version("nmes-wave"))

    def specification(self, mode: Mode) -> tuple[Row, ...]:
        """Return the sixteen rows of a mode."""
        return Specification(
            mode=mode,
            compliance_v=self.compliance_v,
            tolerance_percent=self.tolerance_percent,
            net_codes=self._net_codes(mode),
            described=tuple(stage.event for _, stage in self._described(mode)),
            coupling=self.plan.output.coupling,
        ).rows()

    def _net_codes(self, mode: Mode) -> NetCodes:
        channel, stage = self._described(mode)[0]
        return net_codes(self.plan, stage, channel)

    def _described(self, mode: Mode) -> list[tuple[int, Stage]]:
        """Return the stages of a mode as described, each with its channel."""
        numbers = ((self._delivered.channels.index(u.channel), u) for u in mode.uses)
        channels = self.plan.protocol.channels
        return [(c, channels[c].stages[use.stage]) for c, use in numbers]

    def tracings(self, mode: Mode) -> list[Tracing]:
        """Return the tracings of a mode."""
        return [*tracings(mode, self.compliance_v, self.plan.output)]

    @property
    def n_tracings(self) -> int:
        """Tracings of all modes."""
        return sum(len(titles(mode)) for mode in self.modes)

    @cached_property
    def check(self) -> Report:
        """What is delivered of the protocol, against the plan's limits."""
        return check(self._delivered, self.plan.limits)

    @property
    def title(self) -> str:
        """The protocol's name on one line."""
        return one_line(self.plan.protocol.name)

    def header(self) -> dict[str, str]:
        """Return what the report begins with: names and texts."""
        plan = self.plan
        scales = dict.fromkeys(plan.output.full_scales_ma(plan.n_channels))
        return {
            "Protocol": self.title,
            "Guidance": GUIDANCE,
            "Date": (self.date or _today()).isoformat(),
            "Made by": f"nmes_wave {version('nmes-wave')}",
            "Command": one_line(self.command, 1000) or "made by a program",
            "Channels": "; ".join(_electrodes(plan)),
            "Length": f"{clock(plan.duration_s)}, {plan.n_pulses:,} pulses",
            "Output": (
                f"{plan.output.sample_rate_hz:g} Hz, {plan.output.dtype}, "
                f'edges="{plan.output.edges}", {plan.output.coupling.upper()}-coupled, '
                f"full scale {', '.join(f'{s:.6g}' for s in scales)} mA (declared)"
            ),
            "Widths": _WIDTHS[plan.output.edges],
            "Compliance voltage": f"{given(self.compliance_v, 'V')} (given)",
            "Limits": _limits(plan.limits),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the whole report as plain data, tracings included."""
        return {
            "kind": "device report",
            "format": 1,
            "title": self.title,
            "statements": [*STATEMENTS],
            "header": self.header(),
            "compliance_v": self.compliance_v,
            "tolerance_percent": self.tolerance_percent,
            "modes": [
                {
                    "number": mode.number,
                    "name": mode.name,
                    "channels": [*mode.channels],
                    "settings": mode.settings(),
                    "electrode_area_cm2": mode.smallest_area_cm2,
                    "tracings": [t.to_dict() for t in self.tracings(mode)],
                    "specification": [r.to_dict() for r in self.specification(mode)],
                }
                for mode in self.modes
            ],
            "unit": [row.to_dict() for row in self.unit],
            "notes": [*NOTES],
            "check": self.check.to_dict(),
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    def save(
        self, path: str | Path, drawn: Callable[[int], None] = lambda n: None
    ) -> None:
        """Write the report: HTML, Markdown or JSON, by the file's suffix.

        Parameters
        ----------
        path
            ``.html``: one file that needs nothing else. ``.md``: the tables, and
            an SVG file for each tracing beside it. ``.json``: every number.
        drawn
            Called with the number of tracings that are done.

        Raises
        ------
        FormatError
            For another suffix, or a file that cannot be written.
        """
        from nmes_wave.device_report.markdown import markdown
        from nmes_wave.device_report.page import page

        path = Path(path)
        suffix = check_suffix(path)
        files: dict[str, str] = {}
        if suffix == ".json":
            text = self.to_json()
        elif suffix == ".md":
            text, files = markdown(self, path.stem, drawn)
        else:
            text = page(self, drawn)
        try:
            for name, content in files.items():
                (path.parent / name).write_text(content, "utf-8")
            path.write_text(text, "utf-8")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise FormatError(f"{path}: {reason}") from None


def check_suffix(path: Path) -> str:
    """Return the suffix of a report, in small letters, or raise `FormatError`."""
    suffix = path.suffix.lower()
    if suffix not in (".html", ".md", ".json"):
        told = f"unknown suffix {path.suffix}" if suffix else "no suffix"
        raise FormatError(f"{path}: {told}; a report is .html, .md or .json")
    return suffix


def _today() -> datetime.date:
    """Return the day of ``SOURCE_DATE_EPOCH`` (reproducible-builds.org), else today."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    utc = datetime.UTC
    if not epoch:
        return datetime.datetime.now(utc).date()
    try:
        return datetime.datetime.fromtimestamp(int(epoch), utc).date()
    except (ValueError, OverflowError, OSError):
        words = "must be a whole number of seconds since 1970"
        raise SpecError("SOURCE_DATE_EPOCH", epoch, words) from None


def _electrodes(plan: Plan) -> list[str]:
    texts = []
    for channel in plan.protocol.channels:
        areas = " and ".join(given(e.area_cm2, "cm²") for e in channel.electrodes)
        text = f"electrodes of {areas}" if areas else "no electrodes given"
        texts.append(f"{one_line(channel.name)}: {text}")
    return texts


def _limits(limits: Limits) -> str:
    names = (name for name in Limits.names() if Limits.named(name) == limits)
    name = next(names, None)
    if name is None:
        return "given"
    return f"{name}{' (for computation only)' * (name == 'unlimited')}"
