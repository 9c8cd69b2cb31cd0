/* nl_test.c: news, batches and dumps against the real kernel, in a network namespace of our own
 *
 * The guinea pig is the list of IPv4 addresses of `lo`: adding one is a request, an item of a
 * dump and a piece of news (RTNLGRP_IPV4_IFADDR), and adding it twice fails with EEXIST.
 */
#include "base/log.h"
#include "nl/nl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdbool.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct box {
	struct loop *loop;
	struct nl_batch *batch;
	struct nl_sock *sock;
	struct nl_dump *dump;
	unsigned verdicts;
	unsigned failures;
	int last_error;
	int errors[64]; /* verdicts of the first cookies */
	unsigned overruns;
	unsigned fills, fill_first, fill_last; /* percent */
	unsigned news;
	unsigned dumped;
	unsigned done;
	int64_t pause_ns;     /* of the socket that is opened next */
	unsigned close_after; /* close (or cancel) at this many calls; 0: never */
};

static int setup(void **state)
{
	struct box *box = calloc(1, sizeof(*box));

	box->loop = loop_new();
	*state = box;
	return 0;
}

static int teardown(void **state)
{
	struct box *box = *state;

	nl_batch_close(box->batch);
	nl_sock_close(box->sock);
	nl_dump_cancel(box->dump);
	loop_free(box->loop);
	free(box);
	return 0;
}

/* Cookies are numbered from 0, so order and completeness are one comparison. */
static void on_verdict(void *arg, uint64_t cookie, int error)
{
	struct box *box = arg;

	assert_int_equal(cookie, box->verdicts);
	if (box->verdicts < sizeof(box->errors) / sizeof(box->errors[0]))
		box->errors[box->verdicts] = error;
	box->verdicts++;
	box->failures += error != 0;
	box->last_error = error;
	if (box->verdicts == box->close_after) {
		nl_batch_close(box->batch);
		box->batch = NULL;
	}
}

static void open_batch(struct box *box, size_t buffer_bytes)
{
	assert_int_equal(nl_batch_open(box->loop, "batch", NETLINK_ROUTE, buffer_bytes, on_verdict,
				       box, &box->batch),
			 0);
}

/* Requests 10.x.y.z with x.y.z = number on lo; false while too many are in flight. */
static bool ask(struct box *box, uint16_t type, uint16_t flags, uint32_t number, uint64_t cookie)
{
	struct nlmsghdr *nlh = nl_batch_begin(box->batch, type, flags, 64, cookie);
	struct ifaddrmsg *msg;

	if (!nlh)
		return false;
	msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	msg->ifa_family = AF_INET;
	msg->ifa_prefixlen = 32;
	msg->ifa_index = 1;
	mnl_attr_put_u32(nlh, IFA_LOCAL, htobe32(10U << 24 | number));
	nl_batch_end(box->batch, nlh);
	return true;
}

/* Asks `count` times, turning the loop while too many are in flight, until every verdict came. */
static void ask_all(struct box *box, uint16_t type, unsigned count)
{
	/* On a deletion NLM_F_EXCL would be NLM_F_BULK. */
	uint16_t flags = type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0;
	mono_t end = mono_add(mono_read(), SEC(20));

	box->verdicts = box->failures = 0;
	for (unsigned i = 0; i < count && mono_before(mono_read(), end);) {
		if (ask(box, type, flags, i, i))
			i++;
		else
			loop_turn(box->loop, SEC(1));
	}
	nl_batch_flush(box->batch);
	while (box->verdicts < count && mono_before(mono_read(), end))
		loop_turn(box->loop, SEC(1));
	assert_int_equal(box->verdicts, count);
	assert_int_equal(nl_batch_in_flight(box->batch), 0);
}

static void batch_gives_one_verdict_each_in_order(void **state)
{
	struct box *box = *state;

	open_batch(box, 16384);
	ask_all(box, RTM_NEWADDR, 700);
	assert_int_equal(box->failures, 0);
	/* Again, and 300 more: the first 700 fail, each with its own reason. */
	ask_all(box, RTM_NEWADDR, 1000);
	assert_int_equal(box->failures, 700);
	ask_all(box, RTM_DELADDR, 1000);
	assert_int_equal(box->failures, 0);
	ask_all(box, RTM_DELADDR, 3);
	assert_int_equal(box->last_error, -EADDRNOTAVAIL);
}

