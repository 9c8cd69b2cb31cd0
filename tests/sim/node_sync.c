/* node_sync.c: one daemon's sync room over a fake kernel, the workload, and invariant I4
 *
 * I4a  In a cluster that has been calm and without traffic for a while, every member's store equals
 *      the primary's (count, digest, every record), every session is in every kernel, and the
 *      primary's store is what its kernel forwards.
 * I4b  Of what a primary's kernel saw in its term no copy is replaced by an older one in that term.
 * I4c  When a primary dies, whatever a member had acknowledged is in that member's store.
 * I4d  Tombstones never outnumber the changes that are not acknowledged; secondaries have none.
 * I4f  A primary's store is in the order of versions, whatever lineages met in it.
 * I4e  A copy that was in the kernel at a takeover is still there a second later, unless traffic
 *      has ended it.
 */
#include "node_sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct wbuf *op_frame_begin(void *arg)
{
	struct node_sync *ns = arg;

	if (rng_chance(&ns->node->rng, ns->busy))
		return NULL;
	ns->frame = wbuf_of(ns->bytes, sizeof(ns->bytes));
	return &ns->frame;
}

static void op_frame_end(void *arg, uint8_t type)
{
	struct node_sync *ns = arg;
	struct frame *frame;

	if (ns->frame.failed) {
		sim_fail(ns->node->sim, "%s: a sync frame does not fit", ns->node->config.serial);
		return;
	}
	frame = frame_new(ns->node, type, ns->bytes, wbuf_len(&ns->frame));
	sim_send(ns->node, frame, false);
	frame_unref(frame);
}

static const char *const op_names[] = { "create", "update", "delete", "set the timeout of" };

static int request(struct node_sync *ns, enum ct_op op, const struct ct *ct, uint64_t cookie)
{
	struct sim *sim = ns->node->sim;
	int error = fake_request(&ns->kernel, op, ct, cookie);

	if (sim->is_verbose)
		sim_trace(sim, "%s asks its kernel to %s session %u (%u): %d", ns->node->config.serial,
			  op_names[op], fake_number(ct), ct->mark, error);
	if (!error && !ns->is_execute_posted) {
		ns->is_execute_posted = true;
		sim_post(sim, sim->now + rng_between(&sim->rng, US(10), US(500)), EVENT_KERNEL,
			 ns->node->id, 0, NULL);
	}
	return error;
}

/* Names a primary in its term, as this node knows it; 0: none. */
static uint64_t origin(const struct sim *sim, const struct node *node)
{
	for (unsigned i = 0; i < sim->count; i++)
		if (!strcmp(sim->nodes[i].config.serial, node->cluster.primary))
			return node->sync->put_term << 8 | (i + 1);
	return 0;
}

static int op_kernel_put(void *arg, enum ct_op op, const struct ct *ct, uint64_t cookie)
{
	struct node_sync *ns = arg;
	struct sim *sim = ns->node->sim;
	unsigned key = fake_number(ct);

	/* What a split brain's other side or an earlier term left has an order of its own. */
	if (sim->origins[ct->mark] == origin(sim, ns->node)) {
		if (ct->mark < ns->put_generation[key])
			sim_fail(sim, "I4b: %s puts generation %u of session %u after %u",
				 ns->node->config.serial, ct->mark, key, ns->put_generation[key]);
		ns->put_generation[key] = ct->mark;
	}
	return request(ns, op, ct, cookie);
}

static int op_kernel_delete(void *arg, const struct ct *key, uint64_t cookie)
{
	return request(arg, CT_OP_DELETE, key, cookie);
}

static int op_kernel_timeout(void *arg, const struct ct *key, uint32_t seconds, uint64_t cookie)
{
	(void)seconds;
	return request(arg, CT_OP_TIMEOUT, key, cookie);
}

static int op_kernel_has(void *arg, const struct ct *key)
{
	struct node_sync *ns = arg;

	return ns->kernel.slots[fake_number(key)].is_used;
}

static bool op_kernel_clear(void *arg, const struct ct *ct)
{
	(void)arg;
	(void)ct;
	return false;
}

