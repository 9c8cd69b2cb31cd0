/* ct_dump.c: the whole conntrack table of this namespace, in slices from the loop */
#include "ct/ct_msg.h"

#include "base/xalloc.h"
#include "nl/nl.h"

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>

struct ct_dump {
	struct nl_dump *nl;
	uint32_t copy_bit;
	ct_seen_fn *on_seen;
	void (*on_done)(void *arg, int error);
	void *arg;
};

static void dump_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct ct_dump *dump = arg;
	struct ct_seen seen;

	if (ct_parse(nlh, true, dump->copy_bit, &seen) == 0)
		dump->on_seen(dump->arg, &seen);
}

static void dump_on_done(void *arg, int error)
{
	struct ct_dump *dump = arg;
	void (*on_done)(void *, int) = dump->on_done;
	void *on_done_arg = dump->arg;

	/* Freed first: on_done may start the next one. */
	free(dump);
	on_done(on_done_arg, error);
}

int ct_dump_start(struct loop *loop, uint32_t copy_bit, ct_seen_fn *on_seen,
		  void (*on_done)(void *arg, int error), void *arg, struct ct_dump **ret_dump)
{
	char room[MNL_NLMSG_HDRLEN + 64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);
	struct ct_dump *dump = xcalloc(1, sizeof(*dump));
	int r;

	nlh->nlmsg_type = ct_msg_type(IPCTNL_MSG_CT_GET);
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ct_build_dump(nlh);
	dump->copy_bit = copy_bit;
	dump->on_seen = on_seen;
	dump->on_done = on_done;
	dump->arg = arg;
	r = nl_dump_start(loop, "ct dump", NETLINK_NETFILTER, nlh, dump_on_msg, dump_on_done, dump,
			  &dump->nl);
	if (r < 0) {
		free(dump);
		return r;
	}
	*ret_dump = dump;
	return 0;
}

void ct_dump_cancel(struct ct_dump *dump)
{
	if (dump == NULL)
		return;
	nl_dump_cancel(dump->nl);
	free(dump);
}

void ct_dump_pause(struct ct_dump *dump, bool is_paused)
{
	nl_dump_pause(dump->nl, is_paused);
}