/* Two datagrams of eight: which of them fail is a bit mask. */
static void ask_masked(struct box *box, unsigned fails)
{
	box->verdicts = 0;
	for (unsigned i = 0; i < 16; i++) {
		/* 100 is there already. */
		assert_true(ask(box, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL,
				fails >> i & 1 ? 100 : i, i));
		if (i == 7)
			nl_batch_flush(box->batch);
	}
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
	assert_int_equal(box->verdicts, 16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(box->errors[i], fails >> i & 1 ? -EEXIST : 0);
	box->verdicts = 0;
	for (unsigned i = 0; i < 16; i++)
		assert_true(ask(box, RTM_DELADDR, 0, i, i));
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
	/* What was said to be done had been done. */
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(box->errors[i], fails >> i & 1 ? -EADDRNOTAVAIL : 0);
}

static void batch_tells_exactly_which_requests_failed(void **state)
{
	static const unsigned masks[] = { 0,      0x0001, 0x0010, 0x0080, 0x0100, 0x0800, 0x8000,
					  0x8001, 0x0081, 0x8181, 0x00ff, 0xff00, 0x7f7f, 0xffff };
	struct box *box = *state;

	open_batch(box, 16384);
	assert_true(ask(box, RTM_NEWADDR, NLM_F_CREATE, 100, 0));
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
	for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
		ask_masked(box, masks[i]);
	box->verdicts = 0;
	assert_true(ask(box, RTM_DELADDR, 0, 100, 0));
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
}

/* Only a few answers fit: the errors that were lost must not pass for successes. */
static void batch_takes_no_lost_answer_for_a_success(void **state)
{
	struct box *box = *state;
	int small = 1, fd = dup(STDOUT_FILENO);

	close(fd); /* the number that the socket will get */
	open_batch(box, 16384);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (unsigned i = 0; i < 60; i++) {
		assert_true(ask(box, RTM_DELADDR, 0, 0, i));
		if (i % 20 == 19)
			nl_batch_flush(box->batch);
	}
	while (box->verdicts < 60)
		loop_turn(box->loop, SEC(1));
	assert_int_equal(box->failures, 60);
	assert_int_equal(box->errors[0], -EADDRNOTAVAIL);
	assert_int_equal(box->errors[59], -ENOBUFS);
	/* And it is over with what was lost. */
	ask_all(box, RTM_DELADDR, 1);
	assert_int_equal(box->last_error, -EADDRNOTAVAIL);
	ask_all(box, RTM_NEWADDR, 1);
	assert_int_equal(box->failures, 0);
	ask_all(box, RTM_DELADDR, 1);
	assert_int_equal(box->failures, 0);
}

static void batch_of_failures_loses_no_verdict_when_full(void **state)
{
	struct box *box = *state;
	unsigned count = 0;

	open_batch(box, 65536);
	/* Nothing is read meanwhile: all answers must fit the receive buffer. */
	while (ask(box, RTM_DELADDR, 0, count, count))
		count++;
	assert_true(count >= 64);
	assert_int_equal(nl_batch_in_flight(box->batch), count);
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
	assert_int_equal(box->verdicts, count);
	assert_int_equal(box->failures, count);
	assert_int_equal(box->last_error, -EADDRNOTAVAIL);
}

static void batch_settles_what_the_kernel_does_not_answer(void **state)
{
	struct box *box = *state;
	struct nlmsghdr *nlh;

	open_batch(box, 16384);
	for (unsigned i = 0; i < 3; i++)
		assert_true(ask(box, RTM_NEWADDR, NLM_F_CREATE, i, i));
	/* A length shorter than a header ends the kernel's walk (netlink_rcv_skb()); neither this
	 * nor what follows in the datagram is looked at. */
	nlh = nl_batch_begin(box->batch, RTM_NEWADDR, 0, 64, 3);
	nl_batch_end(box->batch, nlh);
	nlh->nlmsg_len = 4;
	assert_true(ask(box, RTM_NEWADDR, NLM_F_CREATE, 4, 4));
	nl_batch_flush(box->batch);
	assert_int_equal(box->verdicts, 0); /* never from within a flush */
	while (box->verdicts < 5)
		loop_turn(box->loop, SEC(1));
	/* Three were carried out, but nothing says so. */
	assert_int_equal(box->failures, 5);
	assert_int_equal(box->last_error, -ENOBUFS);
	ask_all(box, RTM_DELADDR, 3);
	assert_int_equal(box->failures, 0);
}

static void batch_tells_of_a_refused_send_from_the_loop(void **state)
{
	struct box *box = *state;
	int small = 1, fd = dup(STDOUT_FILENO);

	close(fd); /* the number that the socket will get */
	open_batch(box, 16384);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	for (unsigned i = 0; i < 250; i++)
		assert_true(ask(box, RTM_DELADDR, 0, i, i));
	nl_batch_flush(box->batch);
	assert_int_equal(box->verdicts, 0);
	loop_turn(box->loop, SEC(1));
	assert_int_equal(box->verdicts, 250);
	assert_int_equal(box->last_error, -EMSGSIZE);
}

static void batch_drops_a_request_that_was_not_ended(void **state)
{
	struct box *box = *state;

	open_batch(box, 16384);
	assert_non_null(nl_batch_begin(box->batch, RTM_NEWADDR, 0, 64, 99));
	assert_true(ask(box, RTM_DELADDR, 0, 1, 0));
	assert_int_equal(nl_batch_in_flight(box->batch), 1);
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
	assert_int_equal(box->verdicts, 1);
}

static void batch_may_be_closed_by_a_verdict(void **state)
{
	struct box *box = *state;

	open_batch(box, 16384);
	for (unsigned i = 0; i < 10; i++)
		ask(box, RTM_DELADDR, 0, i, i);
	box->close_after = 4;
	nl_batch_flush(box->batch);
	loop_turn(box->loop, SEC(1));
	assert_null(box->batch);
	assert_int_equal(box->verdicts, 4);
	/* And by one that a drain waits for. */
	open_batch(box, 16384);
	box->verdicts = 0;
	for (unsigned i = 0; i < 10; i++)
		ask(box, RTM_DELADDR, 0, i, i);
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), -ECANCELED);
	assert_int_equal(box->verdicts, 4);
}