static bool op_wants(void *arg, const struct ct *ct)
{
	(void)arg;
	(void)ct;
	return true;
}

static void op_start_dump(void *arg)
{
	struct node_sync *ns = arg;
	struct sim *sim = ns->node->sim;

	ns->is_dumping = true;
	ns->dump_id = ++sim->next_incarnation << 8;
	sim_post(sim, sim->now + rng_between(&sim->rng, US(100), MS(5)), EVENT_DUMP, ns->node->id,
		 ns->dump_id, NULL);
}

static void op_alone(void *arg, bool is_alone)
{
	(void)arg;
	(void)is_alone;
}

static void op_full(void *arg, bool is_full)
{
	(void)arg;
	(void)is_full;
}

static void op_ready(void *arg, uint64_t term, bool is_ready)
{
	struct node_sync *ns = arg;

	/* Another thread in the daemon: delivered after this step. */
	ns->is_ready_due = true;
	ns->ready_term = term;
	ns->ready = is_ready;
}

static const struct sync_ops ops = {
	.frame_begin = op_frame_begin,
	.frame_end = op_frame_end,
	.kernel_put = op_kernel_put,
	.kernel_delete = op_kernel_delete,
	.kernel_timeout = op_kernel_timeout,
	.kernel_has = op_kernel_has,
	.kernel_clear = op_kernel_clear,
	.wants = op_wants,
	.start_dump = op_start_dump,
	.on_alone = op_alone,
	.on_ready = op_ready,
	.on_full = op_full,
};

void node_sync_open(struct node *node)
{
	struct node_sync *ns = calloc(1, sizeof(*ns));

	if (!ns)
		abort();
	ns->node = node;
	ns->kernel.rng.state = rng_next(&node->rng);
	ns->timer_at = INT64_MAX;
	node->sync = ns;
}

void node_sync_close(struct node *node)
{
	if (!node->sync)
		return;
	sync_free(node->sync->sync);
	free(node->sync);
	node->sync = NULL;
}

void node_sync_boot(struct node *node)
{
	struct node_sync *ns = node->sync;
	struct sync_config config = {
		.is_enabled = true,
		.is_brief = node->sim->seed & 1,
		.has_group_hash = node->sim->seed & 2,
		.max_sessions = node->sim->max_sessions,
		.keys = { { 1 }, { 2 } },
		.fence_ns = MS(20),
	};

	memcpy(config.serial, node->config.serial, sizeof(config.serial));
	ns->sync = sync_new(&config, &ops, ns, node_clock(node));
	ns->living_count = 0;
	ns->is_ready_due = false;
	ns->is_dumping = false;
	ns->verdict_count = 0;
	ns->kernel.event_count = 0;
	ns->kernel.has_overrun = false;
	ns->kernel.request_count = 0;
	ns->put_term = 0;
	ns->is_role_due = true;
}

/* The record of another store, by key; NULL: not there, or a tombstone. */
static const struct store_entry *same_key(const struct store *store, const struct ct *ct)
{
	const struct store_entry *e = store_find(store, ct);

	return e && !(e->flags & ENTRY_TOMB) ? e : NULL;
}

static bool is_same(const struct store *a, const struct store_entry *x, const struct store *b,
		    const struct store_entry *y)
{
	struct ct left, right;

	store_read(a, x, &left);
	store_read(b, y, &right);
	return !memcmp(&left, &right, sizeof(left));
}

/* What cursors walk along must be in the order of versions. */
static void check_order(struct node *node)
{
	struct store *store = sync_store(node->sync->sync);
	uint64_t last = 0;

	for (struct store_entry *e = store_first(store); e; e = store_after(store, e)) {
		if (e->node.version <= last && last)
			sim_fail(node->sim, "I4f: %s has version %llu behind version %llu",
				 node->config.serial, (unsigned long long)e->node.version,
				 (unsigned long long)last);
		last = e->node.version;
	}
}

