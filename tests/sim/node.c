/* node.c: one daemon of the box: boots, steps, freezes, thaws, dies; struct cluster_ops */
#include "node_sync.h"

#include <errno.h>
#include <string.h>

static struct deferred *defer(struct node *node, enum defer_kind kind)
{
	struct deferred *d;

	if (node->deferred_count == SIM_DEFER) {
		sim_fail(node->sim, "%s does more than %d things in one step",
			 node->config.serial, SIM_DEFER);
		node->deferred_count = 0;
	}
	d = &node->deferred[node->deferred_count++];
	memset(d, 0, sizeof(*d));
	d->kind = kind;
	return d;
}

/* A freeze may strike between deciding and doing: then this and what follows is done at thaw. */
static void maybe_freeze(struct node *node)
{
	if (!node->is_frozen && rng_chance(&node->rng, node->op_freeze))
		node_freeze(node, rng_between(&node->rng, MS(1), node->freeze_max_ns));
}

static void do_send(void *arg, const struct heartbeat *hb, bool everywhere)
{
	struct node *node = arg;
	uint8_t bytes[1400];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	struct frame *frame;

	codec_encode(&schema_heartbeat, hb, UINT64_MAX, &w);
	if (w.failed) {
		sim_fail(node->sim, "%s: a heartbeat does not fit", node->config.serial);
		return;
	}
	frame = frame_new(node, 0, bytes, wbuf_len(&w));
	maybe_freeze(node);
	if (node->is_frozen) {
		struct deferred *d = defer(node, DEFER_SEND);

		d->frame = frame;
		d->everywhere = everywhere;
		return;
	}
	check_tell(node, hb);
	sim_send(node, frame, everywhere);
	frame_unref(frame);
}

static void kernel_grant(struct node *node, mono_t deadline, uint64_t term)
{
	bool had = node_has_lease(node);

	node->lease = deadline;
	node->lease_term = term;
	if (node_has_lease(node) && (!had || term > node->last_term))
		check_grant(node, term);
}

static int do_grant(void *arg, mono_t deadline, mono_t valid_until, uint64_t term)
{
	struct node *node = arg;

	if (deadline.ns == MONO_NEVER.ns || !node_has_lease(node))
		sim_trace(node->sim, "%s grants itself %s of term %llu", node->config.serial,
			  deadline.ns == MONO_NEVER.ns ? "an unbounded lease" : "a lease",
			  (unsigned long long)term);
	maybe_freeze(node);
	if (node->is_frozen) {
		struct deferred *d = defer(node, DEFER_GRANT);
		mono_t then = node_clock_at(node, node->thaw_at);

		d->deadline = deadline;
		d->valid_until = valid_until;
		d->term = term;
		/* When it thaws is drawn already: so the verdict is known now. */
		return deadline.ns == MONO_NEVER.ns && mono_before(valid_until, then) ? -ETIME : 0;
	}
	if (deadline.ns == MONO_NEVER.ns && mono_before(valid_until, node_clock(node)))
		return -ETIME;
	kernel_grant(node, deadline, term);
	return 0;
}

static void do_revoke(void *arg, uint64_t term)
{
	struct node *node = arg;

	if (node_has_lease(node))
		sim_trace(node->sim, "%s falls silent (term %llu)", node->config.serial,
			  (unsigned long long)term);
	maybe_freeze(node);
	if (node->is_frozen) {
		defer(node, DEFER_REVOKE);
		return;
	}
	node->lease = MONO_ZERO;
}

static void start_probe(struct node *node, int64_t duration_ns)
{
	struct sim *sim = node->sim;

	node->probe_id = ++sim->next_incarnation;
	node->probe_done = false;
	node->probe_hit = sim_answers(sim, node);
	node->probe_blind = !node->is_data_up;
	sim_trace(sim, "%s probes%s", node->config.serial,
		  node->probe_hit ? ": answered" : node->probe_blind ? ": blind" : "");
	sim_post(sim, sim->now + (node->probe_hit ? US(300) : duration_ns), EVENT_PROBE, node->id,
		 node->probe_id, NULL);
}

