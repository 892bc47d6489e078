"""A preset: a published protocol, its values, and the stimulus they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nmes_wave.errors import PresetError
from nmes_wave.presets import stimulus
from nmes_wave.presets.evidence import Citation, Evidence
from nmes_wave.presets.values import (
    Group,
    NotFound,
    Omission,
    Parameter,
    Phase,
    PresetKind,
    SourcedRange,
    SourcedValue,
    in_words,
    stated,
)
from nmes_wave.presets.vocabulary import FIELDS
from nmes_wave.spec import Channel, StimProtocol
from nmes_wave.spec._file import nearest

if TYPE_CHECKING:
    from nmes_wave.presets.policy import Touch

Status = Literal["complete", "partial", "entry"]

#: What must be sourced, each by one of the alternatives: first to be partial,
#: then, on top, to be complete. (Cycles make a burst; a burst has no width.)
_PARTIAL = (("rate_hz",), ("on_s",), ("off_s",), ("phase_width_us", "carrier_hz"))
_COMPLETE = (
    ("waveform",),
    ("phase_width_us", "cycles"),
    ("ramp_up_s",),
    ("contractions", "session_min", "main_stage_min"),
)

#: What `Preset.protocol` takes unless told: no current is published to be set.
EXAMPLE_AMPLITUDE_MA = 40.0


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published protocol, each value with its source.

    Parameters
    ----------
    name
        Name in the catalogue.
    kind
        ``study``; ``waveform``, whose `parameters` are the user's to choose; or
        ``range``, which holds no protocol but `ranges` to hold one against
        (``check(protocol, ranges=preset)``).
    title, population, muscle
        What it is, for whom, and what is stimulated.
    values
        All values, the assumed ones too, in the order of the vocabulary.
    not_found
        The fields that no text gives.
    parameters
        Fields that `protocol` must be given.
    ranges
        What a review recommends.
    groups
        The channels; those of a group share their values.
    phases
        States of a progressive protocol, in order of time; empty: one.
    omitted
        What the study did and the protocol does not contain.
    citations
        The study's own publications, then those that values come from.
    evidence
        What the study found.
    indications, exclusions
        Words of the policy that the population touches. They inform; they decide
        nothing.
    """

    name: str
    kind: PresetKind = "study"
    title: str
    population: str
    muscle: str
    values: tuple[SourcedValue, ...]
    not_found: tuple[NotFound, ...]
    parameters: tuple[Parameter, ...] = ()
    ranges: tuple[SourcedRange, ...] = ()
    groups: tuple[Group, ...]
    phases: tuple[Phase, ...] = ()
    omitted: tuple[Omission, ...] = ()
    citations: tuple[Citation, ...]
    evidence: Evidence
    indications: tuple[Touch, ...] = ()
    exclusions: tuple[Touch, ...] = ()

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
        return status_of(self.values)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(name for group in self.groups for name in group.channels)

    def value(self, field: str) -> SourcedValue | None:
        """Return the value of a field of the vocabulary; None without one.

        Where channels or phases differ, it is the first one's.
        """
        return next((v for v in self.values if v.field == field), None)

    def protocol(
        self,
        amplitude_ma: float | Mapping[str, float] = EXAMPLE_AMPLITUDE_MA,
        accept_assumptions: bool = False,
        *,
        phase: str | None = None,
        **overrides: Any,
    ) -> StimProtocol:
        """Return the protocol, its assumptions and changes in its description.

        Parameters
        ----------
        amplitude_ma
            Peak current, a number or one per channel name. Studies set it by what
            a subject tolerates, so none is prescribed: 40 mA is an example, for
            computation and test loads.
        accept_assumptions
            Needed for a partial preset.
        phase
            Which of `phases`; None: the first.
        **overrides
            Fields of the vocabulary to use instead of the preset's, such as
            ``contractions=3`` or ``interphase_gap_us=0``, on all channels; and the
            preset's `parameters`. Each changes itself alone: a number of
            contractions that was derived from the session's length stays, and the
            description says how long they take with other times.

        Raises
        ------
        PresetError
            For an entry; a partial preset without `accept_assumptions`; an
            `accept_assumptions` that is no bool; an amplitude for another channel;
            a phase that it does not have; an override that is no field, or none of
            this waveform; a field that is neither published nor assumed nor given.
        SpecError
            For a value out of range.
        """
        changes = stimulus.conformed(overrides)
        self._check_status(accept_assumptions, changes)
        chosen = self._phase(phase)
        settings = {
            group.muscle: stimulus.merged(self._settings(group, chosen), changes)
            for group in self.groups
        }
        for group_settings in settings.values():
            stimulus.check_settings(self.name, group_settings, changes)
        amplitudes = self._amplitudes(amplitude_ma)
        channels = tuple(
            stimulus.channel(name, settings[group.muscle], amplitudes[name])
            for group in self.groups
            for name in group.channels
        )
        told = self._retimed(channels, changes)
        return StimProtocol(
            name=self.name,
            channels=channels,
            description=self._describe(chosen, settings, changes, told),
        )

    def _check_status(self, accept: bool, changes: dict[str, Any]) -> None:
        """Refuse an entry, and a partial preset that is not accepted.

        A parameter that is given counts as sourced: its source is the user.
        """
        if not isinstance(accept, bool):
            raise PresetError(f"accept_assumptions = {accept!r}: must be True or False")
        if self.kind == "range":
            fields = dict.fromkeys(r.field for r in self.ranges)
            raise PresetError(
                f"{self.name} is a range, not a protocol: it gives no single "
                f"{', '.join(fields)}. Hold a protocol against it with "
                "check(protocol, ranges=…)"
            )
        if missing := [p.field for p in self.parameters if p.field not in changes]:
            raise PresetError(
                f"{self.name} is a waveform: no source gives these, so they are yours "
                "to give: " + ", ".join(f"{field}=…" for field in missing)
            )
        given = [p.field for p in self.parameters]
        status = status_of(self.values, given)
        if status == "entry":
            missing = unsourced(_PARTIAL + _COMPLETE, self.values, given)
            raise PresetError(
                f"{self.name} is an entry, not a protocol: no source gives "
                f"{', '.join(missing)}"
            )
        if status == "partial" and not accept:
            missing = unsourced(_COMPLETE, self.values, given)
            assumed = "; ".join(map(str, self.assumptions)) or "nothing"
            raise PresetError(
                f"{self.name} is partial: no source gives {', '.join(missing)}. With "
                f"accept_assumptions=True this is assumed: {assumed}"
            )

    def _phase(self, name: str | None) -> Phase | None:
        if name is None:
            return self.phases[0] if self.phases else None
        known = [phase.name for phase in self.phases]
        if name not in known:
            words = nearest(str(name), known) if known else "it has no phases"
            raise PresetError(f"{self.name}: no phase {name!r}; {words}")
        return self.phases[known.index(name)]

    def _settings(self, group: Group, phase: Phase | None) -> dict[str, Any]:
        return {
            v.field: v.value
            for v in self.values
            if v.group in ("", group.muscle)
            and v.phase in ("", phase.name if phase else "")
        }

    def _amplitudes(
        self, amplitude_ma: float | Mapping[str, float]
    ) -> Mapping[str, float]:
        if not isinstance(amplitude_ma, Mapping):
            return dict.fromkeys(self.channels, amplitude_ma)
        if {*amplitude_ma} != {*self.channels}:
            given = ", ".join(map(str, amplitude_ma)) or "no channel"
            raise PresetError(
                f"{self.name}: amplitude_ma is for {given}; the channels are "
                f"{', '.join(self.channels)}"
            )
        return amplitude_ma

    def _retimed(
        self, channels: tuple[Channel, ...], changes: dict[str, Any]
    ) -> list[str]:
        """Say how long derived contractions take with times of the user's."""
        count = self.value("contractions")
        timed = changes.keys() & {*stimulus.PERIOD}
        if not (timed and count and count.kind == "derived"):
            return []
        if "contractions" in changes:
            return []
        minutes = float(max(channel.exact_end_s for channel in channels) / 60)
        return [
            f"contractions were derived with the published times, not with "
            f"{', '.join(f for f in changes if f in timed)}: they now take "
            f"{in_words(minutes)} min"
        ]

    def _describe(
        self,
        phase: Phase | None,
        settings: dict[str, dict[str, Any]],
        changes: dict[str, Any],
        retimed: list[str],
    ) -> str:
        waveforms = {group["waveform"] for group in settings.values()}
        # A given width is per phase, whatever the printed one meant.
        moot = {"pulse_duration_meaning"} if "phase_width_us" in changes else set()
        assumed = [
            str(v)
            for v in self.assumptions
            if v.field not in changes.keys() | moot
            and any(map(FIELDS[v.field].applies, waveforms))
        ]
        changed = [stated(field, value) for field, value in changes.items()] + retimed
        parts = {
            "Phase": [phase.name] if phase else [],
            "Assumed": assumed,
            "Changed": changed,
            "Not in it": [omission.what for omission in self.omitted],
        }
        return ". ".join(
            [self.title]
            + [f"{name}: {'; '.join(told)}" for name, told in parts.items() if told]
        )

    def __str__(self) -> str:
        """All that is known, in plain text."""
        from nmes_wave.presets.text import in_full

        return in_full(self)


def status_of(values: Iterable[SourcedValue], given: Iterable[str] = ()) -> Status:
    """Return the status that these values make; see `Preset.status`.

    Parameters
    ----------
    values
        Sourced ones and assumed ones.
    given
        Fields that are as good as sourced.
    """
    values, given = [*values], [*given]
    if unsourced(_PARTIAL, values, given):
        return "entry"
    return "partial" if unsourced(_COMPLETE, values, given) else "complete"


def unsourced(
    needs: tuple[tuple[str, ...], ...],
    values: Iterable[SourcedValue],
    given: Iterable[str],
) -> list[str]:
    """Return what no source gives of `needs`."""
    sourced = {v.field for v in values if v.kind != "assumed"} | {*given}
    return [" or ".join(names) for names in needs if not sourced & {*names}]
