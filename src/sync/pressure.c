/* pressure.c: levels with hysteresis, and what is owed since; see pressure.h */
#include "sync/pressure.h"

#include <string.h>

enum { REFRESHES_PERCENT = 50, NEW_PERCENT = 75, STEP_PERCENT = 25 };

/* A change is acknowledged within some 10 ms; a lost frame costs 20 to 50 more. */
#define LATE_NS    MS(500)
#define IN_TIME_NS MS(100)

/* Dumps of ours take a fifth of the time at most. */
#define REST_NS    SEC(1)
#define REST_SHARE 4

void pressure_reset(struct pressure *p)
{
	p->members = PRESSURE_NONE;
	p->lag_ns = 0;
	memset(p->owed, 0, sizeof(p->owed));
	memset(p->paying, 0, sizeof(p->paying));
	p->owed_since = MONO_ZERO;
	p->is_dump_ours = false;
}

void pressure_on_fill(struct pressure *p, unsigned percent)
{
	p->fill_percent = percent;
	if (percent >= NEW_PERCENT)
		p->socket = PRESSURE_NEW;
	else if (percent >= NEW_PERCENT - STEP_PERCENT && p->socket == PRESSURE_NEW)
		return;
	else if (percent >= REFRESHES_PERCENT)
		p->socket = PRESSURE_REFRESHES;
	else if (percent >= REFRESHES_PERCENT - STEP_PERCENT && p->socket != PRESSURE_NONE)
		p->socket = PRESSURE_REFRESHES;
	else
		p->socket = PRESSURE_NONE;
}

int64_t pressure_measure(struct pressure_lag *lag, mono_t now, uint64_t head, uint64_t acked)
{
	int64_t running = lag->version ? mono_sub(now, lag->since) : 0;

	if (!lag->version || acked >= lag->version) {
		lag->measured_ns = running;
		lag->version = head > acked ? head : 0;
		lag->since = now;
		return running;
	}
	return running > lag->measured_ns ? running : lag->measured_ns;
}

void pressure_on_lag(struct pressure *p, int64_t ns)
{
	p->lag_ns = ns;
	if (ns >= LATE_NS)
		p->members = PRESSURE_REFRESHES;
	else if (ns < IN_TIME_NS)
		p->members = PRESSURE_NONE;
}

enum pressure_level pressure_level(const struct pressure *p)
{
	return p->socket > p->members ? p->socket : p->members;
}

static void owe(struct pressure *p, mono_t now, enum pressure_debt debt)
{
	if (mono_is_zero(p->owed_since))
		p->owed_since = now;
	p->owed[debt]++;
}

bool pressure_sheds(struct pressure *p, mono_t now, enum pressure_kind kind)
{
	enum pressure_level level = pressure_level(p);

	switch (kind) {
	case PRESSURE_AN_END:
		break;
	case PRESSURE_A_BEGINNING:
		if (level < PRESSURE_NEW)
			break;
		p->shed_new++;
		owe(p, now, DEBT_NEW);
		return true;
	case PRESSURE_A_REFRESH:
		if (level < PRESSURE_REFRESHES)
			break;
		p->shed_refreshes++;
		owe(p, now, DEBT_REFRESHES);
		return true;
	}
	return false;
}

void pressure_on_refused(struct pressure *p, mono_t now)
{
	owe(p, now, DEBT_REFUSED);
}

void pressure_on_lost(struct pressure *p, mono_t now)
{
	owe(p, now, DEBT_LOST);
}

bool pressure_owes_dump(const struct pressure *p, mono_t now, bool has_room, mono_t *ret_at)
{
	bool is_shed = p->owed[DEBT_REFRESHES] || p->owed[DEBT_NEW];
	bool is_due = (is_shed && pressure_level(p) == PRESSURE_NONE) ||
		      (p->owed[DEBT_REFUSED] && has_room);

	*ret_at = is_due ? p->rest_until : MONO_NEVER;
	return is_due && mono_reached(now, p->rest_until);
}

/* Events that are shed from now on may be of what the dump has passed already: owed to the next. */
void pressure_on_dump_begun(struct pressure *p)
{
	p->is_dump_ours = pressure_is_owed(p);
	for (unsigned i = 0; i < DEBT_COUNT; i++) {
		p->paying[i] += p->owed[i];
		p->owed[i] = 0;
	}
}

void pressure_on_dump_done(struct pressure *p, mono_t began, mono_t now)
{
	int64_t rest_ns = REST_SHARE * mono_sub(now, began);

	memset(p->paying, 0, sizeof(p->paying));
	p->owed_since = pressure_is_owed(p) ? began : MONO_ZERO;
	p->rest_until = mono_add(now, rest_ns > REST_NS ? rest_ns : REST_NS);
	p->dumps += p->is_dump_ours;
	p->is_dump_ours = false;
}

uint64_t pressure_owed(const struct pressure *p, enum pressure_debt debt)
{
	return p->owed[debt] + p->paying[debt];
}

bool pressure_is_owed(const struct pressure *p)
{
	for (unsigned i = 0; i < DEBT_COUNT; i++)
		if (p->owed[i] || p->paying[i])
			return true;
	return false;
}
