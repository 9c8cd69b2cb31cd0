/* sync_internal.h: what the files of the sync room share; nobody else includes it */
#ifndef FK_SYNC_SYNC_INTERNAL_H
#define FK_SYNC_SYNC_INTERNAL_H

#include "sync/pressure.h"
#include "sync/sync.h"

enum {
	/* Frames a member that catches up may have in flight (64 * 1.5 kB fits any socket buffer). */
	CATCH_UP_WINDOW = 64,
	/* Frames of one group flush or catch-up turn, so that a turn stays short. */
	FRAMES_PER_STEP = 64,
	/* Entries a sweep handles in one turn. */
	SWEEP_PER_STEP = 512,
	/* Samples of (version, time) for the age of what is not acknowledged. */
	AGE_SAMPLES = 1024,
	ACK_FRAMES = 8,
	/* Seconds for an adopted session without a connection; nf_conntrack_udp_timeout_stream is 120. */
	ADOPTED_S = 180,
};

#define KEEPALIVE_NS  SEC(1)  /* empty frame at rest */
#define TAIL_NS       MS(20)  /* empty frame while something is not acknowledged */
#define CLOSING_NS    MS(50) /* a closing state waits for the next one */
#define ACK_NS        MS(5)
#define ACK_REST_NS   MS(500)
#define ASK_NS        MS(20)  /* between two requests for the same gap */
#define WALK_PAUSE_NS MS(200) /* between two walks from 0, at first */
#define WALK_PAUSE_MAX_NS SEC(10)
#define PROGRESS_NS   MS(50)  /* catch-up without progress is sent again */
#define RETRY_NS      SEC(1)  /* what the kernel refused */
#define REDUMP_NS     SEC(10) /* between dumps while sessions may end silently, at least */
#define REDUMP_SHARE  20      /* and so many times the length of the last one */
#define SETTLE_NS     SEC(2)  /* after a disturbance deletes stay parked */
#define PARK_MAX_NS   SEC(10) /* however many disturbances follow */

/* A queue of key hashes with a due time; grows to the number of sessions at most. */
struct hashq_item {
	uint64_t hash;
	mono_t due;
	bool is_suspect; /* may be gone without having ended: ask the kernel first */
};
struct hashq {
	struct hashq_item *items;
	size_t head, count, size;
};

/* pace.c: of a member that catches up, what is on its way to it. */
struct pace_frame {
	uint64_t end; /* position that it reaches */
	mono_t at;
};
struct pace {
	unsigned window;       /* so many at once */
	unsigned arrived;      /* since the window grew */
	unsigned head, count;
	struct pace_frame sent[CATCH_UP_WINDOW];
	int64_t turnaround_ns; /* from a frame to its acknowledgement */
	unsigned in_vain;      /* times we waited for nothing, in a row */
};

struct sync_peer {
	char serial[17];
	bool is_used;
	bool is_joined;      /* takes the group stream */
	bool has_been_told;  /* something, since it was rewound */
	bool has_acked;      /* in this term */
	struct store_cursor cursor; /* while it catches up */
	uint64_t acked;
	uint64_t walk;
	struct pace pace;
	mono_t progress_at;
	mono_t rewound_at;
	uint64_t proven;
	mono_t proven_at, whole_at;
	uint64_t lacking;    /* sessions its kernel does not have, as it says */
	mono_t heard_at;
	uint64_t offer_run, offer_done; /* its list of offers, and how much of it we have taken */
	uint64_t offers;     /* of it, not taken yet, as it says */
	uint64_t owed;       /* sessions its kernel is still to get, as it says */
	bool is_merge_due;
	bool is_ranges_due;
	bool has_ranges;                /* its walk leaves out the others, up to range_head */
	uint8_t ranges[STORE_RANGES / 8];
	uint64_t asked_walk, range_walk, range_head;
	struct pressure_lag lag;
};

/* Of the walk we are in: what differs. */
struct ranges {
	enum { RANGES_ALL, RANGES_ASKED, RANGES_KNOWN } state;
	uint8_t heard;    /* frames of digests */
	uint64_t head;    /* of the primary when it told them */
	uint8_t wanted[STORE_RANGES / 8];
	unsigned in_vain; /* walks since we were last equal */
	mono_t asked_at;
};

/* Records of our last reign that the present primary may lack, until it has acknowledged all:
 * varint version, varint length, codec bytes each. */
