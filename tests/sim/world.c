/* world.c: virtual time, the queue of events, paths and frames, probes, the lease in the kernel */
#include "node_sync.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

mono_t node_clock_at(const struct node *node, int64_t t)
{
	return (mono_t){ t + node->offset_ns + t / 1000000 * node->ppm +
			 t % 1000000 * node->ppm / 1000000 };
}

mono_t node_clock(const struct node *node)
{
	return node_clock_at(node, node->sim->now);
}

int64_t node_true(const struct node *node, mono_t local)
{
	int64_t t;

	if (local.ns == MONO_NEVER.ns)
		return INT64_MAX;
	t = local.ns - node->offset_ns;
	return t - (int64_t)((double)t * node->ppm / (1000000 + node->ppm)) + 2;
}

bool node_has_lease(const struct node *node)
{
	/* Nobody's packets reach a gateway without power; those of a dead daemon's gateway neither
	 * once its data interface is down. */
	return node->is_powered && mono_before(node_clock(node), node->lease) &&
	       (node->is_running || node->is_data_up);
}

void sim_trace(struct sim *sim, const char *fmt, ...)
{
	char *line = sim->trace[sim->trace_count++ % SIM_TRACE];
	int n = snprintf(line, sizeof(sim->trace[0]), "%10.6f ", (double)sim->now / 1e9);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(sim->trace[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	if (sim->is_verbose)
		printf("# %s\n", line);
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	if (sim->has_failed)
		return;
	sim->has_failed = true;
	va_start(ap, fmt);
	vsnprintf(sim->failure, sizeof(sim->failure), fmt, ap);
	va_end(ap);
}

static bool is_earlier(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

void sim_post(struct sim *sim, int64_t at, enum event_kind kind, unsigned node, uint64_t id,
	      struct frame *frame)
{
	struct event e = { at, sim->seq++, kind, node, id, frame };
	size_t i;

	if (sim->heap_count == sim->heap_size) {
		sim->heap_size = sim->heap_size ? 2 * sim->heap_size : 256;
		sim->heap = realloc(sim->heap, sim->heap_size * sizeof(*sim->heap));
		if (!sim->heap)
			abort();
	}
	for (i = sim->heap_count++; i && is_earlier(&e, &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		sim->heap[i] = sim->heap[(i - 1) / 2];
	sim->heap[i] = e;
}

static struct event take_first(struct sim *sim)
{
	struct event first = sim->heap[0];
	struct event last = sim->heap[--sim->heap_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= sim->heap_count)
			break;
		if (child + 1 < sim->heap_count &&
		    is_earlier(&sim->heap[child + 1], &sim->heap[child]))
			child++;
		if (is_earlier(&last, &sim->heap[child]))
			break;
		sim->heap[i] = sim->heap[child];
		i = child;
	}
	if (sim->heap_count)
		sim->heap[i] = last;
	return first;
}

struct frame *frame_new(const struct node *from, uint8_t type, const void *bytes, size_t len)
{
	struct frame *frame = malloc(sizeof(*frame) + len);

	if (!frame)
		abort();
	frame->refs = 1;
	frame->from = from->id;
	frame->incarnation = from->config.incarnation;
	frame->sent_at = from->sim->now;
	frame->type = type;
	frame->len = len;
	memcpy(frame->bytes, bytes, len);
	return frame;
}

void frame_unref(struct frame *frame)
{
	if (--frame->refs == 0)
		free(frame);
}

bool sim_dir_up(const struct sim *sim, unsigned from, unsigned to)
{
	if (!sim->nodes[from].is_powered || !sim->nodes[to].is_powered)
		return false;
	for (unsigned p = 0; p < SIM_PATHS; p++)
		if (sim->paths[from][to][p].is_up &&
		    (p != SIM_DATA ||
		     (sim->nodes[from].is_data_up && sim->nodes[to].is_data_up)))
			return true;
	return false;
}

static bool data_up(const struct sim *sim, unsigned from, unsigned to)
{
	return sim->paths[from][to][SIM_DATA].is_up && sim->nodes[from].is_powered &&
	       sim->nodes[to].is_powered && sim->nodes[from].is_data_up &&
	       sim->nodes[to].is_data_up;
}

bool sim_answers(const struct sim *sim, const struct node *node)
{
	for (unsigned i = 0; i < sim->count; i++)
		if (i != node->id && node_has_lease(&sim->nodes[i]) && data_up(sim, node->id, i) &&
		    data_up(sim, i, node->id))
			return true;
	return false;
}

void sim_set_paths(struct sim *sim, unsigned from, unsigned to, bool is_up)
{
	for (unsigned p = 0; p < SIM_PATHS; p++)
		sim->paths[from][to][p].is_up = is_up;
	sim->is_topology_stale = true;
}

/* True when the frame was lost or could not be sent. */
static bool send_on(struct node *from, unsigned to, unsigned p, struct frame *frame)
{
	struct sim *sim = from->sim;
	struct path *path = &sim->paths[from->id][to][p];
	unsigned copies = 1 + rng_chance(&sim->rng, path->dup);

	if (!path->is_up || (p == SIM_DATA && !data_up(sim, from->id, to)))
		return true;
	if (rng_chance(&sim->rng, path->loss))
		return true;
	while (copies--) {
		int64_t delay = path->delay_ns + rng_between(&sim->rng, 0, path->jitter_ns);

		if (rng_chance(&sim->rng, path->spike))
			delay += rng_between(&sim->rng, 0, from->config.interval_ns);
		frame->refs++;
		sim_post(sim, sim->now + delay, EVENT_FRAME, to, p, frame);
	}
	return false;
}

unsigned sim_outage(const struct node *node)
{
	return node->config.threshold > 3 ? node->config.threshold - 2 : 1;
}

void sim_send(struct node *from, struct frame *frame, bool everywhere)
{
	struct sim *sim = from->sim;

	for (unsigned to = 0; to < sim->count; to++) {
		unsigned *lost = &sim->lost_in_row[from->id][to];
		bool is_lost = true;
		unsigned before = *lost;

		if (to == from->id)
			continue;
		if (frame->type && (from->is_sync_cut || sim->nodes[to].is_sync_cut))
			continue;
		for (unsigned p = 0; p < SIM_PATHS; p++) {
			if (p == SIM_DATA && !everywhere)
				continue;
			is_lost &= send_on(from, to, p, frame);
			/* The sync plane uses one link that works. */
			if (frame->type && sim->paths[from->id][to][p].is_up)
				break;
		}
		if (frame->type)
			continue;
		/* A row of losses that brings detection near is an outage like a cut. */
		*lost = is_lost ? *lost + 1 : 0;
		if (*lost == sim_outage(from) || (!*lost && before))
			sim->is_topology_stale = true;
	}
}

struct sim *sim_new(uint64_t seed, unsigned count, bool is_verbose)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		abort();
	sim->seed = seed;
	sim->rng.state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	sim->count = count;
	sim->is_verbose = is_verbose;
	sim->next_incarnation = 1;
	sim->max_sessions = 1000;
	sim->is_topology_stale = true;
	for (unsigned i = 0; i < count; i++) {
		struct node *n = &sim->nodes[i];

		n->sim = sim;
		n->id = i;
		n->rng.state = rng_next(&sim->rng);
		n->is_data_up = true;
		n->timer_at = INT64_MAX;
		n->split_at = -SEC(1000);
		/* Up to a day apart; 200 ppm is more than any crystal. */
		n->offset_ns = rng_between(&sim->rng, 0, SEC(86400));
		n->ppm = (int)rng_between(&sim->rng, -200, 200);
		snprintf(n->config.serial, sizeof(n->config.serial), "FK%c", 'A' + (char)i);
		n->config.interval_ns = MS(100);
		n->config.threshold = 6;
		n->config.holddown_ns = SEC(3);
		n->config.margin_ns = SEC(300);
		n->config.probe_ns = MS(3);
		n->config.priority = 128;
		for (unsigned to = 0; to < count; to++)
			for (unsigned p = 0; p < SIM_PATHS; p++)
				sim->paths[i][to][p] =
					(struct path){ true, 0, 0, 0, US(50), US(100) };
	}
	return sim;
}

void sim_free(struct sim *sim)
{
	for (unsigned i = 0; i < sim->count; i++)
		if (sim->nodes[i].is_running)
			node_kill(&sim->nodes[i], "end of the run");
	for (unsigned i = 0; i < sim->count; i++)
		node_sync_close(&sim->nodes[i]);
	for (size_t i = 0; i < sim->heap_count; i++)
		if (sim->heap[i].frame)
			frame_unref(sim->heap[i].frame);
	free(sim->heap);
	free(sim);
}

static void dispatch(struct sim *sim, struct event *e)
{
	struct node *node = &sim->nodes[e->node];

	switch (e->kind) {
	case EVENT_FRAME:
		node_on_frame(node, e->frame);
		frame_unref(e->frame);
		break;
	case EVENT_PROBE:
		node_on_probe(node, e->id);
		break;
	case EVENT_THAW:
		if (node->is_frozen && e->id == node->config.incarnation)
			node_thaw(node);
		break;
	case EVENT_READY:
		node_on_ready(node, e->id);
		break;
	case EVENT_KERNEL:
		node_sync_on_kernel(node, e->id);
		break;
	case EVENT_DUMP:
		node_sync_on_dump(node, e->id);
		break;
	case EVENT_CLAIM:
		node_sync_on_claim(node, e->id);
		break;
	case EVENT_TRAFFIC:
		sim_traffic(sim);
		break;
	case EVENT_FAULT:
		fault_random(sim);
		break;
	}
}

bool sim_run(struct sim *sim, int64_t until)
{
	while (!sim->has_failed) {
		int64_t at = sim->heap_count ? sim->heap[0].at : INT64_MAX;
		struct node *timer = NULL;
		bool is_sync = false;

		for (unsigned i = 0; i < sim->count; i++) {
			struct node *n = &sim->nodes[i];

			if (!n->is_running || n->is_frozen)
				continue;
			if (n->timer_at < at) {
				at = n->timer_at;
				timer = n;
				is_sync = false;
			}
			if (n->sync && n->sync->timer_at < at) {
				at = n->sync->timer_at;
				timer = n;
				is_sync = true;
			}
		}
		if (at > until) {
			sim->now = until;
			break;
		}
		if (at > sim->now)
			sim->now = at;
		if (timer && is_sync) {
			node_sync_step(timer);
		} else if (timer) {
			node_step(timer);
		} else {
			struct event e = take_first(sim);

			dispatch(sim, &e);
		}
		sim->events++;
		check_event(sim);
	}
	return !sim->has_failed;
}

bool sim_run_for(struct sim *sim, int64_t ns)
{
	return sim_run(sim, sim->now + ns);
}
