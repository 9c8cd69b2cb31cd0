/* mute_nft_msg.c: builds and reads the nfnetlink messages of the nft back end */
#include "cluster/mute_nft_msg.h"

#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TERM_DIGITS = 20,
	UDATA_COMMENT = 0, /* NFTNL_UDATA_SET_ELEM_COMMENT of libnftnl: what nft prints */
};
static const char term_word[] = "term ";

static struct nlmsghdr *put_nfnl(void *buffer, uint16_t type, uint16_t flags, uint8_t family,
				 uint16_t res_id)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(res_id);
	return nlh;
}

static uint16_t nft_type(unsigned message)
{
	return (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | message);
}

static void *batch_tail(struct mute_nft_batch *batch)
{
	return batch->bytes + batch->len;
}

static void batch_put_mark(struct mute_nft_batch *batch, uint16_t type)
{
	batch->len +=
		put_nfnl(batch_tail(batch), type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
}

/* The comment as nft stores it: one TLV of type, length, text with its NUL. Offset of the digits.
 */
static size_t put_comment(struct nlmsghdr *nlh)
{
	char udata[2 + sizeof(term_word) + TERM_DIGITS] = {UDATA_COMMENT, sizeof(udata) - 2};
	size_t digits_at;

	memcpy(udata + 2, term_word, sizeof(term_word) - 1);
	memset(udata + 2 + sizeof(term_word) - 1, '0', TERM_DIGITS);
	digits_at = nlh->nlmsg_len + MNL_ATTR_HDRLEN + 2 + sizeof(term_word) - 1;
	mnl_attr_put(nlh, NFTA_SET_ELEM_USERDATA, sizeof(udata), udata);
	return digits_at;
}

static void batch_put_elem(struct mute_nft_batch *batch, unsigned message, uint16_t flags,
			   bool is_lease, bool is_renewal)
{
	struct nlmsghdr *nlh =
		put_nfnl(batch_tail(batch), nft_type(message), flags, NFPROTO_NETDEV, 0);
	struct nlattr *list, *elem, *key;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, MUTE_NFT_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, MUTE_NFT_SET);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put_u32(nlh, NFTA_DATA_VALUE, 0);
	mnl_attr_nest_end(nlh, key);
	if (is_lease) {
		batch->term_at = batch->len + put_comment(nlh);
		mnl_attr_put_u64(nlh, NFTA_SET_ELEM_TIMEOUT, 0);
		batch->timeout_at = batch->len + nlh->nlmsg_len - sizeof(uint64_t);
	}
	if (is_renewal) { /* an equal timeout alone would change nothing */
		mnl_attr_put_u64(nlh, NFTA_SET_ELEM_EXPIRATION, 0);
		batch->left_at = batch->len + nlh->nlmsg_len - sizeof(uint64_t);
	}
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	batch->len += nlh->nlmsg_len;
}

void mute_nft_batch_build(struct mute_nft_batch *batch, enum mute_nft_deed deed)
{
	*batch = (struct mute_nft_batch){0};
	batch_put_mark(batch, NFNL_MSG_BATCH_BEGIN);
	if (deed == MUTE_NFT_GRANT || deed == MUTE_NFT_REVOKE) {
		batch_put_elem(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, false, false);
		batch_put_elem(batch, NFT_MSG_DELSETELEM, deed == MUTE_NFT_REVOKE ? NLM_F_ACK : 0,
			       false, false);
	}
	if (deed != MUTE_NFT_REVOKE)
		batch_put_elem(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_ACK, true,
			       deed == MUTE_NFT_RENEW);
	batch_put_mark(batch, NFNL_MSG_BATCH_END);
}

void mute_nft_batch_set(struct mute_nft_batch *batch, uint32_t seq, uint64_t timeout_ms,
			uint64_t term)
{
	for (size_t at = 0; at < batch->len;) {
		struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)(batch->bytes + at);

		nlh->nlmsg_seq = seq;
		at += NLMSG_ALIGN(nlh->nlmsg_len);
	}
	if (batch->timeout_at) {
		uint64_t timeout_be = htobe64(timeout_ms);
		char digits[TERM_DIGITS + 1];

		memcpy(batch->bytes + batch->timeout_at, &timeout_be, sizeof(timeout_be));
		snprintf(digits, sizeof(digits), "%0*" PRIu64, TERM_DIGITS, term);
		memcpy(batch->bytes + batch->term_at, digits, TERM_DIGITS);
		if (batch->left_at)
			memcpy(batch->bytes + batch->left_at, &timeout_be, sizeof(timeout_be));
	}
}

