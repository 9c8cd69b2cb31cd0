/* rank.c: of two members, which is the better primary (pure) */
#include "cluster/member.h"

#include <string.h>

static int sign(int64_t v)
{
	return v > 0 ? 1 : v < 0 ? -1 : 0;
}

/* Age counts only where it differs by more than ha-uptime-diff-margin. */
static int compare_age(const struct candidate *a, const struct candidate *b, int64_t margin_ns)
{
	int64_t diff = a->age_ns - b->age_ns;

	return diff > margin_ns || diff < -margin_ns ? sign(diff) : 0;
}

static int flag(const struct candidate *c, unsigned bit)
{
	return (c->flags & bit) != 0;
}

int rank_compare(const struct candidate *a, const struct candidate *b, int64_t margin_ns,
		 enum rank_reason *ret_reason)
{
	/* Override at one of the two is enough for both (fortios-facts 1.6). */
	bool is_override = (a->flags | b->flags) & HB_OVERRIDE;
	int age = compare_age(a, b, margin_ns);
	int priority = sign((int64_t)a->priority - b->priority);
	const struct {
		enum rank_reason reason;
		int order;
	} steps[] = {
		{ RANK_BLIND, flag(b, HB_BLIND) - flag(a, HB_BLIND) },
		{ RANK_FORCED, flag(b, HB_FORCED) - flag(a, HB_FORCED) },
		{ RANK_HOLDING, flag(a, HB_HOLDING) - flag(b, HB_HOLDING) },
		{ RANK_READY, flag(a, HB_READY) - flag(b, HB_READY) },
		{ RANK_FAILURES, sign((int64_t)b->failures - a->failures) },
		{ is_override ? RANK_PRIORITY : RANK_AGE, is_override ? priority : age },
		{ is_override ? RANK_AGE : RANK_PRIORITY, is_override ? age : priority },
		{ RANK_SERIAL, sign(strcmp(a->serial, b->serial)) },
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (!steps[i].order)
			continue;
		if (ret_reason)
			*ret_reason = steps[i].reason;
		return steps[i].order;
	}
	if (ret_reason)
		*ret_reason = RANK_EQUAL;
	return 0;
}

enum rank_step { STEP_FLAGS, STEP_FAILURES, STEP_PRIORITY, STEP_AGE, STEP_COUNT };

/* What a step weighs; the greater the better. */
static int64_t weigh(const struct candidate *c, enum rank_step step)
{
	switch (step) {
	case STEP_FLAGS:
		return (flag(c, HB_BLIND) ? 0 : 8) + (flag(c, HB_FORCED) ? 0 : 4) +
		       2 * flag(c, HB_HOLDING) + flag(c, HB_READY);
	case STEP_FAILURES:
		return -(int64_t)c->failures;
	case STEP_PRIORITY:
		return c->priority;
	case STEP_AGE:
		return c->age_ns;
	case STEP_COUNT:
		break;
	}
	return 0;
}

unsigned rank_best(const struct candidate *list, unsigned count, int64_t margin_ns)
{
	enum rank_step steps[] = { STEP_FLAGS, STEP_FAILURES, STEP_AGE, STEP_PRIORITY };
	uint64_t left = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
	unsigned best = 0;

	for (unsigned i = 0; i < count; i++)
		if (list[i].flags & HB_OVERRIDE) {
			steps[2] = STEP_PRIORITY;
			steps[3] = STEP_AGE;
		}
	for (unsigned s = 0; s < STEP_COUNT; s++) {
		int64_t slack = steps[s] == STEP_AGE ? margin_ns : 0;
		int64_t top = INT64_MIN;

		for (unsigned i = 0; i < count; i++)
			if (left >> i & 1 && weigh(&list[i], steps[s]) > top)
				top = weigh(&list[i], steps[s]);
		for (unsigned i = 0; i < count; i++)
			if (left >> i & 1 && weigh(&list[i], steps[s]) < top - slack)
				left &= ~(UINT64_C(1) << i);
	}
	for (unsigned i = 0; i < count; i++)
		if (left >> i & 1 &&
		    (!(left >> best & 1) || strcmp(list[i].serial, list[best].serial) > 0))
			best = i;
	return best;
}

const char *member_state_name(enum member_state state)
{
	switch (state) {
	case MEMBER_HELLO:
		return "hello";
	case MEMBER_STANDBY:
		return "standby";
	case MEMBER_WORK:
		return "work";
	}
	return "?";
}
