/* scenarios.c: named stories, each with its promise; three members A < B < C, D = 600 ms */
#include "node_sync.h"

#define D MS(600)
/* I5: from the death of a primary to the next lease: D, a probe, two intervals. */
#define TAKEOVER (D + MS(3) + 2 * MS(100))

/* The node whose kernel forwards; NULL when none or several do. */
static struct node *holder(struct sim *sim)
{
	struct node *found = NULL;

	for (unsigned i = 0; i < sim->count; i++) {
		if (!node_has_lease(&sim->nodes[i]))
			continue;
		if (found)
			return NULL;
		found = &sim->nodes[i];
	}
	return found;
}

bool expect(struct sim *sim, bool is_true, const char *what)
{
	if (!is_true)
		sim_fail(sim, "expected: %s", what);
	return is_true;
}

struct node *begin(struct sim *sim)
{
	sim->is_single_fault = true;
	sim->slack_ns = 4 * MS(100) + MS(25);
	sim->patience_ns = SEC(4) + 4 * D;
	for (unsigned i = 0; i < sim->count; i++)
		node_boot(&sim->nodes[i]);
	sim_run_for(sim, SEC(5));
	expect(sim, holder(sim) == &sim->nodes[sim->count - 1], "the highest serial is primary");
	for (unsigned i = 0; i + 1 < sim->count; i++)
		expect(sim, sim->nodes[i].cluster.is_ready, "every secondary is equal");
	return &sim->nodes[sim->count - 1];
}

/* Runs until somebody else has the lease, at most `within`. */
static bool taken_over(struct sim *sim, const struct node *from, int64_t within)
{
	int64_t until = sim->now + within;

	while (sim->now < until && sim_run_for(sim, MS(1))) {
		struct node *now = holder(sim);

		if (now && now != from)
			return true;
	}
	return expect(sim, false, "another member takes over in time");
}

static bool primary_loses_power(struct sim *sim)
{
	struct node *p = begin(sim);

	node_power_off(p);
	return taken_over(sim, p, TAKEOVER) && EXPECT(holder(sim) == &sim->nodes[1]) &&
	       sim_run_for(sim, SEC(5)) && EXPECT(holder(sim) == &sim->nodes[1]);
}

static bool primary_daemon_is_killed(struct sim *sim)
{
	struct node *p = begin(sim);

	/* Its kernel's lease runs on for a while: that is the single_fault check. */
	node_kill(p, "killed");
	return taken_over(sim, p, TAKEOVER) && sim_run_for(sim, SEC(3));
}

/* By default ages within 300 s are equal, and the higher serial gets the role back at once. */
static void let_age_decide(struct sim *sim)
{
	for (unsigned i = 0; i < sim->count; i++)
		sim->nodes[i].config.margin_ns = SEC(1);
}

static bool killed_primary_returns_as_secondary(struct sim *sim)
{
	struct node *p;

	let_age_decide(sim);
	p = begin(sim);

	node_kill(p, "killed");
	taken_over(sim, p, TAKEOVER);
	node_boot(p);
	return sim_run_for(sim, MS(700)) && EXPECT(p->cluster.state == MEMBER_STANDBY) &&
	       EXPECT(holder(sim) && holder(sim) != p) && sim_run_for(sim, SEC(5));
}

static bool stalled_and_replaced(struct sim *sim)
{
	struct node *p;

	let_age_decide(sim);
	p = begin(sim);

	node_freeze(p, SEC(5));
	return taken_over(sim, p, TAKEOVER) && sim_run_for(sim, SEC(5)) &&
	       EXPECT(p->cluster.stats.stalls == 1) && EXPECT(p->cluster.stats.resumes == 0) &&
	       EXPECT(p->cluster.state == MEMBER_STANDBY) && EXPECT(holder(sim) != p);
}

static bool everybody_stalls_and_the_primary_resumes(struct sim *sim)
{
	struct node *p = begin(sim);
	uint64_t term = p->cluster.term;

	/* As when the host of virtual gateways is suspended. */
	for (unsigned i = 0; i < sim->count; i++)
		node_freeze(&sim->nodes[i], SEC(3));
	return sim_run_for(sim, SEC(3) + MS(5)) && EXPECT(holder(sim) == p) &&
	       EXPECT(p->cluster.stats.resumes == 1) && EXPECT(p->cluster.term == term) &&
	       sim_run_for(sim, SEC(3)) && EXPECT(p->cluster.stats.stalls == 1);
}

