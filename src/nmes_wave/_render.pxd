# cython: language_level=3
"""From events to interleaved frames.

A `Voice` is one channel being delivered: its next event and those in flight.
Offline rendering seeks a voice and runs it; the live engine keeps it running.
Most frames are silence: a tile is zeroed at memory speed, then its events are
added while it is in the cache (0.55 instead of 1.2 of the speed of filling
memory without tiles, in a sketch of 8 channels at int24).
"""

from libc.stdint cimport int16_t, int32_t, int64_t
from libc.string cimport memset

cdef extern from "_portable.h" nogil:
    void nw_stream_zeros(void* out, int64_t n_bytes)
    void nw_stream_end()
    void nw_fetch(const void* out, int64_t n_bytes)

from nmes_wave._charge cimport (
    RECTANGULAR_PULSE,
    Event,
    Run,
    event_codes,
    flat_runs,
)
from nmes_wave._timeline cimport (
    Channel,
    Cursor,
    advance,
    make_event,
    move_to,
    seek,
)

cdef enum SampleFormat:
    INT16
    INT32                 # int24 codes too
    FLOAT32

cdef enum:
    # Events of a channel never overlap, but the moved recovery phase of one can
    # reach less than a frame into the next: two at once, three never.
    MAX_IN_FLIGHT = 3
    CHUNK = 128           # codes computed at a time
    TILE_BYTES = 131072   # half of a small core's second-level cache
    # A block as large as a second-level cache will not be read from it.
    STREAMED_BLOCK = 4194304
    STREAMED_SILENCE = 2048   # bytes; less is not worth leaving the cache


cdef enum TriggerAt:
    NO_TRIGGER
    AT_EVENT
    AT_ON_PERIOD
    AT_STAGE


ctypedef struct Trigger:
    # A marker on a column of its own, after those of the channels.
    TriggerAt at
    int channel           # whose events; -1: all
    int64_t n_frames
    int32_t code


ctypedef struct Voice:
    Cursor cursor
    int n_flying
    Event flying[MAX_IN_FLIGHT]
    int64_t marker_left   # frames of a trigger marker still to come


ctypedef struct Plan:
    int n_channels
    int n_outputs         # columns: channels, and the trigger
    Channel* channels
    Trigger trigger
    SampleFormat format
    int sample_bytes
    int64_t tile_frames
    int64_t event_tile_frames  # of a tile that begins with an event: it ends there


cdef inline void add_flat(
    const Event* ev, SampleFormat format, void* out, int64_t stride
) noexcept nogil:
    """Add a whole rectangular pulse to a column, run by run."""
    cdef Run runs[7]
    cdef int i, n = flat_runs(ev, runs)
    cdef int64_t j = 0, stop
    cdef int32_t code
    cdef float sample
    cdef int16_t* out16 = <int16_t*>out
    cdef int32_t* out32 = <int32_t*>out
    cdef float* out_float = <float*>out
    for i in range(n):
        # the partial sample after a phase that ends on a boundary is none
        stop = runs[i].stop if runs[i].stop < ev.n else ev.n
        code = runs[i].code
        if code == 0:
            j = stop
        elif format == INT32:
            for j in range(j, stop):
                out32[j * stride] += code
            j = stop
        elif format == INT16:
            for j in range(j, stop):
                out16[j * stride] += <int16_t>code
            j = stop
        else:
            sample = <float>code * <float>1.1920928955078125e-07
            for j in range(j, stop):
                out_float[j * stride] += sample
            j = stop


