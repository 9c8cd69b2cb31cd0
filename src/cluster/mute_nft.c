/* mute_nft.c: nftables back end of the mute: a lease is an element that times out
 *
 * table netdev flowkeep_mute, one ingress and one egress chain for each interface, policy drop;
 * what passes: everything while the lease element exists, our own Ethertypes always, and on
 * egress packets with PROBE_MARK (packet sockets pass nft egress even with PACKET_QDISC_BYPASS,
 * other than tc). The table belongs to nobody (no owner flag), so it outlives the daemon.
 *
 * Set-up goes through libnftables as text; grants are one prebuilt batch on a socket kept open.
 * A transaction that deletes an element is cleaned up an RCU grace period later, and whoever
 * closes a netfilter socket meanwhile (`conntrack -L`, our own reports) waits for that with the
 * lock of every transaction in hand: 0.1-6 s where processors are busy. So a takeover deletes
 * nothing, and renewals do not where the kernel can do without (6.12).
 * The kernel counts timeouts in jiffies from the start of the current one, rounded down, so a
 * lease ends up to two jiffies early and never late.
 */
#include "cluster/mute_impl.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "cluster/mute_nft_msg.h"
#include "nl/nl.h"

#include <ctype.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

enum {
	GRANT_TRIES = 3,
	IN_RULES = 2, /* what put_chain() makes */
	OUT_RULES = 3,
	CHAIN_STRLEN = 4 + 3 * IF_NAMESIZE,
};
#define GRANT_SLACK_NS MS(1) /* reading the clock .. kernel has the element */

struct mute_nft {
	const struct mute_ifaces *ifaces;
	struct mnl_socket *socket;
	uint32_t seq;
	int64_t jiffy_ns;
	struct mute_nft_batch batches[MUTE_NFT_DEEDS];
	struct mute_adopted adopted;
	bool can_renew;
	/* What the set holds, as far as we know. */
	enum { LEASE_ANY, LEASE_NONE, LEASE_OF_TERM } lease;
	uint64_t term;
};

/* Which of the two chains of one interface are there, and how many others. */
struct chains {
	const char *ifname;
	bool has_in, has_out;
	unsigned in_rules, out_rules;
	unsigned others;
};

/* An interface's name in the alphabet of chain names; what does not fit becomes _HH. */
static void chain_name(const char *prefix, const char *ifname, char out[CHAIN_STRLEN])
{
	size_t at = (size_t)snprintf(out, CHAIN_STRLEN, "%s", prefix);

	for (; *ifname && at + 4 <= CHAIN_STRLEN; ifname++) {
		if (isalnum((unsigned char)*ifname) || *ifname == '.' || *ifname == '-') {
			out[at++] = *ifname;
			out[at] = '\0';
		} else {
			at += (size_t)snprintf(out + at, 4, "_%02x", (unsigned char)*ifname);
		}
	}
}

static void chains_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct chains *chains = arg;
	const char *chain = mute_nft_read_chain(nlh), *rule = mute_nft_read_rule(nlh);
	char in[CHAIN_STRLEN], out[CHAIN_STRLEN];

	chain_name("in-", chains->ifname, in);
	chain_name("out-", chains->ifname, out);
	if (chain) {
		chains->has_in |= strcmp(chain, in) == 0;
		chains->has_out |= strcmp(chain, out) == 0;
		chains->others += strcmp(chain, in) != 0 && strcmp(chain, out) != 0;
	} else if (rule) {
		chains->in_rules += strcmp(rule, in) == 0;
		chains->out_rules += strcmp(rule, out) == 0;
	}
}

static int chains_read(const char *ifname, struct chains *ret_chains)
{
	_Alignas(8) char buffer[256];
	struct chains chains = {.ifname = ifname};
	int r = nl_talk(NETLINK_NETFILTER, mute_nft_get_chains(buffer), chains_on_msg, &chains);

	if (r == 0)
		r = nl_talk(NETLINK_NETFILTER, mute_nft_get_rules(buffer), chains_on_msg, &chains);
	/* ENOENT, EINVAL: no nf_tables in this kernel, so nothing of ours either */
	if (r < 0 && r != -ENOENT && r != -EINVAL && r != -EOPNOTSUPP)
		return r;
	*ret_chains = chains;
	return 0;
}

static void put(char *script, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void put(char *script, size_t size, const char *format, ...)
{
	size_t len = strlen(script);
	va_list args;

	va_start(args, format);
	vsnprintf(script + len, size - len, format, args);
	va_end(args);
}

/* Runs statements as one transaction. libnftables tells text, not errno. */
static int nft_run(const char *script)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	int r = 0;

	if (!nft)
		return -ENOMEM;
	nft_ctx_buffer_output(nft);
	nft_ctx_buffer_error(nft);
	if (nft_run_cmd_from_buffer(nft, script) != 0) {
		const char *text = nft_ctx_get_error_buffer(nft);

		r = strstr(text, "not permitted") ? -EPERM : -EIO;
		log_warnx("mute", "nftables: %.*s", (int)strcspn(text, "\n"), text);
	}
	nft_ctx_free(nft);
	return r;
}

