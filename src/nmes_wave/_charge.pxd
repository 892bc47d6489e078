# cython: language_level=3
"""The running charge of one event, and its codes.

Pure functions of the event and a frame range: no state, no allocation, no
Python. The mathematics is in the documentation (*Waveform mathematics*): with
C(t) the ideal running charge in code-frames,

    Q(j) = trunc(C at frame boundary j),    code(j) = Q(j + 1) - Q(j),

with Q = 0 before the event and, for a balanced one, exactly 0 at its end.

Rectangular phases and custom shapes are evaluated in double-double arithmetic
(`Wide`, about 106 bits): a float64 product is one code off now and then at 32
bits, and a flat top must be flat. The other phase shapes are written as what
they lack from a full-level phase, which never falls: so no code exceeds the
level, whatever the rounding.
"""

from libc.math cimport M_PI, cos, expm1, fabs, fma, sin
from libc.stdint cimport int32_t, int64_t

cdef enum:
    ANCHOR = 64           # a carrier's sine is computed anew every 64 frames

cdef enum EventKind:
    RECTANGULAR_PULSE
    SHAPED_PULSE
    SINE_BURST
    SQUARE_BURST
    TRIANGULAR_BURST
    CUSTOM_PULSE

cdef enum PhaseShape:
    RECTANGULAR
    HALF_SINE
    TRIANGULAR
    EXPONENTIAL_RISE
    EXPONENTIAL_DECAY


ctypedef struct Wide:
    # An unevaluated sum of two float64.
    double hi
    double lo


ctypedef struct Segment:
    # A straight piece of a custom shape, in frames from the event's onset.
    Wide start
    Wide area             # signed area up to `start`
    Wide level
    Wide half_slope


ctypedef struct Shape:
    # What all events of a stage share. Lengths in frames.
    EventKind kind
    int polarity
    bint balanced
    bint snap
    PhaseShape first
    PhaseShape second
    double mean           # of the first phase's shape
    double second_mean
    double recovery_ratio
    double width_us
    double frames_per_us_1e6   # the sample rate: frames = us * rate / 1e6
    Wide width
    Wide gap
    int64_t cycles
    double carrier        # cycles per frame
    Wide half_cycle
    Wide length           # of a burst or custom shape
    int n_segments
    Segment* segments
    double cosine[ANCHOR]
    double sine[ANCHOR]


ctypedef struct Event:
    # One event, placed on the frame grid; j counts frames from `first`.
    const Shape* shape
    int64_t first         # the frame that holds the onset
    int64_t n             # frames touched
    double offset         # onset - first, 0 <= offset < 1
    int64_t level         # codes, never negative
    int sign
    # pulses only
    Wide width            # of the first phase
    int64_t turn          # the frame in which the recovery phase begins ...
    Wide turn_offset      # ... and where in it
    Wide second_width
    int64_t charge        # truncated charge of the first phase
    int64_t lead          # ceil(level * offset)
    int64_t rest          # rectangular, ratio 1: trunc of the charge at `turn`
    double slope_num      # recovery level = level * slope_num / slope_den
    double slope_den


# -- rounding -----------------------------------------------------------------

# libm's floor is a function call without SSE4.1; all values here are below 2^63.

cdef inline double floor(double x) noexcept nogil:
    cdef double f = <double><int64_t>x
    return f - 1.0 if f > x else f

cdef inline double ceil(double x) noexcept nogil:
    cdef double c = <double><int64_t>x
    return c + 1.0 if c < x else c


# -- double-double ------------------------------------------------------------

cdef inline Wide wide_sum(double a, double b) noexcept nogil:
    cdef Wide s
    s.hi = a + b
    cdef double bb = s.hi - a
    s.lo = (a - (s.hi - bb)) + (b - bb)
    return s

cdef inline Wide wide_add(Wide a, Wide b) noexcept nogil:
    cdef Wide s = wide_sum(a.hi, b.hi)
    cdef Wide t = wide_sum(a.lo, b.lo)
    s.lo += t.hi
    s = wide_sum(s.hi, s.lo)
    s.lo += t.lo
    return wide_sum(s.hi, s.lo)

cdef inline Wide wide_times(Wide a, double b) noexcept nogil:
    cdef double p = a.hi * b
    return wide_sum(p, fma(a.hi, b, -p) + a.lo * b)

cdef inline Wide wide_mul(Wide a, Wide b) noexcept nogil:
    cdef double p = a.hi * b.hi
    return wide_sum(p, fma(a.hi, b.hi, -p) + (a.hi * b.lo + a.lo * b.hi))