static bool short_freeze_costs_nothing(struct sim *sim)
{
	struct node *p = begin(sim);

	node_freeze(p, MS(300));
	return sim_run_for(sim, SEC(2)) && EXPECT(holder(sim) == p) &&
	       EXPECT(p->cluster.stats.stalls == 0) && EXPECT(p->cluster.term == 1);
}

static bool cut_out_of_the_primary(struct sim *sim)
{
	struct node *p = begin(sim);

	for (unsigned i = 0; i < 2; i++)
		sim_set_paths(sim, p->id, i, false);
	taken_over(sim, p, TAKEOVER + MS(100));
	EXPECT(p->cluster.state != MEMBER_WORK || p->cluster.is_stalled);
	sim_run_for(sim, SEC(3));
	for (unsigned i = 0; i < 2; i++)
		sim_set_paths(sim, p->id, i, true);
	return sim_run_for(sim, SEC(3)) && EXPECT(holder(sim) != NULL);
}

static bool cut_into_the_primary(struct sim *sim)
{
	struct node *p = begin(sim);

	for (unsigned i = 0; i < 2; i++)
		sim_set_paths(sim, i, p->id, false);
	for (unsigned i = 0; i < 50; i++) {
		sim_run_for(sim, MS(100));
		EXPECT(holder(sim) == p);
	}
	for (unsigned i = 0; i < 2; i++)
		sim_set_paths(sim, i, p->id, true);
	return sim_run_for(sim, SEC(3)) && EXPECT(holder(sim) == p) &&
	       EXPECT(p->cluster.term == 1);
}

static bool one_secondary_does_not_hear_the_primary(struct sim *sim)
{
	struct node *p = begin(sim);

	sim_set_paths(sim, p->id, 1, false);
	return sim_run_for(sim, SEC(10)) && EXPECT(holder(sim) != NULL);
}

static void cut_the_two_highest(struct sim *sim)
{
	sim_set_paths(sim, 1, 2, false);
	sim_set_paths(sim, 2, 1, false);
}

static bool only_the_two_highest_are_cut(struct sim *sim)
{
	struct node *p = begin(sim);

	cut_the_two_highest(sim);
	return sim_run_for(sim, SEC(5)) && EXPECT(holder(sim) == p) &&
	       EXPECT(sim->nodes[1].cluster.state == MEMBER_STANDBY) &&
	       EXPECT(p->cluster.stats.stalls == 0);
}

static bool boot_with_the_two_highest_cut(struct sim *sim)
{
	sim->is_single_fault = true;
	sim->slack_ns = 4 * MS(100) + MS(25);
	sim->patience_ns = SEC(4) + 4 * D;
	cut_the_two_highest(sim);
	for (unsigned i = 0; i < sim->count; i++)
		node_boot(&sim->nodes[i]);
	return sim_run_for(sim, SEC(8)) && EXPECT(holder(sim) == &sim->nodes[2]);
}

static bool heartbeat_cables_alone_are_cut(struct sim *sim)
{
	struct node *p = begin(sim);

	for (unsigned a = 0; a < sim->count; a++)
		for (unsigned b = 0; b < sim->count; b++)
			sim->paths[a][b][0].is_up = sim->paths[a][b][1].is_up = false;
	sim->is_topology_stale = true;
	return sim_run_for(sim, SEC(30)) && EXPECT(holder(sim) == p) &&
	       EXPECT(p->cluster.term == 1) && EXPECT(p->cluster.stats.stalls == 0);
}

