# cython: language_level=3
"""When events happen: stages, channels, cursors; closed forms throughout.

Onsets are computed in frames from the event's index, never by adding periods.
The begin of an on-period is kept as whole frames plus a fraction, so that days
of frames leave the fraction its bits.
"""

from libc.math cimport M_PI, cos, expm1, fabs, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t

from nmes_wave._charge cimport Event, Shape, floor, place_event

cdef enum EnvelopeShape:
    LINEAR
    COSINE
    EXPONENTIAL


ctypedef struct Instant:
    # A time in frames.
    int64_t whole
    double part


ctypedef struct Stage:
    Shape shape
    double amplitude_ma
    int64_t full_level        # on the plateau at intensity 1
    # train
    double rate_hz
    double rate_end_hz
    double sample_rate_hz
    bint sweeps
    bint has_first_interval
    double first_interval     # frames
    double phase              # parts of a period
    double jitter
    uint64_t seed
    int64_t n_events          # in each on-period; an N-let counts as one
    int64_t n_let
    double n_let_interval     # frames
    bint alternates
    # duty cycle
    int64_t repeats
    double on_period_s
    double on_period          # frames
    Instant period
    Instant begin             # of the stage's first on-period, in the pass
    int64_t first_ordinal     # of the stage's first event, in the pass
    # envelope
    EnvelopeShape envelope
    bint modulates_width
    double ramp_up            # frames
    double ramp_down
    double start_level


ctypedef struct Channel:
    int n_stages
    Stage* stages
    int64_t repeats
    Instant begin
    Instant pass_length
    int64_t events_per_pass   # the members of N-lets apart
    int64_t n_events
    double full_scale_ma
    double max_code


ctypedef struct Cursor:
    # The next event of a channel.
    int64_t ordinal           # counts the channel's events from 0
    int64_t pass_index
    int stage
    int64_t on_period         # of the stage, in this pass
    int64_t k
    int64_t member
    Instant begin             # of the on-period
    double lead               # onset of event k in its on-period, before jitter
    double onset


# -- jitter: Philox4x64-10 (Salmon et al. 2011), the generator of numpy.random.Philox

cdef inline uint64_t high_product(uint64_t a, uint64_t b) noexcept nogil:
    cdef uint64_t a0 = <uint32_t>a, a1 = a >> 32, b0 = <uint32_t>b, b1 = b >> 32
    cdef uint64_t middle = a1 * b0 + (a0 * b0 >> 32)
    cdef uint64_t low = a0 * b1 + <uint32_t>middle
    return a1 * b1 + (middle >> 32) + (low >> 32)


cdef inline double uniform(
    uint64_t seed, uint64_t channel, uint64_t stage, uint64_t on_period, uint64_t k
) noexcept nogil:
    """First output for key (seed, channel), counter (k, on_period, stage, 0)."""
    cdef uint64_t c0 = k, c1 = on_period, c2 = stage, c3 = 0
    cdef uint64_t k0 = seed, k1 = channel, h0, h2, l0, l2
    cdef int i
    for i in range(10):
        h0 = high_product(<uint64_t>0xD2E7470EE14C6C93, c0)
        l0 = <uint64_t>0xD2E7470EE14C6C93 * c0
        h2 = high_product(<uint64_t>0xCA5A826395121157, c2)
        l2 = <uint64_t>0xCA5A826395121157 * c2
        c0 = h2 ^ c1 ^ k0
        c1 = l2
        c2 = h0 ^ c3 ^ k1
        c3 = l0
        k0 += <uint64_t>0x9E3779B97F4A7C15
        k1 += <uint64_t>0xBB67AE8584CAA73B
    return <double>(c0 >> 11) * (1.0 / 9007199254740992.0)


# -- onsets -------------------------------------------------------------------

cdef inline double lead_of(const Stage* st, int64_t k, double jitter) noexcept nogil:
    """Onset of event `k` in frames after its on-period's begin."""
    cdef double q = <double>k + st.phase + jitter
    if st.sweeps:
        return 2.0 * q / (
            st.rate_hz
            + sqrt(
                st.rate_hz * st.rate_hz
                + 2.0 * (st.rate_end_hz - st.rate_hz) * q / st.on_period_s
            )
        ) * st.sample_rate_hz
    if st.has_first_interval and k > 0:
        return (
            (<double>(k - 1) + st.phase + jitter) * st.sample_rate_hz / st.rate_hz
            + st.first_interval
        )
    # in this order: (k / f) * fs is four times as far off
    return q * st.sample_rate_hz / st.rate_hz


