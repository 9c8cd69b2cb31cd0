/* loop_test.c: order within a turn, removal during callbacks, timers, posts, signals */
#include "base/log.h"
#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 4 };

/* A box of everything a callback may want to touch; `trace` is what happened, in order. */
struct box {
	struct loop *loop;
	int fds[PAIRS][2];
	struct watch *watches[PAIRS];
	struct timer *timer;
	struct timer *other;
	struct hook *hook;
	struct hook *other_hook;
	char trace[64];
	unsigned count;
};

static void note(struct box *box, char c)
{
	size_t len = strlen(box->trace);

	if (len + 1 < sizeof(box->trace))
		box->trace[len] = c;
}

static int setup(void **state)
{
	struct box *box = calloc(1, sizeof(*box));

	box->loop = loop_new();
	for (int i = 0; i < PAIRS; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, box->fds[i]) < 0)
			return -1;
	}
	*state = box;
	return 0;
}

static int teardown(void **state)
{
	struct box *box = *state;

	for (int i = 0; i < PAIRS; i++) {
		watch_free(box->watches[i]);
		close(box->fds[i][0]);
		close(box->fds[i][1]);
	}
	timer_free(box->timer);
	timer_free(box->other);
	hook_free(box->hook);
	hook_free(box->other_hook);
	loop_free(box->loop);
	free(box);
	return 0;
}

static void make_readable(struct box *box, int i)
{
	assert_int_equal(write(box->fds[i][1], "x", 1), 1);
}

static void on_normal(void *arg, unsigned events)
{
	assert_int_equal(events, LOOP_READ);
	note(arg, 'n');
}

static void on_urgent(void *arg, unsigned events)
{
	assert_int_equal(events, LOOP_READ);
	note(arg, 'u');
}

static void on_timer(void *arg)
{
	note(arg, 't');
}

static void on_hook(void *arg)
{
	note(arg, 'h');
}

static void turn_runs_urgent_normal_timers_hooks(void **state)
{
	struct box *box = *state;

	box->watches[0] =
		watch_new(box->loop, box->fds[0][0], LOOP_READ, LOOP_NORMAL, "n", on_normal, box);
	box->watches[1] =
		watch_new(box->loop, box->fds[1][0], LOOP_READ, LOOP_URGENT, "u", on_urgent, box);
	box->timer = timer_new(box->loop, "t", on_timer, box);
	box->hook = hook_new(box->loop, "h", on_hook, box);
	timer_set(box->timer, MONO_ZERO);
	make_readable(box, 0);
	make_readable(box, 1);
	assert_int_equal(loop_turn(box->loop, -1), 0);
	assert_string_equal(box->trace, "hunth");
	assert_int_equal(loop_stats(box->loop).turns, 1);
}

static void free_all_watches(void *arg, unsigned events)
{
	struct box *box = arg;

	(void)events;
	note(box, 'f');
	for (int i = 0; i < PAIRS; i++) {
		watch_free(box->watches[i]);
		box->watches[i] = NULL;
	}
}

static void watch_freed_by_another_is_not_called(void **state)
{
	struct box *box = *state;

	for (int i = 0; i < PAIRS; i++) {
		box->watches[i] = watch_new(box->loop, box->fds[i][0], LOOP_READ, LOOP_NORMAL, "f",
					    free_all_watches, box);
		make_readable(box, i);
	}
	loop_turn(box->loop, 0);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "f");
}

static void silence_the_others(void *arg, unsigned events)
{
	struct box *box = arg;

	(void)events;
	note(box, 's');
	for (int i = 0; i < PAIRS; i++)
		watch_set_events(box->watches[i], 0);
}

static void watch_asked_for_nothing_is_silent_even_on_hangup(void **state)
{
	struct box *box = *state;

	for (int i = 0; i < PAIRS; i++) {
		box->watches[i] = watch_new(box->loop, box->fds[i][0], LOOP_READ, LOOP_NORMAL, "s",
					    silence_the_others, box);
		shutdown(box->fds[i][1], SHUT_RDWR);
	}
	loop_turn(box->loop, 0);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "s");
	watch_set_events(box->watches[2], LOOP_READ);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "ss");
}

static void on_either(void *arg, unsigned events)
{
	note(arg, (char)('0' + events));
}

static void watch_tells_reading_from_writing(void **state)
{
	struct box *box = *state;

	box->watches[0] = watch_new(box->loop, box->fds[0][0], LOOP_WRITE, LOOP_NORMAL, "rw",
				    on_either, box);
	loop_turn(box->loop, 0);
	make_readable(box, 0);
	loop_turn(box->loop, 0);
	watch_set_events(box->watches[0], LOOP_READ | LOOP_WRITE);
	loop_turn(box->loop, 0);
	watch_set_events(box->watches[0], LOOP_READ);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "2231");
}

struct tick {
	struct box *box;
	struct timer *timer;
	char mark;
};

static void on_tick(void *arg)
{
	struct tick *tick = arg;

	note(tick->box, tick->mark);
}

