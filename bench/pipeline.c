/* pipeline.c: what one daemon can do on one core, without a generator and a wire in its way
 *
 *   pipeline record FILE SESSIONS       this gateway's events of gen's next sessions (events.h)
 *   pipeline owner FILE COUNT RATE      recorded events in, sealed frames out
 *   pipeline secondary FILE COUNT RATE  those frames in, entries in a real kernel out
 *   pipeline fanout FILE COUNT RATE     the owner's work when 1, 3 or 15 members acknowledge
 *
 * One thread; RATE new sessions in a second of the time that is played (play.h). Figures are CPU
 * time of the thread, user and system. Sessions of `closed` close after a second and their entries
 * end a second later. The kernel is that of a fresh network namespace, gone with the process; its
 * count must be right at the end. nf_conntrack_max is for all namespaces: bench/run.py raises it.
 *
 * Not in the figures: recvmmsg() of events and frames, send() of frames, sleeping and waking.
 * One JSON line is printed.
 */
#include "play.h"

#include "ct/ct_msg.h"
#include "ct/ct_table.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A network namespace of its own each time. The kernel makes the event of a new entry as soon as
 * anybody in any namespace listens to new ones (netlink_has_listeners() asks for the protocol).
 * Where the owner is on another host nobody does: there a create costs about what it costs with
 * events off. */
static void begin_kernel(bool has_events)
{
	FILE *file;

	if (unshare(CLONE_NEWNET))
		die("a network namespace", errno);
	if (ct_table_sysctls())
		die("nf_conntrack_events", EPERM);
	if (has_events)
		return;
	file = fopen("/proc/sys/net/netfilter/nf_conntrack_events", "w");
	if (!file || fputs("0", file) < 0 || fclose(file))
		die("nf_conntrack_events", errno);
}

/* ---- stages alone -------------------------------------------------------------------- */

static void feed_parser(void *arg, const struct nlmsghdr *nlh)
{
	struct ct_seen seen;

	must(ct_parse(nlh, false, 1, &seen) == 0, "parse");
	*(uint64_t *)arg += seen.ct.has;
}

static double parse_alone(const struct load *load)
{
	struct cost begun = cost_read();
	uint64_t sum = 0;

	for (unsigned step = WARM; step <= last_step(load); step++)
		feed(load, step, feed_parser, &sum);
	must(sum > 0, "parse");
	return cost_since(begun, load->count).ns;
}

/* The frames of the load as they are on the tape, opened by one who follows, or sealed again. */
static double seal_alone(const struct load *load, const struct tape *tape, bool is_opening)
{
	uint8_t frame[LIMIT_FRAME_BYTES];
	struct seal *seal = member_seal(is_opening ? 1 : 0);
	struct cost begun = cost_read();
	double ns;

	for (size_t i = 0; i < tape->count; i++) {
		const struct tape_item *item = &tape->items[i];
		struct frame_head head;
		struct rbuf payload;

		if (item->step < WARM)
			continue;
		memcpy(frame, tape->bytes + item->at, item->len);
		if (is_opening)
			must(seal_open(seal, frame, item->len, &head, &payload) == DROP_NONE,
			     "open");
		else
			seal_close(seal, FRAME_SYNC_DATA, frame, item->len - SEAL_OVERHEAD);
	}
	ns = cost_since(begun, load->count).ns;
	seal_free(seal);
	return ns;
}

/* ---- the three figures --------------------------------------------------------------- */

static const char *name_of(bool is_closing)
{
	return is_closing ? "closed" : "opened";
}

static void owner(struct load *load)
{
	for (int closing = 0; closing < 2; closing++) {
		struct rehearsal r;
		struct cost cost;

		load->is_closing = closing;
		rehearse(load, 1, &r);
		cost = play_owner(load, 1, &r);
		printf("%s\"%s\": {\"ns\": %.0f, \"per_s\": %.0f, \"ns_parse\": %.0f, "
		       "\"ns_seal\": %.0f, \"bytes\": %.1f, \"frames\": %.3f}",
		       closing ? ", " : "", name_of(closing), cost.ns, 1e9 / cost.ns,
		       parse_alone(load), seal_alone(load, &r.data, false),
		       (double)r.link_bytes / load->count, (double)r.data.count / load->count);
		rehearsal_fini(&r);
	}
}

static void secondary(struct load *load)
{
	for (int closing = 0; closing < 2; closing++) {
		struct rehearsal r;
		struct cost cost;
		double room;

		load->is_closing = closing;
		rehearse(load, 1, &r);
		room = play_secondary(load, &r, false).ns;
		begin_kernel(true);
		cost = play_secondary(load, &r, true);
		printf("%s\"%s\": {\"ns\": %.0f, \"per_s\": %.0f, \"ns_system\": %.0f, "
		       "\"ns_open\": %.0f, \"ns_without_kernel\": %.0f, \"entries\": %ld",
		       closing ? ", " : "", name_of(closing), cost.ns, 1e9 / cost.ns,
		       cost.system_ns, seal_alone(load, &r.data, true), room, (long)ct_count());
		if (!closing) {
			begin_kernel(false);
			cost = play_secondary(load, &r, true);
			printf(", \"ns_unheard\": %.0f, \"per_s_unheard\": %.0f", cost.ns,
			       1e9 / cost.ns);
		}
		putchar('}');
		rehearsal_fini(&r);
	}
}

/* Turns about, and the least of some: others use the machine too. */
static void fanout(struct load *load)
{
	static const unsigned groups[] = {1, 3, LIMIT_PEERS};
	struct rehearsal r[3];
	double ns[3] = {0};

	for (unsigned i = 0; i < 3; i++)
		rehearse(load, groups[i], &r[i]);
	for (unsigned turn = 0; turn < 15; turn++) {
		unsigned i = turn % 3;
		double took = play_owner(load, groups[i], &r[i]).ns;

		if (turn < 3 || took < ns[i])
			ns[i] = took;
	}
	for (unsigned i = 0; i < 3; i++) {
		printf("\"ns_%u\": %.0f, \"acks_%u\": %.3f, ", groups[i], ns[i], groups[i],
		       (double)r[i].acks.count / load->count);
		rehearsal_fini(&r[i]);
	}
	printf("\"ratio\": %.3f", ns[2] / ns[0]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		void (*fn)(struct load *load);
	} modes[] = {{"owner", owner}, {"secondary", secondary}, {"fanout", fanout}};
	struct events events;
	struct load load = {.events = &events};
	int error;

	if (argc == 4 && strcmp(argv[1], "record") == 0) {
		error = events_record(argv[2], (unsigned)atoi(argv[3]));
		if (error)
			die("recording", -error);
		return 0;
	}
	if (argc == 5) {
		load.count = (uint32_t)strtoul(argv[3], NULL, 0);
		load.rate = (uint32_t)strtoul(argv[4], NULL, 0);
	}
	for (unsigned i = 0; load.count && load.rate && i < 3; i++) {
		if (strcmp(argv[1], modes[i].word) != 0)
			continue;
		error = events_load(argv[2], &events);
		if (error)
			die(argv[2], -error);
		printf("{\"sessions\": %u, \"rate\": %u, \"proven_events\": %u, ", load.count,
		       load.rate, events.proven);
		modes[i].fn(&load);
		printf("}\n");
		return 0;
	}
	fputs("pipeline: see the head of pipeline.c\n", stderr);
	return 2;
}