cdef inline int64_t on_period_number(const Channel* ch, const Cursor* cur) noexcept nogil:
    """On-periods of a stage count on through the channel's repeats."""
    return cur.pass_index * ch.stages[cur.stage].repeats + cur.on_period


cdef inline void locate(const Channel* ch, int index, Cursor* cur) noexcept nogil:
    """Set the onset from the cursor's place in its on-period."""
    cdef const Stage* st = &ch.stages[cur.stage]
    cdef double lead, jitter, whole
    cur.lead = lead_of(st, cur.k, 0.0)
    lead = cur.lead
    if st.jitter > 0:
        jitter = st.jitter * uniform(
            st.seed, index, cur.stage, on_period_number(ch, cur), cur.k
        )
        lead = lead_of(st, cur.k, jitter)
    if cur.member > 0:
        lead += <double>cur.member * st.n_let_interval
    cur.onset = <double>cur.begin.whole + (cur.begin.part + lead)
    # An onset that is a whole frame but for the rounding of float64 is whole: a
    # hair above the boundary a pulse would end one frame later.
    whole = floor(cur.onset + 0.5)
    if st.shape.snap or fabs(cur.onset - whole) < 4e-7:
        cur.onset = whole


cdef inline void begin_on_period(const Channel* ch, Cursor* cur) noexcept nogil:
    cdef const Stage* st = &ch.stages[cur.stage]
    cur.begin.whole = (
        ch.begin.whole
        + cur.pass_index * ch.pass_length.whole
        + st.begin.whole
        + cur.on_period * st.period.whole
    )
    cur.begin.part = (
        ch.begin.part
        + <double>cur.pass_index * ch.pass_length.part
        + st.begin.part
        + <double>cur.on_period * st.period.part
    )


cdef inline void move_to(
    const Channel* ch, int index, int64_t ordinal, Cursor* cur
) noexcept nogil:
    """Set the cursor to an event; past the last one its onset is infinite."""
    cdef int64_t rest
    cdef int low = 0, high = ch.n_stages - 1, middle
    cdef const Stage* st
    cur.ordinal = ordinal
    if ordinal >= ch.n_events:
        cur.onset = 1e300
        return
    cur.pass_index = ordinal // ch.events_per_pass
    rest = ordinal - cur.pass_index * ch.events_per_pass
    while low < high:
        middle = (low + high + 1) >> 1
        if ch.stages[middle].first_ordinal <= rest:
            low = middle
        else:
            high = middle - 1
    cur.stage = low
    st = &ch.stages[low]
    rest -= st.first_ordinal
    cur.on_period = rest // (st.n_events * st.n_let)
    rest -= cur.on_period * st.n_events * st.n_let
    cur.k = rest // st.n_let
    cur.member = rest - cur.k * st.n_let
    begin_on_period(ch, cur)
    locate(ch, index, cur)


cdef inline void advance(const Channel* ch, int index, Cursor* cur) noexcept nogil:
    cdef const Stage* st
    if cur.ordinal + 1 >= ch.n_events:
        move_to(ch, index, ch.n_events, cur)
        return
    st = &ch.stages[cur.stage]
    if cur.member + 1 < st.n_let:
        cur.member += 1
    elif cur.k + 1 < st.n_events:
        cur.member = 0
        cur.k += 1
    else:
        move_to(ch, index, cur.ordinal + 1, cur)
        return
    cur.ordinal += 1
    locate(ch, index, cur)


cdef inline int64_t clamp(double value, int64_t low, int64_t high) noexcept nogil:
    if not value > <double>low:
        return low
    if value >= <double>high:
        return high
    return <int64_t>value


