/* mute_tc.c: our filters on an interface's clsact qdisc: read, attach, replace, detach
 *
 * Attached by netlink (bpf_tc_attach), not as a libbpf link: a link would close with the daemon
 * and let everything pass (kernel-facts, later measurements). Priority 1 is the first that runs.
 */
#include "cluster/mute_impl.h"

#include "base/log.h"
#include "bpf/lease.h"
#include "nl/nl.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

enum {
	FK_TC_PRIORITY = 1,
	FK_TC_HANDLE = 0x464b, /* "FK" */
};

static const enum bpf_tc_attach_point hooks[MUTE_TC_HOOKS] = {BPF_TC_INGRESS, BPF_TC_EGRESS};
static const enum bpf_tc_attach_point both_hooks =
	(enum bpf_tc_attach_point)(BPF_TC_INGRESS | BPF_TC_EGRESS);
static const uint32_t parents[MUTE_TC_HOOKS] = {
	TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
	TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
};

struct reading {
	struct mute_tc tc;
	unsigned hook;
	/* of the filter at hand */
	bool is_bpf;
	const char *name;
	uint32_t prog_id;
};

static int reading_on_option(const struct nlattr *attr, void *arg)
{
	struct reading *reading = arg;

	if (mnl_attr_get_type(attr) == TCA_BPF_NAME &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		reading->name = mnl_attr_get_str(attr);
	else if (mnl_attr_get_type(attr) == TCA_BPF_ID &&
		 mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
		reading->prog_id = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

/* TCA_KIND comes before TCA_OPTIONS (net/sched/cls_api.c, tcf_fill_node). */
static int reading_on_attr(const struct nlattr *attr, void *arg)
{
	struct reading *reading = arg;

	if (mnl_attr_get_type(attr) == TCA_KIND &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		reading->is_bpf = strcmp(mnl_attr_get_str(attr), "bpf") == 0;
	else if (mnl_attr_get_type(attr) == TCA_OPTIONS && reading->is_bpf)
		mnl_attr_parse_nested(attr, reading_on_option, reading);
	return MNL_CB_OK;
}

/* One filter of a dump. Per priority the kernel first tells the classifier itself (handle 0). */
static void reading_on_filter(void *arg, const struct nlmsghdr *nlh)
{
	struct reading *reading = arg;
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	unsigned priority;

	if (nlh->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(nlh) < sizeof(*tcm) ||
	    tcm->tcm_handle == 0)
		return;
	reading->is_bpf = false;
	reading->name = "";
	reading->prog_id = 0;
	mnl_attr_parse(nlh, sizeof(*tcm), reading_on_attr, reading);
	priority = TC_H_MAJ(tcm->tcm_info) >> 16;
	if (tcm->tcm_handle == FK_TC_HANDLE && priority == FK_TC_PRIORITY &&
	    strncmp(reading->name, FK_MUTE_NAME, strlen(FK_MUTE_NAME)) == 0) {
		reading->tc.prog_id[reading->hook] = reading->prog_id;
		return;
	}
	reading->tc.others++;
	if (priority <= FK_TC_PRIORITY)
		reading->tc.is_masked = true;
}

int mute_tc_read(int ifindex, struct mute_tc *ret_tc)
{
	struct reading reading = {0};

	for (unsigned i = 0; i < MUTE_TC_HOOKS; i++) {
		char buffer[128];
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
		struct tcmsg *tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
		int r;

		nlh->nlmsg_type = RTM_GETTFILTER;
		nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		tcm->tcm_family = AF_UNSPEC;
		tcm->tcm_ifindex = ifindex;
		tcm->tcm_parent = parents[i];
		reading.hook = i;
		r = nl_talk(NETLINK_ROUTE, nlh, reading_on_filter, &reading);
		if (r < 0 && r != -EINVAL && r != -ENOENT) /* no such qdisc */
			return r;
	}
	*ret_tc = reading.tc;
	return 0;
}

int mute_tc_attach(int ifindex, int prog_fd, bool *ret_made_clsact)
{
	struct bpf_tc_hook hook = {
		.sz = sizeof(hook), .ifindex = ifindex, .attach_point = both_hooks};
	struct mute_tc tc;
	bool made_clsact = false;
	int r = mute_tc_read(ifindex, &tc);

	if (r < 0)
		return r;
	if (tc.is_masked) {
		/* Whatever it returns, it decides before us: the mute would leak. */
		log_warnx("mute", "interface %d has a tc filter of priority 1 that is not ours",
			  ifindex);
		return -EBUSY;
	}
	r = bpf_tc_hook_create(&hook);
	if (r == 0)
		made_clsact = true;
	else if (r != -EEXIST)
		return r;
	for (unsigned i = 0; i < MUTE_TC_HOOKS; i++) {
		struct bpf_tc_opts opts = {.sz = sizeof(opts),
					   .prog_fd = prog_fd,
					   .flags = tc.prog_id[i] ? BPF_TC_F_REPLACE : 0,
					   .handle = FK_TC_HANDLE,
					   .priority = FK_TC_PRIORITY};

		hook.attach_point = hooks[i];
		r = bpf_tc_attach(&hook, &opts);
		if (r < 0)
			goto fail;
	}
	*ret_made_clsact = made_clsact;
	return 0;
fail:
	/* An adopted mute stays as it was; a half new one must not stay at all. */
	if (!tc.prog_id[0] && !tc.prog_id[1])
		(void)mute_tc_detach(ifindex, made_clsact);
	return r;
}

int mute_tc_detach(int ifindex, bool is_our_clsact)
{
	struct bpf_tc_hook hook = {.sz = sizeof(hook), .ifindex = ifindex};
	struct mute_tc tc;
	int result = mute_tc_read(ifindex, &tc);

	if (result < 0)
		return result;
	for (unsigned i = 0; i < MUTE_TC_HOOKS; i++) {
		struct bpf_tc_opts opts = {
			.sz = sizeof(opts), .handle = FK_TC_HANDLE, .priority = FK_TC_PRIORITY};
		int r;

		if (!tc.prog_id[i])
			continue;
		hook.attach_point = hooks[i];
		r = bpf_tc_detach(&hook, &opts);
		if (r < 0 && result == 0)
			result = r;
	}
	if (result == 0 && is_our_clsact && tc.others == 0) {
		hook.attach_point = both_hooks;
		result = bpf_tc_hook_destroy(&hook);
	}
	return result;
}
