# cython: language_level=3
"""The live engine: states, commands, watchdog and what an audio callback runs.

One thread delivers (`live_process`); Python talks to it through a ring of
commands, one flag for the emergency stop, a counter of feeds, and reads a
triple buffer. The states and rules are in the documentation (*Live engine*).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from nmes_wave._charge cimport SINE_BURST, SQUARE_BURST, TRIANGULAR_BURST, Event
from nmes_wave._render cimport (
    Plan,
    SampleFormat,
    Voice,
    begin_event,
    continue_flying,
)
from nmes_wave._timeline cimport Channel, Stage, advance, make_event, on_period_number

cdef extern from "_portable.h" nogil:
    int64_t nw_load(int64_t* p)
    void nw_store(int64_t* p, int64_t value)
    int64_t nw_exchange(int64_t* p, int64_t value)
    int64_t nw_compare_exchange(int64_t* p, int64_t expected, int64_t value)
    int64_t nw_now_ns()
    void nw_sleep_until_ns(int64_t deadline)
    unsigned nw_denormals_off()
    void nw_denormals_restore(unsigned before)
    ctypedef struct nw_thread:
        pass
    int nw_thread_begin(nw_thread* t, void (*run)(void*) noexcept nogil, void* argument)
    void nw_thread_join(nw_thread t)

cdef enum:
    RING = 256            # commands that may wait
    PER_BLOCK = 32        # commands obeyed in one block
    BUCKETS = 512         # of callback durations: 8 in each octave of nanoseconds
    FRESH = 4             # marks a snapshot that the reader has not taken
    UNDERFLOW_FLAG = 4    # paOutputUnderflow; the other flags say nothing of us
    LATE_NS = 100000000   # the null sink gives up catching up after 0.1 s

cdef enum State:
    OPEN
    RUNNING
    PAUSED
    STOPPING
    STOPPED
    FAULT

cdef enum Fault:
    NO_FAULT
    EMERGENCY_STOP
    WATCHDOG
    UNDERRUN
    SINK_FAILED
    ENGINE_FAILED

cdef enum CommandKind:
    START
    SET_INTENSITY
    PAUSE
    RESUME
    STOP


ctypedef struct Command:
    int64_t kind
    int64_t channel           # -1: all
    double value
    int64_t asked             # the plan's frame when it was asked ...
    int64_t took_effect       # ... and when it was obeyed


ctypedef struct Gain:
    # Intensity of a channel: from `origin` at `since` towards `target`.
    double origin
    double target
    double since              # frame
    double rise_from          # after a resume: gain rises from 0 here ...
    double rise_frames        # ... over this many frames


ctypedef struct Track:
    # What the status tells of a channel.
    double intensity
    int64_t stage
    int64_t on_period


ctypedef struct Snapshot:
    int64_t state
    int64_t fault
    int64_t frame             # position in the plan
    int64_t pulses
    int64_t underruns
    int64_t silent_frames     # since the last event ended
    Track* tracks


ctypedef struct Live:
    const Plan* plan
    Voice* voices
    Gain* gains
    int64_t n_frames
    double slew               # per frame
    int64_t ramp_frames
    int64_t watchdog_frames   # 0: no clock paces this sink
    int64_t long_event_frames
    bint trip                 # an underrun is a fault
    bint packed               # int24 goes out as three bytes
    double ns_per_frame
    int64_t latency_ns        # 0: stalls are not looked for
    # written by the delivering thread only
    int64_t state
    int64_t fault
    int64_t pending_fault     # when the ramp has ended
    int64_t at                # the plan's clock
    int64_t tail              # runs on for events in flight while the clock stands
    int64_t ramp_from
    int64_t fed               # last value seen of `feeds`
    int64_t unfed_frames
    int64_t last_call_ns
    bint resuming
    Snapshot now
    # the boundary
    Command ring[RING]
    int64_t pushed            # producer's count
    int64_t popped            # consumer's count
    int64_t emergency         # a Fault, set once by anyone
    int64_t feeds
    int64_t finished          # PortAudio's finished callback was here
    Snapshot snapshots[3]
    int64_t middle            # index of the snapshot between writer and reader
    int64_t back
    int64_t front
    int64_t durations[BUCKETS]
    int64_t longest_ns
    # scratch for packed samples and for the null sink
    void* scratch
    int64_t scratch_frames
    int64_t clock_running
    int64_t clock_block


# -- intensity ----------------------------------------------------------------

cdef inline double gain_at(const Live* lv, const Gain* g, double frame) noexcept nogil:
    cdef double step = lv.slew * (frame - g.since)
    cdef double gain, rise
    if step < 0:
        step = 0
    if g.target >= g.origin:
        gain = g.origin + step
        if gain > g.target:
            gain = g.target
    else:
        gain = g.origin - step
        if gain < g.target:
            gain = g.target
    if g.rise_frames > 0:
        rise = (frame - g.rise_from) / g.rise_frames
        if rise < 1.0:
            gain *= rise
    if lv.state == STOPPING:
        rise = 1.0 - (frame - lv.ramp_from) / <double>lv.ramp_frames
        gain = gain * rise if rise > 0 else 0.0
    return gain


cdef inline void aim(Live* lv, Gain* g, double target) noexcept nogil:
    cdef double rise_frames = g.rise_frames
    g.rise_frames = 0
    g.origin = gain_at(lv, g, <double>lv.at)
    g.rise_frames = rise_frames
    g.target = target
    g.since = <double>lv.at


# -- states -------------------------------------------------------------------

cdef inline bint in_flight(const Live* lv) noexcept nogil:
    cdef int c
    for c in range(lv.plan.n_channels):
        if lv.voices[c].n_flying > 0:
            return True
    return False


cdef inline void ramp_down(Live* lv, int64_t fault) noexcept nogil:
    if lv.state == RUNNING:
        lv.state = STOPPING
        lv.ramp_from = lv.at
    lv.pending_fault = fault


cdef inline void trip_fault(Live* lv, int64_t fault) noexcept nogil:
    """Start no further event; those in flight complete, long ones at a cycle's end."""
    cdef int c, i
    cdef Event* ev
    cdef double elapsed, cycles
    if lv.state == FAULT:
        return
    lv.state = FAULT
    lv.fault = fault
    for c in range(lv.plan.n_channels):
        for i in range(lv.voices[c].n_flying):
            ev = &lv.voices[c].flying[i]
            elapsed = <double>(lv.tail - ev.first) - ev.offset
            if ev.first + ev.n - lv.tail <= lv.long_event_frames:
                continue
            if ev.shape.kind in (SINE_BURST, SQUARE_BURST, TRIANGULAR_BURST):
                cycles = <double>(<int64_t>(elapsed * ev.shape.carrier) + 1)
                elapsed = cycles / ev.shape.carrier + ev.offset
                if <int64_t>elapsed + 1 < ev.n:
                    ev.n = <int64_t>elapsed + 1