cdef inline Wide wide_of(double a) noexcept nogil:
    cdef Wide s
    s.hi = a
    s.lo = 0.0
    return s

# A value that is a whole number by its formula may come out 2^-104 of itself
# beside it; that must not cost a code.

cdef inline double noise_of(double a) noexcept nogil:
    return fabs(a) * 3.155443620884047e-30     # 2^-98

cdef inline double wide_floor(Wide a) noexcept nogil:
    cdef double f = floor(a.hi)
    return f - 1.0 if f == a.hi and a.lo < -noise_of(a.hi) else f

cdef inline double wide_ceil(Wide a) noexcept nogil:
    cdef double c = ceil(a.hi)
    return c + 1.0 if c == a.hi and a.lo > noise_of(a.hi) else c

cdef inline double floor_near(Wide a, double noise) noexcept nogil:
    """Floor of `a`, which is off by less than `noise`."""
    a = wide_add(a, wide_of(noise))
    cdef double f = floor(a.hi)
    return f - 1.0 if f == a.hi and a.lo < 0 else f

cdef inline double noise_in(const Event* ev) noexcept nogil:
    # What cancels in a time within the event is as large as the event. One number
    # for all its frames: what is larger in one than in another costs a code.
    return noise_of(<double>ev.level * (ev.n + 1))

cdef inline Wide frames_of_us(double us, double rate) noexcept nogil:
    # us * rate / 1e6, to the last bit of both halves; nearly whole is whole, as
    # in `compiling.frames_of_us`
    cdef double p = us * rate
    cdef double q = p / 1e6
    cdef double r = fma(-q, 1e6, p) + fma(us, rate, -p)
    cdef Wide frames = wide_sum(q, r / 1e6)
    cdef double whole = floor(frames.hi + 0.5)
    if fabs((frames.hi - whole) + frames.lo) <= 1e-12 * whole:
        return wide_of(whole)
    return frames

cdef inline int64_t floor_quotient(Wide n, double d) noexcept nogil:
    # floor(n / d) for n >= 0, d > 0
    cdef double q = floor(n.hi / d)
    cdef double p = q * d
    cdef double r = ((n.hi - p) - fma(q, d, -p)) + n.lo
    if r < -noise_of(n.hi):
        q -= 1
    elif d - r <= noise_of(n.hi):
        q += 1
    return <int64_t>q


# -- phase shapes -------------------------------------------------------------

cdef inline double shape_area(PhaseShape shape, double u) noexcept nogil:
    """Integral of a phase shape from 0 to u, 0 <= u <= 1."""
    cdef double e5 = 147.4131591025766          # e^5 - 1
    if shape == RECTANGULAR:
        return u
    if shape == HALF_SINE:
        return (1.0 - cos(M_PI * u)) / M_PI
    if shape == TRIANGULAR:
        return u * u if u <= 0.5 else 0.5 - (1.0 - u) * (1.0 - u)
    if shape == EXPONENTIAL_RISE:
        return (expm1(5.0 * u) / 5.0 - u) / e5
    # the rise mirrored in time
    return ((e5 - expm1(5.0 * (1.0 - u))) / 5.0 - u) / e5


# -- placing an event ---------------------------------------------------------

cdef inline void place_event(
    Event* ev, const Shape* shape, double onset, int64_t level, int sign, double width_us
) noexcept nogil:
    """Fill `ev` for an onset in frames; `width_us` is that of a pulse's first phase."""
    cdef double first = floor(onset)
    ev.shape = shape
    ev.first = <int64_t>first
    ev.offset = onset - first
    ev.level = level
    ev.sign = sign * shape.polarity
    if shape.kind == RECTANGULAR_PULSE or shape.kind == SHAPED_PULSE:
        place_pulse(ev, width_us)
    else:
        ev.n = <int64_t>wide_ceil(wide_add(wide_of(ev.offset), shape.length))


