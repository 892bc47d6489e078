"""The file beside the table: what its columns mean, and what was delivered on what."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from nmes_wave.errors import FormatError, SpecError
from nmes_wave.limits import Limits
from nmes_wave.output import Output
from nmes_wave.record.rows import COLUMNS
from nmes_wave.spec import StimProtocol
from nmes_wave.spec._file import from_dict

#: Version of the format, of table and sidecar together.
FORMAT = 1
#: The part of the sidecar that describes no column.
SECTION = "nmes_wave"


@dataclass(frozen=True, kw_only=True)
class RecordFacts:
    """What stands in a record beside the plan.

    Parameters
    ----------
    device
        What was driven, as its driver names it.
    latency_s
        From the moment frames are handed over until they sound; at least 0.
    shared
        Whether a shared server stood between it and us.
    note
        The operator's.
    """

    device: str
    latency_s: float
    shared: bool = False
    note: str = ""


@dataclass(frozen=True)
class Start:
    """When a session was started (UTC), and at what intensity of each channel."""

    time: datetime
    intensity: tuple[float, ...] | None


def sidecar_path(path: Path) -> Path:
    """Return the place of the sidecar of a table."""
    return path.with_suffix(".json")


def plan_sha256(protocol: StimProtocol, output: Output) -> str:
    """Return the hash that names a plan.

    SHA-256 of the protocol's TOML followed by the output's fields as JSON with
    sorted keys, in UTF-8; both stand in the sidecar.
    """
    return _sha256(protocol.to_toml(), _output_fields(output))


def plan_entry(
    protocol: StimProtocol, output: Output, limits: Limits
) -> dict[str, Any]:
    """Return what a file says of a plan, whether it could be built or not."""
    return {
        "sha256": plan_sha256(protocol, output),
        "output": _output_fields(output),
        "limits": dataclasses.asdict(limits),
        "channels": [channel.name for channel in protocol.channels],
        "protocol_toml": protocol.to_toml(),
    }


def sidecar_text(
    plans: Sequence[dict[str, Any]],
    facts: RecordFacts,
    start: Start | None,
    device_lost: str | None,
) -> bytes:
    """Return the sidecar.

    Parameters
    ----------
    plans
        Entries, in the order of the loads.
    facts
        Of the device and the operator.
    start
        None: not yet.
    device_lost
        What a lost device said.
    """
    software = version("nmes-wave")
    document = {
        **COLUMNS,
        "StimulusPresentation": {
            "SoftwareName": "nmes_wave",
            "SoftwareVersion": software,
            "OperatingSystem": platform.platform(),
        },
        SECTION: {
            "format": FORMAT,
            "version": software,
            "start_time_utc": start and start.time.isoformat(timespec="microseconds"),
            "start_intensity": start and start.intensity,
            **dataclasses.asdict(facts),
            "device_lost": device_lost,
            "plans": list(plans),
        },
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    # Half a surrogate pair, from an undecodable device name, becomes its JSON escape.
    return text.encode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Sidecar:
    """A sidecar that was read and found good."""

    document: dict[str, Any]
    protocols: tuple[StimProtocol, ...]
    outputs: tuple[Output, ...]
    sha256: tuple[str, ...]


def read_sidecar(path: Path) -> Sidecar:
    """Read the sidecar at `path`.

    Raises
    ------
    FormatError
        If it is missing or not one, or if a plan in it is not the one that its
        hash was made of.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not JSON: {error}") from None
    section = document.get(SECTION) if isinstance(document, dict) else None
    if not isinstance(section, dict):
        raise FormatError(f"{path}: not the sidecar of a record: no {SECTION!r} in it")
    if section.get("format") != FORMAT:
        raise FormatError(
            f"{path}: format = {section.get('format')!r}: this version reads {FORMAT}"
        )
    plans = section.get("plans")
    if not isinstance(plans, list) or not plans:
        raise FormatError(f"{path}: {SECTION}.plans must be a list of at least one")
    read = []
    for i, entry in enumerate(plans):
        try:
            read.append(_read_plan(entry))
        except (FormatError, SpecError) as error:
            raise FormatError(f"{path}: {SECTION}.plans[{i}]: {error}") from None
    protocols, outputs, hashes = zip(*read, strict=True)
    if len({o.sample_rate_hz for o in outputs}) > 1 or (
        len({len(p.channels) for p in protocols}) > 1
    ):
        raise FormatError(f"{path}: the plans differ in sample rate or channels")
    start = section.setdefault("start_intensity", None)
    if start is not None and not _is_row(start, len(protocols[0].channels)):
        raise FormatError(f"{path}: start_intensity = {start!r}: one for each channel")
    return Sidecar(document, protocols, outputs, hashes)


def _read_plan(entry: Any) -> tuple[StimProtocol, Output, str]:
    if not isinstance(entry, dict):
        raise FormatError("must be an object")
    toml, fields, sha256 = map(entry.get, ("protocol_toml", "output", "sha256"))
    if not isinstance(toml, str) or not isinstance(fields, dict):
        raise FormatError("needs protocol_toml and output")
    if _sha256(toml, fields) != sha256:
        raise FormatError("protocol or output are not those that sha256 was made of")
    # a number or several: from_dict does not choose between the two
    scale = fields.get("full_scale_ma")
    output = from_dict(Output, {**fields, "full_scale_ma": 1.0}, "output")
    protocol = StimProtocol.from_toml(toml)
    output = dataclasses.replace(output, full_scale_ma=cast("float", scale))
    output.full_scales_ma(len(protocol.channels))
    return protocol, output, sha256


def _is_row(value: Any, n: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == n
        and all(isinstance(item, (int, float)) for item in value)
    )


def _output_fields(output: Output) -> dict[str, Any]:
    fields = dataclasses.asdict(output)
    return {name: value for name, value in fields.items() if value is not None}


def _sha256(toml: str, fields: dict[str, Any]) -> str:
    text = toml + json.dumps(fields, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
