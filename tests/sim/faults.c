/* faults.c: what may befall a node or a path, and the random run made of it */
#include "node_sync.h"

#include <stdlib.h>

static void cut_random_direction(struct sim *sim, struct node *a)
{
	unsigned b = (a->id + 1 + (unsigned)rng_below(&sim->rng, sim->count - 1)) % sim->count;

	sim_trace(sim, "cut: %s -> %s", a->config.serial, sim->nodes[b].config.serial);
	sim_set_paths(sim, a->id, b, false);
}

static void cut_random_path(struct sim *sim, struct node *a)
{
	unsigned b = (a->id + 1 + (unsigned)rng_below(&sim->rng, sim->count - 1)) % sim->count;
	/* Without the data path a probe is blind: that would be a second fault. */
	unsigned p = (unsigned)rng_below(&sim->rng, sim->is_single_fault ? SIM_DATA : SIM_PATHS);

	sim_trace(sim, "cut: %s -> %s path %u", a->config.serial, sim->nodes[b].config.serial, p);
	sim->paths[a->id][b][p].is_up = false;
	sim->is_topology_stale = true;
}

static void cut_random_pair(struct sim *sim, struct node *a)
{
	unsigned b = (a->id + 1 + (unsigned)rng_below(&sim->rng, sim->count - 1)) % sim->count;

	sim_trace(sim, "cut: %s - %s", a->config.serial, sim->nodes[b].config.serial);
	sim_set_paths(sim, a->id, b, false);
	sim_set_paths(sim, b, a->id, false);
}

static void partition(struct sim *sim, struct node *node)
{
	unsigned side = (unsigned)rng_below(&sim->rng, 1u << sim->count);

	(void)node;
	sim_trace(sim, "partition: 0x%x", side);
	for (unsigned a = 0; a < sim->count; a++)
		for (unsigned b = 0; b < sim->count; b++)
			if (a != b && ((side >> a ^ side >> b) & 1))
				sim_set_paths(sim, a, b, false);
}

static void cut_heartbeat_links(struct sim *sim, struct node *node)
{
	sim_trace(sim, "%s: heartbeat links cut", node->config.serial);
	for (unsigned b = 0; b < sim->count; b++)
		for (unsigned p = 0; p < SIM_DATA && b != node->id; p++)
			sim->paths[node->id][b][p].is_up = sim->paths[b][node->id][p].is_up = false;
	sim->is_topology_stale = true;
}

static void heal(struct sim *sim, struct node *node)
{
	(void)node;
	sim_trace(sim, "all paths heal");
	for (unsigned a = 0; a < sim->count; a++) {
		for (unsigned b = 0; b < sim->count; b++)
			if (a != b)
				sim_set_paths(sim, a, b, true);
		node_set_data(&sim->nodes[a], true);
	}
}

static void kill_daemon(struct sim *sim, struct node *node)
{
	(void)sim;
	node_kill(node, "killed");
}

static void boot(struct sim *sim, struct node *node)
{
	(void)sim;
	node_boot(node);
}

static void power_off(struct sim *sim, struct node *node)
{
	(void)sim;
	if (node->is_powered)
		node_power_off(node);
}

static void freeze(struct sim *sim, struct node *node)
{
	static const int64_t most[] = { MS(20), MS(300), SEC(1), SEC(8) };

	node_freeze(node, rng_between(&sim->rng, MS(1), most[rng_below(&sim->rng, 4)]));
}

static void fail_links(struct sim *sim, struct node *node)
{
	node_set_failures(node, (unsigned)rng_below(&sim->rng, 3));
}

static void flip_data(struct sim *sim, struct node *node)
{
	(void)sim;
	node_set_data(node, !node->is_data_up);
}

static void force(struct sim *sim, struct node *node)
{
	node_force(node, rng_chance(&sim->rng, 500));
}

static void shut_down(struct sim *sim, struct node *node)
{
	(void)sim;
	node_shutdown(node);
}

static void reset_uptime(struct sim *sim, struct node *node)
{
	if (!node->is_running || node->is_frozen)
		return;
	sim_trace(sim, "%s: uptime reset", node->config.serial);
	cluster_on_reset_uptime(&node->cluster, node_clock(node));
	node->calm_since = sim->now;
}

static void boot_all(struct sim *sim, struct node *node)
{
	(void)node;
	for (unsigned i = 0; i < sim->count; i++)
		node_boot(&sim->nodes[i]);
}

static void calm(struct sim *sim, struct node *node)
{
	sim_trace(sim, "calm");
	heal(sim, node);
	boot_all(sim, node);
}

static const struct fault {
	void (*strike)(struct sim *sim, struct node *node);
	unsigned weight;
	bool is_cut; /* not in runs of single faults */
} faults[] = {
	{ kill_daemon, 12, false },     { boot, 20, false },
	{ power_off, 6, false },        { freeze, 20, false },
	{ cut_random_direction, 8, true }, { cut_random_path, 6, false },
	{ cut_random_pair, 6, true },   { partition, 5, true },
	{ cut_heartbeat_links, 4, true }, { heal, 10, false },
	{ boot_all, 5, false },         { fail_links, 6, false },
	{ flip_data, 4, true },         { force, 5, false },
	{ shut_down, 5, false },        { reset_uptime, 3, false },
	{ calm, 6, false },
};

