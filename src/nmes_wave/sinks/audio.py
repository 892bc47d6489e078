"""The audio sink: PortAudio calls the kernel's own C function.

No Python and no GIL is on the audio thread. sounddevice is imported when a
device is needed and not before: it fails on machines without PortAudio.
"""

from __future__ import annotations

import atexit
import os
import threading
from dataclasses import dataclass
from typing import Any, Literal

from nmes_wave._core import Engine
from nmes_wave.errors import SinkOpenError, SinkUnavailableError
from nmes_wave.output import Output

#: Closing a stream whose server has died never returns; after this it is left.
CLOSE_TIMEOUT_S = 2.0

#: Asked of a shared server, which has no deadline worth meeting: its calls come up
#: to 50 ms apart on a busy machine, more than its own default (35 ms) allows.
SHARED_LATENCY_S = 0.1

#: Host APIs whose devices carry our frames unchanged and for us alone.
_JACK = "JACK Audio Connection Kit"
_DIRECT_APIS = (_JACK, "ASIO", "Windows WDM-KS")

_Kind = Literal["output", "input"]

# One stream in a process, and none after one that would not close.
_lock = threading.Lock()
_owner: AudioSink | None = None
_stuck: str | None = None


@dataclass(frozen=True)
class AudioDevice:
    """One device of this machine, of its outputs or of its inputs.

    Attributes
    ----------
    index, name, host_api
        As PortAudio lists it.
    channels
        Output (input) channels.
    sample_rate_hz
        Its default rate.
    latency_s
        Its default low latency.
    direct
        True: frames arrive unchanged. False: a shared server mixes, scales and
        resamples them; not for electrodes.
    default
        Whether it is the default output (input).
    """

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate_hz: float
    latency_s: float
    direct: bool
    default: bool

    @property
    def full_name(self) -> str:
        """Name and host API, as records and calibrations tell it."""
        return f"{self.name} ({self.host_api})"


def devices() -> list[AudioDevice]:
    """Return the output devices of this machine.

    Raises
    ------
    SinkUnavailableError
        Without the PortAudio library.
    """
    return _devices("output")


def input_devices() -> list[AudioDevice]:
    """Return the input devices of this machine, for a loopback.

    Raises
    ------
    SinkUnavailableError
        Without the PortAudio library.
    """
    return _devices("input")


def _devices(kind: _Kind) -> list[AudioDevice]:
    sd = _sounddevice()
    apis = sd.query_hostapis()
    default = sd.default.device[kind]
    if default < 0:
        default = next((a[f"default_{kind}_device"] for a in apis if a["devices"]), -1)
    found = []
    for index, info in enumerate(sd.query_devices()):
        if info[f"max_{kind}_channels"] < 1:
            continue
        api = apis[info["hostapi"]]["name"]
        found.append(
            AudioDevice(
                index=index,
                name=info["name"],
                host_api=api,
                channels=info[f"max_{kind}_channels"],
                sample_rate_hz=info["default_samplerate"],
                latency_s=info[f"default_low_{kind}_latency"],
                direct=_is_direct(api, info["name"]),
                default=index == default,
            )
        )
    return found


def choose_device(name: str | int | None, kind: _Kind = "output") -> AudioDevice:
    """Return the device of that index or name (or part of it); None: the default.

    Parameters
    ----------
    name
        Of the device.
    kind
        Whether it is to be driven (``output``) or listened to (``input``).

    Raises
    ------
    SinkUnavailableError
        If there is none, or more than one.
    """
    found = devices() if kind == "output" else input_devices()
    if not found:
        raise SinkUnavailableError(
            f"no audio {kind} device on this machine; `nmes-wave devices` lists what "
            "there is"
        )
    listed = ", ".join(f"{d.index}: {d.name!r}" for d in found)
    if name is None:
        chosen = [d for d in found if d.default]
    elif isinstance(name, int) or name.isdecimal():
        chosen = [d for d in found if d.index == int(name)]
    else:
        chosen = [d for d in found if d.name == name] or [
            d for d in found if name.lower() in d.name.lower()
        ]
    if len(chosen) == 1:
        return chosen[0]
    what = f"no default {kind}" if name is None else f"no {kind} device {name!r}"
    if len(chosen) > 1:
        what = f"{len(chosen)} {kind} devices match {name!r}; give the index"
    raise SinkUnavailableError(f"{what}; there are {listed}")


