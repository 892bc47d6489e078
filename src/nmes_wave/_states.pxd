# cython: language_level=3
"""States, commands and faults of the live engine, and the intensity.

The rules are in the documentation (*Live*).
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from nmes_wave._charge cimport (
    SINE_BURST,
    SQUARE_BURST,
    TRIANGULAR_BURST,
    Event,
    boundary_of_half,
    charge_at,
    end_charge,
    event_codes,
)
from nmes_wave._live cimport (
    ENGINE_FAILED,
    FAULT,
    LOAD,
    NO_FAULT,
    OPEN,
    PAUSE,
    PAUSED,
    PER_BLOCK,
    RESUME,
    RING,
    RUNNING,
    SET_INTENSITY,
    START,
    STOP,
    STOPPED,
    STOPPING,
    UNDERFLOW_FLAG,
    UNDERRUN,
    WATCHDOG,
    Command,
    Gain,
    Live,
    nw_load,
    nw_store,
)
from nmes_wave._record cimport (
    COMMAND_RECORD,
    CUT_RECORD,
    END_RECORD,
    FAULT_RECORD,
    UNDERRUN_RECORD,
    Record,
    push_record,
)
from nmes_wave._render cimport CHUNK
from nmes_wave._timeline cimport Cursor, Stage


# -- intensity ----------------------------------------------------------------

cdef inline double gain_at(const Live* lv, const Gain* g, double frame) noexcept nogil:
    cdef double step = g.rate * (frame - g.since)
    cdef double gain, line
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
    if lv.state == STOPPING:
        line = 1.0 - (frame - lv.ramp_from) / <double>lv.ramp_frames
        gain = gain * line if line > 0 else 0.0
    return gain


cdef inline void move(Live* lv, Gain* g, double origin, double target) noexcept nogil:
    """From now on, at the slew, or as slowly as the rise after a resume asks."""
    cdef double left = g.rise_end - <double>lv.at
    g.origin = origin
    g.target = target
    g.since = <double>lv.at
    g.rate = lv.slew
    if left > 0 and 0 < target - origin < g.rate * left:
        g.rate = (target - origin) / left


cdef inline void rise_again(Live* lv) noexcept nogil:
    """From zero, over the stage's ramp-up or at the slew, whichever is slower."""
    cdef int c
    cdef Gain* g
    cdef const Stage* st
    for c in range(lv.loaded.plan.n_channels):
        g = &lv.gains[c]
        st = &lv.loaded.plan.channels[c].stages[lv.now.tracks[c].stage]
        g.rise_end = <double>lv.at + st.ramp_up
        move(lv, g, 0.0, g.target)


# -- the record ---------------------------------------------------------------

cdef inline void record(
    Live* lv, int64_t kind, int64_t channel, double value, double asked
) noexcept nogil:
    cdef Record row
    memset(&row, 0, sizeof(Record))
    row.kind = kind
    row.onset = <double>lv.device
    row.plan_frame = <double>lv.at
    row.channel = channel
    row.value = value
    row.load = lv.loaded.number
    row.asked = asked
    push_record(&lv.records, &row)


cdef inline void record_event(
    Live* lv, int64_t kind, int c, const Cursor* cur, const Event* ev, double gain
) noexcept nogil:
    cdef Record row
    row.kind = kind
    row.onset = <double>lv.device + (cur.onset - <double>lv.at)
    row.plan_frame = cur.onset
    row.channel = c
    row.stage = cur.stage
    row.on_period = lv.now.tracks[c].on_period
    row.index = cur.k
    row.n_frames = ev.n
    row.level = ev.level
    row.sign = ev.sign
    row.net = ev.sign * end_charge(ev)
    row.value = gain
    row.load = lv.loaded.number
    row.asked = -1.0
    push_record(&lv.records, &row)


cdef inline int64_t sum_of_codes(const Event* ev, int64_t stop) noexcept nogil:
    cdef int32_t codes[CHUNK]
    cdef int64_t start = 0, end, i, total = 0
    while start < stop:
        end = stop if stop - start < CHUNK else start + CHUNK
        event_codes(ev, start, end, codes)
        for i in range(end - start):
            total += codes[i]
        start = end
    return total


