"""Plans as lazy arrays, and protocols by the thousand, on a Dask cluster.

Rendering is a pure function of plan and range, so every chunk of a plan can be
rendered anywhere, in any order. Needs the extra: ``pip install nmes-wave[dask]``.
"""

try:
    from nmes_wave.dask._frames import array, to_ma
    from nmes_wave.dask._sweep import SweepRow, sweep
    from nmes_wave.dask._zarr import sweep_to_zarr, to_zarr
except ImportError as _error:
    raise ImportError(
        f"nmes_wave.dask needs Dask and Zarr ({_error}); install them with "
        "`pip install nmes-wave[dask]`"
    ) from _error

__all__ = ["SweepRow", "array", "sweep", "sweep_to_zarr", "to_ma", "to_zarr"]
