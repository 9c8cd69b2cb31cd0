/* ct.h: conntrack sessions in and out of the kernel
 *
 * ct_capture  kernel events become struct ct, with the events our own writes cause recognised by
 *             their netlink port id and dropped. A batch of events at a time, nothing allocated.
 * ct_dump     the whole kernel table, in slices from the loop.
 * ct_inject   struct ct becomes a create, update or delete request; pipelined; one verdict each.
 * ct_table    table inet flowkeep: event masks, the copy bit, the label rule (ct/ct_table.h).
 *
 * What ctnetlink really needs is in kernel-facts section 0: on create the plain inverse reply
 * tuple plus CTA_NAT_SRC/DST with min = max; on update the real reply tuple and no CTA_NAT_*; only
 * four status bits; TCP flag masks 0xff; FIXED_TIMEOUT for GRE; master-less expected sessions.
 *
 * The room knows records and netlink and nothing of peers or roles. struct ct is in the generated
 * schema.h: `mark` is always without the copy bit, `status` only holds CT_STATUS_CARRIED bits, the
 * reply fields are present only where they differ from the plain inverse, ports of ICMP are as
 * schema/ct.toml says.
 */
#ifndef FK_CT_CT_H
#define FK_CT_CT_H

#include "base/loop.h"
#include "schema.h"

#include <linux/netfilter/nf_conntrack_common.h>

/* IPS_* bits that mean the same on another member. Not the NAT_DONE ones: each kernel has met the chains it has
 * met, and a copy of an untranslated session none. */
#define CT_STATUS_CARRIED                                                                          \
	(IPS_EXPECTED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT | IPS_DST_NAT | \
	 IPS_SEQ_ADJUST)

/* Hold timeout of a copy, seconds: longer than any outage of a daemon that matters (one day). */
#define CT_HOLD_S 86399

/* The connlabel of sessions that begin or end in this gateway (ct_table_text.c); ours, like the copy
 * bit. ctnetlink carries labels as 128 bits, bit n in byte n / 8. */
#define CT_LABEL_OWN 127

static inline bool ct_is_own(const struct ct *ct)
{
	return HAS(ct, CT_LABELS) && (ct->labels[CT_LABEL_OWN / 8] >> (CT_LABEL_OWN % 8) & 1);
}

enum ct_news { CT_NEWS_NEW, CT_NEWS_UPDATE, CT_NEWS_DESTROY, CT_NEWS_DUMP };

struct ct_seen {
	enum ct_news news;
	struct ct ct;         /* borrowed for the call; fields that the event lacks are absent */
	bool is_copy;         /* the copy bit is set in its mark: not forwarded here (yet) */
	bool has_mark;        /* the event carried CTA_MARK, so is_copy is known */
	bool is_full;         /* dump or NEW: absent means default, not unknown */
};

typedef void ct_seen_fn(void *arg, const struct ct_seen *seen);
typedef void ct_overrun_fn(void *arg);
typedef void ct_fill_fn(void *arg, unsigned percent);

struct ct_capture;
struct ct_dump;
struct ct_inject;

struct ct_capture_stats {
	uint64_t events, ignored_own, unparsed, overruns;
};

/* on_overrun: events were lost and will not be repeated; what was queued is gone too, so a dump
 * started now or later is newer than every event heard before. */
int ct_capture_open(struct loop *loop, uint32_t copy_bit, ct_seen_fn *on_seen,
		    ct_overrun_fn *on_overrun, void *arg, struct ct_capture **ret_capture);
void ct_capture_close(struct ct_capture *capture);
/* Events caused by this netlink port id are our own (ct_inject_portid()); up to 4. Most do not even
 * reach us, so ct_capture_stats.ignored_own counts only those that did. */
void ct_capture_ignore(struct ct_capture *capture, uint32_t portid);
/* Who has no use for CT_NEWS_NEW saves the kernel the making of it, for each copy of its own too.
 * Heard at first; 0 or negative errno. What is queued is still heard. */
int ct_capture_hear_new(struct ct_capture *capture, bool hears_new);
/* From now on told how full the receive buffer is, as nl_sock_config.on_fill. */
void ct_capture_tell_fill(struct ct_capture *capture, ct_fill_fn *on_fill);
struct ct_capture_stats ct_capture_stats(const struct ct_capture *capture);