cdef inline void obey(Live* lv, Command* cmd) noexcept nogil:
    cdef int c
    cdef const Stage* st
    cdef Gain* g
    cmd.took_effect = lv.at
    if cmd.kind == START and lv.state == OPEN:
        lv.state = RUNNING
        lv.unfed_frames = 0
    elif cmd.kind == SET_INTENSITY:
        for c in range(lv.plan.n_channels):
            if cmd.channel == -1 or cmd.channel == c:
                aim(lv, &lv.gains[c], cmd.value)
    elif cmd.kind == PAUSE:
        lv.resuming = False
        if lv.state == RUNNING:
            lv.state = PAUSED
            lv.tail = lv.at
    elif cmd.kind == RESUME and lv.state == PAUSED:
        lv.resuming = True
    elif cmd.kind == STOP:
        if lv.state == RUNNING:
            ramp_down(lv, NO_FAULT)
        elif lv.state == OPEN or lv.state == PAUSED:
            lv.state = STOPPED


cdef inline void resume(Live* lv) noexcept nogil:
    # Only when nothing is in flight: an event that was, and one that begins
    # where the clock stood, could overlap.
    cdef int c
    cdef Gain* g
    cdef const Stage* st
    if in_flight(lv):
        return
    lv.resuming = False
    lv.state = RUNNING
    lv.unfed_frames = 0
    for c in range(lv.plan.n_channels):
        g = &lv.gains[c]
        st = &lv.plan.channels[c].stages[lv.now.tracks[c].stage]
        g.rise_from = <double>lv.at
        g.rise_frames = g.target / lv.slew
        if st.ramp_up > g.rise_frames:
            g.rise_frames = st.ramp_up