static void on_news(void *arg, const struct nlmsghdr *nlh)
{
	struct box *box = arg;

	assert_true(nlh->nlmsg_type == RTM_NEWADDR || nlh->nlmsg_type == RTM_DELADDR);
	box->news++;
	if (box->news == box->close_after) {
		nl_sock_close(box->sock);
		box->sock = NULL;
	}
}

static void on_overrun(void *arg)
{
	((struct box *)arg)->overruns++;
}

static void on_fill(void *arg, unsigned percent)
{
	struct box *box = arg;

	if (!box->fills++) {
		box->fill_first = percent;
		assert_int_equal(box->news, 0); /* before the messages */
	}
	box->fill_last = percent;
}

static void open_sock(struct box *box, size_t rcvbuf_bytes, size_t max_bytes)
{
	static const unsigned groups[] = { RTNLGRP_IPV4_IFADDR };
	const struct nl_sock_config config = {
		.name = "news",
		.bus = NETLINK_ROUTE,
		.groups = groups,
		.group_count = 1,
		.rcvbuf_bytes = rcvbuf_bytes,
		.rcvbuf_max_bytes = max_bytes,
		.pause_ns = box->pause_ns,
		.prio = LOOP_NORMAL,
		.on_fill = on_fill,
	};

	assert_int_equal(nl_sock_open(box->loop, &config, on_news, on_overrun, box, &box->sock), 0);
	assert_true(nl_sock_portid(box->sock) != 0);
}

/* News is queued by the time the request is answered, so one drain makes it all readable. */
static void make_news(struct box *box, unsigned count)
{
	box->verdicts = 0;
	for (unsigned i = 0; i < count; i++) {
		uint16_t type = i % 2 ? RTM_DELADDR : RTM_NEWADDR;

		while (!ask(box, type, NLM_F_CREATE, 1, i))
			assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
	}
	assert_int_equal(nl_batch_drain(box->batch, SEC(5)), 0);
}

static void sock_hears_all_news(void **state)
{
	struct box *box = *state;

	open_batch(box, 16384);
	open_sock(box, 1024 * 1024, 1024 * 1024);
	make_news(box, 300);
	loop_turn(box->loop, SEC(1));
	assert_int_equal(box->news, 300);
	assert_int_equal(box->overruns, 0);
}

