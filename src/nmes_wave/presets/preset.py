"""A preset: a published protocol, its values, and the stimulus they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nmes_wave.errors import PresetError
from nmes_wave.presets.evidence import (
    Citation,
    Evidence,
    NotFound,
    SourcedValue,
    in_words,
    stated,
)
from nmes_wave.presets.vocabulary import EVENTS, FIELDS
from nmes_wave.spec import (
    Channel,
    DutyCycle,
    Electrode,
    Envelope,
    Stage,
    StimProtocol,
    Train,
)
from nmes_wave.spec._fields import conform, exact
from nmes_wave.spec._file import nearest

Status = Literal["complete", "partial", "entry"]

#: What must be sourced, each by one of the alternatives: first to be partial,
#: then, on top, to be complete. (Cycles make a burst; a burst has no width.)
_PARTIAL = (("rate_hz",), ("on_s",), ("off_s",), ("phase_width_us", "carrier_hz"))
_COMPLETE = (
    ("waveform",),
    ("phase_width_us", "cycles"),
    ("ramp_up_s",),
    ("contractions", "session_min"),
)
_REQUIRED = (
    "waveform",
    "rate_hz",
    "on_s",
    "off_s",
    "ramp_up_s",
    "ramp_down_s",
    "ramp_shape",
    "ramps_count_as_on",
)


#: Not published for any preset: what `Preset.protocol` takes unless told.
EXAMPLE_AMPLITUDE_MA = 40.0


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published protocol, each value with its source.

    Parameters
    ----------
    name
        Name in the catalogue.
    title, population, muscle
        What it is, for whom, and what is stimulated; the channel has the
        muscle's name.
    values
        All values, the assumed ones too, in the order of the vocabulary.
    not_found
        The fields that no text gives.
    citations
        The study's own publications, then those that values come from.
    evidence
        What the study found.
    """

    name: str
    title: str
    population: str
    muscle: str
    values: tuple[SourcedValue, ...]
    not_found: tuple[NotFound, ...]
    citations: tuple[Citation, ...]
    evidence: Evidence

    @property
    def assumptions(self) -> tuple[SourcedValue, ...]:
        """The values that are assumed, with the reasons in their notes."""
        return tuple(v for v in self.values if v.kind == "assumed")

    @property
    def status(self) -> Status:
        """How much is sourced; computed from the values.

        ``complete``: waveform, rate, width (or carrier and cycles), on, off,
        ramp-up, and number of contractions or session length. ``partial``:
        rate, on, off, and width or carrier. ``entry``: less.
        """
        if self._unsourced(_PARTIAL):
            return "entry"
        return "partial" if self._unsourced(_COMPLETE) else "complete"

    def value(self, field: str) -> SourcedValue | None:
        """Return the value of a field of the vocabulary; None without one."""
        return next((v for v in self.values if v.field == field), None)

    def protocol(
        self,
        amplitude_ma: float | Mapping[str, float] = EXAMPLE_AMPLITUDE_MA,
        accept_assumptions: bool = False,
        **overrides: Any,
    ) -> StimProtocol:
        """Return the protocol, its assumptions and changes in its description.

        Parameters
        ----------
        amplitude_ma
            Peak current, a number or one per channel name. Studies set it by what
            a subject tolerates, so none is published: 40 mA is an example, for
            computation and test loads.
        accept_assumptions
            Needed for a partial preset.
        **overrides
            Fields of the vocabulary to use instead of the preset's, such as
            ``contractions=3`` or ``interphase_gap_us=0``.

        Raises
        ------
        PresetError
            For an entry; a partial preset without `accept_assumptions`; an
            amplitude for another channel; an override that is no
            field, or none of this waveform; a field that is neither published
            nor assumed nor given.
        SpecError
            For a value out of range.
        """
        self._check_status(accept_assumptions)
        amplitude = self._amplitude(amplitude_ma)
        changes = _checked(overrides)
        settings: dict[str, Any] = {v.field: v.value for v in self.values} | changes
        self._check_settings(settings, changes)
        stage = self._stage(settings, amplitude)
        return StimProtocol(
            name=self.name,
            channels=(
                Channel(
                    name=self.muscle, stages=(stage,), electrodes=_electrodes(settings)
                ),
            ),
            description=self._describe(settings, changes),
        )

    def _unsourced(self, needs: tuple[tuple[str, ...], ...]) -> list[str]:
        sourced = {v.field for v in self.values if v.kind != "assumed"}
        return [" or ".join(names) for names in needs if not sourced & {*names}]

    def _check_status(self, accept_assumptions: bool) -> None:
        status = self.status
        if status == "entry":
            missing = ", ".join(self._unsourced(_PARTIAL + _COMPLETE))
            raise PresetError(
                f"{self.name} is an entry, not a protocol: no source gives {missing}"
            )
        if status == "partial" and not accept_assumptions:
            missing = ", ".join(self._unsourced(_COMPLETE))
            assumed = "; ".join(map(str, self.assumptions)) or "nothing"
            raise PresetError(
                f"{self.name} is partial: no source gives {missing}. With "
                f"accept_assumptions=True this is assumed: {assumed}"
            )

    def _amplitude(self, amplitude_ma: float | Mapping[str, float]) -> float:
        if not isinstance(amplitude_ma, Mapping):
            return amplitude_ma
        if [*amplitude_ma] != [self.muscle]:
            given = ", ".join(map(str, amplitude_ma)) or "no channel"
            raise PresetError(
                f"{self.name}: amplitude_ma is for {given}; the channels are "
                f"{self.muscle}"
            )
        return amplitude_ma[self.muscle]

    def _check_settings(
        self, settings: dict[str, Any], changes: dict[str, Any]
    ) -> None:
        waveform = settings.get("waveform")
        for field in changes:
            if not FIELDS[field].applies(waveform):
                raise PresetError(
                    f"{self.name}: {field} does not apply to the waveform {waveform}"
                )
        needed = [*_REQUIRED, *(EVENTS[waveform][1] if waveform else ())]
        missing = [field for field in needed if field not in settings]
        if not settings.keys() & {"contractions", "session_min"}:
            missing.append("contractions")
        if missing:
            raise PresetError(
                f"{self.name}: neither published nor assumed, so give them: "
                + ", ".join(f"{field}=…" for field in missing)
            )

    def _stage(self, settings: dict[str, Any], amplitude_ma: float) -> Stage:
        event_type, fields = EVENTS[settings["waveform"]]
        stage = Stage(
            event=event_type(**{field: settings[field] for field in fields}),
            train=Train(rate_hz=settings["rate_hz"]),
            envelope=Envelope(
                ramp_up_s=settings["ramp_up_s"],
                ramp_down_s=settings["ramp_down_s"],
                shape=settings["ramp_shape"],
            ),
            duty_cycle=DutyCycle(
                on_s=settings["on_s"],
                off_s=settings["off_s"],
                repeats=settings.get("contractions", 1),
                ramps_count_as_on=settings["ramps_count_as_on"],
            ),
            amplitude_ma=amplitude_ma,
        )
        if "contractions" in settings:
            return stage
        repeats = 60 * exact(settings["session_min"]) // stage.exact_period_s
        return replace(stage, duty_cycle=replace(stage.duty_cycle, repeats=repeats))

    def _describe(self, settings: dict[str, Any], changes: dict[str, Any]) -> str:
        # A given width is per phase, whatever the printed one meant.
        moot = {"pulse_duration_meaning"} if "phase_width_us" in changes else set()
        assumed = [
            str(v)
            for v in self.assumptions
            if v.field not in changes.keys() | moot
            and FIELDS[v.field].applies(settings["waveform"])
        ]
        parts = [self.title]
        if assumed:
            parts.append(f"Assumed: {'; '.join(assumed)}")
        if changes:
            changed = [stated(field, value) for field, value in changes.items()]
            parts.append(f"Changed: {'; '.join(changed)}")
        return ". ".join(parts)

    def __str__(self) -> str:
        """All that is known, in plain text."""
        published = [v for v in self.values if v.kind != "assumed"]
        sections = {
            "Published": [line for v in published for line in _told(v)],
            "ASSUMED: no text gives these": [
                line for v in self.assumptions for line in _told(v)
            ],
            "Not found": [str(missing) for missing in self.not_found],
            "What the study found": str(self.evidence).splitlines(),
            "References": [str(citation) for citation in self.citations],
        }
        lines = [
            f"{self.name} ({self.status})",
            self.title,
            f"population: {self.population}",
            f"muscle: {self.muscle}",
        ]
        for heading, body in sections.items():
            lines += ["", heading, *(f"  {line}" for line in body)]
        return "\n".join(lines)


def _told(value: SourcedValue) -> list[str]:
    origin = f"  [{value.kind}; {value.source}]" if value.source else ""
    quote = [f"    “{value.quote}”"] if value.quote else []
    note = [f"    {value.note}"] if value.note else []
    return [f"{value}{origin}", *quote, *note]


def _checked(overrides: dict[str, Any]) -> dict[str, Any]:
    allowed = [name for name, field in FIELDS.items() if field.builds]
    for name in overrides:
        if name not in allowed:
            raise PresetError(f"{name} cannot be overridden: {nearest(name, allowed)}")
    return {
        name: conform(name, value, FIELDS[name].hint)
        for name, value in overrides.items()
    }


def _electrodes(settings: dict[str, Any]) -> tuple[Electrode, ...]:
    # A channel has two terminals, so at least two electrodes; the number that a
    # study used is seldom printed, and the smallest alone counts for densities.
    size = settings.get("electrode_size_cm")
    if size is None:
        return ()
    width, height = size
    area = float(exact(width) * exact(height))
    return (Electrode(area_cm2=area, description=f"{in_words(size)} cm"),) * 2
