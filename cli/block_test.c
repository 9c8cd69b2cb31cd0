/* block_test.c: where a text ends decides prompt, completion, and whether a block is whole */
#include "block.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "path|name|words", - when no block is open. */
static const char *where(const char *text, char *out, size_t size)
{
	static struct block block;
	const char *why;
	size_t len;

	if (block_scan(text, strlen(text), &block, &why) < 0)
		return "quotes";
	len = (size_t)snprintf(out, size, "%s|%s|", block.is_open ? block.path : "-",
			       block.in_edit ? block.name : "");
	for (unsigned i = 0; i < block.word_count; i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? " " : "",
					block.words[i]);
	return out;
}

static void block_knows_where_a_text_ends(void **state)
{
	static const char *const rows[][2] = {
		{"", "-||"},
		{"get system ha", "-||get system ha"},
		{"config", "-||config"},
		{"config system", "-||config system"},
		{"config system ha", "system ha||"},
		{"config system ha set prio", "system ha||set prio"},
		{"config system ha\nset priority 7\nend", "-||"},
		{"config system interface edit in", "system interface|in|edit in"},
		{"config system interface edit \"end\" set ip", "system interface|end|set ip"},
		{"config system interface edit in next", "system interface||next"},
		{"config system interface edit in next del", "system interface||del"},
		{"config system interface edit in end", "-||"},
		{"config system interface edit in end config system ha", "system ha||"},
		{"config system ha set password \"a", "quotes"},
		{"config system global set", "system global||set"},
	};
	char out[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(where(rows[i][0], out, sizeof(out)), rows[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_knows_where_a_text_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
