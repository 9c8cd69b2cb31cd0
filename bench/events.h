/* events.h: conntrack events as a kernel sent them, for as many sessions as one likes
 *
 * A recording is the netlink messages, one after the other, that gen's first sessions raised in a
 * gateway. The events of one of them are the models; event_of() writes another session's address
 * and port over a model's, so every event is laid out as the kernel does. events_load() proves with
 * the other sessions of the recording that this gives what the kernel says of them.
 */
#ifndef FK_BENCH_EVENTS_H
#define FK_BENCH_EVENTS_H

#include "ct/ct.h"

#include <libmnl/libmnl.h>

enum { EVENT_BYTES = 1024, EVENTS_MAX = 16 };

/* Which part of a session's life an event belongs to. */
enum phase { PHASE_OPEN, PHASE_CLOSE, PHASE_GONE };

struct event {
	enum phase phase;
	union {
		struct nlmsghdr nlh;
		uint8_t bytes[EVENT_BYTES];
	} msg;
	/* Where the client's address and port are: in the original and in the reply tuple. */
	size_t addr_at[2], port_at[2];
};

struct events {
	struct event list[EVENTS_MAX];
	unsigned count;
	unsigned proven; /* messages of other sessions that were found equal */
	bool is_brief;   /* no NEW was raised: level established */
};

/* Listens in this network namespace until so many of gen's sessions have ended. */
int events_record(const char *path, unsigned sessions);
int events_load(const char *path, struct events *ret_events);
/* This event of session n, until the next call. */
const struct nlmsghdr *event_of(struct event *event, uint32_t n);

#endif