static void timers_fire_by_time_then_by_arming(void **state)
{
	struct box *box = *state;
	struct tick ticks[26];
	mono_t now = mono_read();

	for (int i = 0; i < 26; i++) {
		ticks[i] = (struct tick){ box, NULL, (char)('a' + i) };
		ticks[i].timer = timer_new(box->loop, "tick", on_tick, &ticks[i]);
	}
	/* Armed in a scattered order (7 and 26 have no common factor), e and f at one time. */
	for (int i = 0; i < 26; i++) {
		int k = i * 7 % 26;

		timer_set(ticks[k].timer, mono_add(now, US(k == 5 ? 4 : k) - MS(1)));
	}
	timer_set(ticks[4].timer, mono_add(now, US(4) - MS(1))); /* again: now after f */
	timer_clear(ticks[12].timer);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "abcdfeghijklnopqrstuvwxyz");
	for (int i = 0; i < 26; i++)
		timer_free(ticks[i].timer);
}

static void on_self_arming(void *arg)
{
	struct box *box = arg;

	box->count++;
	timer_set(box->timer, MONO_ZERO);
}

static void timer_armed_for_the_past_waits_a_turn(void **state)
{
	struct box *box = *state;

	box->timer = timer_new(box->loop, "self", on_self_arming, box);
	timer_set(box->timer, MONO_ZERO);
	loop_turn(box->loop, 0);
	assert_int_equal(box->count, 1);
	loop_turn(box->loop, 0);
	assert_int_equal(box->count, 2);
}

static void on_timer_free_both(void *arg)
{
	struct box *box = arg;

	note(box, 'x');
	timer_free(box->timer);
	timer_free(box->other);
	box->timer = NULL;
	box->other = NULL;
}

static void timer_freed_by_a_due_one_is_not_called(void **state)
{
	struct box *box = *state;

	box->timer = timer_new(box->loop, "x", on_timer_free_both, box);
	box->other = timer_new(box->loop, "x", on_timer_free_both, box);
	timer_set(box->timer, MONO_ZERO);
	timer_set(box->other, MONO_ZERO);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "x");
}

static void on_postpone_other(void *arg)
{
	struct box *box = arg;

	note(box, 'p');
	timer_set(box->other, mono_add(mono_read(), SEC(100)));
}

static void timer_postponed_by_a_due_one_is_not_called(void **state)
{
	struct box *box = *state;

	box->timer = timer_new(box->loop, "p", on_postpone_other, box);
	box->other = timer_new(box->loop, "t", on_timer, box);
	timer_set(box->timer, MONO_ZERO);
	timer_set(box->other, MONO_ZERO);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "p");
}

static void on_counted(void *arg)
{
	((struct box *)arg)->count++;
}

/* Thousands of random arms and clears; the heap must fire just what a plain table says. */
static void timers_agree_with_a_plain_table(void **state)
{
	struct box *box = *state;
	enum { COUNT = 100 };
	struct timer *timers[COUNT];
	bool is_due[COUNT] = { false };
	unsigned seed = 12345, expected = 0;

	for (int i = 0; i < COUNT; i++)
		timers[i] = timer_new(box->loop, "r", on_counted, box);
	for (int step = 0; step < 5000; step++) {
		unsigned i = (unsigned)rand_r(&seed) % COUNT;
		int64_t past_ns = rand_r(&seed) % 1000;

		is_due[i] = rand_r(&seed) % 3 == 0;
		if (is_due[i])
			timer_set(timers[i], (mono_t){ past_ns });
		else if (rand_r(&seed) % 2)
			timer_set(timers[i], mono_add(mono_read(), SEC(99) + past_ns));
		else
			timer_clear(timers[i]);
		if (step % 50)
			continue;
		for (int k = 0; k < COUNT; k++) {
			expected += is_due[k];
			is_due[k] = false;
		}
		loop_turn(box->loop, 0);
		assert_int_equal(box->count, expected);
	}
	assert_true(expected > 100);
	for (int i = 0; i < COUNT; i++)
		timer_free(timers[i]);
}

static void on_stop(void *arg)
{
	loop_stop(((struct box *)arg)->loop);
}

/* Never early, and with the precision that heartbeats every 10 ms need. The best of many tries
 * counts, for the machine may be busy. */
static void timer_is_never_early_and_precise(void **state)
{
	struct box *box = *state;
	int64_t best_ns = INT64_MAX;

	box->timer = timer_new(box->loop, "stop", on_stop, box);
	for (int i = 0; i < 50 && best_ns > US(500); i++) {
		mono_t at = mono_add(mono_read(), US(1700));
		int64_t late_ns;

		timer_set(box->timer, at);
		assert_int_equal(loop_run(box->loop), 0);
		late_ns = mono_sub(loop_now(box->loop), at);
		assert_true(late_ns >= 0);
		best_ns = late_ns < best_ns ? late_ns : best_ns;
	}
	assert_true(best_ns < US(700));
}

