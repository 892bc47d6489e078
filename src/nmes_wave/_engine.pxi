# The Python face of the live engine; part of `_core`, see there for the rules.

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
    """

    cdef Live* live
    cdef CompiledPlan core
    cdef nw_thread thread
    cdef bint has_thread

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
    ):
        cdef Live* lv = <Live*>calloc(1, sizeof(Live))
        cdef int i
        cdef int n = core.plan.n_channels
        self.live = lv
        if lv == NULL:
            raise MemoryError
        self.core = core
        lv.plan = &core.plan
        lv.voices = <Voice*>calloc(n, sizeof(Voice))
        lv.gains = <Gain*>calloc(n, sizeof(Gain))
        lv.now.tracks = <Track*>calloc(n, sizeof(Track))
        for i in range(3):
            lv.snapshots[i].tracks = <Track*>calloc(n, sizeof(Track))
        lv.scratch_frames = max(4096 // n, 64)
        lv.scratch = calloc(lv.scratch_frames * n, 4)
        if (
            lv.voices == NULL
            or lv.gains == NULL
            or lv.now.tracks == NULL
            or lv.scratch == NULL
            or lv.snapshots[0].tracks == NULL
            or lv.snapshots[1].tracks == NULL
            or lv.snapshots[2].tracks == NULL
        ):
            raise MemoryError
        lv.n_frames = n_frames
        lv.packed = packed
        lv.slew = slew_per_s / sample_rate_hz
        lv.ramp_frames = max(1, <int64_t>(ramp_s * sample_rate_hz))
        lv.watchdog_frames = <int64_t>(watchdog_s * sample_rate_hz)
        lv.long_event_frames = <int64_t>(0.020 * sample_rate_hz)
        lv.trip = trip
        lv.ns_per_frame = 1e9 / sample_rate_hz
        lv.middle = 1
        lv.front = 2
        seek_voices(lv.plan, 0, lv.voices)

    def __dealloc__(self):
        cdef int i
        if self.live == NULL:
            return
        self.end_clock()
        for i in range(3):
            free(self.live.snapshots[i].tracks)
        free(self.live.now.tracks)
        free(self.live.voices)
        free(self.live.gains)
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

    def set_initial_intensity(self, int channel, double value):
        """Set where a channel begins; only before the start command."""
        if channel < 0 or channel >= self.core.plan.n_channels:
            raise IndexError(f"channel {channel} of {self.core.plan.n_channels}")
        self.live.gains[channel].origin = value
        self.live.gains[channel].target = value

    def push(self, int kind, int channel=-1, double value=0.0):
        """Queue a command; return False if the ring is full. One caller at a time."""
        cdef int64_t pushed = self.live.pushed
        cdef Command* cmd
        if pushed - nw_load(&self.live.popped) >= RING:
            return False
        cmd = &self.live.ring[pushed % RING]
        cmd.kind = kind
        cmd.channel = channel
        cmd.value = value
        cmd.asked = self.snapshot()["frame"]
        cmd.took_effect = -1
        nw_store(&self.live.pushed, pushed + 1)
        return True

    def trip(self, int fault):
        """Stop at once, for this reason unless there is one already; from any thread."""
        nw_compare_exchange(&self.live.emergency, NO_FAULT, fault)

    def feed(self):
        """Tell the watchdog that the program is alive."""
        nw_store(&self.live.feeds, self.live.feeds + 1)

    def process(self, block, int64_t frames):
        """Deliver `frames` frames into a writable C-contiguous buffer, without the GIL."""
        cdef Py_buffer view
        cdef int64_t frame_bytes = self.core.plan.n_channels * (
            3 if self.live.packed else self.core.plan.sample_bytes
        )
        PyObject_GetBuffer(block, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            if frames < 0 or view.len < frames * frame_bytes:
                raise ValueError(
                    f"{frames} frames need {frames * frame_bytes} bytes, not {view.len}"
                )
            with nogil:
                live_process(self.live, view.buf, frames, 0)
        finally:
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

    def snapshot(self):
        """Return the newest status as a dict; one caller at a time."""
        cdef Live* lv = self.live
        cdef const Snapshot* s
        cdef int c
        if nw_load(&lv.middle) & FRESH:
            lv.front = nw_exchange(&lv.middle, lv.front) & ~<int64_t>FRESH
        s = &lv.snapshots[lv.front]
        n = self.core.plan.n_channels
        return {
            "state": s.state,
            "fault": s.fault,
            # asked for, perhaps not yet seen by the delivering thread
            "tripped": nw_load(&lv.emergency),
            "frame": s.frame,
            "pulses": s.pulses,
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