cdef inline void attend(Live* lv, int64_t frames, int64_t flags) noexcept nogil:
    """Emergency, underruns, commands, watchdog: in the order of precedence."""
    cdef int64_t i, pushed, feeds
    cdef int64_t emergency = nw_load(&lv.emergency)
    if lv.state == RUNNING or lv.state == STOPPING:
        lv.tail = lv.at
    if emergency != NO_FAULT:
        trip_fault(lv, emergency)
    if flags & UNDERFLOW_FLAG and lv.state != OPEN:
        lv.now.underruns += 1
        if lv.trip and lv.state != STOPPED:
            trip_fault(lv, UNDERRUN)
    pushed = nw_load(&lv.pushed)
    for i in range(PER_BLOCK):
        if lv.popped == pushed:
            break
        obey(lv, &lv.ring[lv.popped % RING])
        nw_store(&lv.popped, lv.popped + 1)
    if lv.resuming and lv.state == PAUSED:
        resume(lv)
    feeds = nw_load(&lv.feeds)
    if feeds != lv.fed:
        lv.fed = feeds
        lv.unfed_frames = 0
    elif lv.state == RUNNING and lv.watchdog_frames > 0:
        lv.unfed_frames += frames
        if lv.unfed_frames > lv.watchdog_frames:
            ramp_down(lv, WATCHDOG)


# -- delivering ---------------------------------------------------------------

cdef inline void deliver_voice(
    Live* lv, int c, int64_t start, int64_t stop, void* out
) noexcept nogil:
    cdef const Channel* ch = &lv.plan.channels[c]
    cdef Voice* voice = &lv.voices[c]
    cdef int64_t stride = lv.plan.n_channels
    cdef Event ev
    cdef double gain
    if voice.n_flying > 0:
        continue_flying(voice, start, stop, lv.plan.format, out, stride)
    while voice.cursor.onset < <double>stop:
        gain = gain_at(lv, &lv.gains[c], voice.cursor.onset)
        make_event(ch, &voice.cursor, gain, &ev)
        lv.now.tracks[c].stage = voice.cursor.stage
        lv.now.tracks[c].on_period = on_period_number(ch, &voice.cursor)
        if ev.level > 0:
            lv.now.pulses += 1
            begin_event(voice, &ev, start, stop, lv.plan.format, out, stride)
        advance(ch, c, &voice.cursor)


cdef inline void live_render(Live* lv, int64_t frames, void* out) noexcept nogil:
    """Fill `frames` frames that are already silent."""
    cdef int c
    cdef char* column
    cdef int64_t pulses = lv.now.pulses
    cdef int64_t begin
    cdef bint moving = lv.state == RUNNING or lv.state == STOPPING
    cdef bint sounding = in_flight(lv)
    if moving:
        begin = lv.at
        for c in range(lv.plan.n_channels):
            column = <char*>out + c * lv.plan.sample_bytes
            deliver_voice(lv, c, begin, begin + frames, column)
        lv.at += frames
        lv.tail = lv.at
        if lv.at >= lv.n_frames and not in_flight(lv):
            lv.at = lv.n_frames
            end_ramp(lv)
        elif lv.state == STOPPING and lv.at >= lv.ramp_from + lv.ramp_frames:
            if not in_flight(lv):
                end_ramp(lv)
    elif sounding:
        begin = lv.tail
        for c in range(lv.plan.n_channels):
            column = <char*>out + c * lv.plan.sample_bytes
            continue_flying(
                &lv.voices[c], begin, begin + frames, lv.plan.format, column,
                lv.plan.n_channels,
            )
        lv.tail += frames
    if sounding or lv.now.pulses != pulses:
        lv.now.silent_frames = 0
    else:
        lv.now.silent_frames += frames


cdef inline void end_ramp(Live* lv) noexcept nogil:
    lv.state = STOPPED
    if lv.pending_fault != NO_FAULT:
        lv.state = FAULT
        lv.fault = lv.pending_fault


