/* mute_impl.h: what a back end of the mute offers, and the pieces they are made of */
#ifndef FK_CLUSTER_MUTE_IMPL_H
#define FK_CLUSTER_MUTE_IMPL_H

#include "cluster/mute.h"

/* Names of the interfaces, as configured; they need not exist. */
struct mute_ifaces {
	unsigned count;
	char (*names)[17];
};

/* One row per back end. `state` is what open() made. */
struct mute_ops {
	const char *name;
	int (*open)(const struct mute_ifaces *ifaces, void **ret_state);
	void (*close)(void *state);
	/* Mutes what is not; the number of interfaces that needed it, or negative errno. */
	int (*ensure)(void *state, const struct mute_ifaces *ifaces);
	struct mute_adopted (*adopted)(const void *state);
	int (*grant)(void *state, mono_t deadline, uint64_t term);
	int (*revoke)(void *state, uint64_t term);
	struct mute_stats (*stats)(const void *state);
	int (*release)(const char *ifname);
};

extern const struct mute_ops mute_bpf_ops;
extern const struct mute_ops mute_nft_ops;

/* mute_tc.c: our two filters (ingress, egress) on one interface. */
enum { MUTE_TC_HOOKS = 2 };

struct mute_tc {
	uint32_t prog_id[MUTE_TC_HOOKS]; /* our programs; 0: not attached there */
	unsigned others;                 /* filters of anybody else */
	bool is_masked;                  /* one of them runs before ours, or could */
};

/* 0, also when there is neither qdisc nor filter. */
int mute_tc_read(int ifindex, struct mute_tc *ret_tc);
/* Attaches to both hooks, replacing an earlier program of ours without a gap. */
int mute_tc_attach(int ifindex, int prog_fd, bool *ret_made_clsact);
/* Takes our filters away, and the qdisc when `is_our_clsact` and nobody else uses it. */
int mute_tc_detach(int ifindex, bool is_our_clsact);

#endif