static void do_probe(void *arg, int64_t duration_ns)
{
	struct node *node = arg;

	maybe_freeze(node);
	if (node->is_frozen)
		defer(node, DEFER_PROBE)->duration_ns = duration_ns;
	else
		start_probe(node, duration_ns);
}

static void do_probe_cancel(void *arg)
{
	struct node *node = arg;
	unsigned kept = 0;

	node->probe_id = 0;
	for (unsigned i = 0; i < node->deferred_count; i++)
		if (node->deferred[i].kind != DEFER_PROBE)
			node->deferred[kept++] = node->deferred[i];
	node->deferred_count = kept;
}

static void do_role(void *arg, enum member_state state, const char *primary, uint64_t term)
{
	struct node *node = arg;

	sim_trace(node->sim, "%s is in %s, primary '%s', term %llu", node->config.serial,
		  member_state_name(state), primary, (unsigned long long)term);
	if (term < node->last_term)
		sim_fail(node->sim, "I3: term of %s went back from %llu to %llu",
			 node->config.serial, (unsigned long long)node->last_term,
			 (unsigned long long)term);
	node->last_term = term;
	node->ready_id++;
	if (node->sync)
		node_sync_on_role(node);
	else if (state == MEMBER_STANDBY && primary[0])
		sim_post(node->sim, node->sim->now + rng_between(&node->rng, MS(5), MS(400)),
			 EVENT_READY, node->id, node->ready_id, NULL);
}

static void do_history(void *arg, const char *text)
{
	struct node *node = arg;

	sim_trace(node->sim, "%s: %s", node->config.serial, text);
}

static const struct cluster_ops ops = {
	do_send, do_grant, do_revoke, do_probe, do_probe_cancel, do_role, do_history,
};

/* What befell this node befell everybody who has to do with it. */
static void disturbed(struct node *node)
{
	node->calm_since = node->sim->now;
	node->sim->is_topology_stale = true;
}

void node_boot(struct node *node)
{
	struct sim *sim = node->sim;
	bool is_holding;

	if (node->is_running)
		return;
	node->is_powered = true;
	/* mute_open(): an unbounded lease is adopted, anything else starts muted. */
	is_holding = node->lease.ns == MONO_NEVER.ns;
	if (!is_holding)
		node->lease = MONO_ZERO;
	node->is_running = true;
	node->is_frozen = false;
	node->is_leaving = false;
	node->must_hear = false;
	node->run_since = node->boot_since = sim->now;
	if (is_holding && !node->is_data_up)
		node->split_at = sim->now;
	node->config.incarnation = ++sim->next_incarnation;
	node->last_term = 0;
	node->inbox_count = 0;
	node->deferred_count = 0;
	node->probe_id = 0;
	disturbed(node);
	sim_trace(sim, "%s boots%s", node->config.serial, is_holding ? ", holding" : "");
	cluster_init(&node->cluster, &node->config, &ops, node, node_clock(node), is_holding,
		     node->lease_term);
	node->last_term = node->cluster.term;
	cluster_on_failures(&node->cluster, node_clock(node), node->failures);
	cluster_on_links(&node->cluster, node_clock(node), node->is_data_up);
	node->timer_at = sim->now;
	if (node->sync)
		node_sync_boot(node);
}

static void forget_inputs(struct node *node)
{
	for (unsigned i = 0; i < node->inbox_count; i++)
		frame_unref(node->inbox[i]);
	for (unsigned i = 0; i < node->deferred_count; i++)
		if (node->deferred[i].frame)
			frame_unref(node->deferred[i].frame);
	node->inbox_count = 0;
	node->deferred_count = 0;
	node->probe_id = 0;
}

void node_kill(struct node *node, const char *why)
{
	if (!node->is_running)
		return;
	sim_trace(node->sim, "%s: daemon dies (%s)%s", node->config.serial, why,
		  node->lease.ns == MONO_NEVER.ns ? ", its kernel forwards on" : "");
	node->sim->takeovers += node->cluster.stats.takeovers;
	node->sim->stalls += node->cluster.stats.stalls;
	node->sim->resumes += node->cluster.stats.resumes;
	if (node->sync)
		node_sync_kill(node);
	forget_inputs(node);
	node->is_running = false;
	node->is_frozen = false;
	node->timer_at = INT64_MAX;
	disturbed(node);
}