static void on_hook_free_both(void *arg)
{
	struct box *box = arg;

	note(box, 'h');
	hook_free(box->hook);
	hook_free(box->other_hook);
	box->hook = NULL;
	box->other_hook = NULL;
}

static void hook_freed_by_another_is_not_called(void **state)
{
	struct box *box = *state;

	box->hook = hook_new(box->loop, "h", on_hook_free_both, box);
	box->other_hook = hook_new(box->loop, "h", on_hook_free_both, box);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "h");
}

static void stop_before_run_ends_it_at_once(void **state)
{
	struct box *box = *state;

	loop_stop(box->loop);
	assert_int_equal(loop_run(box->loop), 0);
	/* And counts only once. */
	box->timer = timer_new(box->loop, "stop", on_stop, box);
	timer_set(box->timer, MONO_ZERO);
	assert_int_equal(loop_run(box->loop), 0);
	assert_true(loop_stats(box->loop).turns >= 1);
}

enum { THREADS = 4, POSTS = 2000 };

struct poster {
	struct box *box;
	unsigned next_sent;
	unsigned next_seen;
};

struct parcel {
	struct poster *from;
	unsigned number;
};

static void on_parcel(void *arg)
{
	struct parcel *parcel = arg;
	struct box *box = parcel->from->box;

	assert_int_equal(parcel->number, parcel->from->next_seen++);
	free(parcel);
	if (++box->count == THREADS * POSTS)
		loop_stop(box->loop);
}

static void *poster_main(void *arg)
{
	struct poster *poster = arg;

	for (unsigned i = 0; i < POSTS; i++) {
		struct parcel *parcel = malloc(sizeof(*parcel));

		*parcel = (struct parcel){ poster, i };
		loop_post(poster->box->loop, on_parcel, parcel);
	}
	return NULL;
}

static void posts_of_each_thread_arrive_once_in_order(void **state)
{
	struct box *box = *state;
	struct poster posters[THREADS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		posters[i] = (struct poster){ box, 0, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, poster_main, &posters[i]), 0);
	}
	assert_int_equal(loop_run(box->loop), 0);
	assert_int_equal(box->count, THREADS * POSTS);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void post_left_at_the_end_still_runs_to_free_its_arg(void **state)
{
	struct loop *loop = loop_new();

	(void)state;
	loop_post(loop, free, malloc(16));
	loop_post(loop, free, malloc(16));
	loop_free(loop); /* the leak checker is the judge */
}

static void on_signal(void *arg)
{
	note(arg, 'S');
}

static void signal_becomes_a_callback(void **state)
{
	struct box *box = *state;
	struct watch *usr1 = signal_watch_new(box->loop, SIGUSR1, on_signal, box);

	raise(SIGUSR1);
	loop_turn(box->loop, -1);
	assert_string_equal(box->trace, "S");
	raise(SIGUSR1);
	signal_watch_free(usr1);
	loop_turn(box->loop, 0);
	assert_string_equal(box->trace, "S");
}

static void on_slow(void *arg, unsigned events)
{
	mono_t end = mono_add(mono_read(), MS(60));

	(void)events;
	note(arg, 'w');
	while (mono_before(mono_read(), end))
		;
}

static void slow_callback_is_counted_by_name(void **state)
{
	struct box *box = *state;
	struct loop_stats stats;

	log_set_level(LOG_LEVEL_ERR);
	box->watches[0] =
		watch_new(box->loop, box->fds[0][0], LOOP_READ, LOOP_NORMAL, "slow", on_slow, box);
	make_readable(box, 0);
	loop_turn(box->loop, -1);
	stats = loop_stats(box->loop);
	assert_int_equal(stats.slow_callbacks, 1);
	assert_string_equal(stats.longest_name, "slow");
	assert_true(stats.longest_ns >= MS(60));
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOOP_TEST(turn_runs_urgent_normal_timers_hooks),
		LOOP_TEST(watch_freed_by_another_is_not_called),
		LOOP_TEST(watch_asked_for_nothing_is_silent_even_on_hangup),
		LOOP_TEST(watch_tells_reading_from_writing),
		LOOP_TEST(timers_fire_by_time_then_by_arming),
		LOOP_TEST(timer_armed_for_the_past_waits_a_turn),
		LOOP_TEST(timer_freed_by_a_due_one_is_not_called),
		LOOP_TEST(timer_postponed_by_a_due_one_is_not_called),
		LOOP_TEST(timers_agree_with_a_plain_table),
		LOOP_TEST(timer_is_never_early_and_precise),
		LOOP_TEST(hook_freed_by_another_is_not_called),
		LOOP_TEST(stop_before_run_ends_it_at_once),
		LOOP_TEST(posts_of_each_thread_arrive_once_in_order),
		LOOP_TEST(post_left_at_the_end_still_runs_to_free_its_arg),
		LOOP_TEST(signal_becomes_a_callback),
		LOOP_TEST(slow_callback_is_counted_by_name),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