cdef inline void place_pulse(Event* ev, double width_us) noexcept nogil:
    cdef const Shape* shape = ev.shape
    cdef Wide width = shape.width
    cdef Wide gap = shape.gap
    cdef Wide own, end
    cdef double boundary
    if width_us != shape.width_us:
        width = frames_of_us(width_us, shape.frames_per_us_1e6)
    cdef Wide second = width
    if shape.recovery_ratio != 1.0:
        second = wide_times(width, shape.recovery_ratio)
    ev.slope_num = 1.0
    ev.slope_den = shape.recovery_ratio
    if shape.snap:
        width = snapped(width)
        second = snapped(second)
        gap = wide_of(wide_floor(wide_add(gap, wide_of(0.5))))
        if width.hi == second.hi:
            ev.slope_den = 1.0
        else:
            ev.slope_num = width.hi
            ev.slope_den = second.hi
    ev.width = width
    ev.second_width = second
    cdef double level = <double>ev.level
    ev.lead = 0
    if ev.offset > 0:
        ev.lead = <int64_t>wide_ceil(wide_times(wide_of(ev.offset), level))
    end = wide_add(wide_of(ev.offset), width)
    # The phases must not meet inside a frame: they would cancel there.
    boundary = wide_ceil(end)
    if shape.first == RECTANGULAR:
        ev.charge = <int64_t>wide_floor(wide_times(width, level))
    else:
        ev.charge = <int64_t>(level * (width.hi * shape.mean))
    ev.turn = <int64_t>boundary
    ev.turn_offset = wide_of(0.0)
    if not shape.balanced:
        ev.n = ev.turn
        return
    if gap.hi > 0:
        own = wide_add(end, gap)
        if own.hi > boundary or (own.hi == boundary and own.lo > 0):
            boundary = wide_floor(own)
            ev.turn = <int64_t>boundary
            ev.turn_offset = wide_add(own, wide_of(-boundary))
            second = wide_add(second, ev.turn_offset)
    ev.n = ev.turn + <int64_t>wide_ceil(second)
    if shape.kind == RECTANGULAR_PULSE and ev.slope_den == 1.0:
        # the charge at `turn`, had the recovery phase begun on its boundary
        ev.rest = ev.charge
        if ev.turn_offset.hi > 0:
            ev.rest = <int64_t>wide_floor(wide_times(second, level))


cdef inline Wide snapped(Wide width) noexcept nogil:
    cdef double n = wide_floor(wide_add(width, wide_of(0.5)))
    return wide_of(n if n >= 1.0 else 1.0)


# -- running charge at frame boundary j, 0 < j < n ----------------------------

cdef inline int64_t rectangular_charge(const Event* ev, int64_t j) noexcept nogil:
    cdef int64_t q, m
    cdef Wide left
    if j <= ev.turn:
        q = j * ev.level - ev.lead
        return q if q < ev.charge else ev.charge
    m = j - ev.turn
    if ev.slope_den == 1.0:
        q = ev.rest - m * ev.level
    else:
        left = wide_add(ev.second_width, ev.turn_offset)
        left = wide_add(left, wide_of(-<double>m))
        if left.hi <= 0:
            return 0
        left = wide_times(left, <double>ev.level * ev.slope_num)
        q = floor_quotient(left, ev.slope_den)
    if q < 0:
        return 0
    return q if q < ev.charge else ev.charge


cdef inline int64_t shaped_charge(const Event* ev, int64_t j) noexcept nogil:
    cdef const Shape* shape = ev.shape
    cdef double level = <double>ev.level
    cdef double u, lacking, recovery_level
    cdef int64_t q, m
    if j <= ev.turn:
        u = (j - ev.offset) / ev.width.hi
        if u >= 1.0:
            return ev.charge
        lacking = ev.offset
        if shape.first != RECTANGULAR:
            lacking += ev.width.hi * (u - shape_area(shape.first, u))
        q = j * ev.level - <int64_t>ceil(level * lacking)
    else:
        m = j - ev.turn
        u = (m - ev.turn_offset.hi) / ev.second_width.hi
        if u > 1.0:
            u = 1.0
        recovery_level = shape.mean * ev.width.hi / (
            shape.second_mean * ev.second_width.hi
        )
        lacking = m - recovery_level * ev.second_width.hi * shape_area(shape.second, u)
        q = <int64_t>floor(
            level * (ev.width.hi * shape.mean) + level * lacking
        ) - m * ev.level
    if q < 0:
        return 0
    return q if q < ev.charge else ev.charge


cdef inline int64_t boundary_of_half(const Event* ev, int64_t m) noexcept nogil:
    """First frame boundary at or after the begin of half cycle m."""
    return <int64_t>wide_ceil(
        wide_add(wide_of(ev.offset), wide_times(ev.shape.half_cycle, <double>m))
    )


cdef inline int64_t half_of(const Event* ev, int64_t j) noexcept nogil:
    """The half cycle whose boundaries j is one of; -1 before the first."""
    cdef int64_t m = <int64_t>((<double>j - ev.offset) / ev.shape.half_cycle.hi)
    while m >= 0 and boundary_of_half(ev, m) > j:
        m -= 1
    while boundary_of_half(ev, m + 1) <= j:
        m += 1
    return m


