/* cluster.h: who is primary, and until when it may forward (pure: no I/O, no clock, no allocation)
 *
 * The state machine behind the heartbeats. It is handed heartbeats that were authenticated
 * (wire/seal.h), news of links, of the sync room and of probes, and the time; it answers through
 * struct cluster_ops. The simulator runs dozens of them in virtual time; the daemon runs one on
 * its heartbeat thread (cluster/runtime.c).
 *
 *                     a living primary is heard
 *        HELLO ───────────────────────────────────────────► STANDBY
 *          │ ▲                                               │    ▲
 *  alone/  │ │ higher term exists,                 primary   │    │ resigned, or lost a
 *  best,   │ │ stalled and replaced                silent or │    │ duel with a better
 *  probe   │ │                                     resigned, │    │ primary
 *  silent  ▼ │                                     probe     ▼    │
 *        WORK ◄──────────────────────────────────────────── (takeover)
 *
 * The lease (DESIGN section 5). Detection time D = interval * threshold. A primary counts the
 * secondaries that follow it and are proven equal. Its lease ends D after the oldest of its own send
 * times that counted members have echoed; a counted member that is not heard at all is dropped
 * from the count one interval before that end; a member that is heard but whose echo stands still
 * is not: then the lease runs out and we fall silent, because that member is about to take over.
 * With nobody counted the lease is unbounded, and heartbeats say so.
 *
 * A secondary takes over when the primary has been silent for D, no living member still hears it, the
 * lease is known to have run out (it counted us, or a living member that says so), it is the best of
 * the living, and a probe of the virtual addresses stays unanswered. Without that knowledge
 * the probe alone guards (boot, unbounded lease); while it is answered we stay muted, raise an alarm
 * and keep probing. A probe is blind while no interface with virtual addresses is up: nothing could
 * be asked, so its silence proves nothing, and nobody could be served either. Who is blind takes no
 * role and says so in its heartbeats: others pass it over, and the primary does not count it. It
 * keeps probing. A link that has just come up may not carry yet: it asks twice.
 *
 * A primary that finds its lease run out has stalled: it stays muted and asks. Everybody who was
 * counted and is heard again still follows it: it resumes. A higher term exists: hello, age 0.
 * Where a one-way cut keeps it asking, those who hear it leave it after a few detection times.
 *
 * Cuts need not be the same for everybody. Who does not hear the primary, but hears somebody who
 * does, stays a follower; who must wait for nobody but is told of a living member that it cannot
 * hear, and whose serial is higher, waits three intervals for it; of two primaries of one term that
 * share a follower the higher serial stays. A member that was frozen listens anew: what waited in
 * its sockets is old.
 *
 * A twin is another living member with our serial: an error that both tell (ALARM_SERIAL_CLASH), and
 * neither counts the other. It is one once it has echoed this life of ours, which recordings of
 * our own earlier lives cannot. Kept of it is what names it, and whether it forwards: while it
 * is heard, who forwards stays, who does not takes no role beside it, and where that decides
 * nothing the higher incarnation goes on. It never gives us a role, only keeps us from one.
 */
#ifndef FK_CLUSTER_CLUSTER_H
#define FK_CLUSTER_CLUSTER_H

#include "base/addr.h"
#include "base/drop.h"
#include "cluster/member.h"

struct cluster_config {
	char serial[17];
	char hostname[36];
	uint64_t incarnation;
	int64_t interval_ns;
	unsigned threshold;
	int64_t holddown_ns;
	int64_t margin_ns;
	int64_t probe_ns; /* 0: no probes */
	uint8_t priority;
	bool is_override;
	uint64_t vmac_table;
};

enum cluster_alarm {
	ALARM_UNKNOWN_GATEWAY, /* a probe is answered: somebody we cannot hear forwards as us */
	ALARM_STRANGER,        /* frames of our group that we cannot authenticate */
	ALARM_VMAC_TABLE,      /* a member's interface table differs from ours */
	ALARM_SERIAL_CLASH,    /* a twin: another member uses our serial */
	ALARM_BLIND,           /* the last probe was: no interface with virtual addresses is up */
	ALARM_COUNT
};

/* The twin, meaningful while ALARM_SERIAL_CLASH is up; of several the one with the best claim. */
struct twin {
	uint64_t incarnation;
	char hostname[36];   /* "" when it does not say */
	struct mac mac;      /* source of its newest frame ... */
	char port[17];       /* ... and where that was heard */
	unsigned claim;      /* to the role: cluster_twin.c */
	uint64_t send_us;
	mono_t rx;
	char told[36];       /* hostname that was told last ... */
	mono_t told_at;      /* ... and when */
};

struct cluster_ops {
	/* Sends on every heartbeat link, and on data interfaces too when `everywhere`. */
	void (*send)(void *arg, const struct heartbeat *hb, bool everywhere);
	/* Lets the kernel forward until `deadline` (MONO_NEVER: until revoked). `valid_until`: the
	 * lease this one replaces; an unbounded grant made later than that must be taken back by the
	 * callee (we were frozen between deciding and doing), who then returns -ETIME. */
	int (*grant)(void *arg, mono_t deadline, mono_t valid_until, uint64_t term);
	void (*revoke)(void *arg, uint64_t term);
	/* Starts a probe of that length; the answer comes through cluster_on_probe(). */
	void (*probe)(void *arg, int64_t duration_ns);
	void (*probe_cancel)(void *arg);
	/* News: our state, the primary we follow or are ("" while none is known), its term. */
	void (*on_role)(void *arg, enum member_state state, const char *primary, uint64_t term);
	/* Something for the history: "X is selected as the primary because ...". */
	void (*on_history)(void *arg, const char *text);
};

