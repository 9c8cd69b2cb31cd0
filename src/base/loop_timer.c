/* loop_timer.c: the loop's timers, a binary heap that never allocates when a timer is armed */
#include "base/loop_impl.h"
#include "base/xalloc.h"

#include <assert.h>
#include <stdlib.h>

static bool fires_before(const struct timer *a, const struct timer *b)
{
	if (a->at.ns != b->at.ns)
		return a->at.ns < b->at.ns;
	return a->seq < b->seq;
}

static void heap_place(struct loop *loop, size_t pos, struct timer *timer)
{
	loop->heap[pos] = timer;
	timer->heap_pos = pos;
}

/* Moves `timer`, which belongs at or around pos, to its place. */
static void heap_settle(struct loop *loop, size_t pos, struct timer *timer)
{
	while (pos > 1 && fires_before(timer, loop->heap[pos / 2])) {
		heap_place(loop, pos, loop->heap[pos / 2]);
		pos /= 2;
	}
	for (size_t child = pos * 2; child <= loop->heap_len; child = pos * 2) {
		if (child < loop->heap_len &&
		    fires_before(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!fires_before(loop->heap[child], timer))
			break;
		heap_place(loop, pos, loop->heap[child]);
		pos = child;
	}
	heap_place(loop, pos, timer);
}

static void heap_remove(struct loop *loop, struct timer *timer)
{
	size_t pos = timer->heap_pos;
	struct timer *last = loop->heap[loop->heap_len--];

	timer->heap_pos = 0;
	if (last != timer)
		heap_settle(loop, pos, last);
}

struct timer *timer_new(struct loop *loop, const char *name, loop_timer_fn *fn, void *arg)
{
	struct timer *timer = xcalloc(1, sizeof(*timer));

	timer->loop = loop;
	timer->name = name;
	timer->fn = fn;
	timer->arg = arg;
	list_init(&timer->due);
	if (++loop->timer_count >= loop->heap_room) {
		loop->heap_room = loop->heap_room ? loop->heap_room * 2 : 16;
		loop->heap = xrealloc(loop->heap, loop->heap_room, sizeof(*loop->heap));
	}
	return timer;
}

void timer_set(struct timer *timer, mono_t at)
{
	struct loop *loop = timer->loop;

	list_del(&timer->due);
	timer->at = at;
	timer->seq = loop->timer_seq++;
	heap_settle(loop, timer->heap_pos ? timer->heap_pos : ++loop->heap_len, timer);
}

void timer_clear(struct timer *timer)
{
	list_del(&timer->due);
	if (timer->heap_pos)
		heap_remove(timer->loop, timer);
}

void timer_free(struct timer *timer)
{
	if (!timer)
		return;
	timer_clear(timer);
	assert(timer->loop->timer_count > 0);
	timer->loop->timer_count--;
	free(timer);
}

mono_t loop_timers_next(const struct loop *loop)
{
	return loop->heap_len ? loop->heap[1]->at : MONO_NEVER;
}

void loop_timers_run(struct loop *loop)
{
	mono_t before;

	/* First set aside what is due, so that a timer which arms itself for the past cannot
	 * keep the loop from its descriptors. */
	while (loop->heap_len && mono_reached(loop->now, loop->heap[1]->at)) {
		struct timer *timer = loop->heap[1];

		heap_remove(loop, timer);
		list_add_tail(&loop->due_timers, &timer->due);
	}
	if (list_is_empty(&loop->due_timers))
		return;
	before = mono_read();
	while (!list_is_empty(&loop->due_timers)) {
		struct timer *timer = container_of(loop->due_timers.next, struct timer, due);
		const char *name = timer->name;

		list_del(&timer->due);
		timer->fn(timer->arg); /* may free the timer */
		before = loop_account(loop, before, name);
	}
}
