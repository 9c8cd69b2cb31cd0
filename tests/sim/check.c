/* check.c: what must hold in every run, checked after every event
 *
 * Two nodes are *directly connected* while each can send to the other over some path (heartbeat
 * link or data interface) and no row of chance losses came within two intervals of the detection
 * time (such a row is an outage like a cut). They are *connected* directly or through one member in
 * between whose daemon runs (heartbeats tell what their sender hears, not what it was told, so a
 * chain of four in which only neighbours hear each other is beyond the protocol); `since` is
 * when the youngest part of the best such route came up (an edge, or the boot or thaw of the daemon
 * in between). Whether the two themselves run, are frozen or
 * dead does not matter. For a node whose daemon does not run (dead, frozen) the data path in both
 * directions is what counts, because nothing but a probe can tell of it; with probes switched off
 * (takeover-probe 0) nothing can.
 *
 * A node's *lease is active* while its kernel would forward: powered, before the deadline on its
 * own clock, and with its data interface up (a lease that begins to count when the interface comes up
 * begins then).
 *
 * T1 is the longest configured detection time plus `slack` (probe, four intervals, 20 ms).
 *
 * I1a  A lease never begins while another is active in a node connected for longer than T1:
 *      freezes, kills, thaws and one-way cuts beside a route are no excuse. (A lease handed over
 *      within an island that is already in a legitimate split is no new one: one of the two was
 *      in a split within 4 T1; so is the same pair of terms after a stall.)
 * I1b  Two leases that began legitimately (disconnected then) end to be two within T1 of both
 *      daemons running and being connected.
 * I1c  In runs without full cuts (is_single_fault) no two leases ever overlap: there even a cut in
 *      one direction does not disconnect.
 * I1d  A primary that thaws without an active lease gets none before a frame sent after the thaw,
 *      or an unanswered probe, has reached it.
 * I2   An island (daemons that run and hear each other in any direction, over any route) that was
 *      calm for `patience` has had a lease within `patience`, unless a node whose daemon does not
 *      run has an active lease and can answer a member's probes, or with probes none of the island
 *      has its data interface up (nobody of it could serve, nor ask), and no connected island has
 *      two.
 * I3   Nobody's term goes back while its daemon runs (node.c); a term that one node has told the
 *      others it is the primary of is granted to another only if the two were disconnected, or
 *      connected for less than T1, or the second one asleep, when it was told.
 * I6   With probes nobody becomes primary whose data interface has been down for T1 that its daemon
 *      ran.
 */
#include "node_sync.h"

#include <string.h>

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t t1_ns(const struct sim *sim)
{
	int64_t d = 0;

	for (unsigned i = 0; i < sim->count; i++)
		d = max64(d, sim->nodes[i].config.interval_ns * sim->nodes[i].config.threshold);
	return d + sim->slack_ns;
}

static bool is_direct(const struct sim *sim, unsigned a, unsigned b)
{
	if (!sim_dir_up(sim, a, b) || !sim_dir_up(sim, b, a))
		return false;
	return sim->lost_in_row[a][b] < sim_outage(&sim->nodes[a]) &&
	       sim->lost_in_row[b][a] < sim_outage(&sim->nodes[b]);
}

static bool is_awake(const struct node *n)
{
	return n->is_running && !n->is_frozen;
}

static bool has_data(const struct sim *sim, unsigned a, unsigned b)
{
	const struct node *x = &sim->nodes[a];
	const struct node *y = &sim->nodes[b];

	return x->is_powered && y->is_powered && x->is_data_up && y->is_data_up &&
	       sim->paths[a][b][SIM_DATA].is_up && sim->paths[b][a][SIM_DATA].is_up;
}

static void since(int64_t *when, bool is_now, int64_t now, bool *changed)
{
	if (is_now == (*when != INT64_MAX))
		return;
	*when = is_now ? now : INT64_MAX;
	*changed = true;
}

/* Recomputes who is connected since when; after every change of a path or a daemon. */
void check_topology(struct sim *sim)
{
	unsigned n = sim->count;

	sim->is_topology_stale = false;
	for (unsigned a = 0; a < n; a++)
		for (unsigned b = 0; b < n; b++) {
			struct pair *p = &sim->pairs[a][b];
			bool changed = false;

			if (a == b)
				continue;
			since(&p->direct_since, is_direct(sim, a, b), sim->now, &changed);
			since(&p->data_since, has_data(sim, a, b), sim->now, &changed);
			if (changed)
				sim->nodes[a].calm_since = sim->nodes[b].calm_since = sim->now;
			p->since = p->direct_since;
		}
	for (unsigned r = 0; r < n; r++)
		for (unsigned a = 0; a < n && is_awake(&sim->nodes[r]); a++)
			for (unsigned b = 0; b < n; b++) {
				int64_t via = max64(max64(sim->pairs[a][r].direct_since,
							  sim->pairs[r][b].direct_since),
						    sim->nodes[r].run_since);

				if (a != b && a != r && b != r)
					sim->pairs[a][b].since = min64(sim->pairs[a][b].since, via);
			}
}

