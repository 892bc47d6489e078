/* What C11 has and not every supported compiler offers to C: atomics, a
 * monotonic clock, a thread, denormals off. GCC and Clang use their builtins,
 * MSVC its intrinsics. */
#ifndef NMES_WAVE_PORTABLE_H
#define NMES_WAVE_PORTABLE_H

#include <stdint.h>
#include <string.h>

#ifdef _MSC_VER
#include <intrin.h>
static __inline int64_t nw_load(volatile int64_t *p) {
    int64_t v = *p;
    _ReadWriteBarrier();
    return v;
}
static __inline void nw_store(volatile int64_t *p, int64_t v) {
    _InterlockedExchange64(p, v);
}
static __inline int64_t nw_exchange(volatile int64_t *p, int64_t v) {
    return _InterlockedExchange64(p, v);
}
static __inline int64_t nw_compare_exchange(volatile int64_t *p, int64_t from,
                                            int64_t to) {
    return _InterlockedCompareExchange64(p, to, from);
}
#else
static inline int64_t nw_load(int64_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void nw_store(int64_t *p, int64_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
static inline int64_t nw_exchange(int64_t *p, int64_t v) {
    return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL);
}
/* Returns what was there before. */
static inline int64_t nw_compare_exchange(int64_t *p, int64_t from, int64_t to) {
    __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    return from;
}
#endif

#ifdef _WIN32
#include <process.h>
#include <windows.h>
static int64_t nw_now_ns(void) {
    LARGE_INTEGER f, t;
    QueryPerformanceFrequency(&f);
    QueryPerformanceCounter(&t);
    return (int64_t)((double)t.QuadPart * 1e9 / (double)f.QuadPart);
}
static void nw_sleep_until_ns(int64_t deadline) {
    int64_t left = deadline - nw_now_ns();
    if (left > 0) Sleep((DWORD)(left / 1000000 + 1));
}
typedef HANDLE nw_thread;
typedef struct {
    void (*run)(void *);
    void *argument;
} nw_thread_start;
static unsigned __stdcall nw_thread_main(void *p) {
    nw_thread_start s = *(nw_thread_start *)p;
    free(p);
    s.run(s.argument);
    return 0;
}
static int nw_thread_begin(nw_thread *t, void (*run)(void *), void *argument) {
    nw_thread_start *s = (nw_thread_start *)malloc(sizeof *s);
    if (s == NULL) return -1;
    s->run = run;
    s->argument = argument;
    *t = (HANDLE)_beginthreadex(NULL, 0, nw_thread_main, s, 0, NULL);
    if (*t == 0) {
        free(s);
        return -1;
    }
    return 0;
}
static void nw_thread_join(nw_thread t) {
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}
#else
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
static inline int64_t nw_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline void nw_sleep_until_ns(int64_t deadline) {
    struct timespec t;
#ifdef __APPLE__
    int64_t left = deadline - nw_now_ns();
    if (left <= 0) return;
    t.tv_sec = (time_t)(left / 1000000000);
    t.tv_nsec = (long)(left % 1000000000);
    nanosleep(&t, NULL);
#else
    t.tv_sec = (time_t)(deadline / 1000000000);
    t.tv_nsec = (long)(deadline % 1000000000);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
#endif
}
typedef pthread_t nw_thread;
typedef struct {
    void (*run)(void *);
    void *argument;
} nw_thread_start;
static void *nw_thread_main(void *p) {
    nw_thread_start s = *(nw_thread_start *)p;
    free(p);
    s.run(s.argument);
    return NULL;
}
static inline int nw_thread_begin(nw_thread *t, void (*run)(void *),
                                  void *argument) {
    nw_thread_start *s = (nw_thread_start *)malloc(sizeof *s);
    if (s == NULL) return -1;
    s->run = run;
    s->argument = argument;
    if (pthread_create(t, NULL, nw_thread_main, s) != 0) {
        free(s);
        return -1;
    }
    return 0;
}
static inline void nw_thread_join(nw_thread t) { pthread_join(t, NULL); }
#endif

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>
/* Flush-to-zero and denormals-are-zero on; returns the mode to restore. */
static inline unsigned nw_denormals_off(void) {
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}
static inline void nw_denormals_restore(unsigned before) { _mm_setcsr(before); }
#else
static inline unsigned nw_denormals_off(void) { return 0; }
static inline void nw_denormals_restore(unsigned before) { (void)before; }
#endif

/* Zeros that nobody reads soon: they go past the caches, at once and a half to
 * twice the speed of memset in pieces (x86-64; elsewhere it is memset). Call
 * nw_stream_end before another thread may look. */
#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
static inline void nw_stream_zeros(void *out, int64_t bytes) {
    char *p = (char *)out, *end = p + bytes;
    char *line = (char *)(((uintptr_t)p + 63) & ~(uintptr_t)63);
    const __m128i zeros = _mm_setzero_si128();
    if (line > end) line = end;
    memset(p, 0, (size_t)(line - p));
    for (; line + 64 <= end; line += 64) {
        _mm_stream_si128((__m128i *)line, zeros);
        _mm_stream_si128((__m128i *)(line + 16), zeros);
        _mm_stream_si128((__m128i *)(line + 32), zeros);
        _mm_stream_si128((__m128i *)(line + 48), zeros);
    }
    memset(line, 0, (size_t)(end - line));
}
static inline void nw_stream_end(void) { _mm_sfence(); }
#else
static inline void nw_stream_zeros(void *out, int64_t bytes) {
    memset(out, 0, (size_t)bytes);
}
static inline void nw_stream_end(void) {}
#endif

/* Asks for memory that will be written soon: 64-byte lines. */
static inline void nw_fetch(const void *out, int64_t bytes) {
#ifdef __GNUC__
    for (const char *p = (const char *)out; bytes > 0; p += 64, bytes -= 64)
        __builtin_prefetch(p, 1);
#else
    (void)out;
    (void)bytes;
#endif
}

/* Signals: a handler that sets a flag to 1 (the engine's emergency stop) and
 * then calls the handler that was there, Python's. One engine at a time. */
#include <signal.h>
enum { NW_SIGNALS = 65 };
static int64_t nw_signal_flag; /* address of the flag, 0: none */
#ifdef _WIN32
static void (*nw_signal_before[NW_SIGNALS])(int);
static void nw_on_signal(int number) {
    int64_t *flag = (int64_t *)nw_load(&nw_signal_flag);
    if (flag) nw_compare_exchange(flag, 0, 1);
    signal(number, nw_on_signal); /* Windows gives it back to the default */
    if (nw_signal_before[number]) nw_signal_before[number](number);
}
static int nw_catch_signal(int number, int64_t *flag) {
    void (*before)(int);
    if (number < 1 || number >= NW_SIGNALS) return -1;
    if (nw_load(&nw_signal_flag) != 0 && nw_load(&nw_signal_flag) != (int64_t)flag)
        return -1;
    before = signal(number, nw_on_signal);
    if (before == SIG_ERR) return -1;
    if (before == SIG_DFL || before == SIG_IGN) {
        signal(number, before);
        return -1;
    }
    nw_signal_before[number] = before;
    nw_store(&nw_signal_flag, (int64_t)flag);
    return 0;
}
static void nw_release_signal(int number, int64_t *flag) {
    int n;
    if (nw_load(&nw_signal_flag) != (int64_t)flag || !nw_signal_before[number])
        return;
    signal(number, nw_signal_before[number]);
    nw_signal_before[number] = 0;
    for (n = 1; n < NW_SIGNALS; n++)
        if (nw_signal_before[n]) return;
    nw_store(&nw_signal_flag, 0);
}
#else
static struct sigaction nw_signal_before[NW_SIGNALS];
static int nw_signal_caught[NW_SIGNALS];
static void nw_on_signal(int number, siginfo_t *info, void *context) {
    int64_t *flag = (int64_t *)(intptr_t)nw_load(&nw_signal_flag);
    struct sigaction *before = &nw_signal_before[number];
    if (flag) nw_compare_exchange(flag, 0, 1);
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else
        before->sa_handler(number);
}
static int nw_catch_signal(int number, int64_t *flag) {
    struct sigaction ours;
    int64_t owner = nw_load(&nw_signal_flag);
    if (number < 1 || number >= NW_SIGNALS || nw_signal_caught[number]) return -1;
    if (owner != 0 && owner != (int64_t)(intptr_t)flag) return -1;
    if (sigaction(number, NULL, &nw_signal_before[number]) != 0) return -1;
    ours = nw_signal_before[number];
    if (!(ours.sa_flags & SA_SIGINFO) &&
        (ours.sa_handler == SIG_DFL || ours.sa_handler == SIG_IGN))
        return -1;
    ours.sa_sigaction = nw_on_signal;
    ours.sa_flags |= SA_SIGINFO;
    nw_store(&nw_signal_flag, (int64_t)(intptr_t)flag);
    if (sigaction(number, &ours, NULL) != 0) return -1;
    nw_signal_caught[number] = 1;
    return 0;
}
static void nw_release_signal(int number, int64_t *flag) {
    struct sigaction now;
    int n;
    if (nw_load(&nw_signal_flag) != (int64_t)(intptr_t)flag ||
        !nw_signal_caught[number])
        return;
    nw_signal_caught[number] = 0;
    /* whoever has set another handler since, keeps it */
    if (sigaction(number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == nw_on_signal)
        sigaction(number, &nw_signal_before[number], NULL);
    for (n = 1; n < NW_SIGNALS; n++)
        if (nw_signal_caught[n]) return;
    nw_store(&nw_signal_flag, 0);
}
#endif

#endif