struct cluster_stats {
	uint64_t takeovers;  /* times this member became primary */
	uint64_t stalls;     /* times its lease ran out while it was primary */
	uint64_t resumes;    /* stalls that ended with the same term */
	uint64_t resigns;
	uint64_t probes;
	uint64_t probes_answered;
	uint64_t probes_blind; /* could not be asked: no interface was up */
	uint64_t hb_sent, hb_heard;
};

struct cluster {
	struct cluster_config config;
	const struct cluster_ops *ops;
	void *arg;

	enum member_state state;
	uint64_t term;          /* of the primary we follow or are; highest known while in hello */
	char primary[17];       /* "" while none is known */
	struct member members[LIMIT_MEMBERS - 1];
	struct member greeted[LIMIT_MEMBERS]; /* authentic, not verified yet; oldest goes first */

	mono_t state_since;     /* in this state, under this primary, and awake */
	mono_t entered_at;      /* the same without the freezes: a busy host must come up too */
	mono_t stepped_at;      /* a long pause before a step: we were frozen */
	mono_t age_since;       /* what HA uptime counts from */
	mono_t next_send;
	mono_t last_send;
	mono_t everywhere_until; /* heartbeat links have had trouble lately */
	unsigned failures;
	bool is_forced;         /* execute ha failover set */
	bool is_ready;          /* proven equal with `primary` in `term` */
	bool is_holding;        /* hello with an adopted unbounded lease */
	bool has_path_trouble;  /* a heartbeat link has no carrier */

	/* primary only */
	mono_t lease;           /* what the kernel holds; MONO_ZERO: nothing */
	bool is_stalled;
	mono_t stalled_since;
	bool is_one_missing;    /* counted when we stalled, and silent since */
	mono_t stall_heard_since; /* standby: the primary has been saying that it has stalled */
	mono_t resign_heard;    /* standby: when the primary said that it has given the role up */
	bool is_resigned;       /* standby that has just given the role up ... */
	char successor[17];     /* ... in favour of this member */
	mono_t duel_since;      /* another primary is heard ... */
	bool is_duel_mutual;    /* ... and hears us */
	mono_t raised_at;       /* our term, above another primary's */
	mono_t hidden_since;    /* about to take over, but another may be just now */

	/* probing */
	bool is_probing;
	bool is_probe_due;      /* a probe found silence; act on it in this step */
	bool has_no_link;       /* with virtual addresses, by link news */
	mono_t sighted_at;      /* not blind any more since; others may still think so */
	mono_t next_probe;
	mono_t stranger_rx;
	struct twin twin;
	mono_t twin_ahead_until; /* one with a better claim than ours is heard */
	mono_t answered_at;
	char answered_by[64];
	bool alarms[ALARM_COUNT];
	uint64_t sessions;      /* shown in heartbeats */

	struct cluster_stats stats;
};

/* `holding`: the kernel still forwards under an unbounded lease of `term` (mute_adopted()). */
void cluster_init(struct cluster *c, const struct cluster_config *config,
		  const struct cluster_ops *ops, void *arg, mono_t now, bool is_holding,
		  uint64_t term);
/* New settings (intervals, priority, ...); serial and incarnation must be the same. */
void cluster_reconfigure(struct cluster *c, const struct cluster_config *config);

/* One authentic heartbeat of another member. DROP_NONE or why it does not count. */
enum drop_reason cluster_on_heartbeat(struct cluster *c, mono_t now, const char *serial,
				      uint64_t incarnation, const struct heartbeat *hb);
/* A frame of our group that is not authentic. */
void cluster_on_stranger(struct cluster *c, mono_t now);
/* An authentic heartbeat with our serial and another incarnation, from that address on that port.
 * DROP_SERIAL_CLASH: from the twin; DROP_UNVERIFIED: maybe a recording. `ret_is_news`: worth a line
 * in the log, cluster_twin_text(). */
enum drop_reason cluster_on_serial_clash(struct cluster *c, mono_t now, uint64_t incarnation,
					 const struct heartbeat *hb, const struct mac *mac,
					 const char *port, bool *ret_is_news);
enum { TWIN_TEXT = 360 };
/* Both names and what to do about it. */
const char *cluster_twin_text(const struct cluster *c, char out[TWIN_TEXT]);
/* Number of monitored links that are down now; more than before resets the age. */
void cluster_on_failures(struct cluster *c, mono_t now, unsigned failures);
/* Is any interface with virtual addresses up? True where there is none. */
void cluster_on_links(struct cluster *c, mono_t now, bool has_link);
void cluster_on_path_trouble(struct cluster *c, bool has_trouble);
/* The sync room: our tables are (not) proven equal with the primary of `term`. */
void cluster_on_ready(struct cluster *c, uint64_t term, bool is_ready);
void cluster_on_probe(struct cluster *c, mono_t now, enum probe_result result, const char *who);
void cluster_on_force(struct cluster *c, bool is_forced);
/* diagnose sys ha reset-uptime */
void cluster_on_reset_uptime(struct cluster *c, mono_t now);
/* Leaves in good order: resigns if primary and somebody can follow. True when it resigned. */
bool cluster_on_shutdown(struct cluster *c, mono_t now);

/* Judges silence, renews the lease, sends what is due; returns when to be called again (earlier
 * calls are harmless; call it after every batch of heartbeats too). */
mono_t cluster_step(struct cluster *c, mono_t now);

int64_t cluster_detection_ns(const struct cluster *c);
bool cluster_is_living(const struct cluster *c, const struct member *m, mono_t now);
/* May this kernel forward at `now`, as far as we have granted it? */
bool cluster_has_lease(const struct cluster *c, mono_t now);

#endif
