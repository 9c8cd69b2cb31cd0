/* sync.h: keeping the members' tables equal: the owner's side and the secondary's side
 *
 * owner      (primary) what the kernel tells goes into the store under rising versions; deletes
 *            wait behind the fence; the outbox says it to everybody.
 * secondary  the inbox takes what the primary says into the store, in order, and the apply room puts
 *            it into the kernel at once as copies.
 *
 * Both sides use one store, which changes hands at a takeover: the new primary keeps every
 * record and continues above the highest version. This room does no I/O: the kernel and the wire
 * are behind struct sync_ops, time is an argument, so the simulator runs it whole.
 *
 * Stream. The primary says its store in version order. A sync_data frame tells `prev`, the position
 * before its first record; who has everything up to there may apply it. A secondary that sees
 * a gap asks for what follows its cursor; one that is new, or whose count and digest differ at a
 * head, asks for the walk from cursor 0 under a new walk number, and drops at its end whatever the
 * walk did not confirm. Live changes and the walk are the same path. Members that catch up get
 * frames of their own (`to`) until they have reached the group's position. A member that knows part
 * of the table walks only through the ranges of it that differ (ranges.c).
 *
 * A frame: u16 length of the records, the records, the sync_data head. Each record:
 *     varint (version - version before it), u8 op (0 put, 1 delete), varint length, codec bytes,
 *     or op 2: delete, and the 8 bytes of the key's hash where all members hash alike.
 * A head with count and digest says that the frame ends at the primary's newest version.
 *
 * After a split (merge.c) the former primary of the other island offers what it alone knows.
 */
#ifndef FK_SYNC_SYNC_H
#define FK_SYNC_SYNC_H

#include "base/drop.h"
#include "ct/ct.h"
#include "record/store.h"
#include "schema.h"
#include "sync/pressure.h"
#include "wire/limits.h"

enum sync_role { SYNC_IDLE, SYNC_SECONDARY, SYNC_PRIMARY };
/* Message types; the same numbers as enum frame_type of wire/seal.h. */
enum {
	SYNC_TYPE_DATA = 16, SYNC_TYPE_ACK = 17, SYNC_TYPE_OFFER = 19, SYNC_TYPE_MERGED = 20,
	SYNC_TYPE_RANGES = 21, SYNC_TYPE_WANT_RANGES = 22,
};
/* What a record of the stream says. */
enum { SYNC_OP_PUT, SYNC_OP_DELETE, SYNC_OP_DELETE_HASH };
enum sync_want { SYNC_WANT_NOTHING, SYNC_WANT_NEXT, SYNC_WANT_ALL, SYNC_WANT_RANGES };

struct sync_ops {
	/* Room for one message's payload, NULL when the link cannot take it now; then
	 * frame_end() sends it as `type`. Nothing else happens between the two. */
	struct wbuf *(*frame_begin)(void *arg);
	void (*frame_end)(void *arg, uint8_t type);
	/* Kernel requests of the secondary's side; -EAGAIN: too many wait, try after a verdict. */
	int (*kernel_put)(void *arg, enum ct_op op, const struct ct *ct, uint64_t cookie);
	int (*kernel_delete)(void *arg, const struct ct *key, uint64_t cookie);
	int (*kernel_timeout)(void *arg, const struct ct *key, uint32_t seconds, uint64_t cookie);
	/* Makes a session with a fixed timeout anew (ct_inject_renew()): two verdicts. */
	int (*kernel_renew)(void *arg, const struct ct *ct, uint32_t seconds, uint64_t cookie);
	/* Is this key in our kernel? 1, 0 or negative errno; for deletes that were parked. */
	int (*kernel_has)(void *arg, const struct ct *key);
	/* Removes a session of the gateway itself that nobody ever answered, if it holds the translated
	 * tuple of `ct`: an answer came here before the copy did, and was taken for a beginning. */
	bool (*kernel_clear)(void *arg, const struct ct *ct);
	/* Does this session deserve to travel? (filter room) */
	bool (*wants)(void *arg, const struct ct *ct);
	/* Wants one dump of the kernel table through sync_on_seen(), then sync_on_dump_done(). */
	void (*start_dump)(void *arg);
	/* Primary, and some session of the group may be unknown here: nobody else is heard, or what
	 * an island served is not merged yet. Nobody's packets are to be answered with a reset. */
	void (*on_alone)(void *arg, bool is_alone);
	/* News for the cluster room: proven equal with the primary of `term`, and our kernel was given
	 * all of it; or no longer. */
	void (*on_ready)(void *arg, uint64_t term, bool is_ready);
	/* News for the operator: our kernel's table is full, so copies are missing, or has room again. */
	void (*on_full)(void *arg, bool is_full);
};

struct sync_config {
	char serial[17];
	bool is_enabled;         /* session-pickup; off: nothing is told or taken, always ready */
	bool sees_all;           /* no masks: every session begins with a NEW event, so an update of
				  * one that is not in the store is of one that was refused */
	bool is_brief;           /* level established: ends are said briefly, closing.c */
	bool has_group_hash;     /* keys.hash is the same on all members: deletes name it */
	size_t max_sessions;
	struct store_keys keys;
	int64_t fence_ns;        /* how long a delete waits, 20 ms */
	int64_t delay_ns;        /* session-pickup-delay; 0: TCP is told at once */
};

