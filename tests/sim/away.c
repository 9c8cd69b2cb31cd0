/* away.c: a secondary misses an hour of changes, and the tombstones of what ended meanwhile are long forgotten
 *
 * A table of STAYING + ENDING sessions. During the hour all of ENDING end, CHANGING of the others change again
 * and again, and short ones come and go. What the secondary lacks afterwards lies in a part of the ranges of its
 * table; only that part may be told again.
 */
#include "node_sync.h"

enum {
	STAYING = 180, CHANGING = 16, ENDING = 230, SHORT = 10, FIRST_SHORT = STAYING + ENDING,
	MAX_SESSIONS = FIRST_SHORT + SHORT + 10,
	TOMBS_MAX = MAX_SESSIONS / 2, /* as many tombstones are kept (outbox_step()) */
	HOUR_S = 3600, ENDING_EVERY_S = HOUR_S / ENDING,
};

static struct sync_stats stats_of(const struct node *node)
{
	struct sync_state state;

	sync_describe(node->sync->sync, node_clock(node), &state);
	return state.stats;
}

static size_t live_of(const struct node *node)
{
	return store_live(sync_store(node->sync->sync));
}

static struct node *begin_full(struct sim *sim)
{
	struct node *p;

	sim->max_sessions = MAX_SESSIONS;
	for (unsigned i = 0; i < sim->count; i++)
		node_sync_open(&sim->nodes[i]);
	p = begin(sim);
	for (unsigned key = 0; key < STAYING + ENDING && sim_run_for(sim, MS(1)); key++)
		sim_session(p, key, CT_NEWS_NEW);
	sim_run_for(sim, SEC(15)); /* events that were lost are found */
	EXPECT(live_of(p) == STAYING + ENDING);
	check_equal(sim);
	return p;
}

static void pass_an_hour(struct sim *sim, struct node *p)
{
	for (unsigned s = 0; s < HOUR_S && sim_run_for(sim, SEC(1)); s++) {
		unsigned fleeting = FIRST_SHORT + s / 2 % SHORT;

		sim_session(p, s % CHANGING, CT_NEWS_UPDATE);
		sim_session(p, fleeting, s % 2 ? CT_NEWS_DESTROY : CT_NEWS_NEW);
		if (s % ENDING_EVERY_S == 0 && s / ENDING_EVERY_S < ENDING)
			sim_session(p, STAYING + s / ENDING_EVERY_S, CT_NEWS_DESTROY);
	}
}

/* What was said since `before`, all of it to `a`: enough, and far from everything. */
static void expect_a_part(struct sim *sim, const struct node *p, const struct node *a,
			  const struct sync_stats *before, const struct sync_stats *before_a)
{
	struct sync_stats now = stats_of(p), now_a = stats_of(a);
	uint64_t said = now.created_sent - before->created_sent + now.updated_sent -
			before->updated_sent + now.bulk_records_sent -
			before->bulk_records_sent;
	uint64_t ranges = now_a.ranges_differing - before_a->ranges_differing;

	sim_trace(sim, "%llu records said for %u that changed and %u that ended, of %zu; %llu ranges, %llu walks",
		  (unsigned long long)said, CHANGING, ENDING, live_of(p), (unsigned long long)ranges,
		  (unsigned long long)(now_a.walks_taken - before_a->walks_taken));
	EXPECT(live_of(p) == STAYING);
	EXPECT(said >= CHANGING);
	EXPECT(said < STAYING / 2);
	EXPECT(ranges >= ENDING / 2);
	EXPECT(ranges <= ENDING + CHANGING + SHORT);
	EXPECT(now_a.walks_taken == before_a->walks_taken + 1);
	/* Who was there all the time has heard everything. */
	EXPECT(stats_of(&sim->nodes[1]).walks_taken == 0);
}

/* It is taken for dead, and comes back with the tables of an hour ago. */
bool secondary_stands_still_for_an_hour(struct sim *sim)
{
	struct node *p = begin_full(sim), *a = &sim->nodes[0];
	struct sync_stats before, before_a = stats_of(a);

	node_freeze(a, SEC(HOUR_S) + SEC(5));
	pass_an_hour(sim, p);
	EXPECT(a->is_frozen);
	EXPECT(live_of(a) == STAYING + ENDING);
	before = stats_of(p);
	sim_run_for(sim, SEC(30));
	check_equal(sim);
	expect_a_part(sim, p, a, &before, &before_a);
	return !sim->has_failed;
}

/* Its heartbeats go on, so what it has not acknowledged is kept for it, up to a limit. */
bool sync_is_cut_for_an_hour(struct sim *sim)
{
	struct node *p = begin_full(sim), *a = &sim->nodes[0];
	struct sync_stats before, before_a = stats_of(a);

	a->is_sync_cut = true;
	pass_an_hour(sim, p);
	EXPECT(live_of(a) == STAYING + ENDING);
	EXPECT(ENDING > TOMBS_MAX && store_tombs(sync_store(p->sync->sync)) < TOMBS_MAX);
	before = stats_of(p);
	a->is_sync_cut = false;
	sim_run_for(sim, SEC(30));
	check_equal(sim);
	expect_a_part(sim, p, a, &before, &before_a);
	return !sim->has_failed;
}
