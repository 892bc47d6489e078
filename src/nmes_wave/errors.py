"""The exceptions of ``nmes_wave``; this module imports nothing of the package.

::

    NmesWaveError
    ├── SpecError (also a ValueError)   a description that cannot be
    │   └── UnknownKeyError (also a FormatError)
    ├── FormatError                     a file that cannot be read or written
    ├── LimitError                      a protocol that a limit refuses
    ├── PresetError                     a preset that cannot become a protocol
    ├── StateError                      a call that the session's state forbids
    └── SinkError                       the output
        ├── SinkUnavailableError        not on this machine, or not for this plan
        ├── SinkOpenError               there, but it would not open
        └── SinkLostError               it went away, or broke, while delivering

``LimitError`` is not a ``ValueError``: a careless ``except ValueError`` must
not swallow a refusal for safety.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmes_wave.report import Report


class NmesWaveError(Exception):
    """Base of every error that this package raises on purpose."""


class SpecError(NmesWaveError, ValueError):
    """A description that cannot be.

    Parameters
    ----------
    field
        The field, with its class (``Pulse.phase_width_us``) or its place in a
        file (``channels[0].stages[1].event.phase_width_us``).
    value
        What was given.
    allowed
        What is allowed, in words and numbers.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(field, value, allowed)

    def __str__(self) -> str:
        return f"{self.field} = {_short(self.value)}: {self.allowed}"

    def under(self, place: str) -> SpecError:
        """Return the same error with its field placed under `place`."""
        return type(self)(f"{place}.{self.field}", self.value, self.allowed)


class FormatError(NmesWaveError):
    """A file that cannot be read or written, or a format that cannot hold it."""


class UnknownKeyError(SpecError, FormatError):
    """A key in a file that names no field; `allowed` suggests the nearest."""

    def __str__(self) -> str:
        return f"{self.field}: unknown key; {self.allowed}"


class LimitError(NmesWaveError):
    """A protocol that at least one limit refuses.

    Parameters
    ----------
    report
        The whole report, passed rules included.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(report)

    def __str__(self) -> str:
        failed = [f for f in self.report.findings if f.verdict == "FAIL"]
        return "; ".join(f.describe() for f in failed)


class PresetError(NmesWaveError):
    """A preset that does not exist or cannot become a protocol."""


class StateError(NmesWaveError):
    """A call that the session's state does not allow."""


class SinkError(NmesWaveError):
    """The output cannot be used."""


class SinkUnavailableError(SinkError):
    """The output does not exist here, or may not carry this plan."""


class SinkOpenError(SinkError):
    """The output exists but would not open as asked."""


class SinkLostError(SinkError):
    """The output went away, or failed, while delivering."""


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python prints at most 4300 digits
        text = f"a number of {int(value).bit_length()} bits"
    return text if len(text) <= 60 else text[:57] + "..."