static void put_chain(char *script, size_t size, const char *prefix, const char *hook,
		      const char *ifname)
{
	char chain[CHAIN_STRLEN];

	chain_name(prefix, ifname, chain);
	put(script, size,
	    "add chain netdev " MUTE_NFT_TABLE " %s { type filter hook %s device \"%s\" "
	    "priority -500; policy drop; }\n"
	    "flush chain netdev " MUTE_NFT_TABLE " %s\n"
	    /* "& 0": whatever the packet, the key is 0 */
	    "add rule netdev " MUTE_NFT_TABLE " %s meta mark & 0 @" MUTE_NFT_SET " accept\n"
	    "add rule netdev " MUTE_NFT_TABLE " %s meta protocol 0x8890-0x8893 accept\n",
	    chain, hook, ifname, chain, chain, chain);
	if (strcmp(hook, "egress") == 0)
		put(script, size, "add rule netdev " MUTE_NFT_TABLE " %s meta mark %#x accept\n",
		    chain, MUTE_PROBE_MARK);
}

/* Idempotent and atomic: where the table is there already its lease stays in force throughout. */
static int set_up(const struct mute_ifaces *ifaces)
{
	size_t size = 512 + (size_t)ifaces->count * 2048;
	char *script = xcalloc(1, size);
	int r;

	put(script, size,
	    "add table netdev " MUTE_NFT_TABLE "\n"
	    "add set netdev " MUTE_NFT_TABLE " " MUTE_NFT_SET " { type mark; flags timeout; }\n");
	for (unsigned i = 0; i < ifaces->count; i++) {
		const char *ifname = ifaces->names[i];

		if (if_nametoindex(ifname) == 0) {
			log_warnx("mute", "%s: no such interface yet", ifname);
			continue;
		}
		put_chain(script, size, "in-", "ingress", ifname);
		put_chain(script, size, "out-", "egress", ifname);
	}
	r = nft_run(script);
	free(script);
	return r;
}

/* Sends a batch and takes its one verdict: the kernel has answered when sendmsg returns. */
static int send_batch(struct mute_nft *nft, struct mute_nft_batch *batch, uint64_t timeout_ms,
		      uint64_t term)
{
	_Alignas(8) char answer[4096];
	int r = -EPROTO;

	mute_nft_batch_set(batch, ++nft->seq, timeout_ms, term);
	if (mnl_socket_sendto(nft->socket, batch->bytes, batch->len) < 0)
		return -errno;
	for (;;) {
		ssize_t n =
			recv(mnl_socket_get_fd(nft->socket), answer, sizeof(answer), MSG_DONTWAIT);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? r : -errno;
		for (struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)answer;
		     mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_type != NLMSG_ERROR || nlh->nlmsg_seq != nft->seq)
				continue;
			/* The first error is the cause; a success after it would be none. */
			if (r == -EPROTO || r == 0)
				r = error->error;
		}
	}
}

static int send_or_rebuild(struct mute_nft *nft, enum mute_nft_deed deed, uint64_t timeout_ms,
			   uint64_t term)
{
	struct mute_nft_batch *batch = &nft->batches[deed];
	int r = send_batch(nft, batch, timeout_ms, term);

	if (r != -ENOENT)
		return r;
	log_warnx("mute", "somebody removed table netdev " MUTE_NFT_TABLE ": rebuilding it");
	r = set_up(nft->ifaces);
	return r < 0 ? r : send_batch(nft, batch, timeout_ms, term);
}

static int nft_revoke(void *state, uint64_t term)
{
	struct mute_nft *nft = state;
	int r;

	if (nft->lease == LEASE_NONE)
		return 0;
	r = send_or_rebuild(nft, MUTE_NFT_REVOKE, 0, term);
	nft->lease = r < 0 ? LEASE_ANY : LEASE_NONE;
	return r;
}

/* Sends the deed that deletes nothing where there is one. */
static int put_lease(struct mute_nft *nft, uint64_t timeout_ms, uint64_t term)
{
	enum mute_nft_deed deed = MUTE_NFT_GRANT;
	int r;

	if (nft->lease == LEASE_NONE)
		deed = MUTE_NFT_ADD;
	else if (nft->lease == LEASE_OF_TERM && nft->term == term && nft->can_renew)
		deed = timeout_ms ? MUTE_NFT_RENEW : MUTE_NFT_ADD;
	nft->lease = LEASE_ANY;
	r = send_or_rebuild(nft, deed, timeout_ms, term);
	if (r < 0)
		return r;
	nft->lease = LEASE_OF_TERM;
	nft->term = term;
	return 0;
}

