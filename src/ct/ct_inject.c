/* ct_inject.c: pipelined ctnetlink writes; question and cookie come back with the verdict */
#include "ct/ct_msg.h"

#include "base/xalloc.h"
#include "nl/nl.h"

#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>

/* 64 creates of IPv4 TCP with NAT are 25 KiB: the batches in which ctnetlink costs 2.2 us each. */
#define BATCH_BYTES 32768
#define COOKIE_BITS 60

struct ct_inject {
	struct nl_batch *batch;
	uint32_t copy_bit;
	ct_verdict_fn *on_verdict;
	void *arg;
	struct ct_inject_stats stats;
};

static void inject_on_verdict(void *arg, uint64_t cookie, int error)
{
	struct ct_inject *inject = arg;
	enum ct_op op = (enum ct_op)(cookie >> COOKIE_BITS);

	/* Labels come last in ctnetlink_change_conntrack(); an entry older than the label rule has
	 * no room for them. Everything else has been taken. */
	if (op == CT_OP_UPDATE && error == -ENOSPC)
		error = 0;
	if (error < 0) {
		inject->stats.failed++;
	} else {
		switch (op) {
		case CT_OP_CREATE:
			inject->stats.created++;
			break;
		case CT_OP_UPDATE:
			inject->stats.updated++;
			break;
		case CT_OP_DELETE:
			inject->stats.deleted++;
			break;
		case CT_OP_TIMEOUT:
			inject->stats.timeouts++;
			break;
		}
	}
	inject->on_verdict(inject->arg, op, cookie & ((UINT64_C(1) << COOKIE_BITS) - 1), error);
}

static struct nlmsghdr *inject_begin(struct ct_inject *inject, enum ct_op op, unsigned message,
				     uint16_t flags, uint64_t cookie)
{
	assert(cookie >> COOKIE_BITS == 0);
	return nl_batch_begin(inject->batch, ct_msg_type(message), flags, CT_BUILD_ROOM,
			      (uint64_t)op << COOKIE_BITS | cookie);
}

int ct_inject_open(struct loop *loop, uint32_t copy_bit, ct_verdict_fn *on_verdict, void *arg,
		   struct ct_inject **ret_inject)
{
	struct ct_inject *inject = xcalloc(1, sizeof(*inject));
	int r;

	inject->copy_bit = copy_bit;
	inject->on_verdict = on_verdict;
	inject->arg = arg;
	r = nl_batch_open(loop, "ct inject", NETLINK_NETFILTER, BATCH_BYTES, inject_on_verdict,
			  inject, &inject->batch);
	if (r < 0) {
		free(inject);
		return r;
	}
	*ret_inject = inject;
	return 0;
}

void ct_inject_close(struct ct_inject *inject)
{
	if (inject == NULL)
		return;
	nl_batch_close(inject->batch);
	free(inject);
}

uint32_t ct_inject_portid(const struct ct_inject *inject)
{
	return nl_batch_portid(inject->batch);
}

int ct_inject_copy(struct ct_inject *inject, enum ct_op op, const struct ct *ct, uint64_t cookie)
{
	struct nlmsghdr *nlh;

	assert(op == CT_OP_CREATE || op == CT_OP_UPDATE);
	/* Without NLM_F_EXCL the kernel would take a create of an existing key for an update. */
	nlh = inject_begin(inject, op, IPCTNL_MSG_CT_NEW,
			   op == CT_OP_CREATE ? NLM_F_CREATE | NLM_F_EXCL : 0, cookie);
	if (nlh == NULL)
		return -EAGAIN;
	if (op == CT_OP_CREATE)
		ct_build_create(nlh, inject->copy_bit, ct, CT_HOLD_S);
	else
		ct_build_update(nlh, inject->copy_bit, ct);
	nl_batch_end(inject->batch, nlh);
	return 0;
}

int ct_inject_renew(struct ct_inject *inject, const struct ct *ct, uint32_t seconds,
		    uint64_t cookie)
{
	struct nlmsghdr *nlh;
	int error = ct_inject_delete(inject, ct, cookie);

	if (error)
		return error;
	/* In the buffer of the delete: a packet can slip between the two for microseconds. */
	nlh = inject_begin(inject, CT_OP_CREATE, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL,
			   cookie);
	if (nlh == NULL)
		return -EAGAIN;
	ct_build_create(nlh, inject->copy_bit, ct, seconds);
	nl_batch_end(inject->batch, nlh);
	return 0;
}

int ct_inject_delete(struct ct_inject *inject, const struct ct *key, uint64_t cookie)
{
	struct nlmsghdr *nlh = inject_begin(inject, CT_OP_DELETE, IPCTNL_MSG_CT_DELETE, 0, cookie);

	if (nlh == NULL)
		return -EAGAIN;
	ct_build_key(nlh, key);
	nl_batch_end(inject->batch, nlh);
	return 0;
}

int ct_inject_timeout(struct ct_inject *inject, const struct ct *key, uint32_t seconds,
		      uint64_t cookie)
{
	struct nlmsghdr *nlh = inject_begin(inject, CT_OP_TIMEOUT, IPCTNL_MSG_CT_NEW, 0, cookie);

	if (nlh == NULL)
		return -EAGAIN;
	ct_build_timeout(nlh, key, seconds);
	nl_batch_end(inject->batch, nlh);
	return 0;
}

void ct_inject_flush(struct ct_inject *inject)
{
	nl_batch_flush(inject->batch);
}

struct ct_inject_stats ct_inject_stats(const struct ct_inject *inject)
{
	return inject->stats;
}