/* I4c: everything at or below what `peer` acknowledged, it has. */
static void check_acked(struct node *node, const struct sync_peer_state *peer)
{
	struct sim *sim = node->sim;
	struct store *mine = sync_store(node->sync->sync);

	for (unsigned i = 0; i < sim->count; i++) {
		struct node *other = &sim->nodes[i];
		struct sync_state state;

		if (strcmp(other->config.serial, peer->serial) != 0 || !other->is_running)
			continue;
		sync_describe(other->sync->sync, node_clock(other), &state);
		if (state.role != SYNC_SECONDARY || state.term != node->cluster.term ||
		    strcmp(other->cluster.primary, node->config.serial) != 0 ||
		    state.cursor < peer->cursor)
			continue; /* it has begun anew since */
		for (struct store_entry *e = store_first(mine); e; e = store_after(mine, e)) {
			struct ct ct;

			if (e->flags & ENTRY_TOMB || e->node.version > peer->cursor)
				continue;
			store_read(mine, e, &ct);
			if (!same_key(sync_store(other->sync->sync), &ct))
				sim_fail(sim, "I4c: %s acknowledged %llu to %s, but lacks session %u (version %llu)",
					 other->config.serial, (unsigned long long)peer->cursor,
					 node->config.serial, fake_number(&ct),
					 (unsigned long long)e->node.version);
		}
	}
}

void node_sync_kill(struct node *node)
{
	struct node_sync *ns = node->sync;
	struct sync_state state;

	sync_describe(ns->sync, node_clock(node), &state);
	if (state.role == SYNC_PRIMARY)
		check_order(node);
	for (unsigned i = 0; i < state.peer_count && state.role == SYNC_PRIMARY; i++)
		check_acked(node, &state.peers[i]);
	sync_free(ns->sync);
	ns->sync = NULL;
	ns->timer_at = INT64_MAX;
	ns->claim_id = 0;
}

void node_sync_power_off(struct node *node)
{
	fake_reset(&node->sync->kernel);
}

void node_sync_on_role(struct node *node)
{
	node->sync->is_role_due = true;
}

/* I4e begins: what is in our kernel and our store now must stay. */
static void claim(struct node_sync *ns)
{
	struct sim *sim = ns->node->sim;
	struct store *store = sync_store(ns->sync);

	memset(ns->claimed, 0, sizeof(ns->claimed));
	for (struct store_entry *e = store_first(store); e; e = store_after(store, e)) {
		struct ct ct;

		store_read(store, e, &ct);
		if (!(e->flags & ENTRY_TOMB) && e->flags & ENTRY_IN_KERNEL &&
		    ns->kernel.slots[fake_number(&ct)].is_used && !ns->kernel.request_count)
			ns->claimed[fake_number(&ct)] = true;
	}
	ns->claim_id = ++sim->next_incarnation;
	sim_post(sim, sim->now + SEC(1), EVENT_CLAIM, ns->node->id, ns->claim_id, NULL);
}

void node_sync_on_claim(struct node *node, uint64_t id)
{
	struct node_sync *ns = node->sync;

	if (id != ns->claim_id || !node->is_running || node->cluster.state != MEMBER_WORK)
		return;
	for (unsigned i = 0; i < FAKE_KEYS; i++)
		if (ns->claimed[i] && !ns->kernel.slots[i].is_used)
			sim_fail(node->sim, "I4e: session %u vanished from %s after its takeover", i,
				 node->config.serial);
}

static void apply_role(struct node *node)
{
	struct node_sync *ns = node->sync;
	struct sync_state before;
	enum sync_role role = SYNC_IDLE;

	ns->is_role_due = false;
	switch (node->cluster.state) {
	case MEMBER_HELLO:
		break;
	case MEMBER_STANDBY:
		role = node->cluster.primary[0] ? SYNC_SECONDARY : SYNC_IDLE;
		break;
	case MEMBER_WORK:
		role = SYNC_PRIMARY;
		break;
	}
	sync_describe(ns->sync, node_clock(node), &before);
	memset(ns->put_generation, 0, sizeof(ns->put_generation));
	ns->put_term = node->cluster.term;
	if (role == SYNC_PRIMARY && before.role == SYNC_SECONDARY)
		claim(ns);
	else if (role != SYNC_PRIMARY)
		ns->claim_id = 0;
	sync_on_role(ns->sync, node_clock(node), role, node->cluster.primary, node->cluster.term);
}

