"""The lines that ``run --control -`` obeys: cut out of bytes, and understood."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nmes_wave.cli._options import UsageError
from nmes_wave.cli._screen import printable

#: Longest line that is taken for a command, in bytes.
LONGEST_LINE = 4096

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Command:
    """A line that was understood; `value`, `channel`, `file` where it has them."""

    verb: str
    value: float = 0.0
    channel: int | None = None
    file: str = ""


def parse(line: bytes) -> Command:
    """Return the command that a line means.

    Parameters
    ----------
    line
        Without its line end.

    Raises
    ------
    UsageError
        If it means none.
    """
    if len(line) > LONGEST_LINE:
        raise UsageError(f"a line has at most {LONGEST_LINE} bytes")
    try:
        text = line.decode().strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8: byte {error.start + 1} of the line") from None
    verb, _, rest = text.partition(" ")
    verb, rest = verb.lower(), rest.strip()
    if verb == "intensity":
        return _intensity(rest.split())
    if verb == "load":
        if not rest or "\0" in rest:
            raise UsageError("load needs the path of a protocol file")
        return Command(verb, file=rest)
    if verb not in ("pause", "resume", "stop", "emergency", "feed", "status"):
        raise UsageError(
            "unknown command; there are intensity X [CHANNEL], pause, resume, stop, "
            "emergency, feed, status, load FILE"
        )
    if rest:
        raise UsageError(f"{verb} takes nothing after it")
    return Command(verb)


def _intensity(words: list[str]) -> Command:
    if not 1 <= len(words) <= 2:
        raise UsageError("intensity needs one number, and may have a channel's")
    # float() would take 0_1 for 1
    if not _NUMBER.fullmatch(words[0]):
        raise UsageError(f"intensity {printable(words[0][:20])!r}: not a number")
    channel = None
    if len(words) == 2:
        if not (words[1].isascii() and words[1].isdecimal() and len(words[1]) < 10):
            raise UsageError(
                f"channel {printable(words[1][:20])!r}: channels are numbers from 0"
            )
        channel = int(words[1])
    return Command("intensity", value=float(words[0]), channel=channel)


class Lines:
    """Cuts what arrives into lines.

    What exceeds the longest line is thrown away, but for one byte that lets
    `parse` see it.
    """

    def __init__(self) -> None:
        self._begun = b""

    def cut(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes."""
        *whole, last = data.split(b"\n")
        lines = []
        for part in whole:
            lines.append((self._begun + part)[: LONGEST_LINE + 1])
            self._begun = b""
        self._begun = (self._begun + last)[: LONGEST_LINE + 1]
        return lines
