/* mute_nft_msg.h: nfnetlink messages for the lease element of the nft back end
 *
 * The lease is the element 0 of set "lease" in table netdev flowkeep_mute, its remaining time the
 * element's timeout, its term the element's comment ("term N", so that `nft list ruleset` tells
 * it). UAPI: linux/netfilter/nf_tables.h.
 */
#ifndef FK_CLUSTER_MUTE_NFT_MSG_H
#define FK_CLUSTER_MUTE_NFT_MSG_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#define MUTE_NFT_TABLE "flowkeep_mute"
#define MUTE_NFT_SET   "lease"

/* A batch (one transaction of the kernel) that is built once and sent often. */
struct mute_nft_batch {
	_Alignas(8) uint8_t bytes[1024];
	size_t len;
	size_t timeout_at; /* offset of the 64-bit timeout; 0: the batch has none */
	size_t left_at;    /* the same for what is left of it, where that is said */
	size_t term_at;    /* offset of the TERM_DIGITS of the comment */
};

struct mute_nft_lease {
	bool is_there;
	bool is_bounded;
	uint64_t term;
};

/* GRANT and REVOKE add (whatever was there) and delete, GRANT then adds the element: a plain add
 * would leave an existing element's timeout as it is, a plain delete would fail when the element
 * has expired. Where nothing is there, or a lease of the same term and Linux 6.12, ADD does as
 * well and RENEW for a bounded lease: neither deletes anything. */
enum mute_nft_deed { MUTE_NFT_GRANT, MUTE_NFT_ADD, MUTE_NFT_RENEW, MUTE_NFT_REVOKE };
enum { MUTE_NFT_DEEDS = MUTE_NFT_REVOKE + 1 };
void mute_nft_batch_build(struct mute_nft_batch *batch, enum mute_nft_deed deed);
/* timeout_ms 0: never expires. */
void mute_nft_batch_set(struct mute_nft_batch *batch, uint32_t seq, uint64_t timeout_ms,
			uint64_t term);

/* Dump requests; `buffer` of at least 256 bytes. */
struct nlmsghdr *mute_nft_get_lease(void *buffer);
struct nlmsghdr *mute_nft_get_chains(void *buffer);
struct nlmsghdr *mute_nft_get_rules(void *buffer);
/* One message of the former's answer. */
void mute_nft_read_lease(const struct nlmsghdr *nlh, struct mute_nft_lease *lease);
/* Name of a chain (of a rule's chain) when it is one of our table, otherwise NULL. */
const char *mute_nft_read_chain(const struct nlmsghdr *nlh);
const char *mute_nft_read_rule(const struct nlmsghdr *nlh);
/* Does this news of NFNLGRP_NFTABLES take something away that the mute needs? */
bool mute_nft_is_loss(const struct nlmsghdr *nlh);

#endif
