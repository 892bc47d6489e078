# cython: language_level=3
"""The live engine's memory: what the delivering thread and Python share.

One thread delivers; Python talks to it through a ring of commands, two flags (an
emergency, a winding down) and a counter of feeds, and reads a triple buffer and
a ring of records. Everything else belongs to the delivering thread.
"""

from libc.stdint cimport int64_t

from nmes_wave._guard cimport Caps, Total
from nmes_wave._record cimport RecordRing
from nmes_wave._render cimport Plan, Voice

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
    INPUT_FLAGS = 3       # paInputUnderflow, paInputOverflow: frames are not there
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
    GUARD
    LOG_FAILED

cdef enum CommandKind:
    START
    SET_INTENSITY
    PAUSE
    RESUME
    STOP
    LOAD


ctypedef struct Loaded:
    # A plan being delivered, and how far it is.
    const Plan* plan
    Voice* voices
    int* queue                # channels as a heap: the next event's on top
    int64_t n_frames
    int64_t number            # counts the loads of a session
    Total total


ctypedef struct Command:
    int64_t kind
    int64_t channel           # -1: all
    double value
    double asked              # the plan's frame when it was asked
    Loaded* loaded


ctypedef struct Gain:
    # Intensity of a channel: from `origin` at `since` towards `target`.
    double origin
    double target
    double since              # frame
    double rate               # per frame, at most the slew
    double rise_end           # after a resume it rises slowly, to be there by then


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
    int64_t capped
    int64_t underruns
    int64_t silent_frames     # since the last event ended
    int64_t in_flight
    int64_t load              # number of the plan being delivered
    double elapsed            # frames of the device's clock since the start
    Track* tracks


ctypedef struct Capture:
    # What a duplex device heard: the frame at `i` came in with the call that the
    # device's frame `i` went out with.
    float* samples            # NULL: nobody listens
    int64_t n_channels
    int64_t size              # frames; what comes later is dropped
    int64_t n                 # frames so far: below it nothing is written any more
    int64_t gaps              # calls whose input is not what the device heard


ctypedef struct Live:
    Loaded* loaded
    Gain* gains
    double slew               # per frame
    int64_t ramp_frames
    int64_t watchdog_frames   # 0: no clock paces this sink
    int64_t long_event_frames
    bint trip                 # an underrun is a fault
    bint packed               # int24 goes out as three bytes
    double ns_per_frame
    int64_t latency_ns        # 0: stalls are not looked for
    Caps caps
    # written by the delivering thread only
    int64_t state
    int64_t fault
    int64_t pending_fault     # when the ramp has ended
    int64_t at                # the plan's clock
    int64_t tail              # runs on for events in flight while the clock stands
    int64_t device            # the device's clock, from the start on
    int64_t ramp_from
    int64_t fed               # last value seen of `feeds`
    int64_t unfed_frames
    int64_t last_call_ns
    bint resuming             # both wait until nothing is in flight
    Loaded* incoming
    bint ends_early           # events in flight end where their charge is zero
    Snapshot now
    # the boundary
    Command ring[RING]
    int64_t pushed            # producer's count
    int64_t popped            # consumer's count
    int64_t emergency         # a Fault, set once by anyone
    int64_t winding_down      # likewise, but with the ramp
    int64_t stop_asked        # where the ring had no room for it
    int64_t feeds
    int64_t finished          # PortAudio's finished callback was here
    Snapshot snapshots[3]
    int64_t middle            # index of the snapshot between writer and reader
    int64_t back
    int64_t front
    RecordRing records
    int64_t durations[BUCKETS]
    int64_t longest_ns
    Capture capture
    # scratch for packed samples and for the null sink
    void* scratch
    int64_t scratch_frames
    int64_t clock_running
    int64_t clock_block