void fault_random(struct sim *sim)
{
	unsigned total = 0;
	unsigned pick;

	if (sim->now >= sim->faults_until)
		return;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		total += faults[i].weight;
	pick = (unsigned)rng_below(&sim->rng, total);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (pick < faults[i].weight) {
			if (!faults[i].is_cut || !sim->is_single_fault)
				faults[i].strike(sim,
						 &sim->nodes[rng_below(&sim->rng, sim->count)]);
			break;
		}
		pick -= faults[i].weight;
	}
	sim_post(sim, sim->now + rng_between(&sim->rng, 0, 2 * sim->fault_mean_ns), EVENT_FAULT, 0,
		 0, NULL);
}

void fault_heal_all(struct sim *sim)
{
	heal(sim, &sim->nodes[0]);
	for (unsigned i = 0; i < sim->count; i++) {
		struct node *n = &sim->nodes[i];

		n->op_freeze = 0;
		n->is_leaving = false;
		if (n->is_running && n->is_frozen)
			node_thaw(n);
		node_boot(n);
		node_set_failures(n, 0);
		node_force(n, false);
		for (unsigned b = 0; b < sim->count; b++)
			for (unsigned p = 0; p < SIM_PATHS; p++)
				sim->paths[i][b][p].loss = 0;
	}
}

static void draw_world(struct sim *sim)
{
	static const int64_t intervals[] = { MS(20), MS(50), MS(100), MS(200) };
	static const int64_t means[] = { MS(50), MS(300), SEC(1), SEC(3), SEC(10) };
	bool is_single = rng_chance(&sim->rng, 250);
	int64_t interval = intervals[rng_below(&sim->rng, 4)];
	unsigned threshold = (unsigned)rng_between(&sim->rng, 3, 8);
	unsigned loss = !is_single && rng_chance(&sim->rng, 500) ?
			(unsigned)rng_below(&sim->rng, 200) : 0;
	unsigned op_freeze = rng_chance(&sim->rng, 300) ? 2 : 0;
	unsigned spike = rng_chance(&sim->rng, 300) ? 30 : 0;
	int64_t margin = rng_chance(&sim->rng, 700) ? SEC(300) : SEC(2);
	bool has_probe = is_single || !rng_chance(&sim->rng, 100);

	sim->fault_mean_ns = means[rng_below(&sim->rng, 5)];
	for (unsigned i = 0; i < sim->count; i++) {
		struct node *n = &sim->nodes[i];

		n->config.interval_ns = interval;
		n->config.threshold = threshold;
		n->config.holddown_ns = SEC(1);
		n->config.probe_ns = has_probe ? MS(3) : 0;
		n->config.priority = (uint8_t)rng_between(&sim->rng, 126, 128);
		n->config.is_override = rng_chance(&sim->rng, 150);
		n->config.margin_ns = margin;
		n->op_freeze = op_freeze;
		n->freeze_max_ns = rng_chance(&sim->rng, 500) ? SEC(3) : MS(50);
		for (unsigned b = 0; b < sim->count; b++)
			for (unsigned p = 0; p < SIM_PATHS; p++) {
				struct path *path = &sim->paths[i][b][p];

				path->loss = loss ? (unsigned)rng_below(&sim->rng, loss) : 0;
				path->dup = rng_chance(&sim->rng, 300) ? 50 : 0;
				path->spike = spike;
				path->jitter_ns = rng_between(&sim->rng, US(20), interval / 8);
			}
	}
	sim->is_single_fault = is_single;
	sim->slack_ns = 4 * interval + MS(25);
	sim->patience_ns = SEC(4) + 8 * interval * threshold;
}

static void draw_traffic(struct sim *sim)
{
	static const int64_t means[] = { MS(3), MS(10), MS(50), MS(400) };

	if (!rng_chance(&sim->rng, 700))
		return;
	sim->traffic_mean_ns = means[rng_below(&sim->rng, 4)];
	sim->press = sim->seed % 3 == 0 ? 30 : 0; /* not drawn: the other seeds tell what they told */
	for (unsigned i = 0; i < sim->count; i++) {
		struct node *n = &sim->nodes[i];

		node_sync_open(n);
		n->sync->busy = rng_chance(&sim->rng, 300) ? 50 : 0;
		n->sync->kernel.refusal = rng_chance(&sim->rng, 300) ? 50 : 0;
	}
}

bool random_run(uint64_t seed, int64_t seconds, bool is_verbose, struct sim **ret_sim)
{
	struct rng rng = { seed };
	struct sim *sim = sim_new(seed, 2 + (unsigned)rng_below(&rng, SIM_NODES - 1), is_verbose);
	bool ok;

	draw_world(sim);
	draw_traffic(sim);
	sim->faults_until = SEC(seconds);
	for (unsigned i = 0; i < sim->count; i++)
		if (rng_chance(&sim->rng, 800))
			node_boot(&sim->nodes[i]);
	sim_post(sim, SEC(2), EVENT_FAULT, 0, 0, NULL);
	if (sim->traffic_mean_ns)
		sim_post(sim, SEC(1), EVENT_TRAFFIC, 0, 0, NULL);
	ok = sim_run(sim, SEC(seconds));
	if (ok) {
		fault_heal_all(sim);
		ok = sim_run_for(sim, 2 * sim->patience_ns + SEC(1));
	}
	if (ok && sim->traffic_mean_ns) {
		check_equal(sim);
		ok = !sim->has_failed;
	}
	*ret_sim = sim;
	return ok;
}