void node_power_off(struct node *node)
{
	node_kill(node, "power off");
	sim_trace(node->sim, "%s has no power", node->config.serial);
	node->is_powered = false;
	node->lease = MONO_ZERO;
	if (node->sync)
		node_sync_power_off(node);
	disturbed(node);
}

void node_freeze(struct node *node, int64_t ns)
{
	if (!node->is_running || node->is_frozen)
		return;
	sim_trace(node->sim, "%s freezes for %.3f ms", node->config.serial, (double)ns / 1e6);
	node->is_frozen = true;
	node->had_lease = node_has_lease(node);
	node->frozen_at = node->sim->now;
	node->thaw_at = node->sim->now + ns;
	disturbed(node);
	sim_post(node->sim, node->thaw_at, EVENT_THAW, node->id, node->config.incarnation,
		 NULL);
}

static void take_frame(struct node *node, struct frame *frame)
{
	struct sim *sim = node->sim;
	struct rbuf r = rbuf_of(frame->bytes, frame->len);
	struct heartbeat hb;
	enum drop_reason why;

	if (frame->type) {
		if (node->sync)
			node_sync_on_frame(node, frame);
		return;
	}
	why = codec_decode(&schema_heartbeat, &r, &hb);
	if (why != DROP_NONE) {
		sim_fail(sim, "a heartbeat does not decode: %s", drop_text(why));
		return;
	}
	if (frame->sent_at >= node->hear_since)
		node->must_hear = false;
	cluster_on_heartbeat(&node->cluster, node_clock(node), sim->nodes[frame->from].config.serial,
			     frame->incarnation, &hb);
}

static void run_deferred(struct node *node)
{
	struct deferred list[SIM_DEFER];
	unsigned n = node->deferred_count;

	memcpy(list, node->deferred, sizeof(list));
	node->deferred_count = 0;
	for (unsigned i = 0; i < n; i++) {
		struct deferred *d = &list[i];

		switch (d->kind) {
		case DEFER_SEND:
			sim_send(node, d->frame, d->everywhere);
			frame_unref(d->frame);
			break;
		case DEFER_GRANT:
			/* The callee compares the clock with valid_until and takes it back. */
			if (d->deadline.ns != MONO_NEVER.ns ||
			    !mono_before(d->valid_until, node_clock(node)))
				kernel_grant(node, d->deadline, d->term);
			break;
		case DEFER_REVOKE:
			node->lease = MONO_ZERO;
			break;
		case DEFER_PROBE:
			start_probe(node, d->duration_ns);
			break;
		}
	}
}

void node_thaw(struct node *node)
{
	struct sim *sim = node->sim;

	sim_trace(sim, "%s thaws with %u frames waiting", node->config.serial, node->inbox_count);
	node->is_frozen = false;
	node->run_since = sim->now;
	disturbed(node);
	run_deferred(node);
	/* The news a primary had before a short freeze are good enough. */
	if (node->cluster.state == MEMBER_WORK && !node_has_lease(node) &&
	    (node->had_lease || sim->now - node->frozen_at > node->config.interval_ns *
							     node->config.threshold)) {
		node->must_hear = true;
		node->hear_since = sim->now;
	}
	if (node->failures != node->cluster.failures)
		cluster_on_failures(&node->cluster, node_clock(node), node->failures);
	cluster_on_links(&node->cluster, node_clock(node), node->is_data_up);
	if (node->sync)
		node_sync_thaw(node);
	/* All inputs before any timer, as the loop does. */
	for (unsigned i = 0; i < node->inbox_count; i++) {
		take_frame(node, node->inbox[i]);
		frame_unref(node->inbox[i]);
	}
	node->inbox_count = 0;
	if (node->probe_done) {
		node->probe_done = false;
		node_on_probe(node, node->probe_id);
	} else {
		node_step(node);
	}
}

void node_step(struct node *node)
{
	struct sim *sim = node->sim;
	mono_t now = node_clock(node);
	mono_t wake = cluster_step(&node->cluster, now);

	if (wake.ns <= now.ns)
		sim_fail(sim, "%s asks to be called in the past", node->config.serial);
	/* Timers are late, never early. */
	node->timer_at = wake.ns == MONO_NEVER.ns ? INT64_MAX :
			 node_true(node, wake) + rng_between(&node->rng, 0, US(100));
	if (node->is_leaving && !node->is_frozen &&
	    (sim->now >= node->stop_at ||
	     (node->cluster.state == MEMBER_STANDBY && node->cluster.primary[0])))
		node_kill(node, "stopped");
	else if (node->sync && node->sync->is_role_due)
		node_sync_step(node);
}

