# The Python face of the live engine; part of `_core`, see there for the rules.

cdef int64_t longest_event(const Plan* plan) noexcept:
    """Frames that no event exceeds."""
    cdef double longest = 0, length
    cdef const Shape* shape
    cdef int c, i
    for c in range(plan.n_channels):
        for i in range(plan.channels[c].n_stages):
            shape = &plan.channels[c].stages[i].shape
            length = shape.length.hi
            if shape.kind == RECTANGULAR_PULSE or shape.kind == SHAPED_PULSE:
                length = shape.gap.hi + shape.width.hi * (1 + shape.recovery_ratio)
            longest = max(longest, length)
    return <int64_t>longest + 8           # partial frames, moved and rounded edges


cdef double largest_total_ma(const Plan* plan) noexcept:
    """What all channels at once could deliver."""
    cdef double total = 0, largest
    cdef int c, i
    for c in range(plan.n_channels):
        largest = 0
        for i in range(plan.channels[c].n_stages):
            largest = max(largest, plan.channels[c].stages[i].amplitude_ma)
        total += largest
    return total


cdef class _LoadedPlan:
    # Memory of a plan while an engine delivers it.
    cdef Loaded at
    cdef CompiledPlan core

    def __cinit__(
        self, CompiledPlan core, int64_t n_frames, int64_t number, double total_ma
    ):
        cdef Loaded* ld = &self.at
        cdef int n = core.plan.n_channels
        self.core = core
        ld.plan = &core.plan
        ld.n_frames = n_frames
        ld.number = number
        ld.voices = <Voice*>calloc(n, sizeof(Voice))
        ld.queue = <int*>calloc(n, sizeof(int))
        if ld.voices == NULL or ld.queue == NULL:
            raise MemoryError
        if largest_total_ma(ld.plan) > total_ma:
            ld.total.size = 2 * PART
            while ld.total.size < PART + longest_event(ld.plan):
                ld.total.size *= 2
            ld.total.ma = <double*>calloc(ld.total.size, sizeof(double))
            if ld.total.ma == NULL:
                raise MemoryError
        seek_voices(ld.plan, 0, ld.voices)
        queue_voices(ld)

    def __dealloc__(self):
        free(self.at.voices)
        free(self.at.queue)
        free(self.at.total.ma)


