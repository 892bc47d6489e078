# cython: language_level=3
"""Caps, which act on events, and behind them the guard, which looks at samples.

A cap lowers an event's level or leaves it out, at its onset: it never unbalances
one. The guard must never act; if it does, a fault follows.
"""

from libc.stdint cimport int16_t, int32_t, int64_t

from nmes_wave._charge cimport Event, event_codes
from nmes_wave._render cimport CHUNK, INT16, INT32, Plan

# Sums of float64 milliamperes: equality is allowed.
cdef enum:
    TOLERANCE = 1000000000    # one part in
    PART = 4096               # frames that the live engine renders at a time


ctypedef struct Caps:
    int64_t* level            # of each channel, codes
    double* ma_per_code
    double total_ma           # infinite: none


ctypedef struct Total:
    # Milliamperes of all events begun so far, in each frame of the device's clock.
    double* ma                # NULL: all channels at once cannot exceed the cap
    int64_t size              # a power of two


cdef inline void clear_total(Total* total, int64_t start, int64_t frames) noexcept nogil:
    """Make room for events that begin in a part of `frames` from `start` on.

    What lies less than `size - PART` ahead has been cleared by earlier parts.
    """
    cdef int64_t i
    for i in range(start - PART, start - PART + frames):
        total.ma[i & (total.size - 1)] = 0.0


cdef inline bint join_total(
    const Caps* caps, Total* total, const Event* ev, int c, int64_t at
) noexcept nogil:
    """Add an event that begins at frame `at`; return False, and add nothing, if the
    sum over channels would exceed the cap in any frame."""
    cdef int32_t codes[CHUNK]
    cdef int64_t mask = total.size - 1
    cdef int64_t start, stop, i
    cdef double most = caps.total_ma * (1.0 + 1.0 / TOLERANCE)
    cdef double scale = caps.ma_per_code[c], x
    cdef int passing
    for passing in range(2):
        start = 0
        while start < ev.n:
            stop = ev.n if ev.n - start < CHUNK else start + CHUNK
            event_codes(ev, start, stop, codes)
            for i in range(stop - start):
                x = scale * codes[i]
                x = -x if x < 0 else x
                if passing == 1:
                    total.ma[(at + start + i) & mask] += x
                elif total.ma[(at + start + i) & mask] + x > most:
                    return False
            start = stop
    return True


cdef inline bint is_silent(
    const Plan* plan, const void* out, int64_t frames
) noexcept nogil:
    # Most blocks are; no branch inside, so that the compiler takes four at once. By
    # the size of a sample: a part of a block need not begin at a multiple of more.
    cdef const int32_t* words = <const int32_t*>out
    cdef const int16_t* halves = <const int16_t*>out
    cdef int32_t bits = 0
    cdef int64_t i, n = frames * plan.n_outputs
    if plan.format == INT16:
        for i in range(n):
            bits |= halves[i]
    else:
        for i in range(n):
            bits |= words[i]
    return bits == 0


cdef inline int64_t code_at(const Plan* plan, const void* out, int64_t i) noexcept nogil:
    cdef float x
    if plan.format == INT32:
        return (<const int32_t*>out)[i]
    if plan.format == INT16:
        return (<const int16_t*>out)[i]
    x = (<const float*>out)[i] * <float>8388608.0
    # neither an infinity nor what is no number can be converted
    return <int64_t>x if -1e9 < x < 1e9 else <int64_t>1 << 40


cdef inline bint above_caps(
    const Caps* caps, const Plan* plan, const void* out, int64_t frames
) noexcept nogil:
    """Whether a sample of a channel, or the sum of a frame, is above its cap."""
    cdef int64_t code, i
    cdef int c
    cdef double most = caps.total_ma * (1.0 + 1.0 / TOLERANCE), total
    if is_silent(plan, out, frames):
        return False
    for i in range(frames):
        total = 0.0
        for c in range(plan.n_channels):
            code = code_at(plan, out, i * plan.n_outputs + c)
            code = -code if code < 0 else code
            if code > caps.level[c]:
                return True
            total += code * caps.ma_per_code[c]
        if total > most:
            return True
    return False