void node_on_frame(struct node *node, struct frame *frame)
{
	if (!node->is_running)
		return;
	if (node->is_frozen) {
		if (node->inbox_count < SIM_INBOX) {
			frame->refs++;
			node->inbox[node->inbox_count++] = frame;
		}
		return;
	}
	take_frame(node, frame);
	if (frame->type)
		node_sync_step(node);
	else
		node_step(node);
}

void node_on_probe(struct node *node, uint64_t id)
{
	enum probe_result result;

	if (!node->is_running || !node->probe_id || id != node->probe_id)
		return;
	node->probe_hit |= sim_answers(node->sim, node);
	if (node->is_frozen) {
		node->probe_done = true;
		return;
	}
	node->probe_id = 0;
	result = node->probe_hit ? PROBE_ANSWERED : node->probe_blind ? PROBE_BLIND : PROBE_SILENT;
	if (result == PROBE_SILENT)
		node->must_hear = false;
	cluster_on_probe(&node->cluster, node_clock(node), result, "a gateway");
	node_step(node);
}

void node_on_ready(struct node *node, uint64_t id)
{
	struct sim *sim = node->sim;
	bool is_near = false;

	if (!node->is_running || id != node->ready_id || node->cluster.state != MEMBER_STANDBY)
		return;
	for (unsigned i = 0; i < sim->count; i++) {
		const struct node *p = &sim->nodes[i];

		is_near |= strcmp(p->config.serial, node->cluster.primary) == 0 && p->is_running &&
			   !p->is_frozen && p->cluster.state == MEMBER_WORK &&
			   sim_dir_up(sim, i, node->id) && sim_dir_up(sim, node->id, i);
	}
	if (is_near && !node->is_frozen) {
		sim_trace(sim, "%s is equal to %s", node->config.serial, node->cluster.primary);
		cluster_on_ready(&node->cluster, node->cluster.term, true);
		node_step(node);
	} else {
		sim_post(sim, sim->now + MS(100), EVENT_READY, node->id, id, NULL);
	}
}

void node_shutdown(struct node *node)
{
	bool has_resigned;

	if (!node->is_running || node->is_frozen || node->is_leaving)
		return;
	sim_trace(node->sim, "%s is shut down", node->config.serial);
	disturbed(node);
	has_resigned = cluster_on_shutdown(&node->cluster, node_clock(node));
	if (!has_resigned) {
		node_kill(node, "stopped");
		return;
	}
	node->is_leaving = true;
	node->stop_at = node->sim->now + SEC(1);
}

void node_set_failures(struct node *node, unsigned failures)
{
	node->failures = failures;
	disturbed(node);
	sim_trace(node->sim, "%s has %u failed links", node->config.serial, failures);
	if (node->is_running && !node->is_frozen)
		cluster_on_failures(&node->cluster, node_clock(node), failures);
}

void node_set_data(struct node *node, bool is_up)
{
	if (node->is_data_up == is_up)
		return;
	node->is_data_up = is_up;
	node->data_since = node->sim->now;
	node->probe_blind = true; /* of one that runs */
	sim_trace(node->sim, "%s: data interface %s", node->config.serial, is_up ? "up" : "down");
	disturbed(node);
	/* A dead daemon's lease that comes back with its link takes nobody by surprise but us. */
	if (is_up && node_has_lease(node))
		node->split_at = node->sim->now;
	if (node->is_running && !node->is_frozen)
		cluster_on_links(&node->cluster, node_clock(node), is_up);
	node_set_failures(node, is_up ? 0 : 1);
}

void node_force(struct node *node, bool is_forced)
{
	if (!node->is_running || node->is_frozen)
		return;
	sim_trace(node->sim, "%s: failover %s", node->config.serial, is_forced ? "set" : "unset");
	disturbed(node);
	cluster_on_force(&node->cluster, is_forced);
}
