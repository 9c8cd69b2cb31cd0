/* drop.h: every reason for which input from a network is refused, with its text
 *
 * A decoder returns one of these, never a log line. Reasons are counted per plane (heartbeat,
 * session sync) and shown by `diagnose sys ha drops`. Add a row, never an `if` that forgets to
 * count.
 */
#ifndef FK_BASE_DROP_H
#define FK_BASE_DROP_H

#include <stdint.h>

#define DROP_REASONS(X)                                                                            \
	X(NONE, none, "accepted")                                                                  \
	X(SHORT, short, "frame shorter than its header")                                           \
	X(MAGIC, magic, "not a Flowkeep frame")                                                    \
	X(WIRE_VERSION, wire_version, "wire version we do not speak")                              \
	X(GROUP, group, "another group-id on the same segment")                                    \
	X(OWN, own, "our own frame came back")                                                     \
	X(SERIAL_CLASH, serial_clash, "another member uses our serial")                            \
	X(SECURITY, security, "sender's encryption or authentication setting differs from ours")   \
	X(AUTH, auth, "authentication failed (other password?)")                                   \
	X(REPLAY, replay, "frame counter seen before or too old")                                  \
	X(UNVERIFIED, unverified, "sender has not answered our nonce yet")                         \
	X(UNKNOWN_SENDER, unknown_sender, "sender is not a living member")                         \
	X(TYPE, type, "message type we do not know")                                               \
	X(TRUNCATED, truncated, "a field or list ends before its announced length")                \
	X(TRAILING, trailing, "bytes left over after the last field")                              \
	X(MISSING_FIELD, missing_field, "a required field is missing")                             \
	X(RANGE, range, "a value outside its documented range")                                    \
	X(TOO_MANY, too_many, "a list longer than its documented limit")                           \
	X(STALE_TERM, stale_term, "from an earlier term")                                          \
	X(NOT_PRIMARY, not_primary, "session sync from a member that is not primary")              \
	X(STALE_VERSION, stale_version, "older than what we have")                                 \
	X(GAP, gap, "sync frame beyond what we have; asked for the part between")                  \
	X(TABLE_FULL, table_full, "table at its configured limit")                                 \
	X(CLUSTER_FULL, cluster_full, "more than four members")                                    \
	X(BAD_PATH, bad_path, "arrived on an interface that is not a path of this plane")

enum drop_reason {
#define X(name, short_name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_REASON_COUNT
};

struct drop_counts {
	uint64_t n[DROP_REASON_COUNT];
};

/* The text of a reason, and its short name in lower case for --json ("auth", "replay").
 * A number outside the list gives "unknown". */
const char *drop_text(enum drop_reason reason);
const char *drop_name(enum drop_reason reason);

static inline enum drop_reason drop_count(struct drop_counts *counts, enum drop_reason reason)
{
	counts->n[reason]++;
	return reason;
}

#endif
