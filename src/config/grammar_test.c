/* grammar_test.c: words, quotes, comments, near misses */
#include "config/grammar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Joins all words of a text as [word]; a statement word gets a star, a quoted one quotes. */
static void split(const char *text, char *out, size_t size)
{
	struct lexer lexer = lexer_of(text, strlen(text));
	struct token token;
	const char *why = NULL;
	size_t len = 0;

	out[0] = '\0';
	for (;;) {
		if (lexer_next(&lexer, &token, &why) < 0) {
			snprintf(out + len, size - len, "!%u", token.line);
			return;
		}
		if (token.is_end)
			return;
		len += (size_t)snprintf(out + len, size - len, "[%s%s%s]",
					token.is_statement ? "*" : "", token.text,
					token.is_quoted ? "\"" : "");
	}
}

static void grammar_splits_words(void **state)
{
	static const char *const rows[][2] = {
		{"", ""},
		{" \n\t\r\n ", ""},
		{"config system ha", "[*config][system][ha]"},
		{"set hbdev \"port3\" 50", "[*set][hbdev][port3\"][50]"},
		{"\"set\" x", "[set\"][x]"},
		{"a\"b c\"d", "[ab cd\"]"},
		{"\"a\\\"b\\\\c\\d\"", "[a\"b\\c\\d\"]"},
		{"a # set x\nend", "[a][*end]"},
		{"a#b", "[a#b]"},
		{"\"\"", "[\"]"},
		{"a\n\"b", "[a]!2"},
		{"a\n\n\"b\nc\"", "[a]!3"},
		{"a \x01", "[a]!1"},
	};
	char out[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		split(rows[i][0], out, sizeof(out));
		assert_string_equal(out, rows[i][1]);
	}
}

static void grammar_refuses_an_endless_word(void **state)
{
	char text[TOKEN_TEXT_MAX + 2], out[TOKEN_TEXT_MAX + 10];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[TOKEN_TEXT_MAX + 1] = '\0';
	split(text, out, sizeof(out));
	assert_string_equal(out, "!1");
	text[TOKEN_TEXT_MAX] = '\0';
	split(text, out, sizeof(out));
	assert_int_equal(out[0], '[');
}

static void grammar_quotes_come_back(void **state)
{
	static const char *const words[] = {"",       "a",  "a b", "\"",  "\\",
					    "a\\\"b", "#x", "end", "\\\\"};
	char quoted[40], out[40], expected[40];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_true(grammar_quote(words[i], quoted, sizeof(quoted)) > 0);
		split(quoted, out, sizeof(out));
		snprintf(expected, sizeof(expected), "[%s\"]", words[i]);
		assert_string_equal(out, expected);
	}
	assert_int_equal(grammar_quote("abc", quoted, 5), 0);
}

static void grammar_measures_near_misses(void **state)
{
	(void)state;
	assert_int_equal(grammar_distance("", ""), 0);
	assert_int_equal(grammar_distance("monitor", "montior"), 1);
	assert_int_equal(grammar_distance("abc", ""), 3);
	assert_true(grammar_nearness("enabel", "enable") > 0);
	assert_true(grammar_nearness("session-pick", "session-pickup") > 0);
	assert_int_equal(grammar_nearness("colour", "hbdev"), 0);
	assert_int_equal(grammar_nearness("", "hbdev"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grammar_splits_words),
		cmocka_unit_test(grammar_refuses_an_endless_word),
		cmocka_unit_test(grammar_quotes_come_back),
		cmocka_unit_test(grammar_measures_near_misses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