struct offers {
	uint8_t *bytes;
	size_t len, size;
	size_t acked_at, said_at; /* offsets */
	uint64_t count, acked, said; /* records */
	uint64_t term, run;
	unsigned in_flight;
	mono_t progress_at;
};

struct sync {
	struct sync_config config;
	const struct sync_ops *ops;
	void *arg;
	struct store *store;

	enum sync_role role;
	char primary[17];
	uint64_t term;
	struct sync_stats stats;
	uint32_t stamp;           /* number of the walk, dump or sweep that marks entries */

	/* owner */
	struct closing *closing;
	struct pressure pressure;
	struct hashq fence;
	struct hashq renewals;    /* GRE that was alive at its last renewal */
	mono_t settled_at;        /* until then deletes are parked */
	bool is_dump_wanted, is_dumping;
	bool is_complete;         /* the kernel's table has been read since we are primary */
	bool knows_all;           /* the store was complete once: what it lacks has ended */
	bool has_adopted;         /* copies that wait for a timeout of their own */
	/* Sessions older than nf_conntrack_events = 1 end without an event (kernel-facts section 0):
	 * while there are any the table is read again now and then. */
	bool has_silent;
	mono_t dump_began, dump_next;
	uint64_t dump_head;       /* store head when the dump began */
	uint32_t dump_stamp;
	struct store_cursor sweep; /* timeouts after a takeover, copy bits after a demotion */
	bool is_sweeping;

	/* audit */
	struct {
		bool is_counting;
		mono_t began;
		struct sync_audit now, last;
	} audit;

	/* outbox */
	struct store_cursor group;
	struct sync_peer peers[LIMIT_PEERS];
	mono_t pending_since;     /* zero: nothing waits */
	mono_t said_at;
	struct { uint64_t version; mono_t at; } ages[AGE_SAMPLES];
	unsigned age_head, age_count;

	/* adopt */
	bool is_adopting;         /* our kernel is read before anything is asked for */
	mono_t adopt_until;

	/* inbox */
	uint64_t cursor, head_heard;
	bool is_synced;           /* the cursor belongs to this primary's stream */
	bool is_walking, has_walk_frame;
	bool is_led;              /* the last frame was for us alone: more of them follow */
	uint64_t walk;
	mono_t walk_asked_at, asked_at, acked_at;
	mono_t progress_at;       /* a frame was applied */
	int64_t walk_pause_ns;    /* doubles while walks do not make us equal */
	enum sync_want want;
	struct ranges ranges;
	unsigned frames_unacked;
	bool is_ack_due;
	bool is_proven;           /* stores are equal */
	bool is_ready;            /* and our kernel has had it all, as we have told */
	uint64_t proven;
	mono_t proven_at;
	uint64_t debt_heard;      /* what the primary has shed and not made good yet ... */
	mono_t debt_since;        /* ... since then */
	mono_t whole_at;          /* proven, and our kernel had all of it */

	/* merge */
	struct {
		bool is_used;        /* until we are proven equal to who came after */
		uint64_t term;       /* of versions above term_base */
		uint64_t old_term;   /* of versions above base up to there */
		uint64_t base, term_base;
	} reign;
	struct {
		char serial[17];
		uint64_t term, version; /* we had all of that primary's versions up to this one */
	} followed;
	struct offers offers;
	bool is_alone;           /* see sync_ops.on_alone */

	/* apply */
	struct store_cursor owed; /* nothing before it is owed to our kernel */
	size_t owed_count;
	struct hashq retry;      /* the kernel could not be asked */
	struct hashq refused;    /* it said no */
	uint64_t waiting;        /* entries in one of them */
	struct {
		bool is_full;    /* the kernel's table */
		mono_t next;     /* when some are tried again, */
		unsigned tries;  /* how many, */
		unsigned taken;  /* and how many of them it took */
	} full;
	unsigned in_flight;
};

void hashq_push(struct hashq *q, uint64_t hash, mono_t due, bool is_suspect);
const struct hashq_item *hashq_peek(const struct hashq *q);
void hashq_pop(struct hashq *q);
void hashq_clear(struct hashq *q);

/* fence.c */
void fence_doom(struct sync *s, mono_t now, struct store_entry *entry, bool is_suspect);
void fence_discard(struct sync *s);
void fence_step(struct sync *s, mono_t now, mono_t *wake);