cdef inline int64_t near_ordinal(const Channel* ch, double frame) noexcept nogil:
    """An event near `frame`, from the timeline alone: a few events off at most."""
    cdef double t = frame - ch.begin.whole - ch.begin.part
    cdef double length = ch.pass_length.whole + ch.pass_length.part
    cdef int64_t p = clamp(t / length, 0, ch.repeats - 1)
    cdef int low = 0, high = ch.n_stages - 1, middle
    cdef const Stage* st
    cdef int64_t i, k
    cdef double x, f0, f1
    t -= p * length
    while low < high:
        middle = (low + high + 1) >> 1
        if ch.stages[middle].begin.whole + ch.stages[middle].begin.part <= t:
            low = middle
        else:
            high = middle - 1
    st = &ch.stages[low]
    t -= st.begin.whole + st.begin.part
    length = st.period.whole + st.period.part
    i = clamp(t / length, 0, st.repeats - 1)
    x = (t - i * length) / st.sample_rate_hz
    if st.sweeps:
        f0 = st.rate_hz
        f1 = st.rate_end_hz
        x = f0 * x + (f1 - f0) * x * x / (2.0 * st.on_period_s)
        # past the on-period a falling sweep's parabola would turn back
        if t - i * length > st.on_period:
            x = <double>st.n_events
    else:
        x = x * st.rate_hz
    k = clamp(x - st.phase, 0, st.n_events - 1)
    return (
        p * ch.events_per_pass
        + st.first_ordinal
        + (i * st.n_events + k) * st.n_let
    )


cdef inline void seek(
    const Channel* ch, int index, double frame, Cursor* cur
) noexcept nogil:
    """Set the cursor to the first event with an onset at or after `frame`."""
    cdef int64_t ordinal = near_ordinal(ch, frame)
    move_to(ch, index, ordinal, cur)
    while ordinal > 0 and cur.onset >= frame:
        ordinal -= 1
        move_to(ch, index, ordinal, cur)
    while cur.onset < frame:
        advance(ch, index, cur)


# -- levels -------------------------------------------------------------------

cdef inline double envelope_at(const Stage* st, double lead) noexcept nogil:
    """Envelope `lead` frames after the on-period's begin, read before jitter."""
    cdef double r
    if lead < st.ramp_up:
        r = lead / st.ramp_up
    elif st.on_period - lead < st.ramp_down:
        r = (st.on_period - lead) / st.ramp_down
        if r < 0:
            r = 0.0
    else:
        return 1.0
    if st.envelope == COSINE:
        r = (1.0 - cos(M_PI * r)) / 2.0
    elif st.envelope == EXPONENTIAL:
        r = expm1(5.0 * r) / 147.4131591025766     # e^5 - 1
    return st.start_level + (1.0 - st.start_level) * r


cdef inline double amplitude_at(const Stage* st, double lead) noexcept nogil:
    if st.modulates_width:
        return st.amplitude_ma
    return st.amplitude_ma * envelope_at(st, lead)


cdef inline double width_us_at(const Stage* st, double lead) noexcept nogil:
    if st.modulates_width:
        return st.shape.width_us * envelope_at(st, lead)
    return st.shape.width_us


cdef inline int64_t level_of(
    const Channel* ch, double amplitude_ma, double intensity
) noexcept nogil:
    cdef double x = amplitude_ma * intensity / ch.full_scale_ma * ch.max_code
    return <int64_t>floor(x * (1.0 + 1e-12))


cdef inline int64_t event_level(
    const Channel* ch, const Cursor* cur, double intensity
) noexcept nogil:
    cdef const Stage* st = &ch.stages[cur.stage]
    cdef double amplitude_ma = amplitude_at(st, cur.lead)
    if intensity != 1.0 or amplitude_ma != st.amplitude_ma:
        return level_of(ch, amplitude_ma, intensity)
    return st.full_level


cdef inline void event_of_level(
    const Channel* ch, const Cursor* cur, int64_t level, Event* ev
) noexcept nogil:
    cdef const Stage* st = &ch.stages[cur.stage]
    cdef int sign = -1 if st.alternates and (cur.k & 1) else 1
    place_event(ev, &st.shape, cur.onset, level, sign, width_us_at(st, cur.lead))


cdef inline void make_event(
    const Channel* ch, const Cursor* cur, double intensity, Event* ev
) noexcept nogil:
    event_of_level(ch, cur, event_level(ch, cur, intensity), ev)
