"""Stimuli in a few words."""

from __future__ import annotations

from nmes_wave.spec import Burst, Event, Pulse, Stage


def clock(seconds: float) -> str:
    """Return a time as ``2.5 s``, ``15 min 0 s`` or ``24 h 0 min``."""
    if seconds < 60:
        return f"{seconds:.4g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def plain(text: str, length: int) -> str:
    """Return the text on one line, cut to `length` characters."""
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1] + "…"


def event_words(event: Event) -> str:
    """Describe an event: its width and gap, or its carrier."""
    if isinstance(event, Burst):
        return f"{event.cycles} cycles of {event.carrier_hz:g} Hz, {event.shape}"
    if isinstance(event, Pulse):
        words = f"{event.phase_width_us:g} µs per phase"
        if event.interphase_gap_us:
            words += f", gap {event.interphase_gap_us:g} µs"
        if event.recovery_ratio != 1:
            words += f", recovery {event.recovery_ratio:g} times as long"
        return words if event.balanced else f"{words}, monophasic"
    return f"custom shape of {event.duration_us:g} µs"


def train_words(stage: Stage) -> str:
    """Describe an on-period: length, rate and ramps."""
    train, envelope = stage.train, stage.envelope
    rate = f"{train.rate_hz:g}"
    if train.rate_end_hz is not None:
        rate += f" to {train.rate_end_hz:g}"
    words = [f"{stage.on_period_s:g} s at {rate} Hz"]
    if train.n_let > 1:
        words.append(f"{train.n_let}-lets")
    for way, length_s in (("up", envelope.ramp_up_s), ("down", envelope.ramp_down_s)):
        if length_s:
            words.append(f"ramp {way} {length_s:g} s")
    return ", ".join(words)
