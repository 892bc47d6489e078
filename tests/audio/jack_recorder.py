"""Write what the outputs of JACK's `system` receive to standard output, as float32.

    python jack_recorder.py RATE CHANNELS

PortAudio 19.6 loses most samples of several channels in blocking reads from JACK,
hence a callback. The stream also plays silence: without any player the monitors
would repeat the last block of the last one for ever. It runs until it is killed.
"""

import collections
import ctypes
import ctypes.util
import sys
import time
from typing import Any

import numpy as np


def record(rate: int, channels: int) -> None:
    library = ctypes.CDLL(ctypes.util.find_library("portaudio"))
    library.PaJack_SetClientName(b"recorder")
    import sounddevice

    blocks: collections.deque[bytes] = collections.deque()

    def take(recorded: Any, played: Any, *_: object) -> None:
        blocks.append(bytes(recorded))
        played[:] = bytes(len(played))

    with sounddevice.RawStream(
        rate, channels=(2 * channels, channels), dtype="float32", callback=take
    ):
        while True:
            while blocks:
                block = np.frombuffer(blocks.popleft(), np.float32)
                monitors = block.reshape(-1, 2 * channels)[:, channels:]
                sys.stdout.buffer.write(monitors.tobytes())
            sys.stdout.buffer.flush()
            time.sleep(0.01)


if __name__ == "__main__":
    record(int(sys.argv[1]), int(sys.argv[2]))
