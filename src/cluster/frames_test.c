/* frames_test.c: bytes of ARP and ND frames, the virtual MAC's table, our own MAC */
#include "cluster/frames.h"
#include "cluster/vip.h"
#include "link/l2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const struct mac vmac = { { 0x00, 0x09, 0x0f, 0x09, 0x05, 0x02 } };

static void assert_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	char text[2 * FRAME_MAX + 1];

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(text, hex);
}

static struct ipaddr addr_of(const char *text)
{
	struct ipaddr addr;

	assert_int_equal(ipaddr_parse(text, &addr), 0);
	return addr;
}

static void arp_announcement_has_sender_and_target_alike(void **state)
{
	struct ipaddr addr = addr_of("10.1.0.1");
	uint8_t frame[FRAME_MAX];
	size_t len = frame_announce(&addr, &vmac, frame);

	(void)state;
	assert_int_equal(len, FRAME_ARP_LEN);
	assert_hex(frame, len,
		   "ffffffffffff00090f0905020806"
		   "0001080006040001"
		   "00090f0905020a010001"
		   "0000000000000a010001"
		   "000000000000000000000000000000000000");
}

static void arp_probe_claims_nothing(void **state)
{
	struct ipaddr addr = addr_of("10.1.0.1");
	uint8_t frame[FRAME_MAX];
	size_t len = frame_probe(&addr, &vmac, frame);

	(void)state;
	assert_hex(frame, len,
		   "ffffffffffff00090f0905020806"
		   "0001080006040001"
		   "00090f09050200000000"
		   "0000000000000a010001"
		   "000000000000000000000000000000000000");
}

/* RFC 1071: the one's complement sum over pseudo header and message, checksum included, is ffff. */
static uint32_t icmp6_sum(const uint8_t *frame, size_t len)
{
	uint32_t sum = (uint32_t)(len - 54) + 58;

	for (size_t i = 14 + 8; i < len; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

static void na_is_unsolicited_to_all_nodes(void **state)
{
	struct ipaddr addr = addr_of("fd01::1");
	uint8_t frame[FRAME_MAX], want[2];
	size_t len = frame_announce(&addr, &vmac, frame);

	(void)state;
	assert_int_equal(len, FRAME_NA_LEN);
	assert_int_equal(icmp6_sum(frame, len), 0xffff);
	memcpy(want, frame + 56, 2);
	frame[56] = frame[57] = 0;
	assert_hex(frame, len,
		   "33330000000100090f09050286dd"
		   "6000000000203aff"
		   "fd010000000000000000000000000001"
		   "ff020000000000000000000000000001"
		   "88000000a0000000"
		   "fd010000000000000000000000000001"
		   "020100090f090502");
	assert_false(want[0] == 0 && want[1] == 0);
}

static void ns_of_dad_goes_to_the_solicited_node_group(void **state)
{
	static const char *const cases[] = { "fd01::1", "fe80::12:3456", "2001:db8::ffff:ffff" };
	static const char *const groups[] = { "3333ff000001", "3333ff123456", "3333ffffffff" };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct ipaddr addr = addr_of(cases[i]);
		static const uint8_t unspecified[16];
		uint8_t frame[FRAME_MAX];
		size_t len = frame_probe(&addr, &vmac, frame);

		assert_int_equal(len, FRAME_NS_LEN);
		assert_hex(frame, 6, groups[i]);
		assert_int_equal(icmp6_sum(frame, len), 0xffff);
		assert_memory_equal(frame + 22, unspecified, 16);
		assert_memory_equal(frame + 38 + 12, frame + 2, 4);
		assert_int_equal(frame[54], 135);
		assert_memory_equal(frame + 62, addr.bytes, 16);
	}
}

static void answers_are_read_and_questions_are_not(void **state)
{
	struct ipaddr v4 = addr_of("10.1.0.1"), v6 = addr_of("fd01::1"), got;
	uint8_t frame[FRAME_MAX];
	struct mac mac;
	size_t len;

	(void)state;
	len = frame_announce(&v4, &vmac, frame);
	assert_false(frame_read_answer(frame, len, &got, &mac)); /* a request */
	frame[21] = 2;
	assert_true(frame_read_answer(frame, len, &got, &mac));
	assert_true(ipaddr_equal(&got, &v4) && mac_equal(&mac, &vmac));
	for (size_t cut = 0; cut < 32; cut++)
		assert_false(frame_read_answer(frame, cut, &got, &mac));
	len = frame_probe(&v6, &vmac, frame);
	assert_false(frame_read_answer(frame, len, &got, &mac));
	len = frame_announce(&v6, &vmac, frame);
	assert_true(frame_read_answer(frame, len, &got, &mac));
	assert_true(ipaddr_equal(&got, &v6) && mac_equal(&mac, &vmac));
	for (size_t cut = 0; cut < 78; cut++)
		assert_false(frame_read_answer(frame, cut, &got, &mac));
	frame[21] = 64; /* hop limit: came through a router */
	assert_false(frame_read_answer(frame, len, &got, &mac));
}

static void virtual_mac_follows_group_and_index(void **state)
{
	static const struct {
		uint16_t group_id;
		unsigned index;
		const char *mac;
	} cases[] = {
		{ 0, 0, "00:09:0f:09:00:00" },    { 5, 2, "00:09:0f:09:05:02" },
		{ 255, 63, "00:09:0f:09:ff:3f" }, { 256, 0, "e0:23:ff:fc:00:00" },
		{ 300, 2, "e0:23:ff:fc:2c:02" },  { 511, 1, "e0:23:ff:fc:ff:01" },
		{ 512, 0, "e0:23:ff:fd:00:00" },  { 767, 9, "e0:23:ff:fd:ff:09" },
		{ 768, 0, "e0:23:ff:fe:00:00" },  { 1023, 16, "e0:23:ff:fe:ff:10" },
	};
	char text[MAC_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mac mac = vip_mac(cases[i].group_id, cases[i].index);

		assert_string_equal(mac_format(&mac, text), cases[i].mac);
	}
}

static void own_mac_is_permanent_or_local_and_stable(void **state)
{
	struct mac perm = { { 0x00, 0x1b, 0x21, 1, 2, 3 } }, none = { { 0 } };
	struct mac a = l2_own_mac("FK1", "port1", &none), b = l2_own_mac("FK1", "port1", NULL);
	struct mac other_port = l2_own_mac("FK1", "port2", NULL);
	struct mac other_member = l2_own_mac("FK2", "port1", NULL);
	struct mac got = l2_own_mac("FK1", "port1", &perm);

	(void)state;
	assert_true(mac_equal(&got, &perm));
	assert_true(mac_equal(&a, &b));
	assert_int_equal(a.bytes[0] & 3, 2);
	assert_false(mac_equal(&a, &other_port) || mac_equal(&a, &other_member));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_announcement_has_sender_and_target_alike),
		cmocka_unit_test(arp_probe_claims_nothing),
		cmocka_unit_test(na_is_unsolicited_to_all_nodes),
		cmocka_unit_test(ns_of_dad_goes_to_the_solicited_node_group),
		cmocka_unit_test(answers_are_read_and_questions_are_not),
		cmocka_unit_test(virtual_mac_follows_group_and_index),
		cmocka_unit_test(own_mac_is_permanent_or_local_and_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