struct sync_stats {
	/* The owner's store; refused: table_full. */
	uint64_t store_created, store_updated, store_deleted;
	uint64_t created_sent, updated_sent, deleted_sent; /* on the group stream */
	uint64_t created_heard, updated_heard, deleted_heard;
	uint64_t inject_created, inject_updated, inject_deleted, inject_failed, inject_retried;
	uint64_t inject_update_failed, inject_delete_failed; /* of inject_failed */
	uint64_t inject_cleared; /* entries in the way of a copy */
	uint64_t frames_at_once, frames_on_timer; /* to all: changes; digests at rest */
	uint64_t acks_sent, acks_failed, acks_heard, acks_refused;
	uint64_t asks_sent, asks_heard, asks_ignored; /* for a gap, a walk, digests */
	/* Frames to one member that catches up. */
	uint64_t bulk_frames_sent, bulk_records_sent, bulk_frames_heard, bulk_records_heard;
	uint64_t adopted;        /* copies found in the kernel at start */
	uint64_t refused_full;   /* creates refused because the kernel's table was full */
	uint64_t frames_sent, frames_heard, resends, walks_served, walks_taken, gaps;
	uint64_t died_young;     /* kept back by session-pickup-delay, and never told */
	uint64_t closing_waited; /* states of closing connections that another one followed */
	uint64_t filtered, unchanged, deletes_parked, deletes_discarded, put_back, table_full;
	uint64_t digest_mismatches, dumps;
	uint64_t ranges_differing; /* ranges walked through instead of the whole table */
	uint64_t audits, audit_lacks, audit_more, audit_differs; /* sync_audit, summed up */
	uint64_t offered;    /* sessions of our reign told to the primary after a split */
	uint64_t merged;     /* sessions of another reign taken */
	uint64_t merge_kept; /* offered, but ours was the higher order */
	struct drop_counts drops;
};

/* One reading of the kernel's table, compared with the store. */
struct sync_audit {
	uint64_t seen;
	uint64_t lacks;   /* the store has it, the kernel has not */
	uint64_t more;    /* the kernel has it, the store has not */
	uint64_t differs; /* both have it, and not alike */
	mono_t at;        /* when it was complete; zero: never in this role */
};

struct sync_peer_state {
	char serial[17];
	uint64_t cursor;       /* acknowledged */
	uint64_t proven;       /* head at which it proved equality, 0: not in this term */
	mono_t proven_at;
	mono_t heard_at;
	uint64_t lacking;      /* sessions its kernel does not have */
	bool is_joined;        /* takes the group stream */
	uint64_t owed;         /* sessions its kernel is still to get */
};

struct sync_state {
	enum sync_role role;
	uint64_t term;
	uint64_t head;
	uint64_t cursor;            /* secondary: everything up to here is stored */
	size_t sessions, tombs, young, store_bytes;
	uint64_t digest;
	uint64_t unacknowledged;    /* changes not acknowledged by every peer */
	int64_t oldest_unacked_ns;  /* age of the oldest of them; 0: none */
	mono_t proven_at;           /* when equality was last proven; zero: never in this term */
	uint64_t differing;         /* known now: unacknowledged, not in a copy's kernel, or debt */
	uint64_t debt;              /* about so many, because news was shed, refused or lost */
	struct pressure pressure;   /* of a primary */
	bool is_table_full;
	uint64_t lacking;           /* of these: not in the kernel of the member that lacks most */
	bool is_kernel_full;        /* that is why */
	unsigned in_flight;         /* kernel requests */
	size_t owed;                /* sessions in the store that our kernel is still to get */
	struct sync_audit audit;    /* the last one */
	struct sync_peer_state peers[LIMIT_PEERS];
	unsigned peer_count;
	struct sync_stats stats;
};

struct sync;

struct sync *sync_new(const struct sync_config *config, const struct sync_ops *ops, void *arg,
		      mono_t now);
void sync_free(struct sync *sync);
/* session-pickup switched; off empties the store (copies are deleted from the kernel). */
void sync_set_enabled(struct sync *sync, mono_t now, bool is_enabled);
/* set event-mask switched (sync_config.sees_all). */
void sync_set_sees_all(struct sync *sync, bool sees_all);
/* set session-pickup-delay changed (sync_config.delay_ns); what is kept back follows. */
void sync_set_delay(struct sync *sync, int64_t delay_ns);
/* set session-sync-level switched (sync_config.is_brief). */
void sync_set_brief(struct sync *sync, bool is_brief);

/* The cluster room: our role, the primary (maybe ourselves) and its term. */
void sync_on_role(struct sync *sync, mono_t now, enum sync_role role, const char *primary,
		  uint64_t term);
/* Which members live (their cursors count) now. */
void sync_on_members(struct sync *sync, mono_t now, const char (*serials)[17], unsigned count);

/* Kernel news (capture or dump). */
void sync_on_seen(struct sync *sync, mono_t now, const struct ct_seen *seen);
void sync_on_dump_done(struct sync *sync, mono_t now, int error);
/* The socket of kernel news is so full (pressure.h): tells the owner what to leave out. */
void sync_on_fill(struct sync *sync, unsigned percent);
/* Events were lost: repair by one dump. */
void sync_on_overrun(struct sync *sync, mono_t now);
/* Compares the kernel's table with the store as soon as possible. */
void sync_check_kernel(struct sync *sync);
void sync_on_verdict(struct sync *sync, mono_t now, enum ct_op op, uint64_t cookie, int error);
/* A monitored link went down or an address went away: deletes are parked, then checked. */
void sync_on_disturbance(struct sync *sync, mono_t now);

/* One authentic message of the sync plane. */
enum drop_reason sync_on_message(struct sync *sync, mono_t now, const char *from, uint8_t type,
				 struct rbuf *payload);

/* Says what is due; returns when to be called again. */
mono_t sync_step(struct sync *sync, mono_t now);

struct store *sync_store(struct sync *sync);
/* Every living member has all versions up to this one; 0 while there is none. */
uint64_t sync_known_by_all(const struct sync *sync);
void sync_describe(const struct sync *sync, mono_t now, struct sync_state *ret_state);

#endif