struct nlmsghdr *mute_nft_get_lease(void *buffer)
{
	struct nlmsghdr *nlh =
		put_nfnl(buffer, nft_type(NFT_MSG_GETSETELEM), NLM_F_DUMP, NFPROTO_NETDEV, 0);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, MUTE_NFT_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, MUTE_NFT_SET);
	return nlh;
}

struct nlmsghdr *mute_nft_get_chains(void *buffer)
{
	return put_nfnl(buffer, nft_type(NFT_MSG_GETCHAIN), NLM_F_DUMP, NFPROTO_NETDEV, 0);
}

struct nlmsghdr *mute_nft_get_rules(void *buffer)
{
	return put_nfnl(buffer, nft_type(NFT_MSG_GETRULE), NLM_F_DUMP, NFPROTO_NETDEV, 0);
}

static void read_comment(const struct nlattr *attr, struct mute_nft_lease *lease)
{
	const uint8_t *p = mnl_attr_get_payload(attr);
	size_t left = mnl_attr_get_payload_len(attr);

	while (left >= 2 && left - 2 >= p[1]) {
		size_t n = p[1], word = sizeof(term_word) - 1;

		if (p[0] == UDATA_COMMENT && n > word && p[2 + n - 1] == '\0' &&
		    memcmp(p + 2, term_word, word) == 0)
			lease->term = strtoull((const char *)p + 2 + word, NULL, 10);
		p += 2 + n;
		left -= 2 + n;
	}
}

static int read_field(const struct nlattr *attr, void *arg)
{
	struct mute_nft_lease *lease = arg;

	if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_TIMEOUT &&
	    mnl_attr_validate(attr, MNL_TYPE_U64) >= 0)
		lease->is_bounded = mnl_attr_get_u64(attr) != 0;
	else if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_USERDATA)
		read_comment(attr, lease);
	return MNL_CB_OK;
}

static int read_elem(const struct nlattr *attr, void *arg)
{
	((struct mute_nft_lease *)arg)->is_there = true;
	return mnl_attr_parse_nested(attr, read_field, arg);
}

static int read_list(const struct nlattr *attr, void *arg)
{
	if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
		return MNL_CB_OK;
	return mnl_attr_parse_nested(attr, read_elem, arg);
}

void mute_nft_read_lease(const struct nlmsghdr *nlh, struct mute_nft_lease *lease)
{
	if (nlh->nlmsg_type == nft_type(NFT_MSG_NEWSETELEM) &&
	    mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct nfgenmsg))
		mnl_attr_parse(nlh, sizeof(struct nfgenmsg), read_list, lease);
}

struct chain_names {
	const char *table;
	const char *chain;
};

/* The attributes of a chain and those of a rule that name table and chain. */
static int read_chain_name(const struct nlattr *attr, void *arg)
{
	struct chain_names *names = arg;

	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
		return MNL_CB_OK;
	if (mnl_attr_get_type(attr) == NFTA_CHAIN_TABLE)
		names->table = mnl_attr_get_str(attr);
	else if (mnl_attr_get_type(attr) == NFTA_CHAIN_NAME)
		names->chain = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static int read_rule_name(const struct nlattr *attr, void *arg)
{
	struct chain_names *names = arg;

	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
		return MNL_CB_OK;
	if (mnl_attr_get_type(attr) == NFTA_RULE_TABLE)
		names->table = mnl_attr_get_str(attr);
	else if (mnl_attr_get_type(attr) == NFTA_RULE_CHAIN)
		names->chain = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static const char *read_names(const struct nlmsghdr *nlh, unsigned message, mnl_attr_cb_t read)
{
	struct chain_names names = {"", NULL};

	if (nlh->nlmsg_type != nft_type(message) ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return NULL;
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), read, &names);
	return strcmp(names.table, MUTE_NFT_TABLE) == 0 ? names.chain : NULL;
}

const char *mute_nft_read_chain(const struct nlmsghdr *nlh)
{
	return read_names(nlh, NFT_MSG_NEWCHAIN, read_chain_name);
}

const char *mute_nft_read_rule(const struct nlmsghdr *nlh)
{
	return read_names(nlh, NFT_MSG_NEWRULE, read_rule_name);
}

bool mute_nft_is_loss(const struct nlmsghdr *nlh)
{
	/* A table that goes takes its chains along, each of them told. */
	return read_names(nlh, NFT_MSG_DELCHAIN, read_chain_name) ||
	       read_names(nlh, NFT_MSG_DELRULE, read_rule_name);
}