static void sock_reads_first_news_at_once_and_a_stream_in_heaps(void **state)
{
	struct box *box = *state;
	mono_t begun;

	open_batch(box, 16384);
	box->pause_ns = MS(30);
	open_sock(box, 1024 * 1024, 1024 * 1024);
	begun = mono_read();
	make_news(box, 2);
	loop_turn(box->loop, SEC(1));
	assert_int_equal(box->news, 2);
	for (unsigned heap = 1; heap <= 3; heap++) {
		make_news(box, 10);
		loop_turn(box->loop, 0);
		if (mono_sub(mono_read(), begun) < heap * MS(30))
			assert_int_equal(box->news, 10 * heap - 8);
		for (unsigned turns = 0; box->news < 10 * heap + 2 && turns < 10; turns++)
			loop_turn(box->loop, SEC(1));
		assert_int_equal(box->news, 10 * heap + 2);
		assert_true(mono_sub(mono_read(), begun) >= heap * MS(30));
	}
	/* A pause that heard nothing ends the stream: what comes then is the first again. */
	loop_turn(box->loop, SEC(1));
	make_news(box, 2);
	loop_turn(box->loop, 0);
	assert_int_equal(box->news, 34);
}

static void sock_takes_no_pause_from_a_flood(void **state)
{
	struct box *box = *state;
	unsigned turns = 0;

	open_batch(box, 16384);
	box->pause_ns = SEC(3600);
	open_sock(box, 16 * 1024 * 1024, 16 * 1024 * 1024);
	make_news(box, 3000);
	for (; box->news < 3000 && turns < 10; turns++)
		loop_turn(box->loop, SEC(1));
	assert_int_equal(box->news, 3000);
	assert_int_equal(box->overruns, 0);
}

static void sock_overrun_is_told_and_grows_the_buffer(void **state)
{
	struct box *box = *state;
	unsigned heard, rounds = 0;

	log_set_level(LOG_LEVEL_ERR);
	open_batch(box, 16384);
	open_sock(box, 8192, 1024 * 1024);
	/* Each overrun doubles the buffer: soon a burst fits that did not. */
	do {
		unsigned overruns = box->overruns;

		box->news = 0;
		make_news(box, 200);
		do {
			heard = box->news;
			loop_turn(box->loop, 0);
		} while (box->news != heard);
		heard = box->overruns - overruns;
	} while (heard && ++rounds < 20);
	assert_true(rounds > 1);
	assert_true(rounds < 10);
	assert_int_equal(box->news, 200);
	assert_int_equal(nl_sock_overruns(box->sock), box->overruns);
}

static void sock_tells_how_full_it_is(void **state)
{
	struct box *box = *state;
	int size = 0;
	size_t filled = 0;

	open_batch(box, 16384);
	open_sock(box, 512 * 1024, 512 * 1024);
	make_news(box, 20);
	loop_turn(box->loop, SEC(1));
	assert_int_equal(box->news, 20);
	assert_int_equal(box->fills, 0); /* it keeps up */
	box->news = 0;
	make_news(box, 200);
	loop_turn(box->loop, SEC(1));
	assert_int_equal(box->news, 200);
	assert_int_equal(box->overruns, 0);
	assert_true(box->fills > 1);
	assert_true(box->fill_first > 0 && box->fill_first < 100);
	assert_int_equal(box->fill_last, 0);
	/* Twice the news is twice as full. */
	filled = box->fill_first;
	box->fills = 0;
	box->news = 0;
	make_news(box, 400 - 64);
	loop_turn(box->loop, SEC(1));
	size = (int)box->fill_first;
	assert_in_range(size, filled * 3 / 2, filled * 5 / 2 + 1);
}

static void sock_may_be_closed_by_its_news(void **state)
{
	struct box *box = *state;

	open_batch(box, 16384);
	open_sock(box, 1024 * 1024, 1024 * 1024);
	make_news(box, 10);
	box->close_after = 3;
	loop_turn(box->loop, SEC(1));
	assert_int_equal(box->news, 3);
	assert_null(box->sock);
	/* And by what a pause ends with. */
	box->news = 0;
	box->pause_ns = MS(5);
	open_sock(box, 1024 * 1024, 1024 * 1024);
	make_news(box, 2);
	loop_turn(box->loop, SEC(1));
	make_news(box, 2);
	loop_turn(box->loop, SEC(1));
	assert_null(box->sock);
}

