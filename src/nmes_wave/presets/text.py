"""A preset in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nmes_wave.presets.values import Omission, SourcedRange, SourcedValue

if TYPE_CHECKING:
    from nmes_wave.presets.preset import Preset

#: Over what is assumed and over what is left out; both must not be missed.
ASSUMED = "ASSUMED: no source gives these values"
OMITTED = "NOT IN THE PROTOCOL, though the study did it"
#: Of a preset with one size of electrode.
TWO_ELECTRODES = (
    "electrodes: two of the size for each channel, an assumption unless a source says "
    "so; densities are those of the smallest, however many there are"
)


def in_full(preset: Preset) -> str:
    """Return all that is known of a preset."""
    published = [v for v in preset.values if v.kind != "assumed"]
    sections = {
        "Published": [line for v in published for line in told(v)],
        "Ranges to hold a protocol against": [
            line for r in preset.ranges for line in told(r)
        ],
        "Yours to give": [str(parameter) for parameter in preset.parameters],
        ASSUMED: [line for v in preset.assumptions for line in told(v)],
        OMITTED: [line for o in preset.omitted for line in told_omission(o)],
        "Not found": [str(missing) for missing in preset.not_found],
        "What the study found": (
            str(preset.evidence).splitlines() if preset.kind == "study" else []
        ),
        "The policy's indications that it touches": [
            str(touch) for touch in preset.indications
        ],
        "The policy's exclusions that it touches": [
            str(touch) for touch in preset.exclusions
        ],
        "References": [str(citation) for citation in preset.citations],
    }
    lines = [
        f"{preset.name} ({preset.status})",
        preset.title,
        f"population: {preset.population}",
        f"muscle: {preset.muscle}",
    ]
    if len(preset.channels) > 1:
        lines.append(f"channels: {', '.join(preset.channels)}")
    if has_one_size(preset):
        lines.append(TWO_ELECTRODES)
    for phase in preset.phases:
        lines.append(f"phase: {phase.name}" + f". {phase.note}" * bool(phase.note))
    for heading, body in sections.items():
        if body:
            lines += ["", heading, *(f"  {line}" for line in body)]
    return "\n".join(lines)


def has_one_size(preset: Preset) -> bool:
    """Whether it is built with electrodes of one size, which says not how many."""
    size = preset.value("electrode_size_cm")
    if preset.status == "entry":
        return False
    if size is None:
        return preset.value("electrode_diameter_cm") is not None
    return not isinstance(cast("tuple[object, ...]", size.value)[0], tuple)


def told(value: SourcedValue | SourcedRange) -> list[str]:
    """Return a value with its source, quote and note, a line each."""
    origin = f"  [{value.kind}; {value.source}]" if value.source else ""
    return [f"{value}{origin}", *_quoted(value.quote), *_noted(value.note)]


def told_omission(omission: Omission) -> list[str]:
    """Return what is left out with its source, quote and note, a line each."""
    line = f"{omission.what}  [{omission.source}]"
    return [line, *_quoted(omission.quote), *_noted(omission.note)]


def _quoted(quote: str) -> list[str]:
    return [f"    “{quote}”"] if quote else []


def _noted(note: str) -> list[str]:
    return [f"    {note}"] if note else []