/* owner.c */
void owner_on_seen(struct sync *s, mono_t now, const struct ct_seen *seen);
void owner_on_dump_done(struct sync *s, mono_t now);
void owner_dump(struct sync *s, mono_t now, mono_t *wake);
void owner_number(struct sync *s);
/* Stores and tells another state of a live entry. */
void owner_change(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct);
void owner_remove(struct sync *s, mono_t now, struct store_entry *entry);
void owner_step(struct sync *s, mono_t now, mono_t *wake);

/* young.c */
bool young_is(const struct store_entry *entry);
/* True: this session is kept back (store_put_young()). */
bool young_waits(const struct sync *s, const struct ct *ct, const struct store_entry *entry,
		 bool is_dump);
void young_discard(struct sync *s);
void young_on_dump_done(struct sync *s);
void young_step(struct sync *s, mono_t now, mono_t *wake);

/* shed.c */
/* True: left out under pressure. `flags`: the entry's, as they were before this event. */
bool shed_event(struct sync *s, mono_t now, const struct ct_seen *seen,
		const struct store_entry *entry, uint16_t flags);
/* Told as `ct`: is it still opening? */
void shed_note_opening(struct store_entry *entry, const struct ct *ct);
void shed_step(struct sync *s, mono_t now, mono_t *wake);
/* So many sessions at most differ from what is told, because their news was shed or refused. */
uint64_t shed_debt(const struct sync *s);
bool shed_table_is_full(const struct sync *s);

/* audit.c */
void audit_due(struct sync *s, mono_t now, mono_t *wake);
void audit_begin(struct sync *s, mono_t now);
void audit_done(struct sync *s, mono_t now);
/* Has this entry been as it is since before the dump? */
bool audit_is_old(const struct sync *s, const struct store_entry *entry);
void audit_copy(struct sync *s, mono_t now, const struct ct_seen *seen);

/* closing.c */
struct closing *closing_new(void);
void closing_free(struct closing *closing);
void closing_discard(struct sync *s);
/* Told as ended now, whatever the kernel keeps of it. */
bool closing_is_over(const struct sync *s, const struct ct *ct);
/* True: the new state `ct` of this live entry (as stored: `old`) is told later, or never. */
bool closing_waits(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *old,
		   const struct ct *ct);
/* It has ended: what waits is not the state of whoever uses the same ports next. */
void closing_forget(struct store_entry *entry);
void closing_step(struct sync *s, mono_t now, mono_t *wake);

/* outbox.c */
void outbox_begin(struct sync *s, mono_t now);
void outbox_mark(struct sync *s, mono_t now);
enum drop_reason outbox_on_ack(struct sync *s, mono_t now, const char *from,
			       const struct sync_ack *ack);
enum drop_reason outbox_on_want_ranges(struct sync *s, mono_t now, const char *from,
				       const struct sync_want_ranges *want, struct rbuf *set);
void outbox_step(struct sync *s, mono_t now, mono_t *wake);
uint64_t outbox_acked_by_all(const struct sync *s);
struct sync_peer *outbox_peer(struct sync *s, const char *serial);

/* pace.c */
void pace_begin(struct pace *p);
bool pace_has_room(const struct pace *p);
/* Nothing was lost lately. */
bool pace_is_full_speed(const struct pace *p);
void pace_on_sent(struct pace *p, mono_t now, uint64_t end);
void pace_on_acked(struct pace *p, mono_t now, uint64_t cursor);
/* What was sent is sent again. */
void pace_restart(struct pace *p);
void pace_on_lost(struct pace *p);
void pace_on_silence(struct pace *p);
int64_t pace_answer_ns(const struct pace *p);
int64_t pace_patience_ns(const struct pace *p);

/* inbox.c */
void inbox_begin(struct sync *s, mono_t now);
enum drop_reason inbox_on_data(struct sync *s, mono_t now, const struct sync_data *head,
			       struct rbuf *records);
void inbox_step(struct sync *s, mono_t now, mono_t *wake);

bool inbox_is_same_nat(const struct ct *a, const struct ct *b);

/* ranges.c */
bool ranges_has(const uint8_t *set, unsigned range);
void ranges_begin(struct sync *s, mono_t now);
enum sync_want ranges_want(struct sync *s, mono_t now);
bool ranges_is_walked(const struct sync *s, const struct store_entry *entry);
enum drop_reason ranges_on_digests(struct sync *s, const struct sync_ranges *head,
				   struct rbuf *digests);