static bool lone_daemon_dies_and_the_secondary_boots(struct sim *sim)
{
	struct node *p = begin(sim);
	struct node *s = &sim->nodes[0];
	uint64_t term = p->cluster.term;

	node_kill(s, "killed");
	sim_run_for(sim, SEC(2));
	EXPECT(holder(sim) == p && p->lease.ns == MONO_NEVER.ns);
	node_kill(p, "killed");
	sim_run_for(sim, SEC(2));
	node_boot(s);
	sim_run_for(sim, SEC(20));
	EXPECT(holder(sim) == p);
	EXPECT(s->cluster.alarms[ALARM_UNKNOWN_GATEWAY]);
	/* The restarted daemon adopts the lease and goes on. */
	node_boot(p);
	sim_run_for(sim, SEC(3));
	EXPECT(holder(sim) == p);
	EXPECT(p->cluster.state == MEMBER_WORK && p->cluster.term > term);
	return EXPECT(!s->cluster.alarms[ALARM_UNKNOWN_GATEWAY]);
}

static bool unknown_gateway_dies_too(struct sim *sim)
{
	struct node *p = begin(sim);
	struct node *s = &sim->nodes[0];

	node_kill(s, "killed");
	sim_run_for(sim, SEC(2));
	node_kill(p, "killed");
	node_boot(s);
	sim_run_for(sim, SEC(10));
	EXPECT(holder(sim) == p);
	node_power_off(p);
	return taken_over(sim, p, MS(200));
}

/* A gateway boots before its switches are up, beside one whose daemon is dead. */
static bool blind_member_boots_beside_a_dead_daemon(struct sim *sim)
{
	struct node *p = begin(sim);
	struct node *s = &sim->nodes[0];

	node_kill(s, "killed");
	sim_run_for(sim, SEC(2));
	node_kill(p, "killed");
	node_set_data(s, false);
	node_boot(s);
	sim_run_for(sim, SEC(20));
	EXPECT(holder(sim) == p);
	EXPECT(s->cluster.alarms[ALARM_BLIND] && !s->cluster.alarms[ALARM_UNKNOWN_GATEWAY]);
	node_set_data(s, true);
	sim_run_for(sim, SEC(20));
	EXPECT(holder(sim) == p);
	EXPECT(!s->cluster.alarms[ALARM_BLIND] && s->cluster.alarms[ALARM_UNKNOWN_GATEWAY]);
	/* Seed 100512: answered so far, and then nothing can be asked. */
	node_set_data(s, false);
	sim_run_for(sim, SEC(20));
	EXPECT(holder(sim) == p);
	node_power_off(p);
	sim_run_for(sim, SEC(5));
	EXPECT(!holder(sim));
	node_set_data(s, true);
	return taken_over(sim, NULL, MS(220)) && EXPECT(holder(sim) == s);
}

/* The best of the rest cannot serve, and no monitored link tells: the next one takes over. */
static bool blind_successor_is_passed_over(struct sim *sim)
{
	struct node *p = begin(sim);
	struct node *b = &sim->nodes[1];

	sim->is_single_fault = false;
	node_set_data(b, false);
	node_set_failures(b, 0);
	sim_run_for(sim, SEC(2));
	node_power_off(p);
	taken_over(sim, p, TAKEOVER + 2 * MS(3));
	EXPECT(holder(sim) == &sim->nodes[0]);
	/* Nor does it get the role given, while it is so; and who has it needs no echo of it. */
	sim_run_for(sim, SEC(5));
	EXPECT(holder(sim) == &sim->nodes[0]);
	EXPECT(sim->nodes[0].lease.ns == MONO_NEVER.ns);
	EXPECT(b->cluster.state == MEMBER_STANDBY && !b->cluster.alarms[ALARM_BLIND]);
	node_set_data(b, true);
	return taken_over(sim, &sim->nodes[0], SEC(2)) && EXPECT(holder(sim) == b);
}

/* Seed 202895: C, which A does not hear any more, hands the role to B and gets it back. What A remembers of
 * C's first term is no news of its second one: B tells. */
static bool role_returns_to_one_that_is_not_heard(struct sim *sim)
{
	struct node *c = begin(sim);
	struct node *b = &sim->nodes[1];

	sim_set_paths(sim, c->id, 0, false);
	node_force(c, true);
	taken_over(sim, c, MS(110));
	EXPECT(holder(sim) == b);
	for (unsigned i = 0; i < sim->count; i++)
		cluster_on_ready(&sim->nodes[i].cluster, b->cluster.term, true);
	node_force(c, false);
	taken_over(sim, b, MS(210));
	EXPECT(holder(sim) == c);
	sim_run_for(sim, SEC(5));
	return EXPECT(holder(sim) == c) && EXPECT(sim->nodes[0].cluster.term == c->cluster.term);
}