cdef class Engine:
    """A plan being delivered: what the delivering thread and Python share.

    Parameters
    ----------
    core
        The plan.
    n_frames
        Where it ends.
    sample_rate_hz
        Rate.
    packed
        int24 codes leave as three bytes, as PortAudio wants them.
    slew_per_s
        Largest change of intensity in a second.
    ramp_s
        Length of the ramp of a stop.
    watchdog_s
        Longest time between two feeds; 0: no watchdog.
    trip
        An underrun is a fault.
    cap_codes, ma_per_code
        Of each channel: the largest level, and what a code is worth.
    cap_total_ma
        Of all channels at any instant; infinite: none.
    n_records
        Room for so many records at least; 0: none are kept.
    """

    cdef Live* live
    cdef _LoadedPlan loaded
    cdef _LoadedPlan incoming
    cdef nw_thread thread
    cdef bint has_thread
    cdef Py_buffer heard

    def __cinit__(
        self,
        CompiledPlan core,
        int64_t n_frames,
        double sample_rate_hz,
        *,
        bint packed,
        double slew_per_s,
        double ramp_s,
        double watchdog_s,
        bint trip,
        list cap_codes,
        list ma_per_code,
        double cap_total_ma,
        int64_t n_records=0,
    ):
        cdef Live* lv = <Live*>calloc(1, sizeof(Live))
        cdef int i
        cdef int n = core.plan.n_channels
        self.live = lv
        if lv == NULL:
            raise MemoryError
        self.loaded = _LoadedPlan(core, n_frames, 0, cap_total_ma)
        lv.loaded = &self.loaded.at
        lv.gains = <Gain*>calloc(n, sizeof(Gain))
        lv.caps.level = <int64_t*>calloc(n, sizeof(int64_t))
        lv.caps.ma_per_code = <double*>calloc(n, sizeof(double))
        lv.now.tracks = <Track*>calloc(n, sizeof(Track))
        for i in range(3):
            lv.snapshots[i].tracks = <Track*>calloc(n, sizeof(Track))
        lv.scratch_frames = min(PART, max(4096 // n, 64))
        lv.scratch = calloc(lv.scratch_frames * core.plan.n_outputs, 4)
        if n_records > 0:
            lv.records.size = 1024
            while lv.records.size < n_records:
                lv.records.size *= 2
            lv.records.records = <Record*>malloc(lv.records.size * sizeof(Record))
            if lv.records.records != NULL:
                # Memory that is only promised would be fetched on the audio thread.
                memset(lv.records.records, 0xFF, lv.records.size * sizeof(Record))
        if (
            lv.gains == NULL
            or lv.caps.level == NULL
            or lv.caps.ma_per_code == NULL
            or lv.now.tracks == NULL
            or lv.scratch == NULL
            or lv.snapshots[0].tracks == NULL
            or lv.snapshots[1].tracks == NULL
            or lv.snapshots[2].tracks == NULL
            or (n_records > 0 and lv.records.records == NULL)
        ):
            raise MemoryError
        for i in range(n):
            lv.caps.level[i] = cap_codes[i]
            lv.caps.ma_per_code[i] = ma_per_code[i]
        lv.caps.total_ma = cap_total_ma
        lv.packed = packed
        lv.slew = slew_per_s / sample_rate_hz
        lv.ramp_frames = max(1, <int64_t>(ramp_s * sample_rate_hz))
        lv.watchdog_frames = <int64_t>(watchdog_s * sample_rate_hz)
        lv.long_event_frames = <int64_t>(0.020 * sample_rate_hz)
        lv.trip = trip
        lv.ns_per_frame = 1e9 / sample_rate_hz
        lv.middle = 1
        lv.front = 2

    def __dealloc__(self):
        cdef int i
        if self.live == NULL:
            return
        for i in range(1, NW_SIGNALS):
            self.release_signal(i)
        self.end_clock()
        if self.live.capture.samples != NULL:
            PyBuffer_Release(&self.heard)
        for i in range(3):
            free(self.live.snapshots[i].tracks)
        free(self.live.now.tracks)
        free(self.live.gains)
        free(self.live.caps.level)
        free(self.live.caps.ma_per_code)
        free(self.live.records.records)
        free(self.live.scratch)
        free(self.live)

    @property
    def callback_address(self):
        """Address of the PortAudio callback."""
        return <uintptr_t>&portaudio_callback

    @property
    def finished_address(self):
        """Address of the PortAudio finished callback."""
        return <uintptr_t>&portaudio_finished

    @property
    def userdata_address(self):
        """What both callbacks take as their user data."""
        return <uintptr_t>self.live

    @property
    def finished(self):
        """Whether PortAudio said that the stream has ended."""
        return nw_load(&self.live.finished) != 0

    def set_latency(self, double seconds):
        """Tell the output latency, which callbacks must not be later than."""
        self.live.latency_ns = <int64_t>(seconds * 1e9)

    def capture_into(self, samples, int64_t n_channels):
        """Keep what a duplex device hears, from the start on, until it is full.

        Before the device's first call. `samples` is C-contiguous float32 memory of
        whole frames, which the engine holds on to.
        """
        cdef int64_t frame_bytes = n_channels * <int64_t>sizeof(float)
        if self.live.capture.samples != NULL:
            raise ValueError("the input is captured already")
        PyObject_GetBuffer(
            samples, &self.heard, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE
        )
        if n_channels < 1 or self.heard.len == 0 or self.heard.len % frame_bytes != 0:
            length = self.heard.len
            PyBuffer_Release(&self.heard)
            raise ValueError(f"{length} bytes are no frames of {n_channels} channels")
        self.live.capture.n_channels = n_channels
        self.live.capture.size = self.heard.len // frame_bytes
        self.live.capture.samples = <float*>self.heard.buf

    @property
    def captured(self):
        """How many frames have been heard; those are written to no more."""
        return nw_load(&self.live.capture.n)

    @property
    def capture_gaps(self):
        """How many calls came with input that is not what the device heard."""
        return nw_load(&self.live.capture.gaps)

    def set_initial_intensity(self, int channel, double value):
        """Set where a channel begins; only before the start command."""
        if channel < 0 or channel >= self.loaded.core.plan.n_channels:
            raise IndexError(f"channel {channel}")
        self.live.gains[channel].origin = value
        self.live.gains[channel].target = value

    def push(self, int kind, int channel=-1, double value=0.0):
        """Queue a command; return False if the ring is full. One caller at a time."""
        return self.queue(kind, channel, value, NULL)

    cdef bint queue(self, int64_t kind, int64_t channel, double value, Loaded* loaded):
        cdef int64_t pushed = self.live.pushed
        cdef Command* cmd
        if pushed - nw_load(&self.live.popped) >= RING:
            return False
        cmd = &self.live.ring[pushed % RING]
        cmd.kind = kind
        cmd.channel = channel
        cmd.value = value
        cmd.asked = self.snapshot()["frame"]
        cmd.loaded = loaded
        nw_store(&self.live.pushed, pushed + 1)
        return True

    def load(self, CompiledPlan core, int64_t n_frames):
        """Queue another plan; return False if one is pending or the ring is full.

        It must have the first one's grid and channels. One caller at a time.
        """
        cdef _LoadedPlan plan
        if self.incoming is not None:
            if self.snapshot()["load"] != self.incoming.at.number:
                return False
            # the delivering thread has let go of the old one
            self.loaded = self.incoming
            self.incoming = None
        plan = _LoadedPlan(
            core, n_frames, self.loaded.at.number + 1, self.live.caps.total_ma
        )
        if not self.queue(LOAD, -1, 0.0, &plan.at):
            return False
        self.incoming = plan
        return True

    def trip(self, int fault):
        """Stop at once, for this reason unless there is one already; from any thread."""
        nw_compare_exchange(&self.live.emergency, NO_FAULT, fault)

    def ask_stop(self):
        """Queue the stop command where the ring has no room; from any thread."""
        nw_store(&self.live.stop_asked, 1)

    def wind_down(self, int fault):
        """Ramp to zero, and then stop for this reason; from any thread."""
        nw_compare_exchange(&self.live.winding_down, NO_FAULT, fault)

    def catch_signal(self, int number):
        """Let this signal trip the engine from C, before its handler in Python runs.

        Python runs handlers late while a call holds the GIL. Return False, and do
        nothing, for a signal that has no handler, or where another engine has it.
        """
        return nw_catch_signal(number, &self.live.emergency) == 0

    def release_signal(self, int number):
        """Give a signal back, if this engine has caught it."""
        if 0 < number < NW_SIGNALS:
            nw_release_signal(number, &self.live.emergency)

    def feed(self):
        """Tell the watchdog that the program is alive."""
        nw_store(&self.live.feeds, self.live.feeds + 1)

    def process(self, block, int64_t frames, int64_t flags=0, source=None):
        """Deliver `frames` frames into a writable C-contiguous buffer, without the GIL.

        `flags` are PortAudio's: 4 is an underrun. `source` is what a duplex device
        hears meanwhile, float32, of the channels that are captured; None: nothing.
        """
        cdef Py_buffer view, heard
        cdef const void* input = NULL
        cdef Py_ssize_t heard_bytes
        cdef const Plan* plan = &self.loaded.core.plan
        cdef int64_t frame_bytes = plan.n_outputs * (
            3 if self.live.packed else plan.sample_bytes
        )
        PyObject_GetBuffer(block, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            if frames < 0 or view.len < frames * frame_bytes:
                raise ValueError(
                    f"{frames} frames need {frames * frame_bytes} bytes, not {view.len}"
                )
            if source is not None:
                heard_bytes = frames * self.live.capture.n_channels * 4
                PyObject_GetBuffer(source, &heard, PyBUF_C_CONTIGUOUS)
                input = heard.buf
                if heard.len < heard_bytes:
                    raise ValueError(
                        f"{frames} frames need {heard_bytes} bytes of input, not "
                        f"{heard.len}"
                    )
            with nogil:
                live_process(self.live, input, view.buf, frames, flags)
        finally:
            if input != NULL:
                PyBuffer_Release(&heard)
            PyBuffer_Release(&view)

    def begin_clock(self, int64_t block_frames):
        """Deliver into nothing, paced by the clock, on a thread without the GIL."""
        if self.has_thread:
            raise ValueError("the clock runs already")
        self.live.clock_block = min(block_frames, self.live.scratch_frames)
        nw_store(&self.live.clock_running, 1)
        if nw_thread_begin(&self.thread, clock_main, self.live) != 0:
            raise OSError("no thread could be started")
        self.has_thread = True

    def end_clock(self):
        """End and join that thread; does nothing without one."""
        if not self.has_thread:
            return
        self.has_thread = False
        nw_store(&self.live.clock_running, 0)
        with nogil:
            nw_thread_join(self.thread)

    def forget_clock(self):
        """After a fork the thread is not there to be joined."""
        self.has_thread = False

    @property
    def idle_s(self):
        """Time since the device last asked for frames; 0 before it did."""
        cdef int64_t last = nw_load(&self.live.last_call_ns)
        return (nw_now_ns() - last) * 1e-9 if last else 0.0

    @property
    def records_lost(self):
        """How many records did not fit."""
        return nw_load(&self.live.records.lost)

    @property
    def has_record_room(self):
        """Whether a quarter of the records' ring is free; True without one."""
        cdef RecordRing* ring = &self.live.records
        cdef int64_t waiting = nw_load(&ring.pushed) - nw_load(&ring.popped)
        return ring.size == 0 or 4 * (ring.size - waiting) >= ring.size

    def take_records(self):
        """Return the records so far as bytes, and forget them; one caller at a time."""
        cdef RecordRing* ring = &self.live.records
        cdef int64_t n = records_in(ring)
        cdef int64_t first = ring.popped & (ring.size - 1)
        cdef int64_t straight = min(n, ring.size - first)
        cdef const char* rows = <const char*>ring.records
        if n == 0:
            return b""
        taken = (
            rows[first * sizeof(Record) : (first + straight) * sizeof(Record)]
            + rows[: (n - straight) * sizeof(Record)]
        )
        nw_store(&ring.popped, ring.popped + n)
        return taken

    def snapshot(self):
        """Return the newest status as a dict; one caller at a time."""
        cdef Live* lv = self.live
        cdef const Snapshot* s
        cdef int c
        if nw_load(&lv.middle) & FRESH:
            lv.front = nw_exchange(&lv.middle, lv.front) & ~<int64_t>FRESH
        s = &lv.snapshots[lv.front]
        n = self.loaded.core.plan.n_channels
        return {
            "state": s.state,
            "fault": s.fault,
            # asked for, perhaps not yet seen by the delivering thread
            "tripped": nw_load(&lv.emergency),
            "frame": s.frame,
            "elapsed": s.elapsed,
            "load": s.load,
            "in_flight": s.in_flight != 0,
            "pulses": s.pulses,
            "capped": s.capped,
            "underruns": s.underruns,
            "silent_frames": s.silent_frames,
            "intensity": tuple([s.tracks[c].intensity for c in range(n)]),
            "stage": tuple([s.tracks[c].stage for c in range(n)]),
            "on_period": tuple([s.tracks[c].on_period for c in range(n)]),
        }

    def durations_ns(self):
        """Return the longest callback and the counts of all, eight in each octave.

        Bucket i holds durations from ``(8 + i % 8) * 2**(i // 8)`` ns on.
        """
        cdef int i
        counts = [nw_load(&self.live.durations[i]) for i in range(BUCKETS)]
        return nw_load(&self.live.longest_ns), counts