cdef inline void add_event(
    const Event* ev, int64_t start, int64_t stop, SampleFormat format,
    void* out, int64_t stride
) noexcept nogil:
    """Add the event's codes in frames [start, stop) to a column; `out` is at `start`."""
    cdef int32_t codes[CHUNK]
    cdef int64_t a = start - ev.first, b = stop - ev.first, c, i, n
    cdef int16_t* out16
    cdef int32_t* out32
    cdef float* out_float
    if ev.level == 0:
        return
    if b > ev.n:
        b = ev.n
    if a < 0:
        out = <char*>out - a * stride * (2 if format == INT16 else 4)
        a = 0
    if (
        a == 0
        and b == ev.n
        and ev.shape.kind == RECTANGULAR_PULSE
        and ev.slope_den == 1.0
    ):
        add_flat(ev, format, out, stride)
        return
    while a < b:
        c = b if b - a < CHUNK else a + CHUNK
        n = c - a
        event_codes(ev, a, c, codes)
        if format == INT32:
            out32 = <int32_t*>out
            for i in range(n):
                out32[i * stride] += codes[i]
            out = out32 + n * stride
        elif format == FLOAT32:
            out_float = <float*>out
            for i in range(n):
                out_float[i * stride] += <float>codes[i] * <float>1.1920928955078125e-07
            out = out_float + n * stride
        else:
            out16 = <int16_t*>out
            for i in range(n):
                out16[i * stride] += <int16_t>codes[i]
            out = out16 + n * stride
        a = c


# -- trigger ------------------------------------------------------------------

cdef inline bint is_marked(
    const Plan* plan, int c, const Cursor* cur, bint delivered
) noexcept nogil:
    cdef const Trigger* trigger = &plan.trigger
    if trigger.at == NO_TRIGGER or (trigger.channel >= 0 and trigger.channel != c):
        return False
    if trigger.at == AT_EVENT:
        return delivered
    return (
        cur.k == 0
        and cur.member == 0
        and (trigger.at == AT_ON_PERIOD or cur.on_period == 0)
    )


cdef inline void fill_marker(
    const Plan* plan, int64_t start, int64_t stop, void* out
) noexcept nogil:
    """Set frames [start, stop) of the trigger's column; `out` is frame 0."""
    cdef int64_t n = plan.n_outputs, i
    cdef int64_t column = plan.n_channels
    cdef float sample = <float>plan.trigger.code * <float>1.1920928955078125e-07
    for i in range(start, stop):
        if plan.format == INT32:
            (<int32_t*>out)[i * n + column] = plan.trigger.code
        elif plan.format == FLOAT32:
            (<float*>out)[i * n + column] = sample
        else:
            (<int16_t*>out)[i * n + column] = <int16_t>plan.trigger.code


cdef inline void begin_marker(
    const Plan* plan, Voice* voice, int64_t at, int64_t frames, void* out
) noexcept nogil:
    """Begin a marker at frame `at` of a block of `frames`."""
    cdef int64_t left = at + plan.trigger.n_frames - frames
    fill_marker(plan, at, frames if left > 0 else frames + left, out)
    if left > voice.marker_left:
        voice.marker_left = left


cdef inline void continue_marker(
    const Plan* plan, Voice* voice, int64_t frames, void* out
) noexcept nogil:
    cdef int64_t left = voice.marker_left
    fill_marker(plan, 0, left if left < frames else frames, out)
    voice.marker_left = left - frames if left > frames else 0


# -- voices -------------------------------------------------------------------

cdef inline void seek_voice(
    const Plan* plan, int c, int64_t frame, Voice* voice
) noexcept nogil:
    """Place a voice before `frame`, with what began earlier in flight."""
    cdef const Channel* ch = &plan.channels[c]
    cdef Cursor earlier
    cdef Event ev
    cdef int64_t ordinal, left
    cdef int back
    seek(ch, c, <double>frame, &voice.cursor)
    voice.n_flying = 0
    for back in range(2, 0, -1):
        ordinal = voice.cursor.ordinal - back
        if ordinal < 0:
            continue
        move_to(ch, c, ordinal, &earlier)
        make_event(ch, &earlier, 1.0, &ev)
        if ev.first + ev.n > frame:
            voice.flying[voice.n_flying] = ev
            voice.n_flying += 1
    voice.marker_left = 0
    if plan.trigger.at == NO_TRIGGER:
        return
    seek(ch, c, <double>(frame - plan.trigger.n_frames), &earlier)
    while earlier.onset < <double>frame:
        make_event(ch, &earlier, 1.0, &ev)
        if is_marked(plan, c, &earlier, ev.level > 0):
            left = ev.first + plan.trigger.n_frames - frame
            if left > voice.marker_left:
                voice.marker_left = left
        advance(ch, c, &earlier)


