# cython: language_level=3
"""From the next event of all channels to the frames that the device gets."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy, memset

from nmes_wave._charge cimport Event
from nmes_wave._guard cimport PART, above_caps, clear_total, join_total
from nmes_wave._live cimport (
    BUCKETS,
    FAULT,
    FRESH,
    GUARD,
    INPUT_FLAGS,
    LATE_NS,
    OPEN,
    RUNNING,
    STOPPING,
    UNDERFLOW_FLAG,
    Capture,
    Live,
    Loaded,
    Snapshot,
    Track,
    nw_denormals_off,
    nw_denormals_restore,
    nw_exchange,
    nw_load,
    nw_now_ns,
    nw_sleep_until_ns,
    nw_store,
)
from nmes_wave._record cimport CAPPED_RECORD, EVENT_RECORD, LEFT_OUT_RECORD
from nmes_wave._render cimport (
    Plan,
    Voice,
    begin_event,
    begin_marker,
    continue_flying,
    continue_marker,
    is_marked,
)
from nmes_wave._states cimport (
    attend,
    clock_runs,
    end,
    end_at_zero,
    gain_at,
    in_flight,
    record_cut,
    record_event,
    rise_again,
    sum_of_codes,
    take_over,
)
from nmes_wave._timeline cimport (
    Channel,
    Cursor,
    advance,
    event_level,
    event_of_level,
    on_period_number,
)


cdef inline bint is_before(const Voice* voices, int a, int b) noexcept nogil:
    cdef double x = voices[a].cursor.onset, y = voices[b].cursor.onset
    return x < y or (x == y and a < b)


cdef inline void sink_down(Loaded* ld, int i) noexcept nogil:
    """Move the channel at place `i` of the heap down to where it belongs."""
    cdef int n = ld.plan.n_channels
    cdef int c = ld.queue[i], child
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and is_before(
            ld.voices, ld.queue[child + 1], ld.queue[child]
        ):
            child += 1
        if not is_before(ld.voices, ld.queue[child], c):
            break
        ld.queue[i] = ld.queue[child]
        i = child
    ld.queue[i] = c


cdef inline void queue_voices(Loaded* ld) noexcept nogil:
    cdef int i
    for i in range(ld.plan.n_channels):
        ld.queue[i] = i
    for i in range(ld.plan.n_channels // 2 - 1, -1, -1):
        sink_down(ld, i)


cdef inline void deliver_event(Live* lv, int c, int64_t frames, void* out) noexcept nogil:
    """Begin the next event of a channel; caps act here, once."""
    cdef const Plan* plan = lv.loaded.plan
    cdef const Channel* ch = &plan.channels[c]
    cdef Voice* voice = &lv.loaded.voices[c]
    cdef const Cursor* cur = &voice.cursor
    cdef Event ev
    cdef double gain = gain_at(lv, &lv.gains[c], cur.onset)
    cdef int64_t level = event_level(ch, cur, gain)
    cdef int64_t kind = EVENT_RECORD
    lv.now.tracks[c].stage = cur.stage
    lv.now.tracks[c].on_period = on_period_number(ch, cur)
    if level > lv.caps.level[c]:
        level = lv.caps.level[c]
        kind = CAPPED_RECORD
    event_of_level(ch, cur, level, &ev)
    if level > 0:
        if lv.loaded.total.ma != NULL and not join_total(
            &lv.caps, &lv.loaded.total, &ev, c, lv.device + (ev.first - lv.at)
        ):
            kind = LEFT_OUT_RECORD
            level = 0
        else:
            lv.now.pulses += 1
            begin_event(
                plan, voice, &ev, lv.at, lv.at + frames,
                <char*>out + c * plan.sample_bytes,
            )
        if kind != EVENT_RECORD:
            lv.now.capped += 1
        if lv.records.records != NULL:
            record_event(lv, kind, c, cur, &ev, gain)
    if is_marked(plan, c, cur, level > 0):
        begin_marker(plan, voice, ev.first - lv.at, frames, out)


cdef inline void render_part(Live* lv, int64_t frames, void* out) noexcept nogil:
    """Fill at most PART frames that are already silent."""
    cdef Loaded* ld = lv.loaded
    cdef const Plan* plan = ld.plan
    cdef bint moving = clock_runs(lv)
    cdef bint sounding = in_flight(lv)
    cdef int64_t pulses = lv.now.pulses
    cdef Voice* voice
    cdef int c
    if moving:
        lv.tail = lv.at
    if ld.total.ma != NULL:
        clear_total(&ld.total, lv.device, frames)
    for c in range(plan.n_channels):
        voice = &ld.voices[c]
        if voice.marker_left > 0:
            continue_marker(plan, voice, frames, out)
        if voice.n_flying > 0:
            if lv.ends_early:
                end_at_zero(lv, c, frames)
            continue_flying(
                plan, voice, lv.tail, lv.tail + frames,
                <char*>out + c * plan.sample_bytes,
            )
    if moving:
        c = ld.queue[0]
        while ld.voices[c].cursor.onset < <double>(lv.at + frames):
            deliver_event(lv, c, frames, out)
            advance(&plan.channels[c], c, &ld.voices[c].cursor)
            sink_down(ld, 0)
            c = ld.queue[0]
        lv.at += frames
    lv.tail += frames
    if above_caps(&lv.caps, plan, out, frames):
        silence(lv, frames, out)
    if lv.state != OPEN:
        lv.device += frames
    if sounding or lv.now.pulses != pulses:
        lv.now.silent_frames = 0
    else:
        lv.now.silent_frames += frames
    if moving and lv.state == STOPPING and lv.at >= lv.ramp_from + lv.ramp_frames:
        end(lv, lv.pending_fault)
    elif moving and lv.at >= ld.n_frames and not in_flight(lv):
        lv.at = ld.n_frames
        end(lv, lv.pending_fault)


cdef inline void silence(Live* lv, int64_t frames, void* out) noexcept nogil:
    """The guard acts: what never happens has happened."""
    cdef const Plan* plan = lv.loaded.plan
    cdef Event* ev
    cdef int c, i
    memset(out, 0, <size_t>(frames * plan.n_outputs * plan.sample_bytes))
    for c in range(plan.n_channels):
        for i in range(lv.loaded.voices[c].n_flying):
            ev = &lv.loaded.voices[c].flying[i]
            # what went out before this part
            ev.n = lv.tail - frames - ev.first
            if ev.n < 0:
                ev.n = 0
            record_cut(lv, c, ev, sum_of_codes(ev, ev.n))
        lv.loaded.voices[c].n_flying = 0
    if lv.state != FAULT:
        end(lv, GUARD)


cdef inline int64_t frames_in_flight(const Live* lv) noexcept nogil:
    cdef int64_t longest = 0, left
    cdef int c, i
    cdef const Voice* voice
    for c in range(lv.loaded.plan.n_channels):
        voice = &lv.loaded.voices[c]
        for i in range(voice.n_flying):
            left = voice.flying[i].first + voice.flying[i].n - lv.tail
            if left > longest:
                longest = left
    return longest


cdef inline void live_render(Live* lv, int64_t frames, void* out) noexcept nogil:
    """Fill `frames` frames that are already silent."""
    cdef int64_t frame_bytes = <int64_t>lv.loaded.plan.n_outputs * (
        lv.loaded.plan.sample_bytes
    )
    cdef int64_t part, left
    while True:
        part = frames if frames < PART else PART
        if lv.incoming != NULL or lv.resuming:
            # Not before the last event has ended, and not a frame later.
            left = frames_in_flight(lv)
            if left == 0 and lv.incoming != NULL:
                take_over(lv)
            if left == 0 and lv.resuming:
                lv.resuming = False
                lv.state = RUNNING
                lv.unfed_frames = 0
                rise_again(lv)
            if 0 < left < part:
                part = left
        if lv.state == STOPPING:
            # nothing begins after the ramp, not even a marker
            left = lv.ramp_from + lv.ramp_frames - lv.at
            if 0 < left < part:
                part = left
        if frames == 0:
            break
        render_part(lv, part, out)
        out = <char*>out + part * frame_bytes
        frames -= part


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
    lv.now.elapsed = <double>lv.device
    lv.now.load = lv.loaded.number
    lv.now.in_flight = in_flight(lv)
    for c in range(lv.loaded.plan.n_channels):
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


cdef inline void keep_input(
    Capture* capture, const float* source, int64_t frames, int64_t flags
) noexcept nogil:
    """Append what came in; `n` is told last, so that a reader finds it whole."""
    cdef int64_t n = capture.n, room = capture.size - capture.n
    cdef float* target = capture.samples + n * capture.n_channels
    if flags & INPUT_FLAGS or source == NULL:
        nw_store(&capture.gaps, capture.gaps + 1)
    if frames > room:
        frames = room
    if source == NULL:
        memset(target, 0, <size_t>(frames * capture.n_channels) * sizeof(float))
    else:
        memcpy(
            target, source, <size_t>(frames * capture.n_channels) * sizeof(float)
        )
    nw_store(&capture.n, n + frames)


cdef inline void live_process(
    Live* lv, const void* source, void* out, int64_t frames, int64_t flags
) noexcept nogil:
    """Everything that one callback does; silence first, then render."""
    cdef int64_t begun = nw_now_ns()
    cdef int64_t n = lv.loaded.plan.n_outputs
    cdef int64_t bytes = 3 if lv.packed else lv.loaded.plan.sample_bytes
    cdef int64_t part, left = frames
    cdef int64_t device = lv.device
    cdef char* target = <char*>out
    cdef unsigned mode
    memset(out, 0, <size_t>(frames * n * bytes))
    mode = nw_denormals_off()
    if lv.latency_ns > 0 and lv.last_call_ns > 0 and not flags & UNDERFLOW_FLAG:
        # some paths report no underrun: a late call is one as well
        if begun - lv.last_call_ns > lv.latency_ns + <int64_t>(
            frames * lv.ns_per_frame
        ):
            flags |= UNDERFLOW_FLAG
    nw_store(&lv.last_call_ns, begun)
    attend(lv, frames, flags)
    if not lv.packed:
        live_render(lv, frames, out)
    elif frames == 0:
        live_render(lv, 0, lv.scratch)
    else:
        while left > 0:
            part = left if left < lv.scratch_frames else lv.scratch_frames
            memset(lv.scratch, 0, <size_t>(part * n * 4))
            live_render(lv, part, lv.scratch)
            pack24(<int32_t*>lv.scratch, <uint8_t*>target, part * n)
            target += part * n * 3
            left -= part
    # from the start on, when the device's clock runs
    if lv.capture.n < lv.capture.size and lv.device > device:
        keep_input(&lv.capture, <const float*>source, frames, flags)
    publish(lv)
    nw_denormals_restore(mode)
    note_duration(lv, nw_now_ns() - begun)


cdef inline int portaudio_callback(
    const void* source, void* out, unsigned long frames, const void* time_info,
    unsigned long flags, void* live
) noexcept nogil:
    live_process(<Live*>live, source, out, <int64_t>frames, <int64_t>flags)
    return 0


cdef inline void portaudio_finished(void* live) noexcept nogil:
    nw_store(&(<Live*>live).finished, 1)


cdef inline void clock_main(void* argument) noexcept nogil:
    """The null sink's thread: absolute deadlines, so that it never drifts."""
    cdef Live* lv = <Live*>argument
    cdef int64_t origin = nw_now_ns()
    cdef int64_t frames = 0, flags = 0, deadline
    while nw_load(&lv.clock_running):
        live_process(lv, NULL, lv.scratch, lv.clock_block, flags)
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
