"""Arrays and sweeps as Zarr stores that say what they hold."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask.array as da
import dask.bag as db
import zarr
from dask.delayed import Delayed, delayed
from zarr.abc.store import Store
from zarr.storage import StorePath

from nmes_wave.dask._frames import array, chunk_frames_of
from nmes_wave.dask._sweep import SweepRow
from nmes_wave.errors import FormatError, SpecError
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
    ``attributes["complete"]``, true, is written last: a store without it is
    incomplete, and has to be deleted before another try.

    Parameters
    ----------
    plan
        What to render.
    store
        A path, a URL, or a store of Zarr; every worker must reach it.
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
        If something is there already: nothing is written over. A directory must
        be empty, and in no Zarr array.
    SpecError
        If these are no plan, no number of frames and no place.
    """
    chunk = chunk_frames_of(plan, chunk_frames)
    place = _place(store)
    entry = plan_entry(plan.protocol, plan.output, plan.limits)
    try:
        target = zarr.create_array(
            place,
            shape=(plan.n_frames, plan.n_columns),
            chunks=(chunk, plan.n_columns),
            dtype=plan.output.numpy_dtype,
            dimension_names=("frame", "channel"),
            attributes={**_header(), "plan": entry},
        )
    except (ValueError, OSError) as error:
        raise FormatError(f"{store}: {_reason(error)}") from error
    # Each task fills one whole chunk of the store: no lock.
    filled = da.store(array(plan, chunk), target, lock=False, compute=False)
    written: Delayed = delayed(_complete)(target, filled)
    if not compute:
        return written
    written.compute()
    return None


def sweep_to_zarr(rows: db.Bag, store: Any, *, compute: bool = True) -> db.Item | None:
    """Write a sweep into a Zarr group, each row where it was computed.

    The group of row 7 is ``"7"``: one array for each column of its pulse table,
    and attributes with the name, the error, the report and, as in `to_zarr`, the
    plan's description. The attribute ``rows`` of the whole lists index, name,
    passed and error; it is written last: a store without it is incomplete, and has
    to be deleted before another try.

    Parameters
    ----------
    rows
        Of `sweep`, or a filter of it. Indices must be unique: sweeps that are put
        together with ``dask.bag.concat`` count from 0 each, and are refused.
    store
        A path, a URL, or a store of Zarr; every worker must reach it.
    compute
        False: create the group, and return what fills it.

    Returns
    -------
    dask.bag.Item or None
        None once it is written.

    Raises
    ------
    FormatError
        If something is there already: nothing is written over. A directory must
        be empty, and in no Zarr array. When computed: if an index repeats.
    SpecError
        If these are no bag and no place.
    """
    if not isinstance(rows, db.Bag):
        raise SpecError("rows", rows, "must be a Dask bag, as from sweep")
    place = _place(store)
    try:
        zarr.create_group(place, attributes=_header())
    except (ValueError, OSError) as error:
        raise FormatError(f"{store}: {_reason(error)}") from error
    numbers = db.from_sequence(range(rows.npartitions), npartitions=rows.npartitions)
    written = rows.map_partitions(_write_rows, numbers, place).reduction(
        list, functools.partial(_finish, place), split_every=False
    )
    return written.compute() if compute else written


def _complete(target: zarr.Array[Any], filled: Any) -> None:
    target.attrs["complete"] = True


def _write_rows(
    rows: Iterable[SweepRow], numbers: Iterable[int], store: Any
) -> list[dict[str, Any]]:
    (partition,) = numbers
    lines: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row.index in lines:
            raise _repeated(store, row.index)
        lines[row.index] = _write_row(row, partition, store)
    return list(lines.values())


def _write_row(row: SweepRow, partition: int, store: Any) -> dict[str, Any]:
    line = {
        "index": row.index,
        "name": row.name,
        "passed": row.passed,
        "error": row.error,
    }
    attributes: dict[str, Any] = {**_header(), **line, "partition": partition}
    attributes["report"] = row.report and row.report.to_dict()
    if row.protocol is not None:
        attributes["plan"] = plan_entry(row.protocol, row.output, row.limits)
    root = zarr.open_group(store, mode="r+")
    # What the same partition left is a try of a worker that was lost; what another
    # one wrote is another row. Two at the same moment are left to `_finish`.
    before = root.get(str(row.index))
    if before is not None and before.attrs.get("partition") != partition:
        raise _repeated(store, row.index)
    group = root.create_group(str(row.index), attributes=attributes, overwrite=True)
    for column in PULSE_DTYPE.names or ():
        group.create_array(
            column, data=row.pulses[column].copy(), dimension_names=("pulse",)
        )
    return line


def _finish(store: Any, parts: Iterable[list[dict[str, Any]]]) -> None:
    lines = [line for part in parts for line in part]
    for index, times in Counter(line["index"] for line in lines).items():
        if times > 1:
            raise _repeated(store, index)
    root = zarr.open_group(store, mode="r+")
    root.attrs["rows"] = lines


def _repeated(store: Any, index: int) -> FormatError:
    return FormatError(
        f"{store}: two rows have the index {index}, and would be one group; make one "
        "sweep of all protocols"
    )


def _header() -> dict[str, Any]:
    software = ("nmes-wave", "numpy", "dask", "zarr")
    return {"format": FORMAT, "versions": {name: version(name) for name in software}}


def _place(store: Any) -> Any:
    """Return a store that means the same in every worker, and holds nothing."""
    if isinstance(store, (Store, StorePath)):
        return store
    if not isinstance(store, (str, os.PathLike)) or not os.fspath(store):
        # Zarr takes None and a dict for memory, that no other process sees.
        raise SpecError("store", store, "must be a path, a URL or a store of Zarr")
    if isinstance(store, str) and "://" in store:
        return store
    path = file_path(store).absolute()
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            reason = "exists and is no empty directory; nothing is written over"
            raise FormatError(f"{store}: {reason}")
        for parent in path.parents:
            if _is_array(parent):
                raise FormatError(f"{store}: is inside the Zarr array {parent}")
    except OSError as error:
        raise FormatError(f"{store}: {_reason(error)}") from error
    return str(path)


def _is_array(path: Path) -> bool:
    if (path / ".zarray").exists():  # Zarr's format 2
        return True
    try:
        node = json.loads((path / "zarr.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(node, dict) and node.get("node_type") == "array"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
