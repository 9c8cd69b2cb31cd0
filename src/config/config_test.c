/* config_test.c: keys, defaults, printing that parses to itself, and atomic refusal */
#include "config/config_keys.h"
#include "config/config_print.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static int parse(struct config *config, const char *text, struct config_error *error)
{
	return config_parse(config, "f", text, strlen(text), error);
}

static void parse_ok(struct config *config, const char *text)
{
	struct config_error error = {.line = 0};
	char line[700];

	if (parse(config, text, &error) < 0) {
		config_error_format(&error, line, sizeof(line));
		fail_msg("%s", line);
	}
}

static void config_defaults_are_documented_ones(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	assert_int_equal(c.ha.mode, HA_STANDALONE);
	assert_int_equal(c.ha.hb_interval, 2);
	assert_int_equal(c.ha.hb_interval_unit_ms, 100);
	assert_int_equal(c.ha.hb_lost_threshold, 6);
	assert_int_equal(c.ha.hello_holddown_s, 20);
	assert_int_equal(c.ha.priority, 128);
	assert_int_equal(c.ha.uptime_margin_s, 300);
	assert_int_equal(c.ha.takeover_probe_ms, 3);
	assert_int_equal(c.ha.copy_mark_bit, 0x80000000);
	assert_true(c.ha.event_mask);
	assert_int_equal(c.ha.sync_level, SYNC_LEVEL_ESTABLISHED);
	assert_false(c.ha.pickup || c.ha.encryption || c.ha.authentication || c.ha.override);
	assert_true(c.global.hostname[0] != '\0');
	assert_true(config_interval_ns(&c.ha) == 200000000);
}

static void config_one_line_block_parses(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	parse_ok(&c, "config system ha set session-pickup enable end");
	assert_true(c.ha.pickup);
	parse_ok(&c, "config system ha unset session-pickup set monitor \"in\" \"out\" set hbdev "
		     "\"port3\" 50 \"port4\" 60 end config system global set hostname fw-a end");
	assert_false(c.ha.pickup);
	assert_int_equal(c.ha.monitor_count, 2);
	assert_string_equal(c.ha.monitor[1], "out");
	assert_int_equal(c.ha.hbdev_count, 2);
	assert_int_equal(c.ha.hbdev[1].priority, 60);
	assert_string_equal(c.global.hostname, "fw-a");
}

static void config_secret_turns_protection_on(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	parse_ok(&c, "config system ha set password \"a b\" end");
	assert_true(c.ha.encryption && c.ha.authentication);
	parse_ok(&c, "config system ha set encryption disable end");
	assert_true(!c.ha.encryption && c.ha.authentication);
	parse_ok(&c, "config system ha unset password unset encryption end");
	assert_true(!c.ha.encryption && !c.ha.authentication);
}

static void config_error_leaves_config_untouched(void **state)
{
	struct config c, before;
	struct config_error error = {.line = 0};
	char line[700];

	(void)state;
	config_init(&c);
	before = c;
	assert_int_equal(
		parse(&c, "config system ha\nset priority 7\nset hb-intervall 3\nend", &error),
		-EINVAL);
	assert_memory_equal(&c, &before, sizeof(c));
	config_error_format(&error, line, sizeof(line));
	assert_non_null(strstr(line, "f:3: 'hb-intervall': unknown; did you mean 'hb-interval'?"));
}

static void config_entries_are_in_order_of_name(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	parse_ok(
		&c,
		"config system interface edit out set ip 10.2.0.1 255.255.0.0 10.3.0.1/8 next edit "
		"in set ip6-address fd01::1/64 end");
	assert_int_equal(c.iface_count, 2);
	assert_string_equal(c.iface[0].name, "in");
	assert_int_equal(c.iface[0].ip6_count, 1);
	assert_int_equal(c.iface[1].ip_count, 2);
	assert_int_equal(c.iface[1].ip[0].prefix_len, 16);
	parse_ok(&c, "config system interface delete in end");
	assert_int_equal(c.iface_count, 1);
	assert_string_equal(c.iface[0].name, "out");
}