class AudioSink:
    """Plays through an audio interface.

    Parameters
    ----------
    device
        Index, name or part of a name; None: the default output.
    shared
        Allows a device behind a shared server (PulseAudio, PipeWire, dmix,
        ``default``). Such a server acts after the kernel: it mixes other
        programs in, scales by its volume, copies channels, resamples, and may
        move the stream. Not for electrodes.

    Raises
    ------
    SinkUnavailableError
        Without PortAudio, without the device, for a shared device without
        `shared`, or while another audio session is open in this process.
    SinkOpenError
        If the device refuses rate, format or channels.
    """

    paced = True
    hardware = True

    def __init__(self, device: str | int | None = None, shared: bool = False) -> None:
        self.device = device
        self.shared = shared
        self.latency_s = 0.0
        self.device_name = "audio"
        self._stream: Any = None
        self._output: Output | None = None
        self._chosen: AudioDevice | None = None
        self._n_channels = 0

    def open(self, output: Output, n_channels: int, n_frames: int) -> None:
        """Choose the device and ask it about rate, format and channels."""
        with _lock:
            _refuse_another()
        sd = _sounddevice()
        chosen = choose_device(self.device)
        self._refuse_shared(chosen)
        if n_channels > chosen.channels:
            raise SinkOpenError(
                f"{chosen.name!r} has {chosen.channels} output channels, the plan "
                f"needs {n_channels}"
            )
        self._chosen, self._output, self._n_channels = chosen, output, n_channels
        self.device_name = chosen.full_name
        try:
            sd.check_output_settings(
                device=chosen.index,
                channels=n_channels,
                dtype=output.dtype,
                samplerate=output.sample_rate_hz,
                extra_settings=self._extra(sd),
            )
        except sd.PortAudioError as error:
            raise self._refused(error) from None

    def begin(self, engine: Engine) -> None:
        """Open the stream and let it call the kernel; it delivers silence."""
        global _owner
        sd = _sounddevice()
        assert self._output is not None
        assert self._chosen is not None
        with _lock:
            _refuse_another()
            try:
                stream = sd._StreamBase(
                    **self._ends(sd),
                    samplerate=self._output.sample_rate_hz,
                    blocksize=0,
                    callback=engine.callback_address,
                    finished_callback=sd._ffi.cast(
                        "PaStreamFinishedCallback*", engine.finished_address
                    ),
                    userdata=sd._ffi.cast("void *", engine.userdata_address),
                    wrap_callback=None,
                    dither_off=True,
                )
                # The stream's callback points into the engine: it lives as long.
                stream.nmes_wave_engine = engine
                self.latency_s = self._connect(engine, stream.latency)
                if self._chosen.host_api == _JACK:
                    # PortAudio says 0 of a stream that is not connected yet.
                    self.latency_s = max(self.latency_s, self._chosen.latency_s)
                engine.set_latency(self.latency_s)
                stream.start()
            except sd.PortAudioError as error:
                raise self._refused(error) from None
            self._stream = stream
            _owner = self

    def lost(self) -> str | None:
        """Return why the stream has ended by itself, None while it runs."""
        stream = self._stream
        if stream is not None and not stream.active:
            return "the device stopped asking for frames"
        return None

    def close(self) -> None:
        """Close the stream, in bounded time; what is queued is cut.

        PortAudio's stop, abort and close all cut what is queued, in the middle
        of a pulse: the session calls this only after silence has been played.
        """
        global _owner, _stuck
        stream, self._stream = self._stream, None
        if stream is None:
            return

        def end() -> None:
            stream.stop()
            stream.close()

        closer = threading.Thread(target=end, daemon=True, name="nmes-wave-close")
        closer.start()
        closer.join(CLOSE_TIMEOUT_S)
        with _lock:
            _owner = None
            if closer.is_alive():
                # The server has died under us: PortAudio hangs, and would again
                # when sounddevice closes everything at exit. Leak on purpose.
                _stuck = "an audio stream would not close (its server has gone?)"
                _leaked.append(stream)
                sd = _sounddevice()
                atexit.unregister(sd._exit_handler)

    def _ends(self, sd: Any) -> dict[str, Any]:
        """Return what sounddevice is told of the stream's end (or both)."""
        assert self._output is not None
        assert self._chosen is not None
        return {
            "kind": "output",
            "device": self._chosen.index,
            "channels": self._n_channels,
            "dtype": self._output.dtype,
            "latency": "low" if self._chosen.direct else SHARED_LATENCY_S,
            "extra_settings": self._extra(sd),
        }

    def _connect(self, engine: Engine, latency: Any) -> float:
        """Get the engine ready for a stream that is open, not yet started.

        `latency` is what sounddevice says of it; the output's is returned.
        """
        return float(latency)

    def _refuse_shared(self, chosen: AudioDevice) -> None:
        if not chosen.direct and not self.shared:
            raise SinkUnavailableError(
                f"{chosen.name!r} ({chosen.host_api}) is a shared device: its server "
                "mixes, scales and resamples after the limits have been applied, so it "
                "is not for electrodes; pass shared=True (--shared) to use it all "
                "the same, or choose a direct device (`nmes-wave devices`)"
            )

    def _extra(self, sd: Any) -> Any:
        assert self._chosen is not None
        if self._chosen.host_api == "Windows WASAPI" and not self.shared:
            return sd.WasapiSettings(exclusive=True)
        return None

    def _refused(self, error: Exception) -> SinkOpenError:
        assert self._output is not None
        assert self._chosen is not None
        text = str(error.args[0]) if error.args else str(error)
        return SinkOpenError(
            f"{self._chosen.name!r} refuses {self._n_channels} channels of "
            f"{self._output.dtype} at {self._output.sample_rate_hz:g} Hz: {text}; its "
            f"default rate is {self._chosen.sample_rate_hz:g} Hz"
        )


