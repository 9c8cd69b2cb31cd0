/* addr_test.c: what is an address, what is not, and that printing reads back */
#include "base/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void ipaddr_parses_what_it_formats(void **state)
{
	static const char *const good[] = {
		"0.0.0.0", "10.1.0.1", "255.255.255.255", "::", "::1", "fd01::1", "fe80::1:2",
		"2001:db8:1:2:3:4:5:6", "::ffff:10.0.0.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct ipaddr a, b;
		char text[IPADDR_STRLEN];

		assert_int_equal(ipaddr_parse(good[i], &a), 0);
		assert_string_equal(ipaddr_format(&a, text), good[i]);
		assert_int_equal(ipaddr_parse(text, &b), 0);
		assert_true(ipaddr_equal(&a, &b));
		assert_int_equal(ipaddr_size(&a), strchr(good[i], ':') ? 16 : 4);
	}
}

static void ipaddr_refuses_anything_else(void **state)
{
	static const char *const bad[] = {
		"", " ", "10", "10.1.0", "10.1.0.256", "10.1.0.1 ", " 10.1.0.1", "10.1.0.1/24",
		"fe80::1%eth0", "1::2::3", "host", "010.1.0.1", "::1x",
	};
	struct ipaddr a = { .family = 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ipaddr_parse(bad[i], &a), -EINVAL);
	assert_int_equal(a.family, 77); /* untouched on failure */
}

static void ipnet_parses_length_mask_and_host(void **state)
{
	static const struct {
		const char *text;
		const char *formatted;
	} cases[] = {
		{ "10.1.0.1/24", "10.1.0.1/24" },
		{ "10.1.0.1/0", "10.1.0.1/0" },
		{ "10.1.0.1", "10.1.0.1/32" },
		{ "10.1.0.1 255.255.255.0", "10.1.0.1/24" },
		{ "10.1.0.1 255.255.255.255", "10.1.0.1/32" },
		{ "10.1.0.1 0.0.0.0", "10.1.0.1/0" },
		{ "10.1.0.1 255.128.0.0", "10.1.0.1/9" },
		{ "fd01::1/64", "fd01::1/64" },
		{ "fd01::1", "fd01::1/128" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ipnet net;
		char text[IPNET_STRLEN];

		assert_int_equal(ipnet_parse(cases[i].text, &net), 0);
		assert_string_equal(ipnet_format(&net, text), cases[i].formatted);
	}
}

static void ipnet_refuses_anything_else(void **state)
{
	static const char *const bad[] = {
		"", "/24", "10.1.0.1/", "10.1.0.1/33", "10.1.0.1/024", "10.1.0.1/+4", "10.1.0.1/ 4",
		"10.1.0.1/24 ", "10.1.0.1  255.0.0.0", "10.1.0.1 255.0.255.0", "10.1.0.1 24",
		"10.1.0.1 ", "fd01::1/129", "fd01::1 255.255.255.0", "10.1.0.1/4294967297",
		"10.1.0.1/24/24",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/64",
	};
	struct ipnet net = { .prefix_len = 200 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ipnet_parse(bad[i], &net), -EINVAL);
	assert_int_equal(net.prefix_len, 200);
}

static void addr_of_no_family_prints_none(void **state)
{
	struct ipnet net = { .prefix_len = 0 };
	char text[IPNET_STRLEN];

	(void)state;
	assert_string_equal(ipnet_format(&net, text), "none");
	assert_true(ipaddr_equal(&net.addr, &(struct ipaddr){ .family = 0 }));
	assert_false(ipaddr_equal(&net.addr, &(struct ipaddr){ .family = AF_INET }));
}

static void mac_parses_what_it_formats_and_nothing_else(void **state)
{
	static const char *const bad[] = {
		"", "00:09:0f:09:01", "00:09:0f:09:01:02:03", "0:9:f:9:1:2", "00-09-0f-09-01-02",
		"00:09:0f:09:01:0g", "00:09:0f:09:01:02 ", "00:09:0f:09:01:0",
	};
	struct mac mac, other;
	char text[MAC_STRLEN];

	(void)state;
	assert_int_equal(mac_parse("00:09:0F:09:01:ab", &mac), 0);
	assert_string_equal(mac_format(&mac, text), "00:09:0f:09:01:ab");
	assert_int_equal(mac_parse(text, &other), 0);
	assert_true(mac_equal(&mac, &other));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mac_parse(bad[i], &mac), -EINVAL);
	assert_true(mac_equal(&mac, &other));
	other.bytes[5] ^= 1;
	assert_false(mac_equal(&mac, &other));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipaddr_parses_what_it_formats),
		cmocka_unit_test(ipaddr_refuses_anything_else),
		cmocka_unit_test(ipnet_parses_length_mask_and_host),
		cmocka_unit_test(ipnet_refuses_anything_else),
		cmocka_unit_test(addr_of_no_family_prints_none),
		cmocka_unit_test(mac_parses_what_it_formats_and_nothing_else),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