/* on_done(error): 0 complete; -EINTR: the table was resized under us, start again. */
int ct_dump_start(struct loop *loop, uint32_t copy_bit, ct_seen_fn *on_seen,
		  void (*on_done)(void *arg, int error), void *arg, struct ct_dump **ret_dump);
void ct_dump_cancel(struct ct_dump *dump);
/* Pauses or goes on (nl_dump_pause()); legal from on_seen. */
void ct_dump_pause(struct ct_dump *dump, bool is_paused);
/* Entries in the kernel's table of this namespace, or negative errno. */
int64_t ct_count(void);
/* How many it may have (nf_conntrack_max, of the whole host; 0: no limit), or negative errno. */
int64_t ct_max(void);
/* One session as the kernel has it now (`key`: key fields); 0, -ENOENT. Synchronous. */
int ct_get(uint32_t copy_bit, const struct ct *key, struct ct_seen *ret_seen);

/* Why a request was made; comes back in the verdict. */
enum ct_op { CT_OP_CREATE, CT_OP_UPDATE, CT_OP_DELETE, CT_OP_TIMEOUT };

typedef void ct_verdict_fn(void *arg, enum ct_op op, uint64_t cookie, int error);

struct ct_inject_stats {
	uint64_t created, updated, deleted, timeouts, failed;
};

int ct_inject_open(struct loop *loop, uint32_t copy_bit, ct_verdict_fn *on_verdict, void *arg,
		   struct ct_inject **ret_inject);
void ct_inject_close(struct ct_inject *inject);
uint32_t ct_inject_portid(const struct ct_inject *inject);
/* Puts a copy (copy bit set, ASSURED, CT_HOLD_S) into the kernel. -EAGAIN at once: too many
 * requests wait for verdicts. `cookie`: any value below 2^60. What follows is up to the caller:
 *  CREATE -EEXIST      the key is there, or its translated tuple is taken
 *  CREATE -EOPNOTSUPP  no such helper here: clear CT_HELPER and ask again
 *  UPDATE -ENOENT      the key is not there
 *  UPDATE -EBUSY       the entry has SEEN_REPLY and `ct` has not, or is an expected session of
 *                      this kernel: delete, then create. So must one do when the translation
 *                      changed: the kernel ignores that in an update.
 * An update sets BE_LIBERAL (0x08) in the TCP flags of the entry; ct_build.c says why. */
int ct_inject_copy(struct ct_inject *inject, enum ct_op op, const struct ct *ct, uint64_t cookie);
/* Deletes by original tuple and zone. */
int ct_inject_delete(struct ct_inject *inject, const struct ct *key, uint64_t cookie);
/* Sets the timeout of an existing entry, and nothing else. GRE copies answer -EPERM: they have
 * IPS_FIXED_TIMEOUT, or their first packet would end them; CT_HOLD_S runs on. */
int ct_inject_timeout(struct ct_inject *inject, const struct ct *key, uint32_t seconds,
		      uint64_t cookie);
/* Makes a GRE session anew with this fixed timeout and the copy bit: two requests, two verdicts. Its
 * next packet clears the bit and raises an event, which is how one learns that it lives. */
int ct_inject_renew(struct ct_inject *inject, const struct ct *ct, uint32_t seconds,
		    uint64_t cookie);
void ct_inject_flush(struct ct_inject *inject);
struct ct_inject_stats ct_inject_stats(const struct ct_inject *inject);

/* Key equality and hash (over key fields only), the plain inverse test, and protocol names. */
bool ct_key_equal(const struct ct *a, const struct ct *b);
/* Fills absent reply fields with the plain inverse: dst/src, dport/sport (ICMP: same id). */
void ct_reply_tuple(const struct ct *ct, struct ipaddr *ret_src, struct ipaddr *ret_dst,
		    uint16_t *ret_sport, uint16_t *ret_dport);
/* Lays the fields of an event over what is known of the session: present fields replace; a full
 * event replaces everything but start_s. */
/* Does the kernel's copy `seen` say what `record` says? Compared: translation, mark, labels, zones and the
 * states of TCP and SCTP; not what a copy has of its own (status, timeout, TCP flags, helper). */
bool ct_is_copy_of(const struct ct *seen, const struct ct *record);
void ct_merge(struct ct *known, const struct ct_seen *seen);

#endif