static void tell_members(struct node *node)
{
	struct node_sync *ns = node->sync;
	char living[LIMIT_MEMBERS - 1][17];
	unsigned n = 0;

	memset(living, 0, sizeof(living));
	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++)
		if (cluster_is_living(&node->cluster, &node->cluster.members[i], node_clock(node)))
			memcpy(living[n++], node->cluster.members[i].serial, 17);
	if (n == ns->living_count && !memcmp(living, ns->living, sizeof(living)))
		return;
	memcpy(ns->living, living, sizeof(living));
	ns->living_count = n;
	sync_on_members(ns->sync, node_clock(node), (const char (*)[17])ns->living, n);
}

void node_sync_step(struct node *node)
{
	struct node_sync *ns = node->sync;
	struct sim *sim = node->sim;
	mono_t wake;
	struct sync_state state;

	if (!node->is_running || node->is_frozen || !ns->sync)
		return;
	if (ns->is_role_due)
		apply_role(node);
	tell_members(node);
	wake = sync_step(ns->sync, node_clock(node));
	ns->timer_at = wake.ns == MONO_NEVER.ns ? INT64_MAX :
		       node_true(node, wake) + rng_between(&node->rng, US(1), US(100));
	if (ns->timer_at <= sim->now)
		ns->timer_at = sim->now + US(20);
	sync_describe(ns->sync, node_clock(node), &state);
	if (state.role != SYNC_IDLE &&
	    state.tombs > (state.role == SYNC_PRIMARY ? state.unacknowledged : 0))
		sim_fail(sim, "I4d: %s keeps %zu tombstones for %llu unacknowledged changes",
			 node->config.serial, state.tombs,
			 (unsigned long long)state.unacknowledged);
	if (ns->is_ready_due) {
		ns->is_ready_due = false;
		sim_trace(sim, "%s is %sequal to %s", node->config.serial, ns->ready ? "" : "not ",
			  node->cluster.primary);
		cluster_on_ready(&node->cluster, ns->ready_term, ns->ready);
	}
}

void node_sync_on_frame(struct node *node, struct frame *frame)
{
	struct rbuf r = rbuf_of(frame->bytes, frame->len);
	const char *from = node->sim->nodes[frame->from].config.serial;

	for (unsigned i = 0; i < LIMIT_MEMBERS - 1; i++) {
		const struct member *m = &node->cluster.members[i];

		if (cluster_is_living(&node->cluster, m, node_clock(node)) &&
		    m->incarnation == frame->incarnation && !strcmp(m->serial, from))
			sync_on_message(node->sync->sync, node_clock(node), from, frame->type, &r);
	}
}

static void deliver(struct node *node, const struct fake_verdict *v)
{
	struct node_sync *ns = node->sync;

	if (node->sim->is_verbose)
		sim_trace(node->sim, "%s: kernel says %d to %s (%llx)", node->config.serial, v->error,
			  op_names[v->op], (unsigned long long)v->cookie);
	if (!node->is_running)
		return;
	if (!node->is_frozen)
		sync_on_verdict(ns->sync, node_clock(node), v->op, v->cookie, v->error);
	else if (ns->verdict_count < FAKE_REQUESTS)
		ns->verdicts[ns->verdict_count++] = *v;
}

void node_sync_on_kernel(struct node *node, uint64_t id)
{
	struct node_sync *ns = node->sync;
	struct fake_verdict v;
	uint64_t budget = 1 + rng_below(&node->sim->rng, 64);

	(void)id;
	ns->is_execute_posted = false;
	while (budget-- && fake_execute(&ns->kernel, &v))
		deliver(node, &v);
	if (ns->kernel.request_count && !ns->is_execute_posted) {
		ns->is_execute_posted = true;
		sim_post(node->sim, node->sim->now + US(100), EVENT_KERNEL, node->id, 0, NULL);
	}
	node_sync_step(node);
}