cdef inline void continue_flying(
    const Plan* plan, Voice* voice, int64_t start, int64_t stop, void* column
) noexcept nogil:
    cdef int i, kept = 0
    cdef Event* ev
    for i in range(voice.n_flying):
        ev = &voice.flying[i]
        add_event(ev, start, stop, plan.format, column, plan.n_outputs)
        if ev.first + ev.n > stop:
            if kept != i:
                voice.flying[kept] = ev[0]
            kept += 1
    voice.n_flying = kept


cdef inline void begin_event(
    const Plan* plan, Voice* voice, const Event* ev, int64_t start, int64_t stop,
    void* column,
) noexcept nogil:
    """Add an event that begins in [start, stop); `column` is at `start`."""
    add_event(ev, start, stop, plan.format, column, plan.n_outputs)
    if ev.first + ev.n > stop and voice.n_flying < MAX_IN_FLIGHT:
        voice.flying[voice.n_flying] = ev[0]
        voice.n_flying += 1


cdef inline void run_voice(
    const Plan* plan, int c, Voice* voice, int64_t start, int64_t stop, void* out
) noexcept nogil:
    """Add frames [start, stop) of a channel at full intensity; `out` is at `start`."""
    cdef const Channel* ch = &plan.channels[c]
    cdef char* column = <char*>out + c * plan.sample_bytes
    cdef Event ev
    if voice.marker_left > 0:
        continue_marker(plan, voice, stop - start, out)
    if voice.n_flying > 0:
        continue_flying(plan, voice, start, stop, column)
    while voice.cursor.onset < <double>stop:
        make_event(ch, &voice.cursor, 1.0, &ev)
        begin_event(plan, voice, &ev, start, stop, column)
        if is_marked(plan, c, &voice.cursor, ev.level > 0):
            begin_marker(plan, voice, ev.first - start, stop - start, out)
        advance(ch, c, &voice.cursor)


cdef inline void seek_voices(const Plan* plan, int64_t frame, Voice* voices) noexcept nogil:
    cdef int c
    for c in range(plan.n_channels):
        seek_voice(plan, c, frame, &voices[c])


cdef inline int64_t silent_until(
    const Plan* plan, const Voice* voices, int64_t start, int64_t stop
) noexcept nogil:
    """Return the first frame of [start, stop) that may hold something, or `stop`."""
    cdef int c
    cdef const Voice* voice
    for c in range(plan.n_channels):
        voice = &voices[c]
        if voice.n_flying or voice.marker_left:
            return start
        if voice.cursor.onset < <double>stop:
            stop = <int64_t>voice.cursor.onset
    return stop


cdef inline void render(
    const Plan* plan, Voice* voices, int64_t start, int64_t stop, void* out
) noexcept nogil:
    """Fill `out` with frames [start, stop); the voices must stand at `start`."""
    cdef int c
    cdef int64_t tile_stop, silence_stop, n_bytes
    cdef char* tile = <char*>out
    cdef int64_t frame_bytes = <int64_t>plan.n_outputs * plan.sample_bytes
    cdef bint streams = (stop - start) * frame_bytes >= STREAMED_BLOCK
    cdef Voice* voice
    while start < stop:
        tile_stop = start + plan.tile_frames
        if streams:
            # Silence goes past the caches, and what follows it is a tile of its own.
            silence_stop = silent_until(plan, voices, start, stop)
            n_bytes = (silence_stop - start) * frame_bytes
            if n_bytes >= STREAMED_SILENCE:
                tile_stop = silence_stop + plan.event_tile_frames
                if tile_stop > stop:
                    tile_stop = stop
                nw_fetch(tile + n_bytes, (tile_stop - silence_stop) * frame_bytes)
                nw_stream_zeros(tile, n_bytes)
                tile += n_bytes
                start = silence_stop
        if tile_stop > stop:
            tile_stop = stop
        memset(tile, 0, <size_t>((tile_stop - start) * frame_bytes))
        for c in range(plan.n_channels):
            voice = &voices[c]
            # nothing of this channel in the tile: the usual case in short blocks
            if (
                voice.n_flying
                or voice.marker_left
                or voice.cursor.onset < <double>tile_stop
            ):
                run_voice(plan, c, voice, start, tile_stop, tile)
        tile += (tile_stop - start) * frame_bytes
        start = tile_stop
    if streams:
        nw_stream_end()
