/* fuzz_ct_nl.c: ctnetlink messages: first byte what kind, the rest nfgenmsg and attributes
 *
 * Whatever the parser returns must be a record that can be told to others: its encoding reads as
 * the same struct (so absent members are zero), and requests made of it fit their room.
 */
#include "fuzz.h"

#include "ct/ct_msg.h"

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

enum { DELETE = 1, CREATED = 2, DUMP = 4, COPY_BIT = 1 << 15, BODY_BYTES = 1 << 13 };

static void check_builds(const struct ct *ct)
{
	_Alignas(8) char room[MNL_NLMSG_HDRLEN + CT_BUILD_ROOM];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(room);

	ct_build_create(nlh, COPY_BIT, ct, CT_HOLD_S);
	FUZZ_CHECK(nlh->nlmsg_len <= sizeof(room));
	nlh = mnl_nlmsg_put_header(room);
	ct_build_update(nlh, COPY_BIT, ct);
	FUZZ_CHECK(nlh->nlmsg_len <= sizeof(room));
	nlh = mnl_nlmsg_put_header(room);
	ct_build_key(nlh, ct);
	FUZZ_CHECK(nlh->nlmsg_len <= sizeof(room));
}

static void check_encodes(const struct ct *ct)
{
	uint8_t bytes[512];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	struct ct back;
	struct rbuf r;

	FUZZ_CHECK(memchr(ct->helper, 0, sizeof(ct->helper)));
	codec_encode(&schema_ct, ct, UINT64_MAX, &w);
	/* The kernel takes any name for a helper, the codec only printable ones. */
	FUZZ_CHECK(!w.failed || HAS(ct, CT_HELPER));
	if (w.failed)
		return;
	r = rbuf_of(bytes, wbuf_len(&w));
	FUZZ_CHECK(codec_decode(&schema_ct, &r, &back) == DROP_NONE);
	/* No memcmp(): the parser may leave padding. */
	FUZZ_CHECK(back.has == ct->has && back.mark == ct->mark && back.status == ct->status);
	FUZZ_CHECK(ipaddr_equal(&back.src, &ct->src) && ipaddr_equal(&back.rsrc, &ct->rsrc));
	FUZZ_CHECK(ipaddr_equal(&back.dst, &ct->dst) && ipaddr_equal(&back.rdst, &ct->rdst));
	FUZZ_CHECK(back.rsport == ct->rsport && back.rdport == ct->rdport);
	FUZZ_CHECK(memcmp(back.helper, ct->helper, sizeof(back.helper)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *nlh;
	struct ct_seen seen;
	size_t len;

	if (size == 0 || size > BODY_BYTES)
		return 0;
	len = MNL_NLMSG_HDRLEN + size - 1;
	nlh = calloc(1, len);
	FUZZ_CHECK(nlh);
	/* The kernel's word: the length in the header is that of the message (mnl_nlmsg_ok()). */
	nlh->nlmsg_len = (uint32_t)len;
	nlh->nlmsg_type = ct_msg_type(data[0] & DELETE ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW);
	nlh->nlmsg_flags = data[0] & CREATED ? NLM_F_CREATE | NLM_F_EXCL : 0;
	memcpy((char *)nlh + MNL_NLMSG_HDRLEN, data + 1, size - 1);
	if (ct_parse(nlh, data[0] & DUMP, COPY_BIT, &seen) == 0) {
		check_encodes(&seen.ct);
		check_builds(&seen.ct);
	}
	free(nlh);
	return 0;
}