/* A dump in four slices; the low byte of the id is the next slice. */
void node_sync_on_dump(struct node *node, uint64_t id)
{
	struct node_sync *ns = node->sync;
	struct sim *sim = node->sim;
	unsigned slice = (unsigned)(id & 0xff);
	struct ct_seen seen;

	if (!node->is_running || !ns->sync || (id & ~UINT64_C(0xff)) != ns->dump_id)
		return;
	if (node->is_frozen) {
		sim_post(sim, sim->now + MS(1), EVENT_DUMP, node->id, id, NULL);
		return;
	}
	for (unsigned k = slice * (FAKE_KEYS / 4); k < (slice + 1) * (FAKE_KEYS / 4); k++)
		if (fake_show(&ns->kernel, k, &seen))
			sync_on_seen(ns->sync, node_clock(node), &seen);
	if (slice < 3) {
		sim_post(sim, sim->now + rng_between(&sim->rng, US(10), MS(2)), EVENT_DUMP,
			 node->id, id + 1, NULL);
		return;
	}
	ns->is_dumping = false;
	sync_on_dump_done(ns->sync, node_clock(node), rng_chance(&node->rng, 20) ? -EINTR : 0);
	node_sync_step(node);
}

void node_sync_thaw(struct node *node)
{
	struct node_sync *ns = node->sync;

	for (unsigned i = 0; i < ns->kernel.event_count; i++)
		sync_on_seen(ns->sync, node_clock(node), &ns->kernel.events[i]);
	ns->kernel.event_count = 0;
	if (ns->kernel.has_overrun)
		sync_on_overrun(ns->sync, node_clock(node));
	ns->kernel.has_overrun = false;
	for (unsigned i = 0; i < ns->verdict_count; i++)
		sync_on_verdict(ns->sync, node_clock(node), ns->verdicts[i].op,
				ns->verdicts[i].cookie, ns->verdicts[i].error);
	ns->verdict_count = 0;
}

/* How full its event socket is; a frozen daemon is told when it reads on, which is the same. */
void node_sync_fill(struct node *node, unsigned percent)
{
	if (node->sync && node->sync->sync)
		sync_on_fill(node->sync->sync, percent);
}

/* The daemon hears what its kernel did, or loses it. */
static void hear(struct sim *sim, struct node *n, unsigned key, const struct ct_seen *seen)
{
	n->sync->claimed[key] = false;
	if (sim->is_verbose)
		sim_trace(sim, "%s: traffic: session %u %s (%u)", n->config.serial, key,
			  seen->news == CT_NEWS_NEW ? "opens" :
			  seen->news == CT_NEWS_DESTROY ? "closes" : "changes",
			  sim->generation);
	if (!n->is_running)
		return;
	if (n->is_frozen) {
		fake_keep_event(&n->sync->kernel, seen);
		return;
	}
	if (rng_chance(&n->rng, sim->press))
		node_sync_fill(n, (unsigned)rng_below(&n->rng, 101));
	if (!sim->never_overruns && rng_chance(&n->rng, 2)) {
		sync_on_overrun(n->sync->sync, node_clock(n));
	} else {
		sync_on_seen(n->sync->sync, node_clock(n), seen);
	}
	node_sync_step(n);
}

static void next_generation(struct sim *sim, const struct node *n)
{
	sim->origins[++sim->generation] = n->lease_term << 8 | (n->id + 1);
}

void sim_session(struct node *node, unsigned key, enum ct_news news)
{
	struct ct_seen seen;

	next_generation(node->sim, node);
	fake_change(&node->sync->kernel, key, news, node->sim->generation, &seen);
	hear(node->sim, node, key, &seen);
}

void sim_traffic(struct sim *sim)
{
	bool is_last = sim->now >= sim->faults_until + SEC(2);

	for (unsigned i = 0; i < sim->count; i++) {
		struct node *n = &sim->nodes[i];
		unsigned key = (unsigned)rng_below(&sim->rng, SIM_TRAFFIC_KEYS);
		struct ct_seen seen;

		if (!node_has_lease(n))
			continue;
		if (sim->generation + 1 == SIM_GENERATIONS) {
			is_last = true;
			break;
		}
		next_generation(sim, n);
		fake_traffic(&n->sync->kernel, key, sim->generation, &seen);
		hear(sim, n, key, &seen);
	}
	for (unsigned i = 0; is_last && i < sim->count; i++)
		node_sync_fill(&sim->nodes[i], 0);
	if (!is_last)
		sim_post(sim, sim->now + rng_between(&sim->rng, MS(1), 2 * sim->traffic_mean_ns),
			 EVENT_TRAFFIC, 0, 0, NULL);
}

