# cython: language_level=3
"""The compiled core: a plan in C memory, rendering, and the live engine.

It imports nothing of the package. Rules for everything that an audio callback
can reach (`_charge`, `_timeline`, `_render`, `_guard`, `_record`, `_live`,
`_states`, `_deliver`):

1. ``noexcept nogil``: a plain ``cdef void`` would get an exception check that
   takes the GIL.
2. Silence first, then render.
3. No allocation, lock, system call, Python object or print.
4. Work is bounded by the block.
5. Times are computed from the event's index, never accumulated.
6. Memory is allocated before a stream starts and freed after it has closed.
"""


from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.math cimport M_PI, cos, sin
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from nmes_wave._charge cimport (
    ANCHOR,
    CUSTOM_PULSE,
    EXPONENTIAL_DECAY,
    EXPONENTIAL_RISE,
    HALF_SINE,
    RECTANGULAR,
    RECTANGULAR_PULSE,
    SHAPED_PULSE,
    SINE_BURST,
    SQUARE_BURST,
    TRIANGULAR,
    TRIANGULAR_BURST,
    Event,
    EventKind,
    PhaseShape,
    Segment,
    Shape,
    Wide,
)
from nmes_wave._deliver cimport (
    clock_main,
    live_process,
    portaudio_callback,
    portaudio_finished,
    queue_voices,
)
from nmes_wave._guard cimport PART
from nmes_wave._live cimport (
    BUCKETS,
    FRESH,
    LOAD,
    NO_FAULT,
    RING,
    Command,
    Gain,
    Live,
    Loaded,
    Snapshot,
    Track,
    nw_compare_exchange,
    nw_denormals_off,
    nw_denormals_restore,
    nw_exchange,
    nw_load,
    nw_now_ns,
    nw_store,
    nw_thread,
    nw_thread_begin,
    nw_thread_join,
)
from nmes_wave._record cimport Record, RecordRing, records_in
from nmes_wave._render cimport (
    AT_EVENT,
    AT_ON_PERIOD,
    AT_STAGE,
    FLOAT32,
    INT16,
    INT32,
    NO_TRIGGER,
    TILE_BYTES,
    Plan,
    Voice,
    render,
    seek_voices,
)
from nmes_wave._timeline cimport (
    COSINE,
    EXPONENTIAL,
    LINEAR,
    Channel,
    Cursor,
    Instant,
    Stage,
    advance,
    amplitude_at,
    level_of,
    make_event,
    move_to,
    on_period_number,
    seek,
    uniform,
    width_us_at,
)

cdef extern from "_portable.h" nogil:
    int nw_catch_signal(int number, int64_t* flag)
    void nw_release_signal(int number, int64_t* flag)
    enum:
        NW_SIGNALS

cdef dict KINDS = {
    "rectangular_pulse": RECTANGULAR_PULSE,
    "shaped_pulse": SHAPED_PULSE,
    "sine": SINE_BURST,
    "square": SQUARE_BURST,
    "triangular": TRIANGULAR_BURST,
    "custom": CUSTOM_PULSE,
}
cdef dict PHASE_SHAPES = {
    "rectangular": RECTANGULAR,
    "half_sine": HALF_SINE,
    "triangular": TRIANGULAR,
    "exponential_rise": EXPONENTIAL_RISE,
    "exponential_decay": EXPONENTIAL_DECAY,
}
cdef dict ENVELOPES = {"linear": LINEAR, "cosine": COSINE, "exponential": EXPONENTIAL}
cdef dict TRIGGERS = {
    "event": AT_EVENT,
    "on_period": AT_ON_PERIOD,
    "stage": AT_STAGE,
}
cdef dict FORMATS = {"int16": INT16, "int24": INT32, "int32": INT32, "float32": FLOAT32}


cdef Wide as_wide(object pair):
    cdef Wide w
    w.hi, w.lo = pair
    return w


