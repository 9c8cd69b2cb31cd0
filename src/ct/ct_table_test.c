/* ct_table_test.c: what the masks of table inet flowkeep let through, on the real kernel */
#include "ct/ct_lab.h"
#include "ct/ct_table_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COPY_BIT 0x80000000u

static struct lab lab;
static const char *skip_why;

static const struct ct_table_config established = {
	.copy_bit = COPY_BIT,
	.event_mask = true,
	.level = SYNC_LEVEL_ESTABLISHED,
	.tcp = true,
	.connectionless = true,
};

/* Table and capture of the gateway, for one test. */
struct gateway {
	struct ct_table *table;
	struct ct_capture *capture;
};

static int setup(void **state)
{
	(void)state;
	if (lab_open(&lab, &skip_why) < 0)
		return 0;
	lab_enter(&lab, LAB_GATEWAY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (skip_why == NULL)
		lab_close(&lab);
	return 0;
}

static struct gateway gateway_open(const struct ct_table_config *config)
{
	struct gateway g;

	if (skip_why != NULL) {
		print_message("%s\n", skip_why);
		skip();
	}
	lab_run(&lab, LAB_GATEWAY, "conntrack -F 2>/dev/null");
	assert_int_equal(ct_table_sysctls(), 0);
	assert_int_equal(ct_table_open(lab.loop, config, &g.table), 0);
	assert_int_equal(
		ct_capture_open(lab.loop, COPY_BIT, lab_on_seen, lab_on_overrun, &lab, &g.capture),
		0);
	lab_listen(&lab, MS(20));
	lab.seen_count = 0;
	return g;
}

static void gateway_close(struct gateway *g)
{
	lab_enter(&lab, LAB_GATEWAY);
	ct_capture_close(g->capture);
	ct_table_close(g->table);
}

/* "new update destroy ..." of what was heard since the last call, `l4` only. */
static const char *heard(uint8_t l4)
{
	static const char *const names[] = {"new", "update", "destroy", "dump"};
	static char text[512];
	size_t len = 0;

	lab_listen(&lab, MS(60));
	text[0] = '\0';
	for (unsigned i = 0; i < lab.seen_count; i++) {
		const struct ct_seen *s = &lab.seen[i];

		if (s->ct.l4 != l4)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "",
					names[s->news]);
		if (HAS(&s->ct, CT_TCP_STATE))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "(%d)",
						s->ct.tcp_state);
	}
	lab.seen_count = 0;
	return text;
}

