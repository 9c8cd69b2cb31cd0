/* loop.c: one turn of the event loop: wait, descriptors, timers, hooks */
#include "base/log.h"
#include "base/loop_impl.h"
#include "base/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READY_MAX = 128 }; /* descriptors per wait; the rest comes with the next turn */

static const int64_t slow_ns = MS(50);
static const int64_t slow_log_every_ns = SEC(60);

mono_t loop_account(struct loop *loop, mono_t before, const char *name)
{
	mono_t after = mono_read();
	int64_t took_ns = mono_sub(after, before);

	if (took_ns > loop->stats.longest_ns) {
		loop->stats.longest_ns = took_ns;
		loop->stats.longest_name = name;
	}
	if (took_ns <= slow_ns)
		return after;
	loop->stats.slow_callbacks++;
	if (mono_is_zero(loop->slow_logged_at) ||
	    mono_sub(after, loop->slow_logged_at) >= slow_log_every_ns) {
		loop->slow_logged_at = after;
		log_warnx("loop", "%s took %lld ms", name, (long long)(took_ns / MS(1)));
	}
	return after;
}

static void watch_control(struct watch *watch, int op, unsigned events)
{
	struct epoll_event ev = { .data.ptr = watch };

	if (events & LOOP_READ)
		ev.events |= EPOLLIN;
	if (events & LOOP_WRITE)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(watch->loop->epoll_fd, op, watch->fd, &ev) < 0 && op != EPOLL_CTL_DEL) {
		/* A closed descriptor, a plain file, or one watched twice: a mistake of ours. */
		log_err("loop", "cannot watch %s (descriptor %d)", watch->name, watch->fd);
		abort();
	}
}

struct watch *watch_new(struct loop *loop, int fd, unsigned events, enum loop_prio prio,
			const char *name, loop_fd_fn *fn, void *arg)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));

	watch->loop = loop;
	watch->fd = fd;
	watch->prio = prio;
	watch->name = name;
	watch->fn = fn;
	watch->arg = arg;
	list_add_tail(&loop->watches, &watch->link);
	watch_set_events(watch, events);
	return watch;
}

void watch_set_events(struct watch *watch, unsigned events)
{
	if (watch->events == events)
		return;
	/* Epoll always tells of errors and hang-ups; who asks for nothing must not be registered,
	 * or the loop would spin on them. */
	if (!events)
		watch_control(watch, EPOLL_CTL_DEL, 0);
	else if (!watch->events)
		watch_control(watch, EPOLL_CTL_ADD, events);
	else
		watch_control(watch, EPOLL_CTL_MOD, events);
	watch->events = events;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	assert(!watch->is_dead);
	watch_set_events(watch, 0);
	list_del(&watch->link);
	if (watch->loop->in_turn) {
		/* The events of this turn may still point here. */
		watch->is_dead = true;
		list_add_tail(&watch->loop->dead_watches, &watch->link);
	} else {
		free(watch);
	}
}

struct hook *hook_new(struct loop *loop, const char *name, loop_timer_fn *fn, void *arg)
{
	struct hook *hook = xcalloc(1, sizeof(*hook));

	hook->loop = loop;
	hook->name = name;
	hook->fn = fn;
	hook->arg = arg;
	list_add_tail(&loop->hooks, &hook->link);
	return hook;
}

void hook_free(struct hook *hook)
{
	if (!hook)
		return;
	assert(!hook->is_dead);
	if (hook->loop->in_turn) {
		hook->is_dead = true;
		hook->loop->has_dead_hooks = true;
	} else {
		list_del(&hook->link);
		free(hook);
	}
}

static void run_hooks(struct loop *loop)
{
	mono_t before;

	if (list_is_empty(&loop->hooks))
		return;
	before = mono_read();
	list_for_each(it, &loop->hooks) {
		struct hook *hook = container_of(it, struct hook, link);

		if (hook->is_dead)
			continue;
		hook->fn(hook->arg);
		before = loop_account(loop, before, hook->name);
	}
}

static void bury_the_dead(struct loop *loop)
{
	list_for_each_safe(it, &loop->dead_watches) {
		list_del(it);
		free(container_of(it, struct watch, link));
	}
	if (!loop->has_dead_hooks)
		return;
	loop->has_dead_hooks = false;
	list_for_each_safe(it, &loop->hooks) {
		struct hook *hook = container_of(it, struct hook, link);

		if (hook->is_dead) {
			list_del(it);
			free(hook);
		}
	}
}

