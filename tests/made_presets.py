"""Preset files for tests: copies that may be spoiled, and some made from nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli_w

from nmes_wave.presets import Preset
from nmes_wave.presets.catalogue import Catalogue

#: The two whose copies tests may spoil.
TKA = "tka-stevens-lapsley-2012"
ACL = "acl-lieber-1996"
NAMES = (ACL, TKA)

Load = Callable[..., Preset]


def sourced(value: object, unit: str = "", **more: object) -> dict[str, Any]:
    return {
        "value": value,
        "unit": unit,
        "kind": "reported",
        "source": "a-2000, Methods",
        "quote": "so it says",
        **more,
    }


def study() -> dict[str, Any]:
    """Return a complete study with a single channel."""
    return {
        "title": "A study (A 2000)",
        "population": "people",
        "muscle": "quadriceps",
        "citations": ["a-2000"],
        "values": {
            "waveform": sourced("symmetrical biphasic"),
            "rate_hz": sourced(40.0, "Hz"),
            "phase_width_us": sourced(300.0, "µs"),
            "on_s": sourced(5.0, "s"),
            "off_s": sourced(10.0, "s"),
            "ramp_up_s": sourced(1.0, "s"),
            "session_min": sourced(30.0, "min"),
        },
        "not_found": dict.fromkeys(
            [
                "pulse_duration_meaning", "interphase_gap_us", "shape", "ramp_down_s",
                "ramp_shape", "ramps_count_as_on", "contractions", "sessions_per_day",
                "days_per_week", "weeks", "start", "intensity_target",
                "electrode_size_cm", "electrode_placement", "joint_position", "device",
            ],
            "",
        ),
        "evidence": {},
    }  # fmt: skip


def grouped(field: str, *values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "muscle": f"muscle {i}",
            "channels": [f"left {i}", f"right {i}"],
            "values": {field: value},
        }
        for i, value in enumerate(values)
    ]


def moved(data: dict[str, Any], *fields: str) -> list[dict[str, Any]]:
    """Take values out of a study, to be put elsewhere."""
    return [data["values"].pop(field) for field in fields]


class Copy:
    """A copy of the shipped files that a test may spoil."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.root)

    def edit(self, file: str, change: Callable[[dict[str, Any]], object]) -> Catalogue:
        path = self.root / f"{file}.toml"
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(tomli_w.dumps(data), encoding="utf-8")
        return self.catalogue

    def lose(self, file: str, *fields: str) -> Catalogue:
        """Make values of a preset not found."""

        def change(data: dict[str, Any]) -> None:
            for field in fields:
                del data["values"][field]
                data["not_found"][field] = ""

        return self.edit(file, change)
