"""A duplex device without a device: what it plays comes back over a cable."""

from __future__ import annotations

import threading

import numpy as np

from nmes_wave.sinks.audio import AudioDevice
from nmes_wave.sinks.loopback import LoopbackSink

BLOCK = 512
DEVICE = AudioDevice(3, "USB Audio (hw:1,0)", "ALSA", 4, 48000.0, 0.01, True, True)


class SimulatedLoopback(LoopbackSink):
    """Asks for frames as fast as it can; hears them `delay` frames later.

    `cable` makes of what was played, (frames, channels) of full scale, what is heard.
    """

    paced = False
    delay = 700
    breaks_at = None

    @staticmethod
    def cable(played):
        return played

    def open(self, output, n_channels, n_frames):
        self._output, self._n_channels = output, n_channels
        self._chosen = self._heard = DEVICE
        self.device_name = self.input_name = DEVICE.full_name
        self._inputs = [*range(n_channels)]
        self._n_inputs, self._n_frames = n_channels, n_frames
        self._check_size(output)

    def begin(self, engine):
        self.latency_s = self._connect(engine, (0.005, 0.005))
        self._stream = self
        self.active = True
        self._thread = threading.Thread(target=self._run, args=(engine,))
        self._thread.start()

    def _run(self, engine):
        n = self._n_channels
        line = np.zeros((self.delay, n), np.float32)
        packed = np.empty((BLOCK, 3 * n), np.uint8)
        while self.active:
            source = np.ascontiguousarray(self.cable(line[:BLOCK]), np.float32)
            engine.process(packed, BLOCK, 0, source)
            low, middle, high = packed.astype(np.int32).reshape(-1, 3).T
            codes = low | middle << 8 | high << 16
            codes -= (codes >> 23) << 24
            played = (codes / 2**23).reshape(BLOCK, n)
            line = np.concatenate([line[BLOCK:], played])
            if self.breaks_at is not None and engine.captured >= self.breaks_at:
                self.active = False

    def close(self):
        if self._stream is not None:
            self._stream, self.active = None, False
            self._thread.join()