/* Opens TCP through the gateway; says what its opening and its closing raised. */
static void tcp_session(uint16_t port, char *ret_open, char *ret_close)
{
	int server = lab_socket(&lab, LAB_SERVER, SOCK_STREAM, port);
	int client = lab_socket(&lab, LAB_CLIENT, SOCK_STREAM, 0);
	int accepted;
	char byte;

	assert_int_equal(lab_connect(client, "10.2.0.9", port), 0);
	accepted = accept(server, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(write(client, "x", 1), 1);
	/* Unread bytes would make close() a reset. */
	assert_int_equal(read(accepted, &byte, 1), 1);
	strcpy(ret_open, heard(IPPROTO_TCP));
	close(client);
	/* The FIN's acknowledgement is delayed by 40 ms unless it can ride on the other FIN. */
	lab_listen(&lab, MS(100));
	close(accepted);
	strcpy(ret_close, heard(IPPROTO_TCP));
	close(server);
}

static void table_level_established_tells_assured_and_closing(void **state)
{
	struct gateway g = gateway_open(&established);
	char open[512], closing[512];

	(void)state;
	tcp_session(8001, open, closing);
	/* 3: TCP_CONNTRACK_ESTABLISHED; then FIN_WAIT 4, CLOSE_WAIT 5, LAST_ACK 6, TIME_WAIT 7. */
	assert_string_equal(open, "update(3)");
	assert_string_equal(closing, "update(4) update(5) update(6) update(7)");
	lab_run(&lab, LAB_GATEWAY, "conntrack -D -p tcp >/dev/null 2>&1");
	assert_string_equal(heard(IPPROTO_TCP), "destroy(7)");
	gateway_close(&g);
}

static void table_level_all_states_tells_everything(void **state)
{
	struct ct_table_config config = established;
	struct gateway g;
	char open[512], closing[512];

	(void)state;
	config.level = SYNC_LEVEL_ALL_STATES;
	g = gateway_open(&config);
	tcp_session(8002, open, closing);
	assert_string_equal(open, "new(1) update(2) update(3)");
	assert_string_equal(closing, "update(4) update(5) update(6) update(7)");
	gateway_close(&g);
}

static void table_without_masks_tells_everything(void **state)
{
	struct ct_table_config config = established;
	struct gateway g;
	char open[512], closing[512];

	(void)state;
	config.event_mask = false;
	config.tcp = false;
	g = gateway_open(&config);
	tcp_session(8003, open, closing);
	assert_string_equal(open, "new(1) update(2) update(3)");
	gateway_close(&g);
}

static void table_excluded_classes_raise_nothing(void **state)
{
	struct ct_table_config config = established;
	struct gateway g;
	char open[512], closing[512];
	int client;

	(void)state;
	config.tcp = false;
	config.connectionless = false;
	g = gateway_open(&config);
	tcp_session(8004, open, closing);
	assert_string_equal(open, "");
	assert_string_equal(closing, "");
	client = lab_socket(&lab, LAB_CLIENT, SOCK_DGRAM, 0);
	assert_int_equal(lab_connect(client, "10.2.0.9", 9), 0);
	assert_int_equal(write(client, "x", 1), 1);
	assert_string_equal(heard(IPPROTO_UDP), "");
	lab_run(&lab, LAB_CLIENT, "ping -c 1 -W 2 10.2.0.9 >/dev/null");
	lab_run(&lab, LAB_GATEWAY, "conntrack -F 2>/dev/null");
	assert_string_equal(heard(IPPROTO_UDP), "");
	assert_string_equal(heard(IPPROTO_ICMP), "");
	close(client);
	gateway_close(&g);
}

static void table_pptp_l2tp_and_own_raise_nothing(void **state)
{
	struct gateway g = gateway_open(&established);
	char open[512], closing[512];
	int client, own;

	(void)state;
	tcp_session(1723, open, closing);
	assert_string_equal(open, "");
	assert_string_equal(closing, "");
	client = lab_socket(&lab, LAB_CLIENT, SOCK_DGRAM, 1701);
	assert_int_equal(lab_connect(client, "10.2.0.9", 1701), 0);
	assert_int_equal(write(client, "x", 1), 1);
	close(client);
	own = lab_socket(&lab, LAB_GATEWAY, SOCK_DGRAM, 5001);
	client = lab_socket(&lab, LAB_CLIENT, SOCK_DGRAM, 5000);
	assert_int_equal(lab_connect(client, "10.1.0.1", 5001), 0);
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(lab_connect(own, "10.1.0.9", 5002), 0);
	assert_int_equal(write(own, "x", 1), 1);
	close(client);
	close(own);
	lab_run(&lab, LAB_GATEWAY, "conntrack -F 2>/dev/null");
	assert_string_equal(heard(IPPROTO_UDP), "");
	gateway_close(&g);
}

static void table_connectionless_tells_new_and_reply(void **state)
{
	struct gateway g = gateway_open(&established);
	int server = lab_socket(&lab, LAB_SERVER, SOCK_DGRAM, 5001);
	int client = lab_socket(&lab, LAB_CLIENT, SOCK_DGRAM, 5000);
	char byte;

	(void)state;
	assert_int_equal(lab_connect(client, "10.2.0.9", 5001), 0);
	assert_int_equal(lab_connect(server, "10.1.0.9", 5000), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(write(client, "x", 1), 1);
	assert_string_equal(heard(IPPROTO_UDP), "new");
	assert_int_equal(read(server, &byte, 1), 1);
	assert_int_equal(write(server, "y", 1), 1);
	assert_int_equal(write(client, "x", 1), 1);
	assert_string_equal(heard(IPPROTO_UDP), "update");
	lab_run(&lab, LAB_CLIENT, "ping -c 1 -W 2 10.2.0.9 >/dev/null");
	assert_string_equal(heard(IPPROTO_ICMP), "new update");
	lab_run(&lab, LAB_GATEWAY, "conntrack -F 2>/dev/null");
	assert_string_equal(heard(IPPROTO_UDP), "destroy");
	close(client);
	close(server);
	gateway_close(&g);
}

static void table_sessions_with_a_helper_tell_everything(void **state)
{
	static const char helper[] =
		"nft 'table inet help { ct helper ftp4 { type \"ftp\" protocol tcp; "
		"l3proto ip; }\nchain h { type filter hook prerouting priority mangle;"
		"tcp dport 2121 ct state new ct helper set \"ftp4\"; }\n}' 2>/dev/null";
	struct gateway g = gateway_open(&established);
	char open[512], closing[512];

	(void)state;
	if (lab_run(&lab, LAB_GATEWAY, "%s", helper) != 0) {
		gateway_close(&g);
		print_message("no ftp helper in this kernel\n");
		skip();
	}
	tcp_session(2121, open, closing);
	assert_string_equal(open, "new(1) update(2) update(3)");
	assert_string_equal(closing, "update(4) update(5) update(6) update(7)");
	lab_run(&lab, LAB_GATEWAY, "nft delete table inet help");
	gateway_close(&g);
}

static void table_icmp_error_leaves_the_mask_of_its_session(void **state)
{
	struct gateway g = gateway_open(&established);
	int client = lab_socket(&lab, LAB_CLIENT, SOCK_DGRAM, 5010);

	(void)state;
	/* Nobody listens: port unreachable comes back, `related` to the UDP session. */
	assert_int_equal(lab_connect(client, "10.2.0.9", 5011), 0);
	assert_int_equal(write(client, "x", 1), 1);
	assert_string_equal(heard(IPPROTO_UDP), "new");
	lab_run(&lab, LAB_GATEWAY, "conntrack -D -p udp >/dev/null 2>&1");
	assert_string_equal(heard(IPPROTO_UDP), "destroy");
	close(client);
	gateway_close(&g);
}

static void table_copy_is_claimed_by_one_event(void **state)
{
	struct gateway g = gateway_open(&established);
	struct ct_inject *inject;
	struct ct ct = {.l3 = AF_INET,
			.l4 = IPPROTO_UDP,
			.sport = 6000,
			.dport = 6001,
			.status = IPS_CONFIRMED | IPS_SEEN_REPLY,
			.mark = 5};
	struct ct_seen got;
	int client = lab_socket(&lab, LAB_CLIENT, SOCK_DGRAM, 6000);
	int server = lab_socket(&lab, LAB_SERVER, SOCK_DGRAM, 6001);

	(void)state;
	lab_enter(&lab, LAB_GATEWAY);
	assert_int_equal(ipaddr_parse("10.1.0.9", &ct.src), 0);
	assert_int_equal(ipaddr_parse("10.2.0.9", &ct.dst), 0);
	ct.has = schema_ct.required | 1u << CT_SPORT | 1u << CT_DPORT | 1u << CT_MARK;
	assert_int_equal(ct_inject_open(lab.loop, COPY_BIT, lab_on_verdict, &lab, &inject), 0);
	ct_capture_ignore(g.capture, ct_inject_portid(inject));
	lab.verdicts = 0;
	assert_int_equal(ct_inject_copy(inject, CT_OP_CREATE, &ct, 1), 0);
	ct_inject_flush(inject);
	assert_true(lab_wait(&lab, &lab.verdicts, 1));
	assert_int_equal(lab.last_error, 0);
	assert_string_equal(heard(IPPROTO_UDP), "");
	/* It did not even come here. */
	assert_int_equal(ct_capture_stats(g.capture).events, 0);
	assert_int_equal(ct_get(COPY_BIT, &ct, &got), 0);
	assert_true(got.is_copy && got.ct.mark == 5 && got.ct.timeout > CT_HOLD_S - 5);

	assert_int_equal(lab_connect(client, "10.2.0.9", 6001), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(write(client, "x", 1), 1);
	assert_true(lab_wait(&lab, &lab.seen_count, 1));
	assert_true(lab.seen[0].has_mark && !lab.seen[0].is_copy && lab.seen[0].ct.mark == 5);
	assert_string_equal(heard(IPPROTO_UDP), "update");
	lab_enter(&lab, LAB_GATEWAY);
	assert_int_equal(ct_get(COPY_BIT, &ct, &got), 0);
	assert_true(!got.is_copy && got.ct.timeout <= 180);
	ct_inject_close(inject);
	close(client);
	close(server);
	gateway_close(&g);
}

static void table_survives_flush_and_is_put_back(void **state)
{
	struct gateway g = gateway_open(&established);
	struct ct_table *plain;
	static const char is_there[] = "nft list table inet flowkeep >/dev/null 2>&1";

	(void)state;
	assert_int_equal(lab_run(&lab, LAB_GATEWAY, "nft flush ruleset"), 0);
	assert_int_equal(lab_run(&lab, LAB_GATEWAY, is_there), 0);
	assert_int_not_equal(
		lab_run(&lab, LAB_GATEWAY, "nft delete table inet flowkeep 2>/dev/null"), 0);
	assert_int_equal(ct_table_replace(g.table, &established), 0);
	gateway_close(&g);
	assert_int_not_equal(lab_run(&lab, LAB_GATEWAY, is_there), 0);

	assert_int_equal(ct_table_open_as(lab.loop, &established, false, &plain), 0);
	lab_listen(&lab, MS(20));
	for (int i = 0; i < 2; i++) {
		mono_t end = mono_add(mono_read(), SEC(3));

		assert_int_equal(lab_run(&lab, LAB_GATEWAY, "nft delete table inet flowkeep"), 0);
		while (lab_run(&lab, LAB_GATEWAY, is_there) != 0 && mono_before(mono_read(), end))
			loop_turn(lab.loop, MS(50));
		assert_int_equal(lab_run(&lab, LAB_GATEWAY, is_there), 0);
	}
	ct_table_close(plain);
	assert_int_not_equal(lab_run(&lab, LAB_GATEWAY, is_there), 0);
}

static void table_alone_is_a_set_that_fills_and_empties(void **state)
{
	struct gateway g = gateway_open(&established);
	static const char is_filled[] = "nft list set inet flowkeep alone | grep -q elements";

	(void)state;
	assert_int_not_equal(lab_run(&lab, LAB_GATEWAY, is_filled), 0);
	assert_int_equal(ct_table_set_alone(g.table, true), 0);
	assert_int_equal(lab_run(&lab, LAB_GATEWAY, is_filled), 0);
	assert_int_equal(ct_table_replace(g.table, &established), 0); /* a reload meanwhile */
	assert_int_equal(lab_run(&lab, LAB_GATEWAY, is_filled), 0);
	assert_int_equal(ct_table_set_alone(g.table, false), 0);
	assert_int_not_equal(lab_run(&lab, LAB_GATEWAY, is_filled), 0);
	gateway_close(&g);
}

static void table_text_says_no_when_it_does_not_fit(void **state)
{
	char text[CT_TABLE_TEXT_MAX];
	size_t len = ct_table_text(&established, text, sizeof(text));

	(void)state;
	assert_true(len > 0 && len == strlen(text));
	assert_non_null(strstr(text, "ct mark & 0x80000000 != 0 ct mark set ct mark & 0x7fffffff"));
	assert_non_null(strstr(text, "ct event set 0x4d4"));
	assert_int_equal(ct_table_text(&established, text, len), 0);
	assert_int_equal(ct_table_text(&established, text, 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_text_says_no_when_it_does_not_fit),
		cmocka_unit_test(table_level_established_tells_assured_and_closing),
		cmocka_unit_test(table_level_all_states_tells_everything),
		cmocka_unit_test(table_without_masks_tells_everything),
		cmocka_unit_test(table_excluded_classes_raise_nothing),
		cmocka_unit_test(table_pptp_l2tp_and_own_raise_nothing),
		cmocka_unit_test(table_connectionless_tells_new_and_reply),
		cmocka_unit_test(table_sessions_with_a_helper_tell_everything),
		cmocka_unit_test(table_icmp_error_leaves_the_mask_of_its_session),
		cmocka_unit_test(table_copy_is_claimed_by_one_event),
		cmocka_unit_test(table_alone_is_a_set_that_fills_and_empties),
		cmocka_unit_test(table_survives_flush_and_is_put_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