/* Since when anything tells the two of each other; INT64_MAX: nothing does. */
static int64_t connected_since(const struct sim *sim, unsigned a, unsigned b)
{
	const struct pair *p = &sim->pairs[a < b ? a : b][a < b ? b : a];

	if (!sim->nodes[a].config.probe_ns && p->since != INT64_MAX &&
	    is_awake(&sim->nodes[a]) && is_awake(&sim->nodes[b]))
		return max64(p->since, max64(sim->nodes[a].run_since, sim->nodes[b].run_since));
	if (!is_awake(&sim->nodes[a]) || !is_awake(&sim->nodes[b]))
		return sim->nodes[a].config.probe_ns ? p->data_since : INT64_MAX;
	if (p->since == INT64_MAX)
		return p->since;
	return min64(p->data_since,
		     max64(p->since, max64(sim->nodes[a].boot_since, sim->nodes[b].boot_since)));
}

static bool is_older(const struct sim *sim, int64_t when, int64_t ns)
{
	return when != INT64_MAX && sim->now - when > ns;
}

static void check_pair(struct sim *sim, unsigned a, unsigned b)
{
	struct pair *p = &sim->pairs[a][b];
	const struct node *x = &sim->nodes[a];
	const struct node *y = &sim->nodes[b];
	int64_t t1 = t1_ns(sim);
	int64_t when;

	if (!node_has_lease(x) || !node_has_lease(y) || !x->is_data_up || !y->is_data_up) {
		p->is_split = false;
		return;
	}
	when = connected_since(sim, a, b);
	if (p->is_split) {
		p->terms[0] = x->lease_term;
		p->terms[1] = y->lease_term;
	} else {
		bool is_resumed = p->terms[0] == x->lease_term && p->terms[1] == y->lease_term;

		p->terms[0] = x->lease_term;
		p->terms[1] = y->lease_term;
		p->is_split = true;
		p->split_since = sim->now;
		sim_trace(sim, "two leases: %s and %s", x->config.serial, y->config.serial);
		if (sim->is_single_fault ||
		    (is_older(sim, when, t1) && !is_resumed && is_older(sim, x->split_at, 4 * t1) &&
		     is_older(sim, y->split_at, 4 * t1)))
			sim_fail(sim, "I1a: %s and %s both have a lease, connected since %.6f",
				 x->config.serial, y->config.serial, (double)when / 1e9);
		sim->nodes[a].split_at = sim->nodes[b].split_at = sim->now;
		return;
	}
	sim->nodes[a].split_at = sim->nodes[b].split_at = sim->now;
	if (!is_awake(x) || !is_awake(y))
		return;
	if (is_older(sim, when, t1) &&
	    is_older(sim, max64(max64(x->run_since, y->run_since), p->split_since), t1))
		sim_fail(sim, "I1b: %s and %s still both have a lease, connected since %.6f",
			 x->config.serial, y->config.serial, (double)when / 1e9);
}

static void check_liveness(struct sim *sim)
{
	unsigned island[SIM_NODES];
	unsigned n = sim->count;

	for (unsigned i = 0; i < n; i++)
		island[i] = i;
	for (unsigned pass = 0; pass < n; pass++)
		for (unsigned a = 0; a < n; a++)
			for (unsigned b = 0; b < n; b++)
				if (a != b && is_awake(&sim->nodes[a]) && is_awake(&sim->nodes[b]) &&
				    sim_dir_up(sim, a, b) && island[b] > island[a])
					island[b] = island[a];
				else if (a != b && is_awake(&sim->nodes[a]) &&
					 is_awake(&sim->nodes[b]) && sim_dir_up(sim, a, b))
					island[a] = island[b];
	for (unsigned i = 0; i < n; i++) {
		bool is_served = !is_awake(&sim->nodes[i]);
		bool can_serve = false;
		int64_t calm = 0;

		for (unsigned k = 0; k < n; k++) {
			if (island[k] != island[i] || !is_awake(&sim->nodes[k]))
				continue;
			is_served |= node_has_lease(&sim->nodes[k]);
			can_serve |= sim->nodes[k].is_data_up || !sim->nodes[k].config.probe_ns;
			calm = max64(calm, sim->nodes[k].calm_since);
			for (unsigned z = 0; z < n; z++)
				is_served |= !is_awake(&sim->nodes[z]) &&
					     node_has_lease(&sim->nodes[z]) && has_data(sim, k, z);
		}
		if (is_served || !can_serve)
			sim->nodes[i].gap_since = sim->now;
		if (is_older(sim, max64(sim->nodes[i].gap_since, calm), sim->patience_ns))
			sim_fail(sim, "I2: nobody in the island of %s has had a lease since %.6f",
				 sim->nodes[i].config.serial,
				 (double)sim->nodes[i].gap_since / 1e9);
	}
}