/* How long to wait in nanoseconds, -1 for ever. */
static int64_t wait_length(const struct loop *loop, int64_t max_wait_ns)
{
	mono_t next = loop_timers_next(loop);
	int64_t wait_ns;

	if (atomic_load(&loop->is_stopping) || max_wait_ns == 0)
		return 0;
	if (next.ns == INT64_MAX)
		return max_wait_ns < 0 ? -1 : max_wait_ns;
	wait_ns = mono_sub(next, mono_read());
	if (wait_ns < 0)
		return 0;
	return max_wait_ns >= 0 && max_wait_ns < wait_ns ? max_wait_ns : wait_ns;
}

/* Number of events, or negative errno; a signal handler's EINTR is an empty turn. */
static int wait_events(struct loop *loop, struct epoll_event *events, int64_t wait_ns)
{
	struct timespec ts = { .tv_sec = wait_ns / SEC(1), .tv_nsec = wait_ns % SEC(1) };
	int64_t wait_ms = wait_ns < 0 ? -1 : wait_ns / MS(1) + (wait_ns % MS(1) != 0);
	int n;

	if (loop->has_pwait2) {
		n = epoll_pwait2(loop->epoll_fd, events, READY_MAX, wait_ns < 0 ? NULL : &ts, NULL);
		if (n >= 0)
			return n;
		if (errno == EINTR)
			return 0;
		/* Linux before 5.11, or a seccomp filter that does not know it. */
		if (errno != ENOSYS && errno != EPERM)
			return -errno;
		loop->has_pwait2 = false;
	}
	if (wait_ms > INT32_MAX)
		wait_ms = INT32_MAX;
	n = epoll_wait(loop->epoll_fd, events, READY_MAX, (int)wait_ms);
	if (n >= 0)
		return n;
	return errno == EINTR ? 0 : -errno;
}

static void run_watches(struct loop *loop, const struct epoll_event *events, int n,
			enum loop_prio prio)
{
	mono_t before = mono_read();

	for (int i = 0; i < n; i++) {
		struct watch *watch = events[i].data.ptr;
		unsigned got = 0;

		/* An earlier callback of this turn may have freed or narrowed it. */
		if (watch->prio != prio || watch->is_dead || !watch->events)
			continue;
		if (events[i].events & EPOLLIN)
			got |= LOOP_READ & watch->events;
		if (events[i].events & EPOLLOUT)
			got |= LOOP_WRITE & watch->events;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			got |= LOOP_READ;
		if (!got)
			continue;
		watch->fn(watch->arg, got);
		before = loop_account(loop, before, watch->name);
	}
}

static int turn(struct loop *loop, int64_t max_wait_ns)
{
	struct epoll_event events[READY_MAX];
	int n;

	n = wait_events(loop, events, wait_length(loop, max_wait_ns));
	if (n < 0)
		return n;
	loop->stats.turns++;
	loop->now = mono_read();
	if (n > 0) {
		run_watches(loop, events, n, LOOP_URGENT);
		run_watches(loop, events, n, LOOP_NORMAL);
		loop->now = mono_read();
	}
	loop_timers_run(loop);
	run_hooks(loop);
	bury_the_dead(loop);
	return 0;
}

struct loop *loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		log_err("loop", "epoll_create1");
		abort();
	}
	loop->has_pwait2 = true;
	loop->now = mono_read();
	list_init(&loop->watches);
	list_init(&loop->dead_watches);
	list_init(&loop->hooks);
	list_init(&loop->due_timers);
	loop_posts_init(loop);
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->in_turn);
	loop_posts_fini(loop);
	assert(list_is_empty(&loop->watches));
	assert(list_is_empty(&loop->hooks));
	assert(loop->timer_count == 0);
	close(loop->epoll_fd);
	free(loop->heap);
	free(loop);
}

mono_t loop_now(const struct loop *loop)
{
	return loop->now;
}

struct loop_stats loop_stats(const struct loop *loop)
{
	return loop->stats;
}

int loop_turn(struct loop *loop, int64_t max_wait_ns)
{
	int err;

	assert(!loop->in_turn);
	loop->in_turn = true;
	/* What was done since the last turn, outside of the loop, may have left work to flush. */
	run_hooks(loop);
	err = turn(loop, max_wait_ns);
	loop->in_turn = false;
	return err;
}

int loop_run(struct loop *loop)
{
	int err = 0;

	assert(!loop->in_turn);
	loop->in_turn = true;
	run_hooks(loop);
	while (err == 0 && !atomic_load(&loop->is_stopping))
		err = turn(loop, -1);
	bury_the_dead(loop);
	atomic_store(&loop->is_stopping, false);
	loop->in_turn = false;
	return err;
}