static int nft_grant(void *state, mono_t deadline, uint64_t term)
{
	struct mute_nft *nft = state;

	if (deadline.ns == MONO_NEVER.ns)
		return put_lease(nft, 0, term);
	/* The kernel knows no absolute time here, so a freeze between reading the clock and its
	 * answer would lengthen the lease: look again afterwards, and say it again if so. */
	for (unsigned i = 0; i < GRANT_TRIES; i++) {
		mono_t before = mono_read();
		int64_t left_ns = mono_sub(deadline, before) - GRANT_SLACK_NS;
		int r;

		if (left_ns < nft->jiffy_ns + MS(1)) /* less than a jiffy is rounded up to one */
			return nft_revoke(nft, term);
		r = put_lease(nft, (uint64_t)(left_ns / MS(1)), term);
		if (r < 0)
			return r;
		if (mono_sub(mono_read(), before) <= GRANT_SLACK_NS)
			return 0;
	}
	(void)nft_revoke(nft, term);
	return -ETIME;
}

/* NFT_TRANS_UPD_EXPIRATION came with Linux 6.12; before, the kernel takes it and does nothing. */
static bool can_renew(void)
{
	struct utsname uts;
	unsigned major, minor;

	return uname(&uts) == 0 && sscanf(uts.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 12));
}

static void lease_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	mute_nft_read_lease(nlh, arg);
}

static void nft_close(void *state)
{
	struct mute_nft *nft = state;

	if (nft->socket)
		mnl_socket_close(nft->socket);
	free(nft);
}

static int nft_open(const struct mute_ifaces *ifaces, void **ret_state)
{
	struct mute_nft *nft = xcalloc(1, sizeof(*nft));
	struct mute_nft_lease lease = {0};
	_Alignas(8) char buffer[256];
	struct timespec jiffy;
	int r;

	nft->ifaces = ifaces;
	for (unsigned i = 0; i < ifaces->count; i++) {
		if (strpbrk(ifaces->names[i], "\"\\*$")) { /* cannot be quoted in nft's grammar */
			r = -EINVAL;
			goto fail;
		}
	}
	clock_getres(CLOCK_MONOTONIC_COARSE, &jiffy); /* ticks once a jiffy */
	nft->jiffy_ns = jiffy.tv_sec * SEC(1) + jiffy.tv_nsec;
	for (unsigned i = 0; i < MUTE_NFT_DEEDS; i++)
		mute_nft_batch_build(&nft->batches[i], i);
	nft->can_renew = can_renew();
	nft->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nft->socket || mnl_socket_bind(nft->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		goto fail;
	}
	r = set_up(ifaces);
	if (r < 0)
		goto fail;
	r = nl_talk(NETLINK_NETFILTER, mute_nft_get_lease(buffer), lease_on_msg, &lease);
	if (r < 0)
		goto fail;
	nft->lease = lease.is_there ? LEASE_ANY : LEASE_NONE;
	nft->adopted.is_forwarding = lease.is_there && !lease.is_bounded;
	nft->adopted.term = lease.term;
	*ret_state = nft;
	return 0;
fail:
	nft_close(nft);
	return r;
}

static int nft_ensure(void *state, const struct mute_ifaces *ifaces)
{
	int missing = 0, r;

	(void)state;
	for (unsigned i = 0; i < ifaces->count; i++) {
		struct chains chains;

		if (if_nametoindex(ifaces->names[i]) == 0)
			continue;
		r = chains_read(ifaces->names[i], &chains);
		/* Somebody changes rules right now, maybe ours: set up once too often. */
		if (r == -EINTR) {
			missing++;
			continue;
		}
		if (r < 0)
			return r;
		missing += !chains.has_in || !chains.has_out || chains.in_rules != IN_RULES ||
			   chains.out_rules != OUT_RULES;
	}
	if (missing == 0)
		return 0;
	r = set_up(ifaces);
	return r < 0 ? r : missing;
}

static struct mute_adopted nft_adopted(const void *state)
{
	return ((const struct mute_nft *)state)->adopted;
}

static struct mute_stats nft_stats(const void *state)
{
	(void)state;
	return (struct mute_stats){0};
}

static int nft_release(const char *ifname)
{
	char script[512] = "", chain[CHAIN_STRLEN];
	struct chains chains;
	int r = chains_read(ifname, &chains);

	if (r < 0 || (!chains.has_in && !chains.has_out))
		return r;
	if (chains.others == 0)
		return nft_run("delete table netdev " MUTE_NFT_TABLE "\n");
	if (chains.has_in) {
		chain_name("in-", ifname, chain);
		put(script, sizeof(script),
		    "flush chain netdev " MUTE_NFT_TABLE " %s\ndelete chain netdev " MUTE_NFT_TABLE
		    " %s\n",
		    chain, chain);
	}
	if (chains.has_out) {
		chain_name("out-", ifname, chain);
		put(script, sizeof(script),
		    "flush chain netdev " MUTE_NFT_TABLE " %s\ndelete chain netdev " MUTE_NFT_TABLE
		    " %s\n",
		    chain, chain);
	}
	return nft_run(script);
}

const struct mute_ops mute_nft_ops = {
	.name = "nft",
	.open = nft_open,
	.close = nft_close,
	.ensure = nft_ensure,
	.adopted = nft_adopted,
	.grant = nft_grant,
	.revoke = nft_revoke,
	.stats = nft_stats,
	.release = nft_release,
};
