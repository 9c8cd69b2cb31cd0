/* drop.h: every reason for which input from a network is refused, with its text
 *
 * A decoder returns one of these, never a log line. Reasons are counted per plane (heartbeat,
 * session sync) and shown by `diagnose sys ha drops`. Add a row, never an `if` that forgets to count.
 */
#ifndef FK_BASE_DROP_H
#define FK_BASE_DROP_H

#include <stdint.h>

#define DROP_REASONS(X)                                                                            \
	X(NONE, "accepted")                                                                        \
	X(SHORT, "frame shorter than its header")                                                  \
	X(MAGIC, "not a Flowkeep frame")                                                           \
	X(WIRE_VERSION, "wire version we do not speak")                                            \
	X(GROUP, "another group-id on the same segment")                                           \
	X(OWN, "our own frame came back")                                                          \
	X(SERIAL_CLASH, "another member uses our serial")                                          \
	X(SECURITY, "sender's encryption or authentication setting differs from ours")             \
	X(AUTH, "authentication failed (other password?)")                                         \
	X(REPLAY, "frame counter seen before or too old")                                          \
	X(UNVERIFIED, "sender has not answered our nonce yet")                                     \
	X(UNKNOWN_SENDER, "sender is not a living member")                                         \
	X(TYPE, "message type we do not know")                                                     \
	X(TRUNCATED, "a field or list ends before its announced length")                           \
	X(TRAILING, "bytes left over after the last field")                                        \
	X(MISSING_FIELD, "a required field is missing")                                            \
	X(RANGE, "a value outside its documented range")                                           \
	X(TOO_MANY, "a list longer than its documented limit")                                     \
	X(STALE_TERM, "from an earlier term")                                                      \
	X(NOT_PRIMARY, "session sync from a member that is not primary")                           \
	X(STALE_VERSION, "older than what we have")                                                \
	X(GAP, "sync frame beyond what we have; asked for the part between")                       \
	X(TABLE_FULL, "table at its configured limit")                                             \
	X(VMAC_TABLE, "member's interface table differs from ours")                                \
	X(CLUSTER_FULL, "more than four members")                                                  \
	X(BAD_PATH, "arrived on an interface that is not a path of this plane")

enum drop_reason {
#define X(name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_REASON_COUNT
};

struct drop_counts {
	uint64_t n[DROP_REASON_COUNT];
};

/* The text of a reason, and its short name in lower case for --json ("auth", "replay"). */
const char *drop_text(enum drop_reason reason);
const char *drop_name(enum drop_reason reason);

static inline enum drop_reason drop_count(struct drop_counts *counts, enum drop_reason reason)
{
	counts->n[reason]++;
	return reason;
}

#endif