/* A value other than the default for every key there is. */
static const char everything[] =
	"config system global set hostname fw-a set serial FK0001 end "
	"config system interface edit in set ip 10.1.0.1/24 10.1.1.1/32 set ip6-address fd01::1/64 "
	"next edit out set ip 10.2.0.1/24 next edit empty next end "
	"config system ha set mode a-p set group-id 1023 set group-name \"end \\\" \\\\ #\" "
	"set password \"p w\\\"\" set hbdev port3 0 port4 512 set hb-interval 20 "
	"set hb-interval-in-milliseconds 10ms set hb-lost-threshold 60 set hello-holddown 300 "
	"set encryption disable set authentication enable set priority 255 set override enable "
	"set ha-uptime-diff-margin 65535 set takeover-probe 1000 set monitor in out "
	"set session-pickup enable set session-pickup-connectionless enable "
	"set session-pickup-delay enable set session-pickup-delay-seconds 3600 "
	"set session-sync-level all-states set session-copy-mark 0x1 set event-mask disable end";

static void config_print_parses_to_itself(void **state)
{
	static const unsigned kinds[] = {CONFIG_PRINT_SECRETS,
					 CONFIG_PRINT_SECRETS | CONFIG_PRINT_FULL};
	struct config c, back;

	(void)state;
	config_init(&c);
	parse_ok(&c, everything);
	for (unsigned i = 0; i < 2; i++) {
		char *text = config_to_text(&c, "", kinds[i]), *again;

		config_init(&back);
		parse_ok(&back, text);
		assert_memory_equal(&back, &c, sizeof(c));
		again = config_to_text(&back, "", kinds[i]);
		assert_string_equal(again, text);
		free(again);
		free(text);
	}
}

static void config_print_full_names_every_key(void **state)
{
	struct config c;
	char *text, wanted[80];

	(void)state;
	config_init(&c);
	parse_ok(&c, "config system interface edit in next end");
	text = config_to_text(&c, "", CONFIG_PRINT_FULL);
	for (unsigned i = 0; i < config_key_count; i++) {
		snprintf(wanted, sizeof(wanted), "set %s ", config_keys[i].name);
		if (!strstr(text, wanted)) {
			snprintf(wanted, sizeof(wanted), "unset %s\n", config_keys[i].name);
			assert_non_null(strstr(text, wanted));
		}
	}
	free(text);
	assert_null(config_to_text(&c, "system nothing", 0));
	text = config_to_text(&c, "system ha", 0);
	assert_string_equal(text, "config system ha\nend\n");
	free(text);
}

static void config_hidden_secret_keeps_the_secret(void **state)
{
	struct config c, back;
	struct config_error error;
	char *text;

	(void)state;
	config_init(&c);
	parse_ok(&c, everything);
	text = config_to_text(&c, "", 0);
	assert_null(strstr(text, "p w"));
	assert_non_null(strstr(text, "set password ********\n"));
	back = c;
	parse_ok(&back, text);
	assert_memory_equal(&back, &c, sizeof(c));
	config_init(&back);
	assert_int_equal(parse(&back, text, &error), -EINVAL);
	assert_string_equal(error.word, "********");
	free(text);
}

/* Every number takes both ends of its range and refuses what lies beyond. */
static void config_numbers_keep_their_range(void **state)
{
	struct config c;
	struct config_error error;
	char text[160];

	(void)state;
	for (unsigned i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		long tries[] = {key->min, key->max, (long)key->min - 1, (long)key->max + 1};

		if (key->type != KEY_NUMBER)
			continue;
		for (unsigned k = 0; k < 4; k++) {
			config_init(&c);
			snprintf(text, sizeof(text), "config %s set %s %ld end", key->path,
				 key->name, tries[k]);
			assert_int_equal(parse(&c, text, &error), k < 2 ? 0 : -EINVAL);
			if (k < 2)
				assert_int_equal(config_number_get(&c, key), tries[k]);
		}
	}
}

static void config_load_tells_what_is_wrong_with_the_file(void **state)
{
	struct config c;
	struct config_error error = {.line = 7};

	(void)state;
	assert_int_equal(config_load("/nonexistent/x.conf", &c, &error), -ENOENT);
	assert_int_equal(error.line, 0);
	assert_int_equal(config_load("/", &c, &error), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_defaults_are_documented_ones),
		cmocka_unit_test(config_one_line_block_parses),
		cmocka_unit_test(config_secret_turns_protection_on),
		cmocka_unit_test(config_error_leaves_config_untouched),
		cmocka_unit_test(config_entries_are_in_order_of_name),
		cmocka_unit_test(config_print_parses_to_itself),
		cmocka_unit_test(config_print_full_names_every_key),
		cmocka_unit_test(config_hidden_secret_keeps_the_secret),
		cmocka_unit_test(config_numbers_keep_their_range),
		cmocka_unit_test(config_load_tells_what_is_wrong_with_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