cdef inline void pack24(const int32_t* codes, uint8_t* out, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        out[3 * i] = <uint8_t>(codes[i] & 0xFF)
        out[3 * i + 1] = <uint8_t>((codes[i] >> 8) & 0xFF)
        out[3 * i + 2] = <uint8_t>((codes[i] >> 16) & 0xFF)


cdef inline void publish(Live* lv) noexcept nogil:
    cdef int c
    cdef Snapshot* back = &lv.snapshots[lv.back]
    cdef Track* tracks = back.tracks
    lv.now.state = lv.state
    lv.now.fault = lv.fault
    lv.now.frame = lv.at
    for c in range(lv.plan.n_channels):
        lv.now.tracks[c].intensity = 0.0
        if lv.state == RUNNING or lv.state == STOPPING:
            lv.now.tracks[c].intensity = gain_at(lv, &lv.gains[c], <double>lv.at)
        tracks[c] = lv.now.tracks[c]
    back[0] = lv.now
    back.tracks = tracks
    lv.back = nw_exchange(&lv.middle, lv.back | FRESH) & ~<int64_t>FRESH


cdef inline void note_duration(Live* lv, int64_t ns) noexcept nogil:
    cdef int64_t octave = 0, v = ns if ns > 8 else 8
    while v >= 16:
        v >>= 1
        octave += 1
    v = octave * 8 + (v & 7)
    if v < BUCKETS:
        nw_store(&lv.durations[v], lv.durations[v] + 1)
    if ns > lv.longest_ns:
        nw_store(&lv.longest_ns, ns)


cdef inline void live_process(
    Live* lv, void* out, int64_t frames, int64_t flags
) noexcept nogil:
    """Everything that one callback does; silence first, then render."""
    cdef int64_t begun = nw_now_ns()
    cdef int64_t samples = frames * lv.plan.n_channels
    cdef int64_t bytes = 3 if lv.packed else lv.plan.sample_bytes
    cdef int64_t part
    cdef char* target = <char*>out
    cdef unsigned mode
    memset(out, 0, <size_t>(samples * bytes))
    mode = nw_denormals_off()
    if lv.latency_ns > 0 and lv.last_call_ns > 0 and not flags & UNDERFLOW_FLAG:
        # some paths report no underrun: a late call is one as well
        if begun - lv.last_call_ns > lv.latency_ns + <int64_t>(
            frames * lv.ns_per_frame
        ):
            flags |= UNDERFLOW_FLAG
    lv.last_call_ns = begun
    attend(lv, frames, flags)
    if not lv.packed:
        live_render(lv, frames, out)
    else:
        while frames > 0:
            part = frames if frames < lv.scratch_frames else lv.scratch_frames
            samples = part * lv.plan.n_channels
            memset(lv.scratch, 0, <size_t>(samples * 4))
            live_render(lv, part, lv.scratch)
            pack24(<int32_t*>lv.scratch, <uint8_t*>target, samples)
            target += samples * 3
            frames -= part
    publish(lv)
    nw_denormals_restore(mode)
    note_duration(lv, nw_now_ns() - begun)


cdef inline int portaudio_callback(
    const void* source, void* out, unsigned long frames, const void* time_info,
    unsigned long flags, void* live
) noexcept nogil:
    live_process(<Live*>live, out, <int64_t>frames, <int64_t>flags)
    return 0


cdef inline void portaudio_finished(void* live) noexcept nogil:
    nw_store(&(<Live*>live).finished, 1)


cdef inline void clock_main(void* argument) noexcept nogil:
    """The null sink's thread: absolute deadlines, so that it never drifts."""
    cdef Live* lv = <Live*>argument
    cdef int64_t origin = nw_now_ns()
    cdef int64_t frames = 0, flags = 0, deadline
    while nw_load(&lv.clock_running):
        live_process(lv, lv.scratch, lv.clock_block, flags)
        flags = 0
        frames += lv.clock_block
        deadline = origin + <int64_t>(frames * lv.ns_per_frame)
        if nw_now_ns() - deadline > LATE_NS:
            # never catch up in a burst
            origin = nw_now_ns()
            frames = 0
            flags = UNDERFLOW_FLAG
        else:
            nw_sleep_until_ns(deadline)
