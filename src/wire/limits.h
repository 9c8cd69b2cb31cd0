/* limits.h: every bound a peer could push against, with its reason */
#ifndef FK_WIRE_LIMITS_H
#define FK_WIRE_LIMITS_H

enum {
	/* FGCP clusters have two to four members (fortios-facts 1.1). */
	LIMIT_MEMBERS = 4,
	/* Peers that one member shares sessions with: fifteen others of a full FGSP (fortios-facts 2). */
	LIMIT_PEERS = 15,
	/* Senders seen but not yet verified, each one slot of the replay table; oldest goes first. */
	LIMIT_SENDERS = 16,
	/* Largest frame we build or accept: a jumbo frame. */
	LIMIT_FRAME_BYTES = 9000,
	/* Smallest MTU we pack to. */
	LIMIT_FRAME_MIN_BYTES = 1280,
	/* One encoded session record: every field present, IPv6. */
	LIMIT_RECORD_BYTES = 320,
	/* Frame counters accepted behind the newest one: paths differ in delay. */
	LIMIT_REPLAY_WINDOW = 1024,
};

#endif
