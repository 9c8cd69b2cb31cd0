/* mono.h: monotonic time as a type; no bare integer holds a point in time.
 *
 * A mono_t is a point on CLOCK_MONOTONIC (the clock of bpf_ktime_get_ns(), so a lease deadline
 * means the same to the daemon and to the mute program in the kernel). A length of time is an
 * int64_t whose name ends in _ns (or is built with MS(), SEC()). Pure rooms never read a clock:
 * they are handed `now`.
 */
#ifndef FK_BASE_MONO_H
#define FK_BASE_MONO_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct {
	int64_t ns;
} mono_t;

#define US(n)  ((int64_t)(n) * 1000)
#define MS(n)  ((int64_t)(n) * 1000000)
#define SEC(n) ((int64_t)(n) * 1000000000)

#define MONO_ZERO  ((mono_t){ 0 })
#define MONO_NEVER ((mono_t){ INT64_MAX })

static inline mono_t mono_add(mono_t t, int64_t ns)
{
	if (t.ns == INT64_MAX)
		return t;
	return (mono_t){ t.ns + ns };
}

/* a - b in nanoseconds. */
static inline int64_t mono_sub(mono_t a, mono_t b)
{
	return a.ns - b.ns;
}

static inline bool mono_before(mono_t a, mono_t b)
{
	return a.ns < b.ns;
}

/* Has the point `t` been reached at `now`? */
static inline bool mono_reached(mono_t now, mono_t t)
{
	return now.ns >= t.ns;
}

static inline mono_t mono_min(mono_t a, mono_t b)
{
	return a.ns < b.ns ? a : b;
}

static inline mono_t mono_max(mono_t a, mono_t b)
{
	return a.ns > b.ns ? a : b;
}

static inline bool mono_is_zero(mono_t t)
{
	return t.ns == 0;
}

/* The only place that reads the clock; called by loops and by main(), never by pure rooms. */
static inline mono_t mono_read(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mono_t){ (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec };
}

#endif
