/* fake_kernel.c: what ctnetlink would have done (see ct/ct.h for the promises it plays) */
#include "fake_kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

struct ct fake_key(unsigned key)
{
	struct ct ct;

	memset(&ct, 0, sizeof(ct));
	ct.l3 = AF_INET;
	ct.l4 = IPPROTO_TCP;
	ct.src.family = ct.dst.family = AF_INET;
	ct.src.bytes[0] = 10;
	ct.src.bytes[2] = (uint8_t)(key >> 8);
	ct.src.bytes[3] = (uint8_t)key;
	ct.dst.bytes[0] = 192;
	ct.dst.bytes[3] = 1;
	ct.sport = (uint16_t)(1024 + key);
	ct.dport = 443;
	SET_HAS(&ct, CT_L3);
	SET_HAS(&ct, CT_L4);
	SET_HAS(&ct, CT_SRC);
	SET_HAS(&ct, CT_DST);
	SET_HAS(&ct, CT_SPORT);
	SET_HAS(&ct, CT_DPORT);
	return ct;
}

unsigned fake_number(const struct ct *ct)
{
	return ((unsigned)ct->src.bytes[2] << 8 | ct->src.bytes[3]) % FAKE_KEYS;
}

static void set_state(struct ct *ct, uint32_t generation)
{
	ct->status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED;
	ct->timeout = 432000;
	ct->mark = generation;
	ct->tcp_state = 3;
	SET_HAS(ct, CT_STATUS);
	SET_HAS(ct, CT_TIMEOUT);
	SET_HAS(ct, CT_MARK);
	SET_HAS(ct, CT_TCP_STATE);
}

void fake_change(struct fake_kernel *k, unsigned key, enum ct_news news, uint32_t generation,
		 struct ct_seen *ret_seen)
{
	struct fake_slot *slot = &k->slots[key];

	memset(ret_seen, 0, sizeof(*ret_seen));
	ret_seen->news = news;
	if (news == CT_NEWS_NEW) {
		slot->ct = fake_key(key);
		set_state(&slot->ct, generation);
		slot->is_used = true;
		slot->is_copy = false;
		k->used++;
		ret_seen->is_full = true;
	} else if (news == CT_NEWS_DESTROY) {
		slot->is_used = false;
		k->used--;
	} else {
		/* The first packet through this kernel clears the copy bit: one MARK event. */
		slot->ct.mark = generation;
		SET_HAS(&slot->ct, CT_MARK);
		slot->is_copy = false;
	}
	ret_seen->ct = slot->ct;
	ret_seen->has_mark = true;
}

void fake_traffic(struct fake_kernel *k, unsigned key, uint32_t generation,
		  struct ct_seen *ret_seen)
{
	bool is_used = k->slots[key].is_used;
	bool is_end = rng_below(&k->rng, 10) < 4;

	fake_change(k, key, !is_used ? CT_NEWS_NEW : is_end ? CT_NEWS_DESTROY : CT_NEWS_UPDATE,
		    generation, ret_seen);
}

int fake_request(struct fake_kernel *k, enum ct_op op, const struct ct *ct, uint64_t cookie)
{
	struct fake_request *r;

	if (k->request_count == FAKE_REQUESTS)
		return -EAGAIN;
	r = &k->requests[(k->request_head + k->request_count++) % FAKE_REQUESTS];
	r->op = op;
	r->ct = *ct;
	r->cookie = cookie;
	return 0;
}

static int execute(struct fake_kernel *k, const struct fake_request *r)
{
	struct fake_slot *slot = &k->slots[fake_number(&r->ct)];

	switch (r->op) {
	case CT_OP_CREATE:
		if (slot->is_used)
			return -EEXIST;
		if (rng_chance(&k->rng, k->refusal))
			return -ENOSPC;
		slot->is_used = true;
		slot->is_copy = true;
		slot->ct = r->ct;
		k->used++;
		return 0;
	case CT_OP_UPDATE:
		if (!slot->is_used)
			return -ENOENT;
		slot->is_copy = true;
		slot->ct = r->ct;
		return 0;
	case CT_OP_DELETE:
		if (!slot->is_used)
			return -ENOENT;
		slot->is_used = false;
		k->used--;
		return 0;
	case CT_OP_TIMEOUT:
		return slot->is_used ? 0 : -ENOENT;
	}
	return -EINVAL;
}

bool fake_execute(struct fake_kernel *k, struct fake_verdict *ret_verdict)
{
	struct fake_request *r = &k->requests[k->request_head];

	if (!k->request_count)
		return false;
	k->request_head = (k->request_head + 1) % FAKE_REQUESTS;
	k->request_count--;
	*ret_verdict = (struct fake_verdict){ r->op, r->cookie, execute(k, r) };
	return true;
}

bool fake_show(const struct fake_kernel *k, unsigned key, struct ct_seen *ret_seen)
{
	const struct fake_slot *slot = &k->slots[key];

	if (!slot->is_used)
		return false;
	memset(ret_seen, 0, sizeof(*ret_seen));
	ret_seen->news = CT_NEWS_DUMP;
	ret_seen->ct = slot->ct;
	ret_seen->is_copy = slot->is_copy;
	ret_seen->has_mark = true;
	ret_seen->is_full = true;
	return true;
}

void fake_keep_event(struct fake_kernel *k, const struct ct_seen *seen)
{
	if (k->event_count == FAKE_EVENTS)
		k->has_overrun = true;
	else
		k->events[k->event_count++] = *seen;
}

void fake_reset(struct fake_kernel *k)
{
	struct rng rng = k->rng;
	unsigned refusal = k->refusal;

	memset(k, 0, sizeof(*k));
	k->rng = rng;
	k->refusal = refusal;
}