void dump_sync(const struct node *node, FILE *out)
{
	const struct node_sync *ns = node->sync;
	struct sync_state s;

	if (!ns || !ns->sync)
		return;
	sync_describe(ns->sync, node_clock(node), &s);
	fprintf(out, "#   sync: role %d term %llu head %llu cursor %llu sessions %zu tombs %zu "
		"unacked %llu in flight %u walks %llu/%llu gaps %llu mismatches %llu dumps %llu%s "
		"failed %llu retried %llu queue %u offered %llu merged %llu kept %llu\n", s.role, (unsigned long long)s.term,
		(unsigned long long)s.head, (unsigned long long)s.cursor, s.sessions, s.tombs,
		(unsigned long long)s.unacknowledged, s.in_flight,
		(unsigned long long)s.stats.walks_served, (unsigned long long)s.stats.walks_taken,
		(unsigned long long)s.stats.gaps, (unsigned long long)s.stats.digest_mismatches,
		(unsigned long long)s.stats.dumps, ns->is_dumping ? " dumping" : "",
		(unsigned long long)s.stats.inject_failed,
		(unsigned long long)s.stats.inject_retried, ns->kernel.request_count,
		(unsigned long long)s.stats.offered, (unsigned long long)s.stats.merged,
		(unsigned long long)s.stats.merge_kept);
	for (unsigned i = 0; i < s.peer_count; i++)
		fprintf(out, "#     %s acked %llu proven %llu%s\n", s.peers[i].serial,
			(unsigned long long)s.peers[i].cursor,
			(unsigned long long)s.peers[i].proven,
			s.peers[i].is_joined ? " joined" : "");
}

void check_equal(struct sim *sim)
{
	struct node *p = NULL;
	struct store *mine;

	for (unsigned i = 0; i < sim->count; i++)
		if (node_has_lease(&sim->nodes[i]))
			p = &sim->nodes[i];
	if (!p || !p->is_running)
		return;
	mine = sync_store(p->sync->sync);
	for (unsigned k = 0; k < FAKE_KEYS; k++) {
		struct ct key = fake_key(k);
		const struct store_entry *e = same_key(mine, &key);
		const struct fake_slot *slot = &p->sync->kernel.slots[k];

		if (slot->is_used && !e)
			sim_fail(sim, "I4a: the store of primary %s lacks session %u of its kernel",
				 p->config.serial, k);
		else if (!slot->is_used && e)
			sim_fail(sim, "I4a: the store of primary %s has session %u, its kernel has not",
				 p->config.serial, k);
	}
	for (unsigned i = 0; i < sim->count; i++) {
		struct node *n = &sim->nodes[i];
		struct store *other;

		if (n == p || !n->is_running)
			continue;
		other = sync_store(n->sync->sync);
		if (store_live(mine) != store_live(other) ||
		    store_digest(mine) != store_digest(other) || !n->cluster.is_ready)
			sim_fail(sim, "I4a: %s has %zu sessions, %s %zu; ready %d",
				 p->config.serial, store_live(mine), n->config.serial,
				 store_live(other), n->cluster.is_ready);
		for (struct store_entry *e = store_first(mine); e; e = store_after(mine, e)) {
			const struct store_entry *copy;
			struct ct ct;

			store_read(mine, e, &ct);
			copy = same_key(other, &ct);
			if (!copy || !is_same(mine, e, other, copy))
				sim_fail(sim, "I4a: session %u differs at %s", fake_number(&ct),
					 n->config.serial);
			else if (!n->sync->kernel.slots[fake_number(&ct)].is_used)
				sim_fail(sim, "I4a: session %u is not in the kernel of %s",
					 fake_number(&ct), n->config.serial);
			else if (n->sync->kernel.slots[fake_number(&ct)].ct.mark != ct.mark)
				sim_fail(sim, "I4a: the kernel of %s has an old session %u",
					 n->config.serial, fake_number(&ct));
		}
	}
}
