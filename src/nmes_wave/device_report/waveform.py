"""What kind of waveform an event is: rows 1, 2 and 8."""

from __future__ import annotations

from collections.abc import Iterator

from nmes_wave.device_report.quantity import given
from nmes_wave.device_report.rows import Entry, Row, words
from nmes_wave.spec import Burst, CustomPulse, Event, Pulse


def waveform_row(event: Event, alternates: bool) -> Row:
    """Return row 1; `alternates`: the polarity, from event to event."""
    text = _waveform(event)
    if alternates:
        text += "; alternating polarity: every second one is negated"
    return Row(number="1", name="Waveform", entries=(words(text),))


def shape_row(event: Event) -> Row:
    """Return row 2."""
    return Row(number="2", name="Shape", entries=(words(_shape(event)),))


def phases_row(event: Event) -> Row:
    """Return row 8."""
    return Row(
        number="8",
        name="Multiphasic waveforms only: symmetrical phases, phase duration",
        entries=tuple(_phases(event)),
    )


def symmetrical(event: Event) -> bool:
    """Whether the second phase is the first one negated."""
    if isinstance(event, Pulse):
        same = event.effective_recovery_shape == event.shape
        return event.balanced and same and event.recovery_ratio == 1
    if isinstance(event, Burst):
        return True
    sides: dict[bool, list[tuple[float, float, float]]] = {True: [], False: []}
    for start, stop, a, b in event.segments():
        if a or b:
            sides[a + b > 0].append((stop - start, abs(a), abs(b)))
    return sides[True] == sides[False]


def _waveform(event: Event) -> str:
    if isinstance(event, Burst):
        return "bursts of a biphasic carrier, symmetrical (alternating current)"
    symmetry = "symmetrical" if symmetrical(event) else "asymmetrical"
    balance = "charge-balanced" if event.balanced else "not charge-balanced"
    n = 1 + event.balanced
    if isinstance(event, CustomPulse):
        n = len(_widths(event))
    if n == 1:
        return f"pulsed monophasic, {balance}"
    kind = "biphasic" if n == 2 else f"multiphasic, {n} phases"
    return f"pulsed {kind}, {symmetry}, {balance}"


def _shape(event: Event) -> str:
    if isinstance(event, Burst):
        return f"{event.shape} carrier"
    if isinstance(event, CustomPulse):
        return f"custom: {len(event.points)} points joined by straight lines"
    first = event.shape.replace("_", " ")
    second = event.effective_recovery_shape.replace("_", " ")
    if not event.balanced or first == second:
        return first
    return f"{first}, recovery phase {second}"


def _widths(event: Event) -> list[float]:
    """Return the widths of the phases; of a burst those of one cycle."""
    if isinstance(event, CustomPulse):
        return [width for width, area in event.lobes() if area]
    if isinstance(event, Burst):
        return [event.phase_width_us] * 2
    second = [event.recovery_width_us] if event.balanced else []
    return [event.phase_width_us, *second]


def _phases(event: Event) -> Iterator[Entry]:
    widths = _widths(event)
    if len(widths) == 1:
        yield words("not applicable: monophasic")
        return
    same = symmetrical(event)
    yield Entry(label="symmetrical phases", value=same, text="yes" if same else "no")
    if same and len(widths) == 2:
        text = given(widths[0], "µs")
        yield Entry(label="phase duration", value=widths[0], unit="µs", text=text)
        return
    for i, width in enumerate(widths, 1):
        text = given(width, "µs")
        if i == 2 and isinstance(event, Pulse):
            text += f", at {event.recovery_level:.4g} of the first one's peak"
        yield Entry(label=f"duration of phase {i}", value=width, unit="µs", text=text)
