/* sync_lab.c: two members without heartbeats, for the tests of this room; see sync_lab.h */
#include "sync/sync_lab.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct ct *kernel_find(struct side *side, const struct ct *key)
{
	for (unsigned i = 0; i < side->kernel_count; i++)
		if (ct_key_equal(&side->kernel[i], key))
			return &side->kernel[i];
	return NULL;
}

void kernel_add(struct side *side, const struct ct *ct)
{
	assert_true(side->kernel_count < KERNEL_MAX);
	side->kernel[side->kernel_count++] = *ct;
}

void kernel_remove(struct side *side, struct ct *at)
{
	*at = side->kernel[--side->kernel_count];
}

static bool is_same_translation(const struct ct *a, const struct ct *b)
{
	struct ipaddr s[2], d[2];
	uint16_t sp[2], dp[2];

	ct_reply_tuple(a, &s[0], &d[0], &sp[0], &dp[0]);
	ct_reply_tuple(b, &s[1], &d[1], &sp[1], &dp[1]);
	return ipaddr_equal(&s[0], &s[1]) && ipaddr_equal(&d[0], &d[1]) && sp[0] == sp[1] &&
	       dp[0] == dp[1];
}

/* Whatever is the wrong way round and unanswered. */
static struct ct *in_the_way(struct side *side, const struct ct *ct)
{
	struct ct inverse = *ct;

	ct_reply_tuple(ct, &inverse.src, &inverse.dst, &inverse.sport, &inverse.dport);
	return kernel_find(side, &inverse);
}

static int kernel_answer(struct side *side, enum ct_op op, const struct ct *ct)
{
	struct ct *there = kernel_find(side, ct);

	if (HAS(ct, CT_HELPER) && !side->has_helpers)
		return -EOPNOTSUPP;
	if (op == CT_OP_CREATE) {
		if (there || in_the_way(side, ct))
			return -EEXIST;
		if (side->is_full)
			return -ENOMEM;
		kernel_add(side, ct);
		return 0;
	}
	if (!there)
		return -ENOENT;
	if (!is_same_translation(there, ct) ||
	    ((there->status & IPS_SEEN_REPLY) && !(ct->status & IPS_SEEN_REPLY)))
		return -EBUSY;
	*there = *ct;
	return 0;
}

static int answer_later(struct side *side, enum ct_op op, uint64_t cookie, int error)
{
	if (side->verdict_count == QUEUE_MAX)
		return -EAGAIN;
	side->verdicts[side->verdict_count++] = (struct verdict){ op, cookie, error };
	return 0;
}

static struct wbuf *op_frame_begin(void *arg)
{
	struct side *side = arg;

	if (side->has_no_link)
		return NULL;
	side->payload = wbuf_of(side->bytes, sizeof(side->bytes));
	return &side->payload;
}

static void op_frame_end(void *arg, uint8_t type)
{
	struct side *side = arg;
	struct box *box = side->box;
	struct frame *frame;

	assert_false(side->payload.failed);
	box->data_frames += type == SYNC_TYPE_DATA;
	box->said++;
	if (box->is_cut || type == box->lost_type || (box->loss && box->said % box->loss == 0) ||
	    (box->queue_max && box->frame_count >= box->queue_max)) {
		box->lost++;
		return;
	}
	assert_true(box->frame_count < sizeof(box->frames) / sizeof(box->frames[0]));
	frame = &box->frames[box->frame_count++];
	frame->from = side;
	frame->type = type;
	frame->len = wbuf_len(&side->payload);
	memcpy(frame->bytes, side->bytes, frame->len);
}

static int op_kernel_put(void *arg, enum ct_op op, const struct ct *ct, uint64_t cookie)
{
	struct side *side = arg;

	if (side->is_busy)
		return -EAGAIN;
	side->last_put = ct->sport;
	*(op == CT_OP_CREATE ? &side->creates : &side->updates) += 1;
	return answer_later(side, op, cookie, kernel_answer(side, op, ct));
}

static int op_kernel_delete(void *arg, const struct ct *key, uint64_t cookie)
{
	struct side *side = arg;
	struct ct *there = kernel_find(side, key);

	side->deletes++;
	if (there)
		kernel_remove(side, there);
	return answer_later(side, CT_OP_DELETE, cookie, there ? 0 : -ENOENT);
}

