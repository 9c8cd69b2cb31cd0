/* play.c: plays a load to members of a group; see play.h */
#include "play.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void die(const char *what, int error)
{
	fprintf(stderr, "pipeline: %s: %s\n", what, strerror(error));
	exit(1);
}

void must(bool is_true, const char *what)
{
	if (!is_true)
		die(what, EPROTO);
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct cost cost_read(void)
{
	struct timespec ts;
	struct rusage usage;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	getrusage(RUSAGE_THREAD, &usage);
	return (struct cost){(double)ts.tv_sec * 1e9 + (double)ts.tv_nsec,
			     seconds_of(usage.ru_stime) * 1e9};
}

struct cost cost_since(struct cost begun, uint32_t sessions)
{
	struct cost now = cost_read();

	return (struct cost){(now.ns - begun.ns) / sessions,
			     (now.system_ns - begun.system_ns) / sessions};
}

/* ---- the load ------------------------------------------------------------------------ */

static mono_t time_of(unsigned step)
{
	return mono_add((mono_t){SEC(1000)}, MS((int64_t)step));
}

unsigned last_step(const struct load *load)
{
	return WARM + (unsigned)((uint64_t)load->count * 1000 / load->rate) + 1 +
	       (load->is_closing ? LIFE + GONE : 0) + TAIL;
}

/* Sessions that begin before the end of that step of the load. */
static uint32_t begun_at(const struct load *load, int64_t step)
{
	int64_t begun = step < 0 ? 0 : (step + 1) * load->rate / 1000;

	return begun < load->count ? (uint32_t)begun : load->count;
}

void feed(const struct load *load, unsigned step, feed_fn *fn, void *arg)
{
	static const int64_t delay[] = {0, LIFE, LIFE + GONE};

	for (unsigned k = 0; k < load->events->count; k++) {
		struct event *event = &load->events->list[k];
		int64_t at = (int64_t)step - WARM - delay[event->phase];
		uint32_t end = begun_at(load, at);

		if (event->phase != PHASE_OPEN && !load->is_closing)
			continue;
		for (uint32_t n = begun_at(load, at - 1); n < end; n++)
			fn(arg, event_of(event, n));
	}
}

static void feed_owner(void *arg, const struct nlmsghdr *nlh)
{
	member_see(arg, nlh);
}

/* ---- turns --------------------------------------------------------------------------- */

/* Acknowledgements of the step before, each in a turn of its own, as if it came alone. */
static void owner_turn(struct member *owner, const struct load *load, const struct tape *acks,
		       size_t *next, unsigned step)
{
	member_at(owner, time_of(step), step);
	for (; *next < acks->count && acks->items[*next].step < step; ++*next) {
		member_hear(owner, acks, &acks->items[*next]);
		member_step(owner);
	}
	feed(load, step, feed_owner, owner);
	member_step(owner);
}

static void secondary_turn(struct member *m, const struct tape *data, size_t *next, unsigned step)
{
	member_at(m, time_of(step), step);
	for (; *next < data->count && data->items[*next].step <= step; ++*next)
		member_hear(m, data, &data->items[*next]);
	member_step(m);
}

/* ---- all of them together ------------------------------------------------------------ */

void rehearse(const struct load *load, unsigned peers, struct rehearsal *r)
{
	struct member *members[MEMBERS_MAX], *owner;
	size_t acks_next = 0, data_next[MEMBERS_MAX] = {0};

	memset(r, 0, sizeof(*r));
	for (unsigned i = 0; i <= peers; i++) {
		members[i] = member_new(i, peers + 1, load->events->is_brief, time_of(0));
		members[i]->said = i ? &r->acks : &r->data;
	}
	owner = members[0];
	for (unsigned step = 1; step <= last_step(load); step++) {
		owner_turn(owner, load, &r->acks, &acks_next, step);
		for (unsigned i = 1; i <= peers; i++)
			secondary_turn(members[i], &r->data, &data_next[i], step);
		for (unsigned i = 1; step == WARM && i <= peers; i++)
			must(members[i]->is_ready, "a member is not proven equal before the load");
		if (step == WARM)
			r->link_bytes = -(r->data.len + r->acks.len +
					  ETHERNET_BYTES * (r->data.count + r->acks.count));
	}
	r->link_bytes +=
		r->data.len + r->acks.len + ETHERNET_BYTES * (r->data.count + r->acks.count);
	r->frames = owner->frames;
	r->bytes = owner->bytes;
	r->tags = owner->tags;
	r->end = member_state(owner);
	must(r->end.sessions == (load->is_closing ? 0 : load->count), "sessions of the owner");
	for (unsigned i = 0; i <= peers; i++) {
		struct sync_state end = member_state(members[i]);

		must(end.digest == r->end.digest && end.sessions == r->end.sessions &&
			     end.unacknowledged == 0 && members[i]->refused == 0 &&
			     end.stats.inject_failed == 0 && end.stats.gaps == 0,
		     "the members differ");
		member_free(members[i]);
	}
}

void rehearsal_fini(struct rehearsal *r)
{
	tape_fini(&r->data);
	tape_fini(&r->acks);
}

/* ---- one of them alone --------------------------------------------------------------- */

struct cost play_owner(const struct load *load, unsigned peers, const struct rehearsal *r)
{
	struct member *owner = member_new(0, peers + 1, load->events->is_brief, time_of(0));
	struct cost cost = {0};
	size_t next = 0;

	for (unsigned step = 1; step <= last_step(load); step++) {
		if (step == WARM)
			cost = cost_read();
		owner_turn(owner, load, &r->acks, &next, step);
	}
	cost = cost_since(cost, load->count);
	must(owner->frames == r->frames && owner->bytes == r->bytes && owner->tags == r->tags,
	     "alone the owner says something else");
	member_free(owner);
	return cost;
}

/* Until the kernel has answered everything; what it refused for lack of room is asked again. */
static void play_secondary_end(struct member *m, struct loop *loop, unsigned step)
{
	for (unsigned end = step + 5000; step < end && member_state(m).differing; step++) {
		member_at(m, time_of(step), step);
		member_step(m);
		loop_turn(loop, 0);
	}
}

struct cost play_secondary(const struct load *load, const struct rehearsal *r, bool is_real)
{
	struct member *m = member_new(1, 2, load->events->is_brief, time_of(0));
	struct loop *loop = loop_new();
	struct cost cost = {0};
	struct ct_capture *capture = NULL;
	struct sync_state end;
	size_t next = 0;
	int error = 0;

	if (is_real)
		error = ct_inject_open(loop, MEMBER_COPY_BIT, member_on_verdict, m, &m->inject);
	/* It listens as a secondary does, so the kernel tells the ends of what we delete. */
	if (is_real && !error)
		error = ct_capture_open(loop, MEMBER_COPY_BIT, member_on_event, member_on_overrun,
					m, &capture);
	if (is_real && !error) {
		ct_capture_ignore(capture, ct_inject_portid(m->inject));
		error = ct_capture_hear_new(capture, false);
	}
	if (error)
		die("no way into the kernel", -error);
	for (unsigned step = 1; step <= last_step(load); step++) {
		if (step == WARM)
			cost = cost_read();
		secondary_turn(m, &r->data, &next, step);
		if (is_real)
			loop_turn(loop, 0);
	}
	play_secondary_end(m, loop, last_step(load));
	cost = cost_since(cost, load->count);
	end = member_state(m);
	must(end.digest == r->end.digest && end.sessions == r->end.sessions && m->refused == 0,
	     "the secondary differs");
	must(end.stats.inject_failed == 0 && end.stats.inject_created == load->count,
	     "the kernel refused sessions (nf_conntrack_max?)");
	if (is_real)
		must(ct_count() == (int64_t)end.sessions, "the kernel's count");
	ct_capture_close(capture);
	ct_inject_close(m->inject);
	m->inject = NULL;
	loop_free(loop);
	member_free(m);
	return cost;
}
