"""What a record says beside what the plan says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

#: Examples kept of each finding.
EXAMPLES = 5


@dataclass
class Finding:
    """How many events share a fault, and the first of them in words."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a record says beside what the plan says; made by `compare`.

    Attributes
    ----------
    delivered : int
        Events that were delivered.
    matched : int
        Those of them that are as planned.
    missing : int
        Planned events that the session passed over or left out.
    extra : int
        Events that are not in the plan.
    wrong : int
        Events that are in the plan, but not like this: amplitude, duration,
        polarity, net charge, place in the protocol, or moment.
    unconfirmed : int
        Events that an underrun or the loss of the device leaves open.
    silent : int
        Planned events that fell where the intensity, or intensity × envelope,
        was below one code: nothing was to be delivered.
    not_reached : int
        Planned events after the session had been stopped, had faulted, or
        was killed.
    superseded : int
        Planned events after another plan had been loaded.
    records_lost : int
        Rows that the record itself lacks.
    truncated : bool
        The record's last line was cut.
    full_intensity : bool
        Every event was delivered at intensity 1; else amplitudes were judged
        against planned amplitude × recorded intensity.
    same_plan : bool
        The plan is the recorded one, by its hash.
    findings : dict of str to Finding
        The faults by name, each with its number and its first examples.
    """

    delivered: int
    matched: int
    missing: int
    extra: int
    wrong: int
    unconfirmed: int
    silent: int
    not_reached: int
    superseded: int
    records_lost: int
    truncated: bool
    full_intensity: bool
    same_plan: bool
    findings: dict[str, Finding]

    @property
    def passed(self) -> bool:
        """Everything planned was delivered as planned, and nothing else."""
        return not (
            self.missing
            or self.extra
            or self.wrong
            or self.unconfirmed
            or self.not_reached
            or self.records_lost
            or self.truncated
        )

    def __str__(self) -> str:
        verdict = "PASS" if self.passed else "FAIL"
        if replace(self, not_reached=0).passed and not self.passed:
            verdict = "ENDED EARLY"
        lines = [
            f"{verdict}: {self.matched} of "
            f"{self.delivered} delivered events are as planned"
        ]
        if not self.full_intensity:
            lines.append("amplitudes judged against planned amplitude × intensity")
        if not self.same_plan:
            lines.append("the plan is not the recorded one (its hash differs)")
        for name, text in (
            ("missing", "planned events were not delivered"),
            ("extra", "events are not in the plan"),
            ("wrong", "events are not as planned"),
            ("unconfirmed", "events are unconfirmed: underrun, or device lost"),
            ("not_reached", "planned events were not reached"),
            ("superseded", "planned events came after another plan had been loaded"),
            ("silent", "planned events fell where the intensity was zero"),
            ("records_lost", "rows are missing in the record itself"),
        ):
            if number := getattr(self, name):
                lines.append(f"{number} {text}")
        if self.truncated:
            lines.append("the record's last line was cut")
        for name, finding in self.findings.items():
            lines.append(f"{name} ({finding.count}):")
            lines += [f"  {example}" for example in finding.examples]
            if finding.count > len(finding.examples):
                lines.append("  ...")
        return "\n".join(lines)


class Tally:
    """Counts while plans are gone through."""

    def __init__(self) -> None:
        self.findings: dict[str, Finding] = {}
        self.matched = self.wrong = 0
        self.silent = self.not_reached = self.superseded = 0

    def note(self, name: str, rows: NDArray[np.void], says: Sequence[str]) -> None:
        """Count rows under a name; `says` tells of the first few what is wrong."""
        if len(rows) == 0:
            return
        finding = self.findings.setdefault(name, Finding())
        finding.count += len(rows)
        for row, text in zip(rows, says, strict=False):
            if len(finding.examples) < EXAMPLES:
                finding.examples.append(f"{_place(row)}{text}")

    def count(self, name: str) -> int:
        """Return how many rows were counted under a name."""
        return self.findings[name].count if name in self.findings else 0


def _place(row: np.void) -> str:
    names = row.dtype.names or ()
    frame = row["plan_frame" if "plan_frame" in names else "frame"]
    return (
        f"channel {row['channel']}, stage {row['stage']}, on-period "
        f"{row['on_period']}, event {row['index']}, plan frame {frame:.3f}"
    )