void check_grant(struct node *node, uint64_t term)
{
	struct sim *sim = node->sim;
	int64_t blind = max64(node->data_since, node->run_since);

	if (!node->is_data_up && node->config.probe_ns && node->cluster.state != MEMBER_WORK &&
	    is_older(sim, blind, t1_ns(sim)))
		sim_fail(sim, "I6: %s becomes primary, but its data interface has been down since %.6f",
			 node->config.serial, (double)blind / 1e9);

	/* Without probes it may only guess from silence. */
	if (node->must_hear && node->config.probe_ns)
		sim_fail(sim, "I1d: %s thawed and has a lease again, but has heard nothing",
			 node->config.serial);
	for (unsigned i = 0; i < sim->term_count && i < 64; i++) {
		int64_t when;

		if (sim->terms[i].term != term)
			continue;
		if (sim->terms[i].node == node->id)
			return;
		when = max64(connected_since(sim, node->id, sim->terms[i].node), node->run_since);
		if (when < sim->terms[i].at && is_older(sim, when, t1_ns(sim)) &&
		    sim->terms[i].at - when > t1_ns(sim))
			sim_fail(sim, "I3: term %llu belongs to %s and to %s",
				 (unsigned long long)term, node->config.serial,
				 sim->nodes[sim->terms[i].node].config.serial);
	}
}

void check_tell(struct node *node, const struct heartbeat *hb)
{
	struct sim *sim = node->sim;
	unsigned slot = sim->term_count % 64;
	unsigned last = (sim->term_count + 63) % 64;

	if (hb->state != MEMBER_WORK || hb->flags & HB_STALLED ||
	    (sim->terms[last].term == hb->term && sim->terms[last].node == node->id))
		return;
	sim->term_count++;
	sim->terms[slot].term = hb->term;
	sim->terms[slot].node = node->id;
	sim->terms[slot].at = sim->now;
}

void check_event(struct sim *sim)
{
	if (sim->is_topology_stale)
		check_topology(sim);
	for (unsigned a = 0; a < sim->count; a++)
		for (unsigned b = a + 1; b < sim->count; b++)
			check_pair(sim, a, b);
	check_liveness(sim);
}

static void dump_member(const struct node *n, const struct member *m, FILE *out)
{
	mono_t now = node_clock(n);

	if (!m->is_used)
		return;
	fprintf(out, "#   knows %s: %s%s%s primary '%s' term %llu flags 0x%x heard %.1f ms ago, "
		"echo %.1f ms, age %.1f s\n", m->serial,
		cluster_is_living(&n->cluster, m, now) ? "" : "not living ",
		m->is_counted ? "counted " : "",
		member_state_name((enum member_state)m->hb.state), m->hb.primary,
		(unsigned long long)m->hb.term, m->hb.flags, (double)mono_sub(now, m->rx) / 1e6,
		(double)mono_sub(now, m->echo) / 1e6, (double)m->hb.age_ms / 1e3);
}

void check_dump(const struct sim *sim, FILE *out)
{
	uint64_t from = sim->trace_count > SIM_TRACE ? sim->trace_count - SIM_TRACE : 0;

	for (uint64_t i = from; i < sim->trace_count && !sim->is_verbose; i++)
		fprintf(out, "# %s\n", sim->trace[i % SIM_TRACE]);
	fprintf(out, "# seed %llu at %.6f: %s\n", (unsigned long long)sim->seed,
		(double)sim->now / 1e9, sim->failure);
	for (unsigned i = 0; i < sim->count; i++) {
		const struct node *n = &sim->nodes[i];
		const struct cluster *c = &n->cluster;

		fprintf(out,
			"# %s: %s%s%s %s primary '%s' term %llu%s%s%s%s%s lease %s D %.0f ms, failures %u, age %.1f s\n",
			n->config.serial, n->is_powered ? "" : "no power ",
			n->is_running ? "runs" : "dead", n->is_frozen ? " frozen" : "",
			member_state_name(c->state), c->primary, (unsigned long long)c->term,
			c->is_stalled ? " stalled" : "", c->is_resigned ? " resigned" : "",
			c->is_holding ? " holding" : "", c->is_ready ? " ready" : "",
			c->is_probing ? " probing" : "",
			!node_has_lease(n) ? "none" :
			n->lease.ns == MONO_NEVER.ns ? "unbounded" : "bounded",
			(double)(n->config.interval_ns * n->config.threshold) / 1e6, n->failures,
			(double)mono_sub(node_clock(n), c->age_since) / 1e9);
		for (unsigned m = 0; m < LIMIT_MEMBERS - 1 && n->is_running; m++)
			dump_member(n, &c->members[m], out);
		dump_sync(n, out);
		fprintf(out, "#   sends to:");
		for (unsigned to = 0; to < sim->count; to++)
			for (unsigned p = 0; p < SIM_PATHS && to != i; p++)
				if (sim->paths[i][to][p].is_up)
					fprintf(out, " %s/%u", sim->nodes[to].config.serial, p);
		fprintf(out, "\n");
	}
}