static int op_kernel_timeout(void *arg, const struct ct *key, uint32_t seconds, uint64_t cookie)
{
	struct side *side = arg;

	(void)seconds;
	side->timeouts++;
	return answer_later(side, CT_OP_TIMEOUT, cookie, kernel_find(side, key) ? 0 : -ENOENT);
}

static int op_kernel_renew(void *arg, const struct ct *ct, uint32_t seconds, uint64_t cookie)
{
	(void)seconds;
	op_kernel_delete(arg, ct, cookie);
	return op_kernel_put(arg, CT_OP_CREATE, ct, cookie);
}

static int op_kernel_has(void *arg, const struct ct *key)
{
	struct side *side = arg;

	return side->has_error ? side->has_error : kernel_find(side, key) != NULL;
}

static bool op_kernel_clear(void *arg, const struct ct *ct)
{
	struct side *side = arg;
	struct ct *there = in_the_way(side, ct);

	if (!there || (there->status & IPS_SEEN_REPLY))
		return false;
	kernel_remove(side, there);
	return true;
}

static bool op_wants(void *arg, const struct ct *ct)
{
	(void)arg;
	return ct->dport != 22;
}

static void op_start_dump(void *arg)
{
	((struct side *)arg)->dumps++;
	((struct side *)arg)->is_dump_due = true;
}

static void op_alone(void *arg, bool is_alone)
{
	((struct side *)arg)->is_alone = is_alone;
}

static void op_full(void *arg, bool is_full)
{
	((struct side *)arg)->says_full = is_full;
}

static void op_ready(void *arg, uint64_t term, bool is_ready)
{
	struct side *side = arg;

	assert_true(term >= TERM);
	side->is_ready = is_ready;
	side->ready_news++;
}

const struct sync_ops sync_lab_ops = {
	.frame_begin = op_frame_begin,
	.frame_end = op_frame_end,
	.kernel_put = op_kernel_put,
	.kernel_delete = op_kernel_delete,
	.kernel_timeout = op_kernel_timeout,
	.kernel_renew = op_kernel_renew,
	.kernel_has = op_kernel_has,
	.kernel_clear = op_kernel_clear,
	.wants = op_wants,
	.start_dump = op_start_dump,
	.on_alone = op_alone,
	.on_ready = op_ready,
	.on_full = op_full,
};

static void side_open(struct box *box, struct side *side, const char *serial, bool is_enabled,
		      size_t max_sessions)
{
	struct sync_config config = { .is_enabled = is_enabled, .max_sessions = max_sessions,
				      .has_group_hash = true, .keys = { .digest = { 1 } },
				      .fence_ns = MS(20) };

	strcpy(config.serial, serial);
	config.keys.hash[0] = (uint8_t)serial[1];
	side->box = box;
	side->serial = serial;
	side->has_helpers = true;
	side->sync = sync_new(&config, &sync_lab_ops, side, box->now);
}

struct sync_stats side_stats(struct side *side)
{
	struct sync_state state;

	sync_describe(side->sync, side->box->now, &state);
	return state.stats;
}

static void deliver(struct box *box)
{
	bool is_turn = box->now.ns / MS(1) % 4 == 0;
	unsigned count = !box->queue_max ? box->frame_count : box->frame_count && is_turn;

	for (unsigned i = 0; i < count; i++) {
		struct frame *frame = &box->frames[i];
		struct side *to = frame->from == &box->a ? &box->b : &box->a;
		struct rbuf payload = rbuf_of(frame->bytes, frame->len);

		if (to->sync)
			sync_on_message(to->sync, box->now, frame->from->serial, frame->type,
					&payload);
	}
	box->frame_count -= count;
	memmove(box->frames, box->frames + count, box->frame_count * sizeof(box->frames[0]));
}

static void serve_kernel(struct side *side)
{
	struct verdict pending[QUEUE_MAX];
	unsigned count = side->verdict_count;

	memcpy(pending, side->verdicts, count * sizeof(*pending));
	side->verdict_count = 0;
	for (unsigned i = 0; i < count; i++)
		sync_on_verdict(side->sync, side->box->now, pending[i].op, pending[i].cookie,
				pending[i].error);
	if (!side->is_dump_due || side->is_dump_stuck)
		return;
	side->is_dump_due = false;
	for (unsigned i = 0; i < side->kernel_count; i++) {
		struct ct_seen seen = { .news = CT_NEWS_DUMP, .ct = side->kernel[i],
					.has_mark = true, .is_full = true,
					.is_copy = side->has_copies_only };

		sync_on_seen(side->sync, side->box->now, &seen);
	}
	sync_on_dump_done(side->sync, side->box->now, 0);
}