cdef Instant as_instant(object pair):
    cdef Instant t
    t.whole, t.part = pair
    return t


cdef int64_t frames_touched(const Shape* shape):
    """Frames that an event of this shape touches at most."""
    cdef double length = shape.length.hi
    if shape.kind == RECTANGULAR_PULSE or shape.kind == SHAPED_PULSE:
        length = shape.width.hi * (1 + shape.recovery_ratio) + shape.gap.hi
    return <int64_t>length + 4    # cut at both ends, and each phase moved or rounded


cdef class CompiledPlan:
    """A protocol in C memory: immutable, seekable, rendered without the GIL.

    Parameters
    ----------
    sample_rate_hz
        Rate.
    dtype
        ``int16``, ``int24``, ``int32`` or ``float32``.
    snap
        Edges on the sample grid.
    channels
        One mapping for each channel, made by `nmes_wave.compiling`; lengths are in
        frames, instants as (whole, part), wide numbers as (high, low).
    trigger
        None, or what the further column marks: (at, channel, frames, code).
    """

    cdef Plan plan
    cdef Voice* voices        # where the last block ended, for the next one
    cdef int64_t at
    cdef int64_t busy

    def __cinit__(
        self,
        double sample_rate_hz,
        str dtype,
        bint snap,
        list channels,
        tuple trigger=None,
    ):
        cdef int c, s
        cdef int64_t longest
        self.plan.format = FORMATS[dtype]
        self.plan.sample_bytes = 2 if dtype == "int16" else 4
        self.plan.n_channels = len(channels)
        self.plan.n_outputs = self.plan.n_channels
        self.plan.trigger.at = NO_TRIGGER
        if trigger is not None:
            self.plan.n_outputs += 1
            at, self.plan.trigger.channel, frames, code = trigger
            self.plan.trigger.at = TRIGGERS[at]
            self.plan.trigger.n_frames = frames
            self.plan.trigger.code = code
        self.plan.channels = <Channel*>calloc(len(channels), sizeof(Channel))
        self.voices = <Voice*>calloc(len(channels), sizeof(Voice))
        if self.plan.channels == NULL or self.voices == NULL:
            raise MemoryError
        self.plan.tile_frames = max(
            64, TILE_BYTES // (self.plan.n_outputs * self.plan.sample_bytes)
        )
        for c in range(self.plan.n_channels):
            fill_channel(&self.plan.channels[c], sample_rate_hz, snap, channels[c])
            for s in range(self.plan.channels[c].n_stages):
                longest = frames_touched(&self.plan.channels[c].stages[s].shape)
                self.plan.event_tile_frames = min(
                    max(longest, self.plan.event_tile_frames), self.plan.tile_frames
                )
        self.at = -1

    def __dealloc__(self):
        cdef int c, s
        cdef Channel* ch
        if self.plan.channels != NULL:
            for c in range(self.plan.n_channels):
                ch = &self.plan.channels[c]
                if ch.stages == NULL:
                    continue
                for s in range(ch.n_stages):
                    free(ch.stages[s].shape.segments)
                free(ch.stages)
        free(self.plan.channels)
        free(self.voices)

    def render_into(self, block, int64_t start):
        """Fill a C-contiguous ``(frames, outputs)`` buffer from frame `start`.

        The caller checks dtype and shape; this checks the size in bytes.
        Releases the GIL; any number of threads may render at once.
        """
        cdef Py_buffer view
        cdef int64_t frames
        cdef int64_t frame_bytes = self.plan.n_outputs * self.plan.sample_bytes
        cdef unsigned mode
        PyObject_GetBuffer(block, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            frames = view.len // frame_bytes
            if frames * frame_bytes != view.len:
                raise ValueError(
                    f"a block of {view.len} bytes is not a whole number of frames of "
                    f"{frame_bytes} bytes"
                )
            with nogil:
                # the live engine's mode: the same bytes
                mode = nw_denormals_off()
                self.fill(view.buf, start, start + frames)
                nw_denormals_restore(mode)
        finally:
            PyBuffer_Release(&view)

    cdef void fill(self, void* out, int64_t start, int64_t stop) noexcept nogil:
        cdef Voice* own
        if nw_exchange(&self.busy, 1) == 0:
            # A block that follows the last one needs no search: 5 times faster
            # for 64 frames of 8 channels.
            if self.at != start:
                seek_voices(&self.plan, start, self.voices)
            render(&self.plan, self.voices, start, stop, out)
            self.at = stop
            nw_store(&self.busy, 0)
            return
        own = <Voice*>calloc(self.plan.n_channels, sizeof(Voice))
        if own == NULL:
            # out of memory: wait for the shared voices instead
            while nw_exchange(&self.busy, 1) != 0:
                pass
            seek_voices(&self.plan, start, self.voices)
            render(&self.plan, self.voices, start, stop, out)
            self.at = stop
            nw_store(&self.busy, 0)
            return
        seek_voices(&self.plan, start, own)
        render(&self.plan, own, start, stop, out)
        free(own)

    def count_before(self, int channel, double frame):
        """Return how many events of a channel have their onset before `frame`."""
        cdef Cursor cur
        seek(&self.plan.channels[channel], channel, frame, &cur)
        return cur.ordinal

    def fill_pulses(
        self,
        int channel,
        int64_t ordinal,
        double[::1] frame,
        int64_t[::1] stage,
        int64_t[::1] on_period,
        int64_t[::1] index,
        double[::1] amplitude_ma,
        double[::1] phase_width_us,
    ):
        """Fill the columns with the events of a channel from `ordinal` on."""
        cdef const Channel* ch = &self.plan.channels[channel]
        cdef const Stage* st
        cdef Cursor cur
        cdef Py_ssize_t i
        cdef Py_ssize_t n = frame.shape[0]
        if ordinal < 0 or ordinal + n > ch.n_events:
            raise IndexError(f"events {ordinal}..{ordinal + n} of {ch.n_events}")
        cdef unsigned mode
        with nogil:
            mode = nw_denormals_off()
            move_to(ch, channel, ordinal, &cur)
            for i in range(n):
                st = &ch.stages[cur.stage]
                frame[i] = cur.onset
                stage[i] = cur.stage
                on_period[i] = on_period_number(ch, &cur)
                index[i] = cur.k
                amplitude_ma[i] = amplitude_at(st, cur.lead)
                phase_width_us[i] = width_us_at(st, cur.lead)
                advance(ch, channel, &cur)
            nw_denormals_restore(mode)

    def event_span(self, int channel, int64_t ordinal):
        """Return the first frame of an event and the frame after its last."""
        cdef const Channel* ch = &self.plan.channels[channel]
        cdef Cursor cur
        cdef Event ev
        if ordinal < 0 or ordinal >= ch.n_events:
            raise IndexError(f"event {ordinal} of {ch.n_events}")
        move_to(ch, channel, ordinal, &cur)
        make_event(ch, &cur, 1.0, &ev)
        return ev.first, ev.first + ev.n


def jitter_uniform(seed, channel, stage, on_period, k):
    """Return the uniform number in [0, 1) that delays one event.

    The first output of Philox4x64-10 for key (seed, channel) and counter
    (k, on_period, stage, 0), its upper 53 bits.
    """
    return uniform(seed, channel, stage, on_period, k)


cdef int fill_channel(
    Channel* ch, double rate, bint snap, dict data
) except -1:
    cdef int s
    stages = data["stages"]
    ch.stages = <Stage*>calloc(len(stages), sizeof(Stage))
    if ch.stages == NULL:
        raise MemoryError
    ch.n_stages = len(stages)
    ch.repeats = data["repeats"]
    ch.begin = as_instant(data["begin"])
    ch.pass_length = as_instant(data["pass_length"])
    ch.full_scale_ma = data["full_scale_ma"]
    ch.max_code = data["max_code"]
    for s in range(ch.n_stages):
        ch.stages[s].first_ordinal = ch.events_per_pass
        fill_stage(&ch.stages[s], rate, snap, stages[s])
        ch.stages[s].full_level = level_of(ch, ch.stages[s].amplitude_ma, 1.0)
        ch.events_per_pass += (
            ch.stages[s].n_events * ch.stages[s].n_let * ch.stages[s].repeats
        )
    ch.n_events = ch.events_per_pass * ch.repeats
    return 0


cdef int fill_stage(Stage* st, double rate, bint snap, dict data) except -1:
    st.sample_rate_hz = rate
    st.amplitude_ma = data["amplitude_ma"]
    st.rate_hz = data["rate_hz"]
    st.sweeps = data["rate_end_hz"] is not None
    if st.sweeps:
        st.rate_end_hz = data["rate_end_hz"]
    st.has_first_interval = data["first_interval"] is not None
    if st.has_first_interval:
        st.first_interval = data["first_interval"]
    st.phase = data["phase"]
    st.jitter = data["jitter"]
    st.seed = data["seed"]
    st.n_events = data["n_events"]
    st.n_let = data["n_let"]
    st.n_let_interval = data["n_let_interval"]
    st.alternates = data["alternates"]
    st.repeats = data["repeats"]
    st.on_period_s = data["on_period_s"]
    st.on_period = data["on_period"]
    st.period = as_instant(data["period"])
    st.begin = as_instant(data["begin"])
    st.envelope = ENVELOPES[data["envelope"]]
    st.modulates_width = data["modulates_width"]
    st.ramp_up = data["ramp_up"]
    st.ramp_down = data["ramp_down"]
    st.start_level = data["start_level"]
    return fill_shape(&st.shape, rate, snap, data["shape"])


cdef int fill_shape(Shape* shape, double rate, bint snap, dict data) except -1:
    cdef int i
    shape.kind = KINDS[data["kind"]]
    shape.polarity = data["polarity"]
    shape.balanced = data["balanced"]
    shape.snap = snap
    shape.frames_per_us_1e6 = rate
    if shape.kind == RECTANGULAR_PULSE or shape.kind == SHAPED_PULSE:
        shape.first = PHASE_SHAPES[data["first"]]
        shape.second = PHASE_SHAPES[data["second"]]
        shape.mean = data["mean"]
        shape.second_mean = data["second_mean"]
        shape.recovery_ratio = data["recovery_ratio"]
        shape.width_us = data["width_us"]
        shape.width = as_wide(data["width"])
        shape.gap = as_wide(data["gap"])
        return 0
    shape.length = as_wide(data["length"])
    if shape.kind != CUSTOM_PULSE:
        shape.width_us = data["width_us"]
        shape.cycles = data["cycles"]
        shape.carrier = data["carrier"]
        shape.half_cycle = as_wide(data["half_cycle"])
        for i in range(ANCHOR):
            shape.cosine[i] = cos(2.0 * M_PI * shape.carrier * i)
            shape.sine[i] = sin(2.0 * M_PI * shape.carrier * i)
        return 0
    segments = data["segments"]
    shape.width_us = data["width_us"]
    # one more than there are pieces: its area is that of the whole event
    shape.segments = <Segment*>calloc(len(segments), sizeof(Segment))
    if shape.segments == NULL:
        raise MemoryError
    shape.n_segments = len(segments) - 1
    for i in range(len(segments)):
        start, area, level, half_slope = segments[i]
        shape.segments[i].start = as_wide(start)
        shape.segments[i].area = as_wide(area)
        shape.segments[i].level = as_wide(level)
        shape.segments[i].half_slope = as_wide(half_slope)
    return 0


include "_engine.pxi"
