/* pressure_test.c: levels, their hysteresis, the order of shedding, and what is owed */
#include "sync/pressure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static mono_t at(int64_t ms)
{
	return (mono_t){ SEC(100) + MS(ms) };
}

static void a_level_begins_and_ends_a_quarter_apart(void **state)
{
	static const struct {
		unsigned percent;
		enum pressure_level level;
	} story[] = {
		{ 0, PRESSURE_NONE },	   { 49, PRESSURE_NONE },      { 50, PRESSURE_REFRESHES },
		{ 74, PRESSURE_REFRESHES }, { 25, PRESSURE_REFRESHES }, { 24, PRESSURE_NONE },
		{ 49, PRESSURE_NONE },	   { 75, PRESSURE_NEW },       { 100, PRESSURE_NEW },
		{ 50, PRESSURE_NEW },	   { 49, PRESSURE_REFRESHES }, { 74, PRESSURE_REFRESHES },
		{ 75, PRESSURE_NEW },	   { 25, PRESSURE_REFRESHES }, { 80, PRESSURE_NEW },
		{ 24, PRESSURE_NONE },	   { 60, PRESSURE_REFRESHES }, { 0, PRESSURE_NONE },
	};
	struct pressure p = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(story) / sizeof(story[0]); i++) {
		pressure_on_fill(&p, story[i].percent);
		assert_int_equal(pressure_level(&p), story[i].level);
	}
}

static void refreshes_go_before_beginnings_and_ends_never(void **state)
{
	static const unsigned percent[] = { 10, 60, 99 };
	static const bool is_shed[][3] = {
		/*                       none   half  full */
		[PRESSURE_AN_END] =    { false, false, false },
		[PRESSURE_A_BEGINNING] = { false, false, true },
		[PRESSURE_A_REFRESH] = { false, true, true },
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct pressure p = { 0 };

		pressure_on_fill(&p, percent[i]);
		for (unsigned kind = 0; kind < 3; kind++)
			assert_int_equal(pressure_sheds(&p, at(0), (enum pressure_kind)kind),
					 is_shed[kind][i]);
		assert_int_equal(p.shed_refreshes, i > 0);
		assert_int_equal(p.shed_new, i > 1);
	}
}

static void late_members_cost_refreshes_only(void **state)
{
	struct pressure p = { 0 };

	(void)state;
	pressure_on_lag(&p, MS(499));
	assert_int_equal(pressure_level(&p), PRESSURE_NONE);
	pressure_on_lag(&p, SEC(30));
	assert_int_equal(pressure_level(&p), PRESSURE_REFRESHES);
	assert_false(pressure_sheds(&p, at(0), PRESSURE_A_BEGINNING));
	pressure_on_lag(&p, MS(100));
	assert_int_equal(pressure_level(&p), PRESSURE_REFRESHES);
	pressure_on_lag(&p, MS(99));
	assert_int_equal(pressure_level(&p), PRESSURE_NONE);
	/* The worse of the two counts. */
	pressure_on_lag(&p, SEC(1));
	pressure_on_fill(&p, 80);
	assert_int_equal(pressure_level(&p), PRESSURE_NEW);
	pressure_on_fill(&p, 0);
	assert_int_equal(pressure_level(&p), PRESSURE_REFRESHES);
}

static void lateness_is_the_way_from_a_head_to_its_acknowledgement(void **state)
{
	struct pressure_lag lag = { 0 };

	(void)state;
	assert_int_equal(pressure_measure(&lag, at(0), 10, 10), 0);
	assert_int_equal(pressure_measure(&lag, at(1000), 11, 10), 0);
	/* The head runs away; what counts is the word about 11. */
	assert_int_equal(pressure_measure(&lag, at(1300), 500, 10), MS(300));
	assert_int_equal(pressure_measure(&lag, at(1600), 900, 11), MS(600));
	/* The next way has begun, and nothing is known of it: as late as the last. */
	assert_int_equal(pressure_measure(&lag, at(1610), 910, 700), MS(600));
	assert_int_equal(pressure_measure(&lag, at(1650), 920, 900), MS(50));
	assert_int_equal(pressure_measure(&lag, at(1660), 920, 920), MS(10));
	assert_int_equal(pressure_measure(&lag, at(9999), 920, 920), 0);
}