/* A split heals in one direction only: who hears the other one leaves, for the other one cannot. */
static bool all_paths_cut_then_half_heal(struct sim *sim)
{
	struct node *p = begin(sim);
	struct node *s = &sim->nodes[0];

	sim->is_single_fault = false;
	sim_set_paths(sim, 0, 1, false);
	sim_set_paths(sim, 1, 0, false);
	sim_run_for(sim, SEC(10));
	EXPECT(node_has_lease(p) && node_has_lease(s));
	sim_set_paths(sim, 0, 1, true);
	sim_run_for(sim, 5 * D);
	EXPECT(holder(sim) == s);
	sim_set_paths(sim, 1, 0, true);
	sim_run_for(sim, SEC(5));
	return EXPECT(holder(sim) != NULL);
}

static bool all_paths_cut_then_heal(struct sim *sim)
{
	struct node *p = begin(sim);
	struct node *s = &sim->nodes[0];

	sim->is_single_fault = false;
	sim_set_paths(sim, 0, 1, false);
	sim_set_paths(sim, 1, 0, false);
	sim_run_for(sim, SEC(10));
	EXPECT(node_has_lease(p) && node_has_lease(s));
	sim_set_paths(sim, 0, 1, true);
	sim_set_paths(sim, 1, 0, true);
	sim_run_for(sim, MS(250));
	EXPECT(holder(sim) == p);
	return sim_run_for(sim, SEC(5)) && EXPECT(holder(sim) == p);
}

static bool forced_failover(struct sim *sim)
{
	struct node *p = begin(sim);

	node_force(p, true);
	taken_over(sim, p, MS(110));
	sim_run_for(sim, SEC(10));
	EXPECT(holder(sim) != p);
	node_force(p, false);
	return taken_over(sim, holder(sim), MS(300)) && EXPECT(holder(sim) == p);
}

static bool better_member_joins(struct sim *sim)
{
	struct node *c = &sim->nodes[2];

	sim->slack_ns = 4 * MS(100) + MS(25);
	sim->patience_ns = SEC(4) + 4 * D;
	sim->is_single_fault = true;
	node_boot(&sim->nodes[0]);
	node_boot(&sim->nodes[1]);
	sim_run_for(sim, SEC(5));
	EXPECT(holder(sim) == &sim->nodes[1]);
	node_boot(c);
	while (!sim->has_failed && !c->cluster.is_ready && sim_run_for(sim, MS(10)))
		EXPECT(holder(sim) == &sim->nodes[1]);
	return taken_over(sim, &sim->nodes[1], MS(150)) && EXPECT(holder(sim) == c) &&
	       sim_run_for(sim, SEC(5));
}

static bool older_member_keeps_the_role(struct sim *sim)
{
	struct node *b = &sim->nodes[1];

	for (unsigned i = 0; i < sim->count; i++)
		sim->nodes[i].config.margin_ns = SEC(4);
	sim->slack_ns = 4 * MS(100) + MS(25);
	sim->patience_ns = SEC(4) + 4 * D;
	node_boot(b);
	sim_run_for(sim, SEC(10));
	node_boot(&sim->nodes[2]);
	return sim_run_for(sim, SEC(10)) && EXPECT(holder(sim) == b);
}

static bool shutdown_hands_over(struct sim *sim)
{
	struct node *p = begin(sim);

	node_shutdown(p);
	return taken_over(sim, p, MS(5)) && sim_run_for(sim, SEC(2)) && EXPECT(!p->is_running);
}

static bool failed_link_hands_over(struct sim *sim)
{
	struct node *p = begin(sim);

	node_set_failures(p, 1);
	return taken_over(sim, p, MS(110)) && sim_run_for(sim, SEC(2)) && EXPECT(holder(sim) != p);
}

static bool secondaries_death_leaves_no_gap(struct sim *sim)
{
	struct node *p = begin(sim);

	node_power_off(&sim->nodes[0]);
	node_power_off(&sim->nodes[1]);
	for (unsigned i = 0; i < 2000; i++) {
		sim_run_for(sim, MS(1));
		EXPECT(holder(sim) == p);
	}
	return EXPECT(p->cluster.stats.stalls == 0) && EXPECT(p->lease.ns == MONO_NEVER.ns);
}

