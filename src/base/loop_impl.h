/* loop_impl.h: the inside of a loop, for the loop_*.c files alone
 *
 * loop.c        waiting, descriptors, hooks, the turn
 * loop_timer.c  timers: a binary heap ordered by (time, order of arming)
 * loop_post.c   posts from other threads, signals
 */
#ifndef FK_BASE_LOOP_IMPL_H
#define FK_BASE_LOOP_IMPL_H

#include "base/list.h"
#include "base/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct watch {
	struct list link; /* in loop->watches or, once freed during a turn, loop->dead_watches */
	struct loop *loop;
	int fd;
	unsigned events;
	enum loop_prio prio;
	bool is_dead;
	const char *name;
	loop_fd_fn *fn;
	void *arg;
	loop_post_fn *signal_fn; /* of a signal watch, else NULL */
	void *signal_arg;
};

struct timer {
	struct loop *loop;
	mono_t at;
	uint64_t seq;     /* timers of the same time fire in order of arming */
	size_t heap_pos;  /* 0: not in the heap */
	struct list due;  /* linked while it waits for its call within this turn */
	const char *name;
	loop_timer_fn *fn;
	void *arg;
};

struct hook {
	struct list link;
	struct loop *loop;
	bool is_dead;
	const char *name;
	loop_timer_fn *fn;
	void *arg;
};

struct post {
	struct post *next;
	loop_post_fn *fn;
	void *arg;
};

struct loop {
	int epoll_fd;
	bool has_pwait2;
	bool in_turn;
	mono_t now;
	struct list watches;
	struct list dead_watches;
	struct list hooks;
	bool has_dead_hooks;

	struct timer **heap; /* heap[1] is the earliest; heap[0] is not used */
	size_t heap_len;     /* timers armed */
	size_t heap_room;    /* what the array can hold */
	size_t timer_count;  /* timers that exist: the array always has room for all */
	uint64_t timer_seq;
	struct list due_timers;

	atomic_bool is_stopping;
	int post_fd; /* eventfd: posts wait, or the loop is to stop */
	struct watch *post_watch;
	pthread_mutex_t post_lock;
	struct post *post_first; /* under post_lock */
	struct post **post_end;  /* under post_lock */

	struct loop_stats stats;
	mono_t slow_logged_at;
};

/* Around every callback: was it slow? Returns the time after it. */
mono_t loop_account(struct loop *loop, mono_t before, const char *name);

/* When the earliest timer is due, MONO_NEVER without one. */
mono_t loop_timers_next(const struct loop *loop);
/* Runs what is due at loop->now; what these callbacks arm waits for the next turn. */
void loop_timers_run(struct loop *loop);

void loop_posts_init(struct loop *loop);
/* Runs what has been posted but has not run. */
void loop_posts_fini(struct loop *loop);

#endif
