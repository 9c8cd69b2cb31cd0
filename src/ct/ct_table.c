/* ct_table.c: puts table inet flowkeep into the kernel, keeps it there, and takes it away */
#include "ct/ct_table_impl.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "nl/nl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A table that somebody keeps deleting is put back this often, not faster. */
#define REBUILD_PAUSE_NS SEC(1)

struct ct_table {
	struct loop *loop;
	struct nft_ctx *nft; /* its socket owns the table */
	bool is_owned;
	struct nl_sock *watch;
	uint32_t portid; /* of the libnftables socket; it tells us in the first event we cause */
	struct timer *rebuild;
	mono_t rebuilt_at;
	struct ct_table_config config;
};

static int run_nft(struct nft_ctx *nft, const char *commands)
{
	return nft_run_cmd_from_buffer(nft, commands) == 0 ? 0 : -EIO;
}

/* The first line of what nft said, for the log. */
static void log_nft(const struct ct_table *table, const char *what)
{
	const char *error = nft_ctx_get_error_buffer(table->nft);
	int len = error == NULL ? 0 : (int)strcspn(error, "\n");

	log_warnx("ct", "table inet " CT_TABLE_NAME ": %s: %.*s", what, len, error ? error : "");
}

/* One transaction: whatever stands there makes room for the new table. */
static int table_write(struct ct_table *table, const struct ct_table_config *config, bool is_owned)
{
	const char *const head = is_owned ? "table inet " CT_TABLE_NAME " { flags owner; }\n"
					  : "table inet " CT_TABLE_NAME " { }\n";
	static const char delete[] = "delete table inet " CT_TABLE_NAME "\n";
	char text[CT_TABLE_TEXT_MAX + 256];
	int n = snprintf(text, sizeof(text), "%s%s", head, delete);

	if (ct_table_text_of(config, is_owned, text + n, sizeof(text) - (size_t)n) == 0)
		return -E2BIG;
	return run_nft(table->nft, text);
}

static void table_on_rebuild(void *arg)
{
	struct ct_table *table = arg;

	table->rebuilt_at = loop_now(table->loop);
	if (table_write(table, &table->config, table->is_owned) == 0)
		log_info("ct", "table inet " CT_TABLE_NAME ": put back");
	else
		log_nft(table, "cannot be put back");
}

static void table_on_damage(struct ct_table *table)
{
	mono_t at = mono_max(loop_now(table->loop), mono_add(table->rebuilt_at, REBUILD_PAUSE_NS));

	timer_set(table->rebuild, at);
}

static int on_name(const struct nlattr *a, void *arg)
{
	/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE and NFTA_RULE_TABLE are the same number. */
	_Static_assert((int)NFTA_TABLE_NAME == (int)NFTA_CHAIN_TABLE &&
			       (int)NFTA_TABLE_NAME == (int)NFTA_RULE_TABLE,
		       "first attribute is the table");
	if (mnl_attr_get_type(a) == NFTA_TABLE_NAME &&
	    mnl_attr_get_payload_len(a) == sizeof(CT_TABLE_NAME) &&
	    memcmp(mnl_attr_get_payload(a), CT_TABLE_NAME, sizeof(CT_TABLE_NAME)) == 0)
		*(bool *)arg = true;
	return MNL_CB_OK;
}

static bool concerns_us(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	bool is_ours = false;

	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*nfg) || nfg->nfgen_family != NFPROTO_INET)
		return false;
	mnl_attr_parse(nlh, sizeof(*nfg), on_name, &is_ours);
	return is_ours;
}

static void table_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct ct_table *table = arg;

	switch (NFNL_MSG_TYPE(nlh->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_DELTABLE:
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
		break;
	default:
		return;
	}
	if (!concerns_us(nlh))
		return;
	/* Listening began before our first write, and the table had been removed before that. */
	if (table->portid == 0)
		table->portid = nlh->nlmsg_pid;
	if (nlh->nlmsg_pid == table->portid)
		return;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == NFT_MSG_DELTABLE)
		log_warnx("ct", "table inet " CT_TABLE_NAME ": deleted by somebody else");
	table_on_damage(table);
}

static void table_on_overrun(void *arg)
{
	table_on_damage(arg);
}

static int watch_open(struct ct_table *table)
{
	static const unsigned groups[] = {NFNLGRP_NFTABLES};
	const struct nl_sock_config config = {
		.name = "nft events",
		.bus = NETLINK_NETFILTER,
		.groups = groups,
		.group_count = 1,
		/* Large rulesets of others pass by here too; an overrun costs one rebuild. */
		.rcvbuf_bytes = 1u << 20,
		.rcvbuf_max_bytes = 8u << 20,
		.prio = LOOP_NORMAL,
	};

	return nl_sock_open(table->loop, &config, table_on_msg, table_on_overrun, table,
			    &table->watch);
}