_leaked: list[Any] = []


def _refuse_another() -> None:
    # Before PortAudio is asked anything: after a fork, or with a server that has
    # died, it may answer nonsense or never.
    if _stuck is not None:
        raise SinkUnavailableError(
            f"{_stuck}; start a new process for another audio session"
        )
    if _owner is not None:
        raise SinkUnavailableError(
            "this process has an audio session already; close it first"
        )


def _forget_after_fork() -> None:
    # A child that ends would end its parent's stream: PortAudio's exit handler
    # talks to the server over the parent's connection.
    global _lock, _owner, _stuck
    _lock = threading.Lock()  # whoever held it is not here
    if _owner is None:
        return
    _leaked.append(_owner._stream)
    _owner._stream, _owner = None, None
    _stuck = "this process was forked from one with an audio session"
    atexit.unregister(_sounddevice()._exit_handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def _is_direct(api: str, name: str) -> bool:
    if api == "ALSA":
        # "USB Audio: - (hw:1,0)"; plughw, dmix, pulse, default, front are not
        return "(hw:" in name
    # exclusive mode, which `AudioSink` asks for unless it is to be shared
    return api in _DIRECT_APIS or api == "Windows WASAPI"


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError:
        raise SinkUnavailableError(
            "the PortAudio library is missing: install it (Debian, Ubuntu: apt install "
            "libportaudio2; Fedora: dnf install portaudio; macOS and Windows: it comes "
            "with the sounddevice package)"
        ) from None
    except ImportError as error:
        raise SinkUnavailableError(
            f"the sounddevice package cannot be imported ({error}): pip install "
            "sounddevice"
        ) from None
    return sounddevice
