/* view.h: what an operator can see of the daemon, as plain structs that main.c fills
 *
 * A view is a snapshot: main.c copies into it whatever the rooms know (the heartbeat thread's part
 * under its own rules), the show functions only print it. Nothing here points into a room. Times
 * that an operator reads as a date are seconds since the epoch; the rest are lengths in
 * milliseconds. A value that is not known is -1, never a made-up zero.
 */
#ifndef FK_CONTROL_VIEW_H
#define FK_CONTROL_VIEW_H

#include "base/addr.h"
#include "base/drop.h"
#include "cluster/member.h"
#include "config/config.h"
#include "schema.h"
#include "wire/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* Something an operator must not miss: name for --json, text for people. */
#define HA_WARNINGS(X)                                                                             \
	X(NO_SECRET, "no_secret",                                                                  \
	  "no password is set: members believe whatever is on the segment")                        \
	X(UNKNOWN_GATEWAY, "unknown_gateway",                                                      \
	  "a gateway that we cannot hear answers for the virtual addresses")                       \
	X(BLIND, "blind", "no interface with virtual addresses is up: not taking over")            \
	X(STRANGER, "stranger",                                                                    \
	  "frames of our group that we cannot authenticate (other password?)")                     \
	X(VMAC_TABLE, "vmac_table", "a member's config system interface differs from ours")        \
	X(SERIAL_CLASH, "serial_clash", "another member uses our serial") /* twin.text */          \
	X(NFT_MUTE, "nft_mute", "muting by nftables: BPF is not available here")                   \
	X(FORCED, "forced", "kept secondary by execute ha failover set")                           \
	X(STALLED, "stalled", "the lease has run out: muted, asking the other members")            \
	X(HBDEV_DOWN, "hbdev_down", "a heartbeat link is down")

enum ha_warning {
#define X(id, name, text) HA_WARN_##id,
	HA_WARNINGS(X)
#undef X
		HA_WARN_COUNT
};

struct ha_link_view {
	char name[17];
	bool is_up;
	int32_t speed_mbps; /* -1: not known */
	uint64_t rx_bytes, rx_packets, rx_dropped, rx_errors;
	uint64_t tx_bytes, tx_packets, tx_dropped, tx_errors;
};

struct ha_usage_view { /* percent */
	uint8_t cpu_user, cpu_nice, cpu_system, cpu_idle, memory;
};

struct ha_member_view {
	char serial[17];
	char hostname[36];
	enum member_state state;
	bool is_local;
	bool is_living;
	bool has_other_table; /* its config system interface differs from ours */
	bool in_sync; /* proven equal with the primary of its term (the primary itself: true) */
	uint8_t priority;
	bool override;
	uint64_t age_ms;   /* HA uptime */
	uint32_t failures; /* monitored links that are down */
	uint64_t sessions;
	int64_t heard_ms; /* since the last heartbeat; 0 for ourselves */
	int64_t lost_s;   /* when it was declared dead, epoch; -1: it lives */
	bool has_usage;
	struct ha_usage_view usage;
	/* Link states and counters; only our own are known. */
	unsigned hbdev_count, mondev_count;
	struct ha_link_view hbdev[CONFIG_HBDEV_MAX];
	struct ha_link_view mondev[CONFIG_MONITOR_MAX];
};

enum { HA_EVENT_TEXT = 200, HA_SELECTED_MAX = 4 };

struct ha_event {
	int64_t when_s;           /* epoch */
	char text[HA_EVENT_TEXT]; /* "SN1 is selected as the primary because ..." */
};

/* Another living member with our serial, with HA_WARN_SERIAL_CLASH. */
struct ha_twin_view {
	char hostname[36]; /* "" when it does not say */
	uint64_t incarnation;
	struct mac mac;    /* source of its frames, and where they are heard */
	char port[17];
	char text[360]; /* both names and what to do */
};

struct ha_view {
	enum ha_mode mode;
	char group_name[33];
	uint16_t group_id;
	enum member_state state; /* ours */
	char primary[17];        /* serial; empty while none is known */
	uint64_t uptime_ms;      /* since the daemon joined the cluster */
	int64_t changed_s;       /* last change of our state, epoch; -1: never */
	bool pickup, pickup_connectionless, pickup_delay, override;
	unsigned pickup_delay_s;
	bool is_forced; /* execute ha failover set */
	bool is_warning[HA_WARN_COUNT];
	char answered_by[64]; /* who answered the probe, with HA_WARN_UNKNOWN_GATEWAY */
	struct ha_twin_view twin;
	uint64_t term;
	bool is_lease_unbounded;
	int64_t lease_ms;         /* left of a bounded lease; -1: no lease */
	const char *mute_backend; /* "bpf", "nft" or "none"; a constant */
	uint64_t takeovers, stalls, resumes, resigns, probes, probes_answered;
	uint64_t hb_sent, hb_heard;
	uint64_t hb_bytes; /* both ways */
	uint64_t announced; /* gratuitous ARP and neighbour advertisements sent */
	unsigned neighbours; /* known from the primary */
	uint64_t neighbours_refused;
	struct drop_counts hb_drops, sync_drops;
	unsigned selected_count; /* newest first */
	struct ha_event selected[HA_SELECTED_MAX];
	unsigned member_count; /* ourselves first */
	struct ha_member_view members[LIMIT_MEMBERS];
};

