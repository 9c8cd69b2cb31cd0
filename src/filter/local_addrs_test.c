/* local_addrs_test.c: the set of local addresses follows a real kernel, overruns included */
#include "ct/ct_lab.h"
#include "filter/local_addrs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct news {
	unsigned added, removed;
	int ifindex;
	struct ipaddr last;
	struct filter_locals *locals;
};

static void on_change(void *arg, int ifindex, const struct ipaddr *addr, bool is_added)
{
	struct news *news = arg;

	assert_true(filter_locals_has(news->locals, addr) == is_added);
	news->ifindex = ifindex;
	news->last = *addr;
	if (is_added)
		news->added++;
	else
		news->removed++;
}

static bool has(const struct filter_locals *locals, const char *text)
{
	struct ipaddr addr;

	assert_int_equal(ipaddr_parse(text, &addr), 0);
	return filter_locals_has(locals, &addr);
}

static void locals_follow_the_kernel(void **state)
{
	static struct lab lab;
	struct filter_locals locals = {0};
	struct news news = {.locals = &locals};
	struct local_addrs *addrs;
	const char *why;

	(void)state;
	if (lab_open(&lab, &why) < 0) {
		print_message("%s\n", why);
		skip();
	}
	lab_enter(&lab, LAB_GATEWAY);
	assert_int_equal(local_addrs_open(lab.loop, &locals, on_change, &news, &addrs), 0);
	assert_true(has(&locals, "10.1.0.1") && has(&locals, "10.2.0.1") &&
		    has(&locals, "fd01::1") && has(&locals, "127.0.0.1") && has(&locals, "::1"));
	assert_false(has(&locals, "10.1.0.9"));
	assert_int_equal(news.added, 0);

	assert_int_equal(lab_run(&lab, LAB_GATEWAY, "ip addr add 10.1.0.77/24 dev c0"), 0);
	assert_true(lab_wait(&lab, &news.added, 1));
	assert_true(has(&locals, "10.1.0.77") && news.ifindex > 0 && news.last.bytes[3] == 77);
	/* The local end of a point-to-point address, not the peer. */
	assert_int_equal(lab_run(&lab, LAB_GATEWAY, "ip addr add 10.9.0.1 peer 10.9.0.2 dev c0"),
			 0);
	assert_true(lab_wait(&lab, &news.added, 2));
	assert_true(has(&locals, "10.9.0.1") && !has(&locals, "10.9.0.2"));
	assert_int_equal(lab_run(&lab, LAB_GATEWAY, "ip addr del 10.1.0.77/24 dev c0"), 0);
	assert_true(lab_wait(&lab, &news.removed, 1));
	assert_false(has(&locals, "10.1.0.77"));

	/* 4000 pieces of news unread in a 512 KiB buffer: an overrun, repaired by reading again. */
	assert_int_equal(lab_run(&lab, LAB_GATEWAY,
				 "ip addr add 10.8.0.1/32 dev c0;"
				 "(for i in $(seq 2000); do echo addr add 10.8.1.1/32 dev c0; echo "
				 "addr del 10.8.1.1/32 dev c0;"
				 " done; echo addr del 10.1.0.1/24 dev c0; echo addr add "
				 "10.8.0.2/32 dev c0) | ip -b -"),
			 0);
	lab_listen(&lab, MS(100));
	assert_true(has(&locals, "10.8.0.1") && has(&locals, "10.8.0.2"));
	assert_false(has(&locals, "10.1.0.1") || has(&locals, "10.8.1.1"));
	local_addrs_close(addrs);
	filter_locals_fini(&locals);
	lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locals_follow_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