cdef inline int64_t charge_of_half(const Event* ev, int64_t m, int64_t j) noexcept nogil:
    # At the first boundary j of half cycle m. From there on Q moves by whole levels,
    # so that a half is flat whatever the rounding of this one number.
    cdef Wide half = ev.shape.half_cycle
    cdef Wide part = wide_add(
        wide_sum(<double>j, -ev.offset), wide_times(half, -<double>m)
    )
    if m & 1:
        part = wide_add(half, wide_times(part, -1.0))
    return <int64_t>floor_near(wide_times(part, <double>ev.level), noise_in(ev))


cdef inline int64_t square_charge(const Event* ev, int64_t j) noexcept nogil:
    cdef int64_t m = half_of(ev, j), first, moved
    if m < 0:
        return 0
    first = boundary_of_half(ev, m)
    moved = ev.level * (j - first)
    return charge_of_half(ev, m, first) + (-moved if m & 1 else moved)


cdef inline int64_t triangular_charge(const Event* ev, int64_t j) noexcept nogil:
    cdef double turn = (j - ev.offset) * ev.shape.carrier
    cdef double p = turn - floor(turn)
    cdef double area
    if p <= 0.25:
        area = 2.0 * p * p
    elif p <= 0.75:
        area = 2.0 * p - 2.0 * p * p - 0.25
    else:
        area = 2.0 * (1.0 - p) * (1.0 - p)
    return <int64_t>(<double>ev.level / ev.shape.carrier * area)


cdef inline int64_t custom_charge(const Event* ev, int64_t j) noexcept nogil:
    cdef const Shape* shape = ev.shape
    cdef Wide t = wide_sum(<double>j, -ev.offset)
    cdef Wide x, area
    cdef int low = 0, high = shape.n_segments - 1, middle
    while low < high:
        middle = (low + high + 1) >> 1
        if shape.segments[middle].start.hi <= t.hi:
            low = middle
        else:
            high = middle - 1
    cdef const Segment* piece = &shape.segments[low]
    x = wide_add(t, wide_times(piece.start, -1.0))
    area = wide_add(piece.level, wide_mul(piece.half_slope, x))
    area = wide_times(wide_add(piece.area, wide_mul(area, x)), <double>ev.level)
    if area.hi < 0:
        return -<int64_t>floor_near(wide_times(area, -1.0), noise_in(ev))
    return <int64_t>floor_near(area, noise_in(ev))


cdef inline int64_t charge_at(const Event* ev, int64_t j) noexcept nogil:
    """Q at boundary j; not for a sine, which `sine_codes` computes in blocks."""
    cdef EventKind kind = ev.shape.kind
    if j <= 0:
        return 0
    if j >= ev.n:
        return 0 if ev.shape.balanced else end_charge(ev)
    if kind == RECTANGULAR_PULSE:
        return rectangular_charge(ev, j)
    if kind == SHAPED_PULSE:
        return shaped_charge(ev, j)
    if kind == SQUARE_BURST:
        return square_charge(ev, j)
    if kind == TRIANGULAR_BURST:
        return triangular_charge(ev, j)
    return custom_charge(ev, j)


cdef inline int64_t end_charge(const Event* ev) noexcept nogil:
    """What a monophasic event leaves, before its sign."""
    cdef Wide area
    if ev.shape.balanced:
        return 0
    if ev.shape.kind != CUSTOM_PULSE:
        return ev.charge
    area = ev.shape.segments[ev.shape.n_segments].area
    area = wide_times(area, <double>ev.level)
    return <int64_t>(wide_ceil(area) if area.hi < 0 else wide_floor(area))


# -- codes --------------------------------------------------------------------

cdef inline void event_codes(
    const Event* ev, int64_t start, int64_t stop, int32_t* out
) noexcept nogil:
    """Write the codes of the event's frames [start, stop), counted from its first."""
    cdef int64_t j, before, q
    if ev.shape.kind == SINE_BURST:
        sine_codes(ev, start, stop, out)
        return
    if ev.shape.kind == RECTANGULAR_PULSE and ev.slope_den == 1.0:
        flat_codes(ev, start, stop, out)
        return
    if ev.shape.kind == SQUARE_BURST:
        square_codes(ev, start, stop, out)
        return
    before = charge_at(ev, start)
    for j in range(start, stop):
        q = charge_at(ev, j + 1)
        out[j - start] = <int32_t>(ev.sign * (q - before))
        before = q


cdef inline void run_of(
    int32_t code, int64_t a, int64_t b, int64_t start, int64_t stop, int32_t* out
) noexcept nogil:
    """Write `code` to the frames [a, b) that lie in [start, stop)."""
    cdef int64_t j
    if a < start:
        a = start
    if b > stop:
        b = stop
    for j in range(a - start, b - start):
        out[j] = code