bool ranges_say_want(struct sync *s);
void ranges_say(struct sync *s, struct sync_peer *p, uint64_t walk);
bool ranges_is_left_out(const struct sync_peer *p, const struct store_entry *entry);

/* merge.c, merge_offer.c */
void merge_begin_reign(struct sync *s);
void merge_raise_term(struct sync *s, uint64_t old_term);
void merge_note_followed(struct sync *s);
/* The walk replaces what we have of a session by what the primary has. */
void merge_contested(struct sync *s, const struct store_entry *entry);
/* The walk has ended without it. */
void merge_unconfirmed(struct sync *s, const struct store_entry *entry);
size_t merge_record_len(const struct offers *o, size_t at);
uint64_t merge_pending(const struct sync *s);
void merge_tell_alone(struct sync *s);
void merge_restart(struct sync *s, mono_t now);
void merge_clear(struct sync *s);
void merge_offer_step(struct sync *s, mono_t now, mono_t *wake);
void merge_own_step(struct sync *s, mono_t now, mono_t *wake);
void merge_ack_step(struct sync *s, mono_t now, mono_t *wake);
enum drop_reason merge_on_offer(struct sync *s, mono_t now, const char *from,
				const struct sync_offer *head, struct rbuf *records);
enum drop_reason merge_on_merged(struct sync *s, mono_t now, const char *from,
				 const struct sync_merged *merged);

/* take.c */
/* Everything of a frame beyond the cursor; stops at the first record that does not parse. */
enum drop_reason take_records(struct sync *s, mono_t now, uint64_t version, struct rbuf *records);

/* owed.c */
/* A record of the stream goes to our kernel: now, or after what waits. */
void owed_put(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct);
/* Its present state has gone there, or there is none any more. */
void owed_pay(struct sync *s, struct store_entry *entry);
/* True: the cluster room has just been told. */
bool owed_tell_ready(struct sync *s);
void owed_step(struct sync *s, mono_t now, mono_t *wake);

/* apply.c */
/* False: too many requests wait. */
bool apply_try(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct);
void apply_put(struct sync *s, mono_t now, struct store_entry *entry);
/* The same, when the record is at hand. */
void apply_put_ct(struct sync *s, mono_t now, struct store_entry *entry, const struct ct *ct);
void apply_delete(struct sync *s, const struct ct *key);
void apply_lost(struct sync *s, mono_t now, const struct ct_seen *seen);
void apply_touched(struct sync *s, mono_t now, const struct ct_seen *seen);
void apply_on_dump_done(struct sync *s, mono_t now);
void apply_on_verdict(struct sync *s, mono_t now, enum ct_op op, uint64_t cookie, int error);
void apply_forget(struct sync *s, mono_t now, struct store_entry *entry);
void apply_retry(struct sync *s, mono_t now, mono_t *wake);
/* Waits in a queue for the kernel, or no longer. */
void apply_wait(struct sync *s, struct store_entry *entry);
void apply_unwait(struct sync *s, struct store_entry *entry);
/* Its turn has come. */
void apply_again(struct sync *s, mono_t now, struct store_entry *entry);
void apply_step(struct sync *s, mono_t now, mono_t *wake);

/* adopt.c */
void adopt_begin(struct sync *s, mono_t now);
bool adopt_is_waited_for(struct sync *s, mono_t now);
void adopt_seen(struct sync *s, const struct ct_seen *seen);
void adopt_limit_timeout(struct ct *ct);
/* Is the copy we found (`old`, ENTRY_ADOPTED) as one of `ct` would be? */
bool adopt_is_copy_of(const struct sync *s, const struct ct *old, const struct ct *ct);

/* full.c */
void full_on_refused(struct sync *s, mono_t now);
void full_on_taken(struct sync *s);
void full_wait(struct sync *s, mono_t now, struct store_entry *entry);
void full_forget(struct sync *s);
struct store_entry *full_pop(struct sync *s, struct hashq *q);
void full_step(struct sync *s, mono_t now, mono_t *wake);

static inline void sync_wake(mono_t *wake, mono_t at)
{
	*wake = mono_min(*wake, at);
}

#endif
