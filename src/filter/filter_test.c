/* filter_test.c: what travels and what stays, case by case; the set of local addresses */
#include "filter/filter.h"

#include "ct/ct.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct filter_case {
	const char *what;
	uint8_t l4;
	const char *src, *dst;
	uint16_t sport, dport;
	const char *rsrc, *rdst; /* NULL: plain inverse */
	uint16_t rsport;         /* 0: plain inverse */
	const char *helper;
	bool pickup, connectionless;
	enum filter_verdict want;
};

/* Our addresses: 10.1.0.1, 10.2.0.1 (virtual), fd01::1. */
static const struct filter_case cases[] = {
	{"TCP through us", 6, "10.1.0.9", "10.2.0.9", 1000, 80, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
	{"TCP, IPv6", 6, "fd01::9", "fd02::9", 1000, 80, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
	{"SNAT to our address", 6, "10.1.0.9", "10.2.0.9", 1000, 80, 0, "10.2.0.1", 0, 0, 1, 1,
	 FILTER_TRAVELS},
	{"DNAT of our address to a server", 6, "10.1.0.9", "10.1.0.1", 1000, 8080, "10.2.0.9", 0,
	 80, 0, 1, 1, FILTER_TRAVELS},
	{"to us", 6, "10.1.0.9", "10.1.0.1", 1000, 22, 0, 0, 0, 0, 1, 1, FILTER_LOCAL},
	{"from us", 17, "10.2.0.1", "10.2.0.9", 1000, 53, 0, 0, 0, 0, 1, 1, FILTER_LOCAL},
	{"to us, IPv6", 6, "fd01::9", "fd01::1", 1000, 22, 0, 0, 0, 0, 1, 1, FILTER_LOCAL},
	{"redirected to our proxy", 6, "10.1.0.9", "10.2.0.9", 1000, 80, "10.1.0.1", 0, 3128, 0, 1,
	 1, FILTER_LOCAL},
	{"TCP with pickup off", 6, "10.1.0.9", "10.2.0.9", 1, 80, 0, 0, 0, 0, 0, 1,
	 FILTER_PICKUP_OFF},
	{"SCTP with pickup off", 132, "10.1.0.9", "10.2.0.9", 1, 80, 0, 0, 0, 0, 0, 1,
	 FILTER_PICKUP_OFF},
	{"UDP with connectionless off", 17, "10.1.0.9", "10.2.0.9", 1, 53, 0, 0, 0, 0, 1, 0,
	 FILTER_CONNECTIONLESS_OFF},
	{"ping with connectionless off", 1, "10.1.0.9", "10.2.0.9", 7, 0x800, 0, 0, 0, 0, 1, 0,
	 FILTER_CONNECTIONLESS_OFF},
	{"ping", 1, "10.1.0.9", "10.2.0.9", 7, 0x800, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
	{"loopback", 6, "127.0.0.1", "127.0.0.2", 1, 80, 0, 0, 0, 0, 1, 1, FILTER_LOOPBACK},
	{"loopback, IPv6", 6, "::1", "::1", 1, 80, 0, 0, 0, 0, 1, 1, FILTER_LOOPBACK},
	{"not loopback, IPv6", 6, "::2", "::3", 1, 80, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
	{"multicast", 17, "10.1.0.9", "239.1.2.3", 1, 5000, 0, 0, 0, 0, 1, 1, FILTER_MULTICAST},
	{"highest multicast", 17, "10.1.0.9", "239.255.255.255", 1, 5000, 0, 0, 0, 0, 1, 1,
	 FILTER_MULTICAST},
	{"multicast, IPv6", 17, "fd01::9", "ff05::2", 1, 5000, 0, 0, 0, 0, 1, 1, FILTER_MULTICAST},
	{"broadcast", 17, "10.1.0.9", "255.255.255.255", 1, 67, 0, 0, 0, 0, 1, 1, FILTER_BROADCAST},
	{"DHCP", 17, "0.0.0.0", "10.2.0.9", 68, 67, 0, 0, 0, 0, 1, 1, FILTER_BROADCAST},
	{"link-local", 17, "fe80::9", "fe80::1", 1, 547, 0, 0, 0, 0, 1, 1, FILTER_LINK_LOCAL},
	{"end of link-local", 17, "febf::9", "fd02::1", 1, 5, 0, 0, 0, 0, 1, 1, FILTER_LINK_LOCAL},
	{"beyond link-local", 17, "fec0::9", "fd02::1", 1, 5, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
	{"neighbour solicitation", 58, "fd01::9", "fd01::8", 0, 135 << 8, 0, 0, 0, 0, 1, 1,
	 FILTER_LINK_LOCAL},
	{"ping, IPv6", 58, "fd01::9", "fd02::9", 7, 128 << 8, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
	{"PPTP control", 6, "10.1.0.9", "10.2.0.9", 1, 1723, 0, 0, 0, 0, 1, 1, FILTER_PPTP},
	{"PPTP control behind DNAT", 6, "10.1.0.9", "10.2.0.7", 1, 99, "10.2.0.9", 0, 1723, 0, 1, 1,
	 FILTER_PPTP},
	{"PPTP by helper", 6, "10.1.0.9", "10.2.0.9", 1, 99, 0, 0, 0, "pptp", 1, 1, FILTER_PPTP},
	{"FTP by helper", 6, "10.1.0.9", "10.2.0.9", 1, 21, 0, 0, 0, "ftp", 1, 1, FILTER_TRAVELS},
	{"GRE of PPTP", 47, "10.1.0.9", "10.2.0.9", 7, 8, 0, 0, 0, 0, 1, 1, FILTER_PPTP},
	{"GRE", 47, "10.1.0.9", "10.2.0.9", 0, 0, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
	{"L2TP", 17, "10.1.0.9", "10.2.0.9", 1701, 1701, 0, 0, 0, 0, 1, 1, FILTER_L2TP},
	{"ESP", 50, "10.1.0.9", "10.2.0.9", 0, 0, 0, 0, 0, 0, 1, 1, FILTER_TRAVELS},
};

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static struct ct ct_of(const struct filter_case *c)
{
	struct ct ct = {0};

	ct.src = addr(c->src);
	ct.dst = addr(c->dst);
	ct.l3 = ct.src.family;
	ct.l4 = c->l4;
	ct.sport = c->sport;
	ct.dport = c->dport;
	ct.status = IPS_CONFIRMED;
	ct.has = schema_ct.required | 1u << CT_SPORT | 1u << CT_DPORT;
	if (c->rsrc != NULL) {
		ct.rsrc = addr(c->rsrc);
		SET_HAS(&ct, CT_RSRC);
	}
	if (c->rdst != NULL) {
		ct.rdst = addr(c->rdst);
		SET_HAS(&ct, CT_RDST);
	}
	if (c->rsport != 0) {
		ct.rsport = c->rsport;
		SET_HAS(&ct, CT_RSPORT);
	}
	if (c->helper != NULL) {
		memcpy(ct.helper, c->helper, strlen(c->helper));
		SET_HAS(&ct, CT_HELPER);
	}
	return ct;
}

static void filter_decides_every_case(void **state)
{
	struct filter_config config = {0};
	const char *const own[] = {"10.1.0.1", "10.2.0.1", "fd01::1"};
	bool is_seen[FILTER_VERDICT_COUNT] = {false};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct ipaddr a = addr(own[i]);

		assert_int_equal(filter_locals_add(&config.locals, (int)i + 1, &a), 1);
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ct ct = ct_of(&cases[i]);
		enum filter_verdict got;

		config.pickup = cases[i].pickup;
		config.connectionless = cases[i].connectionless;
		got = filter_decide(&config, &ct);
		if (got != cases[i].want)
			fail_msg("%s: %s instead of %s", cases[i].what, filter_name(got),
				 filter_name(cases[i].want));
		is_seen[got] = true;
		if (got == FILTER_TRAVELS) {
			ct.status = 0;
			got = filter_decide(&config, &ct);
			assert_int_equal(got, FILTER_UNCONFIRMED);
			is_seen[got] = true;
		}
	}
	for (unsigned i = 0; i < FILTER_VERDICT_COUNT; i++)
		if (!is_seen[i])
			fail_msg("no case is refused as %s", filter_name(i));
	filter_locals_fini(&config.locals);
}

static void filter_names_are_texts(void **state)
{
	(void)state;
	assert_string_equal(filter_name(FILTER_TRAVELS), "travels");
	assert_string_equal(filter_name(FILTER_L2TP), "l2tp");
	assert_string_equal(filter_text(FILTER_MULTICAST), "multicast destination");
	assert_string_equal(filter_text(FILTER_VERDICT_COUNT), "unknown");
}

static void locals_count_interfaces(void **state)
{
	struct filter_locals locals = {0};
	struct ipaddr a = addr("fe80::1");

	(void)state;
	assert_int_equal(filter_locals_add(&locals, 2, &a), 1);
	assert_int_equal(filter_locals_add(&locals, 3, &a), 1);
	assert_int_equal(filter_locals_add(&locals, 3, &a), 0);
	assert_true(filter_locals_remove(&locals, 2, &a));
	assert_false(filter_locals_remove(&locals, 2, &a));
	assert_true(filter_locals_has(&locals, &a));
	assert_true(filter_locals_remove(&locals, 3, &a));
	assert_false(filter_locals_has(&locals, &a));
	filter_locals_fini(&locals);
}

static void locals_are_bounded_and_sorted(void **state)
{
	struct filter_locals locals = {0};
	struct ipaddr a = {.family = AF_INET};

	(void)state;
	/* 2654435761: a stride that meets every residue, so additions come in no order. */
	for (uint32_t i = 0; i < FILTER_LOCALS_MAX; i++) {
		uint32_t n = i * 2654435761u % 65536;

		a.bytes[2] = (uint8_t)(n >> 8);
		a.bytes[3] = (uint8_t)n;
		assert_int_equal(filter_locals_add(&locals, 1, &a), 1);
	}
	for (unsigned i = 1; i < locals.count; i++)
		assert_true(memcmp(&locals.sorted[i - 1].addr, &locals.sorted[i].addr, sizeof(a)) <
			    0);
	a.bytes[0] = 1;
	assert_int_equal(filter_locals_add(&locals, 1, &a), -ENOSPC);
	assert_int_equal(locals.refused, 1);
	filter_locals_fini(&locals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_decides_every_case),
		cmocka_unit_test(filter_names_are_texts),
		cmocka_unit_test(locals_count_interfaces),
		cmocka_unit_test(locals_are_bounded_and_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