static void one_dump_pays_when_the_pressure_is_over(void **state)
{
	struct pressure p = { 0 };
	mono_t due;

	(void)state;
	assert_false(pressure_owes_dump(&p, at(0), true, &due));
	assert_int_equal(due.ns, MONO_NEVER.ns);
	pressure_on_fill(&p, 90);
	assert_true(pressure_sheds(&p, at(0), PRESSURE_A_REFRESH));
	assert_true(pressure_sheds(&p, at(5), PRESSURE_A_BEGINNING));
	assert_int_equal(p.owed_since.ns, at(0).ns);
	assert_false(pressure_owes_dump(&p, at(10), true, &due));
	pressure_on_fill(&p, 20);
	assert_true(pressure_owes_dump(&p, at(20), true, &due));
	pressure_on_dump_begun(&p);
	assert_false(pressure_owes_dump(&p, at(30), true, &due));
	assert_true(pressure_is_owed(&p)); /* until it is complete */
	/* Shed meanwhile: the dump may have passed it. */
	pressure_on_fill(&p, 60);
	assert_true(pressure_sheds(&p, at(35), PRESSURE_A_REFRESH));
	assert_int_equal(pressure_owed(&p, DEBT_REFRESHES), 2);
	pressure_on_fill(&p, 0);
	pressure_on_dump_done(&p, at(20), at(40));
	assert_int_equal(p.dumps, 1);
	assert_int_equal(pressure_owed(&p, DEBT_REFRESHES), 1);
	assert_int_equal(pressure_owed(&p, DEBT_NEW), 0);
	assert_int_equal(p.owed_since.ns, at(20).ns);
	/* And dumps rest. */
	assert_false(pressure_owes_dump(&p, at(50), true, &due));
	assert_int_equal(due.ns, at(1040).ns);
	assert_true(pressure_owes_dump(&p, at(1040), true, &due));
	pressure_on_dump_begun(&p);
	pressure_on_dump_done(&p, at(1040), at(11040));
	assert_int_equal(p.dumps, 2);
	assert_false(pressure_is_owed(&p));
	assert_true(mono_is_zero(p.owed_since));
	assert_int_equal(p.rest_until.ns, at(51040).ns); /* four times its length */
}

static void what_was_refused_waits_for_room(void **state)
{
	struct pressure p = { 0 };
	mono_t due;

	(void)state;
	pressure_on_refused(&p, at(0));
	assert_false(pressure_owes_dump(&p, at(10), false, &due));
	assert_true(pressure_owes_dump(&p, at(10), true, &due));
	/* Under pressure too: it is not of the socket. */
	pressure_on_fill(&p, 60);
	assert_true(pressure_owes_dump(&p, at(10), true, &due));
}

static void a_dump_that_others_wanted_pays_too(void **state)
{
	struct pressure p = { 0 };
	mono_t due;

	(void)state;
	pressure_on_dump_begun(&p);
	pressure_on_dump_done(&p, at(0), at(1));
	assert_int_equal(p.dumps, 0); /* it paid nothing */
	pressure_on_lost(&p, at(1500));
	assert_false(pressure_owes_dump(&p, at(1600), true, &due)); /* it is wanted already */
	assert_true(pressure_is_owed(&p));
	pressure_on_dump_begun(&p);
	pressure_on_dump_done(&p, at(1600), at(1601));
	assert_false(pressure_is_owed(&p));
	p.dumps = 0;
	pressure_on_fill(&p, 60);
	pressure_sheds(&p, at(2000), PRESSURE_A_REFRESH);
	pressure_on_dump_begun(&p);
	pressure_on_dump_begun(&p); /* the first has failed */
	pressure_on_dump_done(&p, at(2000), at(2001));
	pressure_on_fill(&p, 0);
	assert_false(pressure_owes_dump(&p, at(9000), true, &due));
	assert_int_equal(p.dumps, 1);
}

static void another_role_owes_nothing_and_the_socket_is_as_full(void **state)
{
	struct pressure p = { 0 };

	(void)state;
	pressure_on_fill(&p, 80);
	pressure_on_lag(&p, SEC(1));
	pressure_sheds(&p, at(0), PRESSURE_A_BEGINNING);
	pressure_reset(&p);
	assert_false(pressure_is_owed(&p));
	assert_int_equal(p.members, PRESSURE_NONE);
	assert_int_equal(pressure_level(&p), PRESSURE_NEW);
	assert_int_equal(p.shed_new, 1); /* counters go on */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_level_begins_and_ends_a_quarter_apart),
		cmocka_unit_test(refreshes_go_before_beginnings_and_ends_never),
		cmocka_unit_test(late_members_cost_refreshes_only),
		cmocka_unit_test(lateness_is_the_way_from_a_head_to_its_acknowledgement),
		cmocka_unit_test(one_dump_pays_when_the_pressure_is_over),
		cmocka_unit_test(what_was_refused_waits_for_room),
		cmocka_unit_test(a_dump_that_others_wanted_pays_too),
		cmocka_unit_test(another_role_owes_nothing_and_the_socket_is_as_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