int ct_table_open_as(struct loop *loop, const struct ct_table_config *config, bool is_owned,
		     struct ct_table **ret_table)
{
	struct ct_table *table = xcalloc(1, sizeof(*table));
	int r;

	table->loop = loop;
	table->config = *config;
	table->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (table->nft == NULL) {
		free(table);
		return -ENOMEM;
	}
	nft_ctx_buffer_output(table->nft);
	nft_ctx_buffer_error(table->nft);

	/* What a daemon without `flags owner` left behind; fails when there is none. */
	(void)run_nft(table->nft, "delete table inet " CT_TABLE_NAME "\n");
	r = watch_open(table);
	if (r < 0)
		goto fail_nft;
	table->is_owned = is_owned;
	r = table_write(table, config, is_owned);
	if (r < 0 && is_owned) {
		table->is_owned = false;
		r = table_write(table, config, false);
		if (r == 0)
			log_info("ct", "kernel refuses nft `flags owner`; a plain table instead");
	}
	if (r < 0) {
		log_nft(table, "cannot be made");
		goto fail_watch;
	}
	table->rebuild = timer_new(loop, "nft rebuild", table_on_rebuild, table);
	table->rebuilt_at = MONO_ZERO;
	*ret_table = table;
	return 0;

fail_watch:
	nl_sock_close(table->watch);
fail_nft:
	nft_ctx_free(table->nft);
	free(table);
	return r;
}

int ct_table_open(struct loop *loop, const struct ct_table_config *config,
		  struct ct_table **ret_table)
{
	return ct_table_open_as(loop, config, true, ret_table);
}

int ct_table_replace(struct ct_table *table, const struct ct_table_config *config)
{
	struct ct_table_config next = *config;
	int r;

	next.is_alone = table->config.is_alone;
	r = table_write(table, &next, table->is_owned);
	if (r < 0) {
		log_nft(table, "cannot be replaced");
		return r;
	}
	table->config = next;
	return 0;
}

int ct_table_set_alone(struct ct_table *table, bool is_alone)
{
	const char *command = is_alone ? "add element inet " CT_TABLE_NAME " alone { " CT_TABLE_ALONE " }\n"
				       : "flush set inet " CT_TABLE_NAME " alone\n";

	table->config.is_alone = is_alone;
	if (run_nft(table->nft, command) == 0)
		return 0;
	/* Somebody took the table away: it comes back with the set as it should be. */
	log_nft(table, "cannot be changed");
	return -EIO;
}

void ct_table_close(struct ct_table *table)
{
	if (table == NULL)
		return;
	timer_free(table->rebuild);
	nl_sock_close(table->watch);
	/* An owned table goes with its socket as well, but only once that is really closed. */
	if (run_nft(table->nft, "delete table inet " CT_TABLE_NAME "\n") < 0)
		log_nft(table, "cannot be removed");
	nft_ctx_free(table->nft);
	free(table);
}

#define SYSCTL_DIR "/proc/sys/net/netfilter/"

/* One digit. */
static int sysctl_set(const char *path, char value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, &value, 1) != 1)
		r = -errno;
	close(fd);
	return r;
}

static int sysctl_get(const char *path, char *ret_value)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char value;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, &value, 1) != 1)
		r = -EIO;
	close(fd);
	if (r == 0)
		*ret_value = value;
	return r;
}

int ct_table_sysctls(void)
{
	char value = '0';
	int r = sysctl_set(SYSCTL_DIR "nf_conntrack_timestamp", '1');

	if (r < 0) {
		errno = -r;
		log_warn("ct",
			 "nf_conntrack_timestamp: not set; sessions begin when first heard of");
	}
	r = sysctl_set(SYSCTL_DIR "nf_conntrack_events", '1');
	if (r == 0)
		return 0;
	errno = -r;
	/* 2: on for sessions that begin while somebody listens, which is better than nothing. */
	if (sysctl_get(SYSCTL_DIR "nf_conntrack_events", &value) == 0 && value != '0') {
		log_warn("ct",
			 "nf_conntrack_events: stays %c; sessions opened while no daemon runs "
			 "raise no events",
			 value);
		return 0;
	}
	log_warn("ct", "nf_conntrack_events: cannot be set to 1");
	return r;
}
