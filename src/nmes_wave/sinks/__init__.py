"""Where frames go.

Push sinks (`Sink`: file, memory, later a DAC) are fed blocks by the session;
pull sinks (`PullSink`: audio, null) call the kernel on the device's own thread.
Third parties add push sinks by the entry-point group ``nmes_wave.sinks``: each
entry point is a function of the text after the colon of ``"name:text"``.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from nmes_wave.errors import SinkUnavailableError
from nmes_wave.sinks.base import Sink
from nmes_wave.sinks.memory import MemorySink
from nmes_wave.sinks.pull import PullSink

__all__ = ["MemorySink", "PullSink", "Sink", "open_sink"]

#: Entry points that add sinks.
GROUP = "nmes_wave.sinks"


def open_sink(
    sink: str | Sink | PullSink,
    *,
    device: str | int | None = None,
    shared: bool = False,
) -> Sink | PullSink:
    """Return the sink of that name; an object that is one comes back as it is.

    Parameters
    ----------
    sink
        ``"audio"``, ``"null"``, ``"file:PATH"``, a name of the entry-point
        group ``nmes_wave.sinks``, or a sink.
    device, shared
        Of the audio sink.

    Raises
    ------
    SinkUnavailableError
        If there is no such sink.
    """
    if not isinstance(sink, str):
        if isinstance(sink, (Sink, PullSink)):
            return sink
        raise SinkUnavailableError(
            f"{sink!r} is no sink: it lacks the Sink protocol (open, write, close, "
            "paced, hardware)"
        )
    name, _, argument = sink.partition(":")
    if name == "audio" and not argument:
        from nmes_wave.sinks.audio import AudioSink

        return AudioSink(device, shared)
    if device is not None or shared:
        raise SinkUnavailableError(
            f"device and shared belong to the audio sink, not to {sink!r}"
        )
    if name == "null" and not argument:
        from nmes_wave.sinks.null import NullSink

        return NullSink()
    if name == "file" and argument:
        from nmes_wave.sinks.file import FileSink

        return FileSink(argument)
    for entry in entry_points(group=GROUP, name=name):
        made = entry.load()(argument)
        if isinstance(made, Sink):
            return made
        raise SinkUnavailableError(f"{entry.value} made {made!r}, which is no sink")
    known = ["audio", "null", "file:PATH", *entry_points(group=GROUP).names]
    raise SinkUnavailableError(f"no sink {sink!r}; there are {', '.join(known)}")