void box_run(struct box *box, int64_t ns)
{
	mono_t end = mono_add(box->now, ns);

	while (mono_before(box->now, end)) {
		box->now = mono_add(box->now, MS(1));
		for (struct side *side = &box->a; side <= &box->b; side++)
			if (side->sync) {
				serve_kernel(side);
				sync_step(side->sync, box->now);
			}
		deliver(box);
	}
}

struct ct session(uint16_t port)
{
	struct ct ct = { .l3 = AF_INET, .l4 = IPPROTO_TCP, .src = { .family = AF_INET },
			 .dst = { .family = AF_INET }, .sport = port, .dport = 80,
			 .status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED, .timeout = 300 };

	ct.src.bytes[0] = 10;
	ct.dst.bytes[0] = 192;
	ct.has = UINT64_C(1) << CT_L3 | UINT64_C(1) << CT_L4 | UINT64_C(1) << CT_SRC |
		 UINT64_C(1) << CT_DST | UINT64_C(1) << CT_SPORT | UINT64_C(1) << CT_DPORT |
		 UINT64_C(1) << CT_STATUS | UINT64_C(1) << CT_TIMEOUT;
	return ct;
}

void side_tells(struct side *side, enum ct_news news, const struct ct *ct)
{
	struct ct_seen seen = { .news = news, .ct = *ct, .has_mark = true,
				.is_full = news == CT_NEWS_NEW };

	sync_on_seen(side->sync, side->box->now, &seen);
}

void side_opens(struct side *side, const struct ct *ct)
{
	kernel_add(side, ct);
	side_tells(side, CT_NEWS_NEW, ct);
}

void side_ends(struct side *side, const struct ct *ct)
{
	struct ct *there = kernel_find(side, ct);

	if (there)
		kernel_remove(side, there);
	side_tells(side, CT_NEWS_DESTROY, ct);
}

void side_changes(struct side *side, uint16_t port, uint32_t mark)
{
	struct ct ct = session(port), *there = kernel_find(side, &ct);

	ct.mark = mark;
	SET_HAS(&ct, CT_MARK);
	if (there)
		*there = ct;
	side_tells(side, CT_NEWS_UPDATE, &ct);
}

bool side_has(struct side *side, uint16_t port)
{
	struct ct ct = session(port);

	return kernel_find(side, &ct) != NULL;
}

void box_restart_b(struct box *box)
{
	sync_free(box->b.sync);
	box->b.verdict_count = 0;
	box->b.creates = box->b.updates = box->b.deletes = box->b.dumps = 0;
	box->b.is_ready = false;
	box->b.is_dump_due = false;
	box->b.has_copies_only = true;
	side_open(box, &box->b, "FKB", true, KERNEL_MAX);
}

void box_join(struct box *box)
{
	static const char a[1][17] = { "FKA" }, b[1][17] = { "FKB" };

	sync_on_members(box->a.sync, box->now, b, 1);
	sync_on_members(box->b.sync, box->now, a, 1);
	sync_on_role(box->b.sync, box->now, SYNC_SECONDARY, "FKA", TERM);
}

static struct box *make(bool is_enabled, bool with_b, size_t max_sessions)
{
	struct box *box = calloc(1, sizeof(*box));

	box->now = (mono_t){ SEC(100) };
	side_open(box, &box->a, "FKA", is_enabled, max_sessions);
	side_open(box, &box->b, "FKB", is_enabled, max_sessions);
	sync_on_role(box->a.sync, box->now, SYNC_PRIMARY, "FKA", TERM);
	if (with_b)
		box_join(box);
	box_run(box, MS(300));
	return box;
}

struct box *box_new(bool is_enabled, bool with_b)
{
	return make(is_enabled, with_b, KERNEL_MAX);
}

struct box *box_new_of(size_t max_sessions)
{
	return make(true, true, max_sessions);
}

void box_free(struct box *box)
{
	if (box->a.sync)
		sync_free(box->a.sync);
	if (box->b.sync)
		sync_free(box->b.sync);
	free(box);
}

void box_expect_equal(struct box *box)
{
	struct store *a = sync_store(box->a.sync), *b = sync_store(box->b.sync);

	assert_int_equal(store_live(a), store_live(b));
	assert_int_equal(store_digest(a), store_digest(b));
	assert_int_equal(box->a.kernel_count, box->b.kernel_count);
	assert_true(box->b.is_ready);
}
