/* affinity_test.c: a thread leaves a processor and comes back */
#include "base/affinity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int count(void)
{
	cpu_set_t now;

	assert_return_code(sched_getaffinity(0, sizeof(now), &now), 0);
	return CPU_COUNT(&now);
}

static void a_thread_leaves_and_comes_back(void **state)
{
	struct affinity a = { .users = 0 };
	int all = count(), here = sched_getcpu();

	(void)state;
	affinity_avoid(&a, here);
	assert_int_equal(count(), all > 1 ? all - 1 : 1);
	if (all > 1)
		assert_int_not_equal(sched_getcpu(), here);
	affinity_avoid(&a, here); /* nested */
	affinity_restore(&a);
	assert_int_equal(count(), all > 1 ? all - 1 : 1);
	affinity_restore(&a);
	assert_int_equal(count(), all);
	affinity_restore(&a);
	assert_int_equal(count(), all);
}

static void no_processor_is_none_to_avoid(void **state)
{
	struct affinity a = { .users = 0 };
	int all = count();

	(void)state;
	affinity_avoid(&a, -1);
	assert_int_equal(count(), all);
	affinity_restore(&a);
	affinity_avoid(&a, CPU_SETSIZE);
	assert_int_equal(count(), all);
	affinity_restore(&a);
	assert_int_equal(count(), all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_leaves_and_comes_back),
		cmocka_unit_test(no_processor_is_none_to_avoid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