static void sock_refuses_an_unknown_group(void **state)
{
	struct box *box = *state;
	const unsigned groups[] = { 4000 };
	const struct nl_sock_config config = {
		.name = "news", .bus = NETLINK_ROUTE, .groups = groups, .group_count = 1
	};

	assert_true(nl_sock_open(box->loop, &config, on_news, NULL, box, &box->sock) < 0);
	assert_null(box->sock);
}

static void on_dumped(void *arg, const struct nlmsghdr *nlh)
{
	struct box *box = arg;

	assert_int_equal(nlh->nlmsg_type, RTM_NEWADDR);
	box->dumped++;
	if (box->dumped == box->close_after) {
		nl_dump_cancel(box->dump);
		box->dump = NULL;
	}
}

static void on_done(void *arg, int error)
{
	struct box *box = arg;

	box->done++;
	box->last_error = error;
	box->dump = NULL;
}

static void start_dump(struct box *box, uint16_t type)
{
	union {
		struct nlmsghdr nlh;
		char bytes[64];
	} request;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.bytes);
	struct ifaddrmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_DUMP;
	msg->ifa_family = AF_INET;
	assert_int_equal(nl_dump_start(box->loop, "dump", NETLINK_ROUTE, nlh, on_dumped, on_done,
				       box, &box->dump),
			 0);
}

static void dump_runs_in_slices_to_its_end(void **state)
{
	struct box *box = *state;
	unsigned turns = 0;

	open_batch(box, 16384);
	ask_all(box, RTM_NEWADDR, 3000);
	start_dump(box, RTM_GETADDR);
	for (; !box->done && turns < 1000; turns++)
		loop_turn(box->loop, SEC(1));
	assert_int_equal(box->done, 1);
	assert_int_equal(box->last_error, 0);
	assert_int_equal(box->dumped, 3000);
	assert_true(turns > 2);
	/* Cancelled by its own callback it is never done. */
	box->dumped = 0;
	box->close_after = 10;
	start_dump(box, RTM_GETADDR);
	loop_turn(box->loop, SEC(1));
	assert_int_equal(box->dumped, 10);
	assert_int_equal(box->done, 1);
	assert_null(box->dump);
	box->close_after = 0;
	ask_all(box, RTM_DELADDR, 3000);
}

static void dump_of_nonsense_ends_with_its_error(void **state)
{
	struct box *box = *state;

	start_dump(box, 999);
	for (unsigned turns = 0; !box->done && turns < 10; turns++)
		loop_turn(box->loop, SEC(1));
	assert_int_equal(box->done, 1);
	assert_int_equal(box->last_error, -EOPNOTSUPP);
}

#define NL_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		NL_TEST(batch_gives_one_verdict_each_in_order),
		NL_TEST(batch_tells_exactly_which_requests_failed),
		NL_TEST(batch_takes_no_lost_answer_for_a_success),
		NL_TEST(batch_of_failures_loses_no_verdict_when_full),
		NL_TEST(batch_settles_what_the_kernel_does_not_answer),
		NL_TEST(batch_tells_of_a_refused_send_from_the_loop),
		NL_TEST(batch_drops_a_request_that_was_not_ended),
		NL_TEST(batch_may_be_closed_by_a_verdict),
		NL_TEST(sock_hears_all_news),
		NL_TEST(sock_reads_first_news_at_once_and_a_stream_in_heaps),
		NL_TEST(sock_takes_no_pause_from_a_flood),
		NL_TEST(sock_overrun_is_told_and_grows_the_buffer),
		NL_TEST(sock_tells_how_full_it_is),
		NL_TEST(sock_may_be_closed_by_its_news),
		NL_TEST(sock_refuses_an_unknown_group),
		NL_TEST(dump_runs_in_slices_to_its_end),
		NL_TEST(dump_of_nonsense_ends_with_its_error),
	};

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		printf("1..0 # SKIP no network namespace for us: %s\n", strerror(errno));
		return 0;
	}
	return cmocka_run_group_tests_name("nl", tests, NULL, NULL);
}