struct sync_counts {
	uint64_t created, create_failed, updated, update_failed, deleted, delete_failed, query;
};

struct sync_member_view {
	char serial[17];
	uint64_t cursor; /* it has every change up to here */
	bool is_ready;   /* proven equal, and its kernel has it all */
	uint64_t waiting; /* sessions its kernel is still to get */
	bool is_walking; /* being told everything from the beginning */
	uint64_t lacking; /* sessions that its kernel does not have */
	int64_t ack_ms;  /* since its last acknowledgement; -1: none yet */
};

struct named_count {
	const char *name; /* a constant */
	uint64_t count;
};

enum { SYNC_FILTER_MAX = 16 };

/* Frames refused, by what was wrong; drops.h has the reasons one by one. */
#define SYNC_REFUSALS(X)                                                                           \
	X(MALFORMED, "malformed") X(TYPE, "bad_type") X(VERSION, "bad_version")                    \
	X(VALUE, "bad_value") X(STATE, "bad_state") X(AUTH, "bad_auth") X(STALE, "stale")          \
	X(MEMORY, "no_memory")

enum sync_refusal {
#define X(id, name) SYNC_REFUSED_##id,
	SYNC_REFUSALS(X)
#undef X
		SYNC_REFUSED_COUNT
};

/* What the members say to one another, beside the records. */
struct sync_talk_view {
	/* Session sync on its links. */
	uint64_t frames_sent, bytes_sent, frames_received, bytes_received;
	uint64_t no_link, send_errors, receive_dropped;
	uint64_t at_once, on_timer; /* frames to all: changes; digests at rest */
	uint64_t asks_sent, asks_heard, asks_ignored;
	uint64_t acks_sent, acks_failed, acks_heard, acks_refused;
	uint64_t walks_served, bulk_frames_sent, bulk_records_sent;
	uint64_t walks_taken, bulk_frames_heard, bulk_records_heard;
	uint64_t lost;              /* gaps in what came */
	uint64_t refused[SYNC_REFUSED_COUNT];
	uint64_t links_silent;      /* a living member was not heard any more on one of its links */
	uint64_t probes, probes_answered, probes_blind;
};

/* What the owner leaves out when it cannot do everything (sync/pressure.h). */
struct sync_pressure_view {
	const char *level; /* "none", "refreshes" or "new": what is shed now; a constant */
	unsigned socket_percent;
	uint64_t late_ms;  /* the slowest member's acknowledgements */
	bool is_table_full;
	uint64_t owed;     /* about so many sessions' news shed, refused or lost, not made good */
	uint64_t shed_refreshes, shed_new, table_full; /* so far */
	uint64_t dumps;    /* that made good */
};

struct sync_view {
	bool is_started, tcp, others, expectation, redir, nat, standalone;
	uint64_t head;      /* newest version of the primary's table */
	uint64_t stored;    /* sessions in our store */
	uint64_t young, died_young; /* kept back by session-pickup-delay; of those: ended */
	int64_t differing;  /* sessions that differ now; -1: not known */
	int64_t unacked_ms; /* age of the oldest change that a member has not acknowledged; 0: none
			     */
	int64_t proven_ms;  /* since equality of the stores was last proven; -1: not yet */
	uint64_t waiting;   /* sessions that our kernel is still to get from our store */
	struct sync_pressure_view pressure;
	struct sync_counts store;  /* our own sessions; create_failed: table full */
	struct sync_counts copies; /* of the primary's, in our kernel */
	uint64_t copies_retried, copies_cleared;
	struct sync_talk_view talk;
	struct sync_counts sent, received;
	uint64_t frames_sent, frames_received, alloc_failed, receive_errors, size_errors;
	unsigned paths; /* links that carry session sync */
	unsigned mtu;
	unsigned member_count;
	struct sync_member_view members[LIMIT_MEMBERS];
	unsigned filter_count; /* why sessions were not told */
	struct named_count filter[SYNC_FILTER_MAX];
	uint64_t events, events_own, events_unparsed, overruns;      /* capture */
	uint64_t created, updated, deleted, timeouts, inject_failed; /* inject */
	uint64_t gaps, resends, walks, ranges, put_back, dumps;      /* repair */
	uint64_t deletes_parked, deletes_discarded;
	uint64_t offered, merged, merge_kept;                        /* after a split */
	int64_t kernel_ms; /* since this kernel's table was compared with the store; -1: not yet */
	uint64_t kernel_seen, kernel_lacks, kernel_more, kernel_differs; /* what was found then */
	uint64_t kernel_checks, kernel_repairs;
	bool is_kernel_full;     /* sessions cannot be copied, because there are nf_conntrack_max */
	uint64_t kernel_max;
	uint64_t lacking;        /* not in the kernel of a member; part of differing */
	uint64_t refused_full;   /* creates refused because the table was full */
};

/* One session of `get system session list` and `diagnose sys session list`. */
struct session_row {
	struct ct ct;
	bool is_copy;                  /* this kernel does not forward it (yet) */
	bool is_synced;                /* every living member has it */
	uint32_t expire_s;             /* of a copy: the owner's timeout, not the hold */
	bool has_counters;             /* nf_conntrack_acct */
	uint64_t bytes[2], packets[2]; /* original, reply */
};

#endif