cdef inline void record_cut(Live* lv, int c, const Event* ev, int64_t net) noexcept nogil:
    cdef Record row
    memset(&row, 0, sizeof(Record))
    row.kind = CUT_RECORD
    row.onset = <double>lv.device + <double>(ev.first + ev.n - lv.tail)
    row.plan_frame = <double>lv.at
    row.channel = c
    row.n_frames = ev.n
    row.net = net
    row.load = lv.loaded.number
    row.asked = -1.0
    push_record(&lv.records, &row)


# -- states -------------------------------------------------------------------

cdef inline bint in_flight(const Live* lv) noexcept nogil:
    cdef int c
    for c in range(lv.loaded.plan.n_channels):
        if lv.loaded.voices[c].n_flying > 0:
            return True
    return False


cdef inline bint clock_runs(const Live* lv) noexcept nogil:
    return (lv.state == RUNNING or lv.state == STOPPING) and lv.incoming == NULL


cdef inline void end(Live* lv, int64_t fault) noexcept nogil:
    """Start no further event; those in flight complete."""
    lv.incoming = NULL
    lv.resuming = False
    lv.state = STOPPED if fault == NO_FAULT else FAULT
    lv.fault = fault
    if fault == NO_FAULT:
        record(lv, END_RECORD, -1, 0.0, -1.0)
    else:
        record(lv, FAULT_RECORD, -1, <double>fault, -1.0)


cdef inline void wind_down(Live* lv, int64_t fault) noexcept nogil:
    """Ramp to zero, and then end."""
    cdef int c
    cdef Gain* g
    if lv.state == STOPPING:
        if lv.pending_fault == NO_FAULT:
            lv.pending_fault = fault
    elif lv.state == RUNNING and lv.incoming == NULL:
        for c in range(lv.loaded.plan.n_channels):
            # a gain that still rises would outrun the ramp
            g = &lv.gains[c]
            g.origin = g.target = gain_at(lv, g, <double>lv.at)
        lv.state = STOPPING
        lv.ramp_from = lv.at
        lv.pending_fault = fault
    elif lv.state != FAULT and (lv.state != STOPPED or fault != NO_FAULT):
        end(lv, fault)


cdef inline void end_cycle(Live* lv, int c, Event* ev) noexcept nogil:
    """Let a burst end with the carrier cycle that it is in."""
    cdef double elapsed = <double>(lv.tail - ev.first) - ev.offset
    cdef double cycles = <double>(<int64_t>(elapsed * ev.shape.carrier) + 1)
    cdef int64_t n = boundary_of_half(ev, 2 * <int64_t>cycles)
    if n < ev.n:
        ev.n = n
        record_cut(lv, c, ev, 0)


cdef inline void trip_fault(Live* lv, int64_t fault) noexcept nogil:
    """Start no further event; those in flight complete, long ones end early."""
    cdef int c, i
    cdef Event* ev
    if lv.state == FAULT:
        return
    end(lv, fault)
    lv.ends_early = True
    for c in range(lv.loaded.plan.n_channels):
        for i in range(lv.loaded.voices[c].n_flying):
            ev = &lv.loaded.voices[c].flying[i]
            if ev.first + ev.n - lv.tail > lv.long_event_frames and ev.shape.kind in (
                SINE_BURST, SQUARE_BURST, TRIANGULAR_BURST
            ):
                end_cycle(lv, c, ev)


cdef inline void end_at_zero(Live* lv, int c, int64_t frames) noexcept nogil:
    """Let long events that are no bursts end where their running charge is zero."""
    cdef int i
    cdef int64_t j, start, stop
    cdef Event* ev
    for i in range(lv.loaded.voices[c].n_flying):
        ev = &lv.loaded.voices[c].flying[i]
        start = lv.tail - ev.first
        if ev.n - start <= lv.long_event_frames or ev.shape.kind in (
            SINE_BURST, SQUARE_BURST, TRIANGULAR_BURST
        ):
            continue
        stop = start + frames if start + frames < ev.n else ev.n
        for j in range(start, stop):
            if charge_at(ev, j) == 0:
                ev.n = j
                record_cut(lv, c, ev, 0)
                break


