/* loop.h: one event loop: descriptors, timers, signals, posts from other threads
 *
 * A loop is an object, so a process can have two (the pipeline and the heartbeats) and a test
 * can have many. Nothing here knows what Flowkeep is.
 *
 * Each turn: wait; run the descriptor callbacks that are ready, LOOP_URGENT ones first; then due
 * timers; then the before-sleep hooks (flush what this turn collected). Descriptors come before
 * timers on purpose: news that arrived while this thread was not scheduled is heard before any
 * silence is judged. `loop_now()` is read once per turn, after the wait, and again after the
 * descriptor callbacks.
 *
 * Callbacks are (fn, arg). Removing a watch, a timer or a hook during any callback is legal, also
 * the running one; a watch freed during a turn is not called again, though its event was in hand.
 * A callback that runs longer than 50 ms is logged once per minute with the name its registrar
 * gave, and counted.
 *
 * All functions belong to the loop's own thread except loop_post() and loop_stop().
 */
#ifndef FK_BASE_LOOP_H
#define FK_BASE_LOOP_H

#include "base/mono.h"

#include <signal.h>
#include <stdint.h>

struct loop;
struct watch;
struct timer;
struct hook;

enum loop_prio { LOOP_URGENT, LOOP_NORMAL };
enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void loop_fd_fn(void *arg, unsigned events);
typedef void loop_timer_fn(void *arg);
typedef void loop_post_fn(void *arg);

/* Cannot fail: without descriptors the process aborts, as xalloc does. So do watch_new() for a
 * descriptor that cannot be watched and signal_watch_new(). */
struct loop *loop_new(void);
/* Runs the posts that have not run, then asserts that every watch, timer and hook has been
 * removed. No other thread may post any more. */
void loop_free(struct loop *loop);

mono_t loop_now(const struct loop *loop);
/* Runs until loop_stop(), also one that came before; 0, or negative errno when waiting fails. */
int loop_run(struct loop *loop);
/* Runs one turn, waiting at most max_wait_ns (0: do not wait, negative: for ever). */
int loop_turn(struct loop *loop, int64_t max_wait_ns);
/* From any thread or a signal callback. */
void loop_stop(struct loop *loop);

/* `events` is a set of LOOP_READ | LOOP_WRITE. The descriptor stays the caller's. Errors and
 * hang-ups are delivered as LOOP_READ. `name` must live as long as the
 * loop: its statistics keep it. */
struct watch *watch_new(struct loop *loop, int fd, unsigned events, enum loop_prio prio,
			const char *name, loop_fd_fn *fn, void *arg);
void watch_set_events(struct watch *watch, unsigned events);
void watch_free(struct watch *watch);

/* A timer is created idle. timer_set() arms it (again) for `at`, exactly once. One armed for the
 * past by a timer fires in the next turn; by a descriptor's callback, at the end of this one.
 * Timers of the same time fire in order of arming. */
struct timer *timer_new(struct loop *loop, const char *name, loop_timer_fn *fn, void *arg);
void timer_set(struct timer *timer, mono_t at);
void timer_clear(struct timer *timer);
void timer_free(struct timer *timer);

/* Runs before every wait, in order of registration. loop_turn() runs them at both ends. */
struct hook *hook_new(struct loop *loop, const char *name, loop_timer_fn *fn, void *arg);
void hook_free(struct hook *hook);

/* Blocks the signal for the calling thread and those it starts, and delivers it as a callback.
 * The signal stays blocked after _free: one more SIGTERM must not cut a shut-down short. */
struct watch *signal_watch_new(struct loop *loop, int signo, loop_post_fn *fn, void *arg);
void signal_watch_free(struct watch *watch);

/* From any thread: run fn(arg) once in the loop's thread, soon, in order of posting. Whoever
 * posts gives `arg` away. Posts that have not run when the loop is freed are run by loop_free(),
 * once, so that their fn can free `arg`; it must not rely on the rooms still being there. */
void loop_post(struct loop *loop, loop_post_fn *fn, void *arg);

struct loop_stats {
	uint64_t turns;
	uint64_t slow_callbacks;  /* callbacks that took more than 50 ms */
	int64_t longest_ns;       /* the longest callback so far */
	const char *longest_name; /* and whose it was */
};

struct loop_stats loop_stats(const struct loop *loop);

#endif