/* The same with sessions. */
static struct node *begin_with_traffic(struct sim *sim, int64_t ns)
{
	for (unsigned i = 0; i < sim->count; i++)
		node_sync_open(&sim->nodes[i]);
	sim->traffic_mean_ns = MS(5);
	sim->faults_until = ns - SEC(2); /* when traffic ends, see sim_traffic() */
	sim_post(sim, SEC(1), EVENT_TRAFFIC, 0, 0, NULL);
	return begin(sim);
}

static bool late_joiner_gets_everything(struct sim *sim)
{
	struct node *a = &sim->nodes[0];

	begin_with_traffic(sim, SEC(9));
	node_kill(a, "killed");
	node_power_off(a);
	sim_run_for(sim, SEC(2));
	node_boot(a);
	sim_run_for(sim, SEC(5));
	EXPECT(a->cluster.is_ready);
	EXPECT(store_live(sync_store(a->sync->sync)) > 20);
	check_equal(sim);
	return !sim->has_failed;
}

static bool sessions_survive_the_primary(struct sim *sim)
{
	struct node *p = begin_with_traffic(sim, SEC(5));
	size_t sessions;

	sim_run_for(sim, SEC(1));
	sessions = store_live(sync_store(p->sync->sync));
	EXPECT(sessions > 20);
	node_power_off(p);
	taken_over(sim, p, TAKEOVER);
	sim_run_for(sim, SEC(3));
	EXPECT(holder(sim) && store_live(sync_store(holder(sim)->sync->sync)) == sessions);
	check_equal(sim);
	return !sim->has_failed;
}

static struct sync_state state_of(const struct node *n)
{
	struct sync_state state;

	sync_describe(n->sync->sync, node_clock(n), &state);
	return state;
}

static bool shed_under_pressure_ends_equal(struct sim *sim)
{
	struct sync_state before, after;
	struct node *p;

	sim->never_overruns = true;
	p = begin_with_traffic(sim, SEC(8));
	before = state_of(p);
	node_sync_fill(p, 60);
	sim_run_for(sim, SEC(1));
	after = state_of(p);
	EXPECT(after.pressure.shed_refreshes > 20);
	EXPECT(after.pressure.shed_new == 0);
	EXPECT(after.stats.deleted_sent > before.stats.deleted_sent);
	EXPECT(after.differing > 0);
	before = after;
	node_sync_fill(p, 90);
	sim_run_for(sim, SEC(1));
	after = state_of(p);
	EXPECT(after.pressure.shed_new > 20);
	EXPECT(after.stats.deleted_sent > before.stats.deleted_sent);
	EXPECT(after.pressure.dumps == 0);
	node_sync_fill(p, 10);
	sim_run_for(sim, SEC(4));
	EXPECT(state_of(p).pressure.dumps == 1);
	EXPECT(state_of(p).differing == 0);
	check_equal(sim);
	return !sim->has_failed;
}

/* What a kernel has of a session: 0 nothing, else the generation of its last change. */
static uint32_t generation_in(const struct node *n, unsigned key)
{
	const struct fake_slot *slot = &n->sync->kernel.slots[key];

	return slot->is_used ? slot->ct.mark : 0;
}

/* Each island served sessions of its own. Of what both changed the higher term's truth remains, of
 * what one changed that, and nothing alive is lost. */