cdef inline void obey(Live* lv, Command* cmd) noexcept nogil:
    cdef int c
    cdef Gain* g
    if lv.state == FAULT:
        return
    if not (0.0 <= cmd.value <= 1.0):
        trip_fault(lv, ENGINE_FAILED)
        return
    if cmd.kind == START and lv.state == OPEN:
        lv.state = RUNNING
        lv.unfed_frames = 0
    elif cmd.kind == SET_INTENSITY and (lv.state == RUNNING or lv.state == PAUSED):
        for c in range(lv.loaded.plan.n_channels):
            if cmd.channel == -1 or cmd.channel == c:
                g = &lv.gains[c]
                move(lv, g, gain_at(lv, g, <double>lv.at), cmd.value)
    elif cmd.kind == PAUSE and lv.state == RUNNING:
        lv.state = PAUSED
    elif cmd.kind == PAUSE and lv.state == PAUSED:
        lv.resuming = False
    elif cmd.kind == RESUME and lv.state == PAUSED:
        lv.resuming = True
    elif cmd.kind == LOAD and lv.state in (OPEN, RUNNING, PAUSED):
        lv.incoming = cmd.loaded
    elif cmd.kind == STOP and lv.state in (OPEN, RUNNING, PAUSED):
        record(lv, COMMAND_RECORD + STOP, -1, 0.0, cmd.asked)
        wind_down(lv, NO_FAULT)
        return
    else:
        return
    if cmd.kind != LOAD:
        # of a load, the moment at which the new plan begins is recorded
        record(lv, COMMAND_RECORD + cmd.kind, cmd.channel, cmd.value, cmd.asked)


cdef inline void take_over(Live* lv) noexcept nogil:
    """Begin the plan that was loaded; nothing is in flight."""
    cdef int c
    cdef Gain* g
    lv.loaded = lv.incoming
    lv.incoming = NULL
    lv.at = 0
    lv.tail = 0
    for c in range(lv.loaded.plan.n_channels):
        g = &lv.gains[c]
        g.origin = g.target
        g.since = 0
        g.rise_end = 0
        lv.now.tracks[c].stage = 0
        lv.now.tracks[c].on_period = 0
    if lv.state != OPEN:
        rise_again(lv)
    record(lv, COMMAND_RECORD + LOAD, -1, 0.0, -1.0)


cdef inline void attend(Live* lv, int64_t frames, int64_t flags) noexcept nogil:
    """Emergency, underruns, commands, watchdog: in the order of precedence."""
    cdef int64_t i, pushed, feeds
    cdef int64_t emergency = nw_load(&lv.emergency)
    cdef int64_t winding_down = nw_load(&lv.winding_down)
    if clock_runs(lv):
        lv.tail = lv.at
    if emergency != NO_FAULT:
        trip_fault(lv, emergency)
    if flags & UNDERFLOW_FLAG and lv.state != OPEN:
        lv.now.underruns += 1
        record(lv, UNDERRUN_RECORD, -1, <double>lv.now.underruns, -1.0)
        if lv.trip and lv.state != STOPPED:
            trip_fault(lv, UNDERRUN)
    if winding_down != NO_FAULT:
        wind_down(lv, winding_down)
    pushed = nw_load(&lv.pushed)
    for i in range(PER_BLOCK):
        if lv.popped == pushed:
            break
        obey(lv, &lv.ring[lv.popped % RING])
        nw_store(&lv.popped, lv.popped + 1)
    if nw_load(&lv.stop_asked) and lv.state in (OPEN, RUNNING, PAUSED):
        record(lv, COMMAND_RECORD + STOP, -1, 0.0, -1.0)
        wind_down(lv, NO_FAULT)
    feeds = nw_load(&lv.feeds)
    if feeds != lv.fed:
        lv.fed = feeds
        lv.unfed_frames = 0
    elif lv.state == RUNNING and lv.watchdog_frames > 0:
        lv.unfed_frames += frames
        if lv.unfed_frames > lv.watchdog_frames:
            wind_down(lv, WATCHDOG)
