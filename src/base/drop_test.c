/* drop_test.c: every reason has its own text and its own name */
#include "base/drop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <string.h>

static const char *const enum_names[] = {
#define X(name, short_name, text) #name,
	DROP_REASONS(X)
#undef X
};

static void drop_name_is_the_enumerator_in_lower_case(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++) {
		const char *name = drop_name((enum drop_reason)i);

		assert_int_equal(strlen(name), strlen(enum_names[i]));
		for (size_t k = 0; name[k]; k++)
			assert_int_equal(name[k], tolower((unsigned char)enum_names[i][k]));
	}
}

static void drop_texts_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++) {
		assert_true(drop_text((enum drop_reason)i)[0] != '\0');
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(drop_text((enum drop_reason)i),
						drop_text((enum drop_reason)k));
	}
}

static void drop_count_counts_and_passes_on(void **state)
{
	struct drop_counts counts = { { 0 } };

	(void)state;
	assert_int_equal(drop_count(&counts, DROP_AUTH), DROP_AUTH);
	drop_count(&counts, DROP_AUTH);
	assert_int_equal(counts.n[DROP_AUTH], 2);
	assert_int_equal(counts.n[DROP_REPLAY], 0);
}

static void drop_unknown_number_has_a_text(void **state)
{
	(void)state;
	assert_string_equal(drop_text(DROP_REASON_COUNT), "unknown");
	assert_string_equal(drop_name(DROP_REASON_COUNT), "unknown");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(drop_name_is_the_enumerator_in_lower_case),
		cmocka_unit_test(drop_texts_differ),
		cmocka_unit_test(drop_count_counts_and_passes_on),
		cmocka_unit_test(drop_unknown_number_has_a_text),
	};

	return cmocka_run_group_tests_name("drop", tests, NULL, NULL);
}
