"""The loopback: what an audio interface plays, and what comes back into it.

One duplex stream, so that both directions have one clock: the frame that comes
in with a call of the device is kept at the place of the frame that goes out with
it. The round trip is then a number of frames, whatever Python does meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave._core import Engine
from nmes_wave.errors import SinkOpenError, SpecError
from nmes_wave.output import Output
from nmes_wave.sinks.audio import (
    SHARED_LATENCY_S,
    AudioDevice,
    AudioSink,
    _sounddevice,
    choose_device,
    input_devices,
)

#: The recording goes on for so long after the plan's end, beside twice what the
#: driver says of its latencies: what it says is a guess.
TAIL_S = 0.5
#: Memory is allocated before the stream begins, and touched.
MAX_RECORDING_BYTES = 2_000_000_000
#: Looked at so often while the tail comes in.
POLL_S = 0.02


class LoopbackSink(AudioSink):
    """Plays through an audio interface and records what comes back.

    For a cable or a sensing resistor between an output and an input. The
    recording begins with the frame that came in while the plan's frame 0 went
    out, and ends some time after the plan, or when it is closed.

    Parameters
    ----------
    output_device, input_device
        Index, name or part of a name; None: the default output, and the inputs
        of the output's device, or the default input where it has none.
    shared
        Allows devices behind a shared server, see `AudioSink`.
    input_channels
        Which inputs of the device hear the plan's channels, in their order,
        counted from 0; None: the first ones.

    Attributes
    ----------
    input_name : str
        The input device, once it is open.
    latencies_s : tuple of float
        What the driver says of its input and its output latency. What it takes
        in truth is found in the recording.

    Raises
    ------
    SpecError
        If the inputs are no list of different numbers from 0.
    """

    def __init__(
        self,
        output_device: str | int | None = None,
        input_device: str | int | None = None,
        shared: bool = False,
        input_channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(output_device, shared)
        self.input_device = input_device
        self.input_channels = None if input_channels is None else [*input_channels]
        if self.input_channels is not None:
            _check_inputs(self.input_channels)
        self.input_name = "audio"
        self.latencies_s = (0.0, 0.0)
        self._heard: AudioDevice | None = None
        self._inputs: list[int] = []
        self._n_inputs = 0
        self._n_frames = 0
        self._samples: NDArray[np.float32] | None = None
        self._engine: Engine | None = None

    # -- opening ---------------------------------------------------------------

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        """Choose both devices and ask them about rate, format and channels."""
        super().open(output, n_channels, n_frames)
        sd = _sounddevice()
        assert self._chosen is not None
        heard = self._choose_input(self._chosen)
        self._refuse_shared(heard)
        # a trigger's column is not listened to
        n_heard = n_channels - (output.trigger is not None)
        inputs = self.input_channels
        inputs = [*range(n_heard)] if inputs is None else inputs
        if len(inputs) != n_heard:
            raise SpecError(
                "input_channels",
                inputs,
                f"must be {n_heard}, one for each channel of the plan",
            )
        self._n_inputs = max(inputs) + 1
        if self._n_inputs > heard.channels:
            raise SinkOpenError(
                f"{heard.name!r} has {heard.channels} input channels (0 to "
                f"{heard.channels - 1}); input {max(inputs)} is asked for"
            )
        if heard.host_api != self._chosen.host_api:
            raise SinkOpenError(
                f"the output {self._chosen.full_name} and the input {heard.full_name} "
                "belong to two host APIs: one stream cannot have both. Choose devices "
                "of one, best two ends of one interface (`nmes-wave devices`)"
            )
        self._heard, self._inputs, self._n_frames = heard, inputs, n_frames
        self.input_name = heard.full_name
        try:
            sd.check_input_settings(
                device=heard.index,
                channels=self._n_inputs,
                dtype="float32",
                samplerate=output.sample_rate_hz,
                extra_settings=self._extra(sd),
            )
        except sd.PortAudioError as error:
            text = str(error.args[0]) if error.args else str(error)
            raise SinkOpenError(
                f"{heard.name!r} refuses {self._n_inputs} input channels at "
                f"{output.sample_rate_hz:g} Hz: {text}; its default rate is "
                f"{heard.sample_rate_hz:g} Hz"
            ) from None
        self._check_size(output)

    def _choose_input(self, chosen: AudioDevice) -> AudioDevice:
        if self.input_device is None:
            for device in input_devices():
                if device.index == chosen.index:
                    return device
        return choose_device(self.input_device, "input")

    def _check_size(self, output: Output) -> None:
        n_bytes = 4 * self._n_inputs * self._n_frames
        if n_bytes > MAX_RECORDING_BYTES:
            most_s = MAX_RECORDING_BYTES / 4 / self._n_inputs / output.sample_rate_hz
            raise SinkOpenError(
                f"a recording of {self._n_frames / output.sample_rate_hz:.0f} s of "
                f"{self._n_inputs} inputs needs {n_bytes / 1e9:.1f} GB of memory, at "
                f"most {MAX_RECORDING_BYTES / 1e9:g} GB is taken: play at most "
                f"{most_s:.0f} s of the plan (--contractions)"
            )

    def _ends(self, sd: Any) -> dict[str, Any]:
        out = super()._ends(sd)
        assert self._heard is not None
        ours = {
            "device": self._heard.index,
            "channels": self._n_inputs,
            "dtype": "float32",
            "latency": "low" if self._heard.direct else SHARED_LATENCY_S,
            "extra_settings": out["extra_settings"],
        }
        return {"kind": "duplex", **{key: (ours[key], out[key]) for key in ours}}

    def _connect(self, engine: Engine, latency: Any) -> float:
        self.latencies_s = (float(latency[0]), float(latency[1]))
        assert self._output is not None
        assert self._heard is not None
        tail_s = TAIL_S + 2 * (sum(self.latencies_s) + self._heard.latency_s)
        n = self._n_frames + math.ceil(tail_s * self._output.sample_rate_hz)
        # Not np.zeros: memory that is only promised would be fetched on the audio
        # thread.
        self._samples = np.full((n, self._n_inputs), 0, np.float32)
        engine.capture_into(self._samples, self._n_inputs)
        self._engine = engine
        return self.latencies_s[1]

    # -- the recording ---------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether all was recorded that there is room for: the plan and the tail."""
        return self._room > 0 and self._recorded == self._room

    @property
    def gaps(self) -> int:
        """How many blocks came in incomplete, by the driver's own word."""
        return 0 if self._engine is None else self._engine.capture_gaps

    def wait(self) -> bool:
        """Wait for what is still on its way, after the session has ended.

        Returns
        -------
        bool
            Whether the recording is complete; False if the device stopped
            before, or the session lasted longer than its plan would have.
        """
        left = self._room - self._recorded
        rate = 1.0 if self._output is None else self._output.sample_rate_hz
        deadline = time.monotonic() + 2 * left / rate + 1.0
        while not self.complete and time.monotonic() < deadline:
            if self._stream is None or self.lost() is not None:
                break
            time.sleep(POLL_S)
        return self.complete

    def recording(self) -> NDArray[np.float32]:
        """Return what was heard so far.

        Returns
        -------
        ndarray
            Shape ``(frames, channels)``, one column for each channel of the plan,
            in units of the input's full scale. Frame 0 came in while the plan's
            frame 0 went out.
        """
        if self._samples is None:
            return np.zeros((0, len(self._inputs)), np.float32)
        heard = self._samples[: self._recorded]
        if self._inputs == [*range(self._n_inputs)]:
            return heard
        return np.ascontiguousarray(heard[:, self._inputs])

    @property
    def _room(self) -> int:
        return 0 if self._samples is None else len(self._samples)

    @property
    def _recorded(self) -> int:
        return 0 if self._engine is None else self._engine.captured


def _check_inputs(inputs: list[int]) -> None:
    for number in inputs:
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise SpecError("input_channels", inputs, "must be whole numbers from 0 on")
    if not inputs or len({*inputs}) < len(inputs):
        raise SpecError(
            "input_channels", inputs, "must be different inputs, at least 1"
        )