ctypedef struct Run:
    # The same code up to frame `stop` of the event.
    int32_t code
    int64_t stop


cdef inline int flat_runs(const Event* ev, Run* runs) noexcept nogil:
    # The differences of `rectangular_charge`, in at most 7 runs: a partial frame,
    # the level, a partial frame, nothing; and the same negated. Three times as fast
    # as frame by frame.
    cdef int32_t level = <int32_t>(ev.sign * ev.level)
    cdef int32_t sign = ev.sign
    cdef int64_t up = (ev.charge + ev.lead) // ev.level      # last full boundary
    cdef int64_t down, turn = ev.turn
    cdef int n = 0
    if up > 0:
        runs[0].code = <int32_t>(sign * (ev.level - ev.lead))
        runs[0].stop = 1
        runs[1].code = level
        runs[1].stop = up
        n = 2
    if up < turn:
        runs[n].code = <int32_t>(
            sign * (ev.charge - (up * ev.level - ev.lead if up > 0 else 0))
        )
        runs[n].stop = up + 1
        n += 1
    if up + 1 < turn:
        runs[n].code = 0
        runs[n].stop = turn
        n += 1
    if not ev.shape.balanced:
        return n
    down = ev.rest // ev.level
    if down == 0:
        runs[n].code = <int32_t>(-sign * ev.charge)
        runs[n].stop = turn + 1
        return n + 1
    runs[n].code = <int32_t>(sign * (ev.rest - ev.level - ev.charge))
    runs[n].stop = turn + 1
    runs[n + 1].code = -level
    runs[n + 1].stop = turn + down
    runs[n + 2].code = <int32_t>(-sign * (ev.rest - down * ev.level))
    runs[n + 2].stop = turn + down + 1
    return n + 3


cdef inline void flat_codes(
    const Event* ev, int64_t start, int64_t stop, int32_t* out
) noexcept nogil:
    cdef Run runs[7]
    cdef int i, n = flat_runs(ev, runs)
    cdef int64_t begin = 0
    for i in range(n):
        run_of(runs[i].code, begin, runs[i].stop, start, stop, out)
        begin = runs[i].stop
    run_of(0, begin, stop, start, stop, out)


cdef inline void square_codes(
    const Event* ev, int64_t start, int64_t stop, int32_t* out
) noexcept nogil:
    # Half by half: the level, and one frame that holds the edge (ten times as fast
    # as frame by frame at 2.5 kHz and 48 kHz).
    cdef int64_t j = start, m = half_of(ev, start), edge, q = 0, after
    cdef int32_t level
    if m >= 0:
        q = square_charge(ev, start)
    while j < stop:
        edge = boundary_of_half(ev, m + 1)
        if edge - 1 > j:
            level = <int32_t>(-ev.level if m & 1 else ev.level)
            after = edge - 1 if edge - 1 < stop else stop
            run_of(ev.sign * level, j, after, start, stop, out)
            q += level * (after - j)
            j = after
        if j < stop:
            m += 1
            after = charge_of_half(ev, m, edge) if edge < ev.n else 0
            out[j - start] = <int32_t>(ev.sign * (after - q))
            q = after
            j += 1


cdef inline void sine_codes(
    const Event* ev, int64_t start, int64_t stop, int32_t* out
) noexcept nogil:
    # C(t) = L / (2 pi c) (1 - cos(2 pi c t)). The cosine is anchored every
    # ANCHOR frames counted from the event's own first, so that splitting a
    # block cannot change it; between anchors it is turned by a table.
    cdef const Shape* shape = ev.shape
    cdef double scale = <double>ev.level / (2.0 * M_PI * shape.carrier)
    cdef double turn, c, s, value
    cdef int64_t anchor, j, low, high, q, before = 0
    cdef bint have = start == 0
    anchor = start & ~<int64_t>(ANCHOR - 1)
    while anchor <= stop:
        turn = (anchor - ev.offset) * shape.carrier
        turn -= floor(turn)
        c = scale * cos(2.0 * M_PI * turn)
        s = scale * sin(2.0 * M_PI * turn)
        low = start if start > anchor else anchor
        high = stop + 1 if stop + 1 < anchor + ANCHOR else anchor + ANCHOR
        if low == 0:
            low = 1
        for j in range(low, high):
            value = scale - (
                c * shape.cosine[j - anchor] - s * shape.sine[j - anchor]
            )
            q = <int64_t>value if j < ev.n else 0
            if have:
                out[j - 1 - start] = <int32_t>(ev.sign * (q - before))
            have = True
            before = q
        anchor += ANCHOR
