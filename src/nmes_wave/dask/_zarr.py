"""Arrays and sweeps as Zarr stores that say what they hold."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import dask.array as da
import dask.bag as db
import zarr
from dask.delayed import Delayed

from nmes_wave.dask._frames import array, chunk_frames_of
from nmes_wave.dask._sweep import SweepRow
from nmes_wave.errors import FormatError
from nmes_wave.files import file_path
from nmes_wave.plan import PULSE_DTYPE, Plan
from nmes_wave.record.sidecar import plan_entry

#: Of the attributes; a reader refuses what it does not know.
FORMAT = 1


def to_zarr(
    plan: Plan,
    store: Any,
    *,
    chunk_frames: int | None = None,
    compute: bool = True,
) -> Delayed | None:
    """Render a plan into a Zarr array, in parallel.

    The array's attributes hold the protocol as TOML, the output (sample rate,
    full scale, dtype), the limits, the channels' names, the hash of the plan, and
    versions: ``attributes["plan"]`` is what the record's sidecar says of a plan.

    Parameters
    ----------
    plan
        What to render.
    store
        A path, a URL, or any store that Zarr takes; every worker must reach it.
    chunk_frames
        Of the Zarr array, and of the tasks; see `array`.
    compute
        False: create the array, and return what fills it.

    Returns
    -------
    dask.delayed.Delayed or None
        None once it is written.

    Raises
    ------
    FormatError
        If something is there already: nothing is written over.
    SpecError
        If these are no plan and no number of frames.
    """
    chunk = chunk_frames_of(plan, chunk_frames)
    entry = plan_entry(plan.protocol, plan.output, plan.limits)
    try:
        target = zarr.create_array(
            _place(store),
            shape=(plan.n_frames, plan.n_columns),
            chunks=(chunk, plan.n_columns),
            dtype=plan.output.numpy_dtype,
            dimension_names=("frame", "channel"),
            attributes={**_header(), "plan": entry},
        )
    except (ValueError, OSError) as error:
        raise FormatError(f"{store}: {_reason(error)}") from error
    # Each task fills one whole chunk of the store: no lock.
    written: Delayed | None = da.store(
        array(plan, chunk), target, lock=False, compute=compute
    )
    return written


def sweep_to_zarr(rows: db.Bag, store: Any, *, compute: bool = True) -> db.Item | None:
    """Write a sweep into a Zarr group, each row where it was computed.

    The group of row 7 is ``"7"``: one array for each column of its pulse table,
    and attributes with the name, the error, the report and, as in `to_zarr`, the
    plan's description. The attribute ``rows`` of the whole lists index, name,
    passed and error; it is written last, so that a store without it is incomplete.

    Parameters
    ----------
    rows
        Of `sweep`, or a filter of it.
    store
        A path, a URL, or any store that Zarr takes; every worker must reach it.
    compute
        False: create the group, and return what fills it.

    Returns
    -------
    dask.bag.Item or None
        None once it is written.

    Raises
    ------
    FormatError
        If something is there already: nothing is written over.
    """
    place = _place(store)
    try:
        zarr.create_group(place, attributes=_header())
    except (ValueError, OSError) as error:
        raise FormatError(f"{store}: {_reason(error)}") from error
    written = rows.map(_write_row, place).reduction(
        list, functools.partial(_finish, place), split_every=False
    )
    return written.compute() if compute else written


def _write_row(row: SweepRow, store: Any) -> dict[str, Any]:
    line = {
        "index": row.index,
        "name": row.name,
        "passed": row.passed,
        "error": row.error,
    }
    attributes: dict[str, Any] = {**_header(), **line}
    attributes["report"] = row.report and row.report.to_dict()
    if row.protocol is not None:
        attributes["plan"] = plan_entry(row.protocol, row.output, row.limits)
    root = zarr.open_group(store, mode="r+")
    # The store is new, so what is here is a try of a worker that was lost.
    group = root.create_group(str(row.index), attributes=attributes, overwrite=True)
    for column in PULSE_DTYPE.names or ():
        group.create_array(
            column, data=row.pulses[column].copy(), dimension_names=("pulse",)
        )
    return line


def _finish(store: Any, parts: Iterable[list[dict[str, Any]]]) -> None:
    root = zarr.open_group(store, mode="r+")
    root.attrs["rows"] = [line for part in parts for line in part]


def _header() -> dict[str, Any]:
    software = ("nmes-wave", "numpy", "dask", "zarr")
    return {"format": FORMAT, "versions": {name: version(name) for name in software}}


def _place(store: Any) -> Any:
    """Return a store that means the same in every worker."""
    local = isinstance(store, os.PathLike) or (
        isinstance(store, str) and "://" not in store
    )
    return str(file_path(store).absolute()) if local else store


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
