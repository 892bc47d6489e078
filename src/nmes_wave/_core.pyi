from typing import Any, Self, TypedDict

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

class _Snapshot(TypedDict):
    state: int
    fault: int
    tripped: int
    frame: int
    elapsed: float
    load: int
    in_flight: bool
    pulses: int
    capped: int
    underruns: int
    silent_frames: int
    intensity: tuple[float, ...]
    stage: tuple[int, ...]
    on_period: tuple[int, ...]

@disjoint_base
class CompiledPlan:
    def __new__(
        cls,
        sample_rate_hz: float,
        dtype: str,
        snap: bool,
        channels: list[dict[str, Any]],
        trigger: tuple[str, int, int, int] | None = None,
    ) -> Self: ...
    def render_into(self, block: NDArray[Any], start: int) -> None: ...
    def count_before(self, channel: int, frame: float) -> int: ...
    def fill_pulses(
        self,
        channel: int,
        ordinal: int,
        frame: NDArray[np.float64],
        stage: NDArray[np.int64],
        on_period: NDArray[np.int64],
        index: NDArray[np.int64],
        amplitude_ma: NDArray[np.float64],
        phase_width_us: NDArray[np.float64],
    ) -> None: ...
    def event_span(self, channel: int, ordinal: int) -> tuple[int, int]: ...

@disjoint_base
class Engine:
    def __new__(
        cls,
        core: CompiledPlan,
        n_frames: int,
        sample_rate_hz: float,
        *,
        packed: bool,
        slew_per_s: float,
        ramp_s: float,
        watchdog_s: float,
        trip: bool,
        cap_codes: list[int],
        ma_per_code: list[float],
        cap_total_ma: float,
        n_records: int = 0,
    ) -> Self: ...
    @property
    def callback_address(self) -> int: ...
    @property
    def finished_address(self) -> int: ...
    @property
    def userdata_address(self) -> int: ...
    @property
    def finished(self) -> bool: ...
    def set_latency(self, seconds: float) -> None: ...
    def set_initial_intensity(self, channel: int, value: float) -> None: ...
    def push(self, kind: int, channel: int = -1, value: float = 0.0) -> bool: ...
    def load(self, core: CompiledPlan, n_frames: int) -> bool: ...
    def trip(self, fault: int) -> None: ...
    def wind_down(self, fault: int) -> None: ...
    def catch_signal(self, number: int) -> bool: ...
    def release_signals(self) -> None: ...
    def feed(self) -> None: ...
    def process(self, block: NDArray[Any], frames: int, flags: int = 0) -> None: ...
    def begin_clock(self, block_frames: int) -> None: ...
    def end_clock(self) -> None: ...
    def forget_clock(self) -> None: ...
    @property
    def idle_s(self) -> float: ...
    @property
    def records_lost(self) -> int: ...
    def take_records(self) -> bytes: ...
    def snapshot(self) -> _Snapshot: ...
    def durations_ns(self) -> tuple[int, list[int]]: ...

def jitter_uniform(
    seed: int, channel: int, stage: int, on_period: int, k: int
) -> float: ...
