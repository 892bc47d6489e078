# cython: language_level=3
"""What was delivered, record by record, from the delivering thread to Python.

A ring with one producer and one consumer. What does not fit is counted, and
never waited for.
"""

from libc.stdint cimport int64_t

cdef extern from "_portable.h" nogil:
    int64_t nw_load(int64_t* p)
    void nw_store(int64_t* p, int64_t value)

cdef enum RecordKind:
    EVENT_RECORD
    CAPPED_RECORD         # delivered with a lowered level
    LEFT_OUT_RECORD       # not started, for the total of all channels
    CUT_RECORD            # the channel's last event ends early
    COMMAND_RECORD        # and the kind of the command
    FAULT_RECORD = 10
    UNDERRUN_RECORD
    END_RECORD


ctypedef struct Record:
    # The order and types are those of `nmes_wave.record.rows.RECORD_DTYPE`.
    int64_t kind
    double onset              # frames of the device's clock since the start
    double plan_frame
    int64_t channel           # -1: all, or none
    int64_t stage
    int64_t on_period
    int64_t index
    int64_t n_frames
    int64_t level
    int64_t sign
    int64_t net
    double value
    int64_t load
    double asked


ctypedef struct RecordRing:
    Record* records           # NULL: nobody reads
    int64_t size              # a power of two
    int64_t pushed
    int64_t popped
    int64_t lost


cdef inline void push_record(RecordRing* ring, const Record* record) noexcept nogil:
    cdef int64_t pushed = ring.pushed
    if ring.records == NULL:
        return
    if pushed - nw_load(&ring.popped) >= ring.size:
        nw_store(&ring.lost, ring.lost + 1)
        return
    ring.records[pushed & (ring.size - 1)] = record[0]
    nw_store(&ring.pushed, pushed + 1)


cdef inline int64_t records_in(RecordRing* ring) noexcept nogil:
    return nw_load(&ring.pushed) - ring.popped