static bool merge_islands(struct sim *sim, bool wins_higher)
{
	struct node *lower = begin_with_traffic(sim, SEC(8));
	struct node *higher = &sim->nodes[!lower->id], *winner;
	uint32_t in_lower[FAKE_KEYS], in_higher[FAKE_KEYS], cut_at = sim->generation;
	unsigned merged = 0, contested = 0;

	sim->is_single_fault = false;
	sim_set_paths(sim, 0, 1, false);
	sim_set_paths(sim, 1, 0, false);
	sim_run_for(sim, SEC(4));
	EXPECT(node_has_lease(lower) && node_has_lease(higher));
	for (unsigned k = 0; k < FAKE_KEYS; k++) {
		in_lower[k] = generation_in(lower, k);
		in_higher[k] = generation_in(higher, k);
	}
	if (wins_higher)
		higher->cluster.config.priority = 200;
	sim_set_paths(sim, 0, 1, true);
	sim_set_paths(sim, 1, 0, true);
	sim_run_for(sim, SEC(6));
	check_equal(sim);
	winner = holder(sim);
	EXPECT(winner == (wins_higher ? higher : lower));
	for (unsigned k = 0; k < FAKE_KEYS && winner; k++) {
		uint32_t left = in_lower[k] > cut_at ? in_lower[k] : 0;
		uint32_t right = in_higher[k] > cut_at ? in_higher[k] : 0;
		uint32_t expected = right ? right : left, is = generation_in(winner, k);

		merged += (winner == lower ? right : left) != 0;
		contested += left && right;
		if (expected && is != expected)
			sim_fail(sim, "session %u: %u in the lower term, %u in the higher, %u merged",
				 k, left, right, is);
	}
	EXPECT(merged > 5 && contested > 5);
	return !sim->has_failed;
}

static bool split_brain_merges_into_the_old_primary(struct sim *sim)
{
	return merge_islands(sim, false);
}

static bool split_brain_merges_into_the_new_primary(struct sim *sim)
{
	return merge_islands(sim, true);
}

const struct scenario scenarios[] = {
	{ "primary_loses_power", primary_loses_power, 3 },
	{ "primary_daemon_is_killed", primary_daemon_is_killed, 3 },
	{ "killed_primary_returns_as_secondary", killed_primary_returns_as_secondary, 2 },
	{ "stalled_and_replaced", stalled_and_replaced, 3 },
	{ "everybody_stalls_and_the_primary_resumes", everybody_stalls_and_the_primary_resumes, 3 },
	{ "short_freeze_costs_nothing", short_freeze_costs_nothing, 3 },
	{ "cut_out_of_the_primary", cut_out_of_the_primary, 3 },
	{ "cut_into_the_primary", cut_into_the_primary, 3 },
	{ "one_secondary_does_not_hear_the_primary", one_secondary_does_not_hear_the_primary, 3 },
	{ "only_the_two_highest_are_cut", only_the_two_highest_are_cut, 3 },
	{ "boot_with_the_two_highest_cut", boot_with_the_two_highest_cut, 3 },
	{ "heartbeat_cables_alone_are_cut", heartbeat_cables_alone_are_cut, 3 },
	{ "lone_daemon_dies_and_the_secondary_boots", lone_daemon_dies_and_the_secondary_boots, 2 },
	{ "unknown_gateway_dies_too", unknown_gateway_dies_too, 2 },
	{ "blind_member_boots_beside_a_dead_daemon", blind_member_boots_beside_a_dead_daemon, 2 },
	{ "blind_successor_is_passed_over", blind_successor_is_passed_over, 3 },
	{ "role_returns_to_one_that_is_not_heard", role_returns_to_one_that_is_not_heard, 3 },
	{ "all_paths_cut_then_heal", all_paths_cut_then_heal, 2 },
	{ "all_paths_cut_then_half_heal", all_paths_cut_then_half_heal, 2 },
	{ "forced_failover", forced_failover, 3 },
	{ "better_member_joins", better_member_joins, 3 },
	{ "older_member_keeps_the_role", older_member_keeps_the_role, 3 },
	{ "shutdown_hands_over", shutdown_hands_over, 3 },
	{ "failed_link_hands_over", failed_link_hands_over, 3 },
	{ "secondaries_death_leaves_no_gap", secondaries_death_leaves_no_gap, 3 },
	{ "late_joiner_gets_everything", late_joiner_gets_everything, 3 },
	{ "sessions_survive_the_primary", sessions_survive_the_primary, 3 },
	{ "secondary_stands_still_for_an_hour", secondary_stands_still_for_an_hour, 3 },
	{ "sync_is_cut_for_an_hour", sync_is_cut_for_an_hour, 3 },
	{ "shed_under_pressure_ends_equal", shed_under_pressure_ends_equal, 3 },
	{ "split_brain_merges_into_the_old_primary", split_brain_merges_into_the_old_primary, 2 },
	{ "split_brain_merges_into_the_new_primary", split_brain_merges_into_the_new_primary, 2 },
};
const unsigned scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
