/* sync_test.c: two members without heartbeats: what is told, taken, fenced, resent and proven */
#include "sync/sync.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { KERNEL_MAX = 4096, QUEUE_MAX = 4096, FRAME_BYTES = 1400, TERM = 5 };

/* ---- a kernel, a wire and a clock ------------------------------------------------------------- */

struct verdict {
	enum ct_op op;
	uint64_t cookie;
	int error;
};

struct box;

struct side {
	struct box *box;
	const char *serial;
	struct sync *sync;
	uint8_t bytes[FRAME_BYTES];
	struct wbuf payload;
	struct ct kernel[KERNEL_MAX];
	unsigned kernel_count;
	struct verdict verdicts[QUEUE_MAX];
	unsigned verdict_count;
	unsigned creates, updates, deletes, timeouts, dumps;
	bool has_helpers;      /* knows the helper that a session names */
	bool is_full;          /* creates answer ENOMEM */
	bool is_dump_due;
	bool has_copies_only;  /* nobody has spoken on what is in its kernel */
	int has_error;         /* what kernel_has() answers instead of looking */
	bool is_ready;
	unsigned ready_news;
};

struct frame {
	struct side *from;
	uint8_t type;
	size_t len;
	uint8_t bytes[FRAME_BYTES];
};

struct box {
	mono_t now;
	struct side a, b;
	struct frame frames[256];
	unsigned frame_count;
	bool is_cut;           /* frames are lost */
	unsigned data_frames, lost;
};

static struct ct *kernel_find(struct side *side, const struct ct *key)
{
	for (unsigned i = 0; i < side->kernel_count; i++)
		if (ct_key_equal(&side->kernel[i], key))
			return &side->kernel[i];
	return NULL;
}

static void kernel_add(struct side *side, const struct ct *ct)
{
	assert_true(side->kernel_count < KERNEL_MAX);
	side->kernel[side->kernel_count++] = *ct;
}

static void kernel_remove(struct side *side, struct ct *at)
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

static int kernel_answer(struct side *side, enum ct_op op, const struct ct *ct)
{
	struct ct *there = kernel_find(side, ct);

	if (HAS(ct, CT_HELPER) && !side->has_helpers)
		return -EOPNOTSUPP;
	if (op == CT_OP_CREATE) {
		if (there)
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
	if (box->is_cut) {
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

static void op_ready(void *arg, uint64_t term, bool is_ready)
{
	struct side *side = arg;

	assert_int_equal(term, TERM);
	side->is_ready = is_ready;
	side->ready_news++;
}

static const struct sync_ops ops = {
	.frame_begin = op_frame_begin,
	.frame_end = op_frame_end,
	.kernel_put = op_kernel_put,
	.kernel_delete = op_kernel_delete,
	.kernel_timeout = op_kernel_timeout,
	.kernel_renew = op_kernel_renew,
	.kernel_has = op_kernel_has,
	.wants = op_wants,
	.start_dump = op_start_dump,
	.on_ready = op_ready,
};

static void side_open(struct box *box, struct side *side, const char *serial, bool is_enabled)
{
	struct sync_config config = { .is_enabled = is_enabled, .max_sessions = KERNEL_MAX,
				      .keys = { .digest = { 1 } }, .fence_ns = MS(20) };

	strcpy(config.serial, serial);
	config.keys.hash[0] = (uint8_t)serial[1];
	side->box = box;
	side->serial = serial;
	side->has_helpers = true;
	side->sync = sync_new(&config, &ops, side, box->now);
}

static struct sync_stats stats(struct side *side)
{
	struct sync_state state;

	sync_describe(side->sync, side->box->now, &state);
	return state.stats;
}

static void deliver(struct box *box)
{
	for (unsigned i = 0; i < box->frame_count; i++) {
		struct frame *frame = &box->frames[i];
		struct side *to = frame->from == &box->a ? &box->b : &box->a;
		struct rbuf payload = rbuf_of(frame->bytes, frame->len);

		if (to->sync)
			sync_on_message(to->sync, box->now, frame->from->serial, frame->type,
					&payload);
	}
	box->frame_count = 0;
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
	if (!side->is_dump_due)
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

/* Time goes on in steps of a millisecond: both step, frames arrive, the kernels answer. */
static void run(struct box *box, int64_t ns)
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

static struct ct session(uint16_t port)
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

static void tell(struct side *side, enum ct_news news, const struct ct *ct)
{
	struct ct_seen seen = { .news = news, .ct = *ct, .has_mark = true,
				.is_full = news == CT_NEWS_NEW };

	sync_on_seen(side->sync, side->box->now, &seen);
}

static void opens(struct side *side, const struct ct *ct)
{
	kernel_add(side, ct);
	tell(side, CT_NEWS_NEW, ct);
}

static void ends(struct side *side, const struct ct *ct)
{
	struct ct *there = kernel_find(side, ct);

	if (there)
		kernel_remove(side, there);
	tell(side, CT_NEWS_DESTROY, ct);
}

static void changes(struct side *side, uint16_t port, uint32_t mark)
{
	struct ct ct = session(port), *there = kernel_find(side, &ct);

	ct.mark = mark;
	SET_HAS(&ct, CT_MARK);
	if (there)
		*there = ct;
	tell(side, CT_NEWS_UPDATE, &ct);
}

static bool has(struct side *side, uint16_t port)
{
	struct ct ct = session(port);

	return kernel_find(side, &ct) != NULL;
}

static void join(struct box *box)
{
	static const char a[1][17] = { "FKA" }, b[1][17] = { "FKB" };

	sync_on_members(box->a.sync, box->now, b, 1);
	sync_on_members(box->b.sync, box->now, a, 1);
	sync_on_role(box->b.sync, box->now, SYNC_SECONDARY, "FKA", TERM);
}

/* A is primary and complete; B follows where `with_b`. */
static struct box *box_new(bool is_enabled, bool with_b)
{
	struct box *box = calloc(1, sizeof(*box));

	box->now = (mono_t){ SEC(100) };
	side_open(box, &box->a, "FKA", is_enabled);
	side_open(box, &box->b, "FKB", is_enabled);
	sync_on_role(box->a.sync, box->now, SYNC_PRIMARY, "FKA", TERM);
	if (with_b)
		join(box);
	run(box, MS(300));
	return box;
}

static void box_free(struct box *box)
{
	if (box->a.sync)
		sync_free(box->a.sync);
	if (box->b.sync)
		sync_free(box->b.sync);
	free(box);
}

static void expect_equal(struct box *box)
{
	struct store *a = sync_store(box->a.sync), *b = sync_store(box->b.sync);

	assert_int_equal(store_live(a), store_live(b));
	assert_int_equal(store_digest(a), store_digest(b));
	assert_int_equal(box->a.kernel_count, box->b.kernel_count);
	assert_true(box->b.is_ready);
}

/* ---- promises ----------------------------------------------------------------------------------- */

static void live_changes_are_copied_at_once(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1), ssh = session(2);

	(void)state;
	assert_true(box->b.is_ready);
	opens(&box->a, &ct);
	run(box, MS(5));
	assert_true(has(&box->b, 1));
	changes(&box->a, 1, 7);
	run(box, MS(5));
	assert_int_equal(kernel_find(&box->b, &ct)->mark, 7);
	/* The same once more is no change; what does not deserve to travel is not told. */
	changes(&box->a, 1, 7);
	assert_int_equal(stats(&box->a).unchanged, 1);
	ssh.dport = 22;
	opens(&box->a, &ssh);
	run(box, MS(50));
	assert_int_equal(stats(&box->a).filtered, 1);
	assert_int_equal(box->b.kernel_count, 1);
	ends(&box->a, &ct);
	run(box, MS(10));
	assert_true(has(&box->b, 1)); /* the fence */
	run(box, MS(30));
	assert_int_equal(box->b.kernel_count, 0);
	assert_int_equal(stats(&box->b).gaps, 0);
	box_free(box);
}

static void late_joiner_gets_everything_by_one_walk(void **state)
{
	struct box *box = box_new(true, false);

	(void)state;
	for (uint16_t port = 1; port <= 1000; port++) {
		struct ct ct = session(port);

		opens(&box->a, &ct);
	}
	run(box, MS(50));
	assert_int_equal(box->data_frames, 0); /* nobody to tell */
	join(box);
	run(box, MS(30));
	assert_false(box->b.is_ready);
	for (uint16_t port = 1; port <= 500; port++)
		changes(&box->a, port, 9); /* while the walk goes on */
	run(box, SEC(2));
	expect_equal(box);
	assert_int_equal(stats(&box->b).walks_taken, 1);
	assert_int_equal(stats(&box->a).walks_served, 1);
	box_free(box);
}

static void a_walk_removes_what_it_does_not_confirm(void **state)
{
	struct box *box = box_new(true, true);
	struct ct one = session(1), two = session(2);

	(void)state;
	opens(&box->a, &one);
	opens(&box->a, &two);
	run(box, MS(50));
	/* B loses a record and keeps one that A has forgotten: only the digest tells. */
	store_drop(sync_store(box->b.sync), store_find(sync_store(box->b.sync), &one));
	store_drop(sync_store(box->a.sync), store_find(sync_store(box->a.sync), &two));
	kernel_remove(&box->a, kernel_find(&box->a, &two));
	run(box, SEC(3));
	assert_true(stats(&box->b).digest_mismatches > 0);
	assert_int_equal(box->b.ready_news, 3); /* ready, not, ready again */
	expect_equal(box);
	assert_true(has(&box->b, 1));
	assert_false(has(&box->b, 2));
	box_free(box);
}

static void lost_frames_are_asked_for_again(void **state)
{
	struct box *box = box_new(true, true);

	(void)state;
	for (uint16_t port = 1; port <= 300; port++) {
		struct ct ct = session(port);

		box->is_cut = port % 3 == 0;
		opens(&box->a, &ct);
		run(box, MS(2));
	}
	box->is_cut = false;
	assert_true(box->lost > 0);
	run(box, MS(200));
	assert_true(stats(&box->b).gaps > 0);
	assert_true(stats(&box->a).resends > 0);
	assert_int_equal(stats(&box->b).walks_taken, 0); /* equal from the start: no walk needed */
	assert_int_equal(stats(&box->b).drops.n[DROP_GAP], stats(&box->b).gaps);
	expect_equal(box);
	box_free(box);
}

static void a_parked_delete_asks_the_kernel_first(void **state)
{
	struct box *box = box_new(true, true);
	struct ct gone = session(1), alive = session(2), unknown = session(3);

	(void)state;
	opens(&box->a, &gone);
	opens(&box->a, &alive);
	opens(&box->a, &unknown);
	run(box, MS(50));
	tell(&box->a, CT_NEWS_DESTROY, &alive); /* flushed, and opened again by its next packet */
	ends(&box->a, &gone);
	sync_on_disturbance(box->a.sync, box->now);
	run(box, MS(500));
	assert_true(has(&box->b, 1));
	assert_int_equal(stats(&box->a).deletes_parked, 2);
	run(box, SEC(2));
	assert_false(has(&box->b, 1));
	assert_true(has(&box->b, 2));
	/* A kernel that does not answer keeps the copy, and is read again. */
	box->a.has_error = -ENOBUFS;
	sync_on_disturbance(box->a.sync, box->now);
	tell(&box->a, CT_NEWS_DESTROY, &unknown);
	run(box, MS(2100));
	assert_true(has(&box->b, 3));
	box->a.has_error = 0;
	run(box, MS(100));
	assert_int_equal(box->a.dumps, 2);
	assert_true(has(&box->b, 3));
	box_free(box);
}

static void a_delete_is_not_parked_for_ever(void **state)
{
	struct box *box = box_new(true, true);
	struct ct gone = session(1);

	(void)state;
	opens(&box->a, &gone);
	run(box, MS(50));
	ends(&box->a, &gone);
	for (unsigned s = 0; s < 12; s++) {
		assert_int_equal(has(&box->b, 1), s < 10);
		sync_on_disturbance(box->a.sync, box->now);
		run(box, SEC(1) + MS(5));
	}
	box_free(box);
}

static void a_lost_role_discards_its_deletes(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	opens(&box->a, &ct);
	run(box, MS(50));
	ends(&box->a, &ct);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	run(box, SEC(3));
	assert_int_equal(stats(&box->a).deletes_discarded, 1);
	assert_true(has(&box->b, 1));
	assert_true(has(&box->a, 1)); /* and put back where it was taken away */
	assert_true(box->a.is_ready);
	assert_int_equal(stats(&box->a).walks_taken, 0); /* one frame proves it */
	box_free(box);
}

/* The same for a copy that A had taken over and nobody had spoken on: it does not count as touched. */
static void an_untouched_session_is_put_back_too(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	opens(&box->a, &ct);
	run(box, MS(50));
	box->b.has_copies_only = true;
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM);
	run(box, SEC(1));
	ends(&box->b, &ct);
	sync_on_role(box->b.sync, box->now, SYNC_SECONDARY, "FKA", TERM);
	sync_on_role(box->a.sync, box->now, SYNC_PRIMARY, "FKA", TERM);
	run(box, SEC(1));
	expect_equal(box);
	assert_true(has(&box->b, 1));
	box_free(box);
}

static void a_key_that_returns_behind_the_fence_lives(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	opens(&box->a, &ct);
	run(box, MS(50));
	ends(&box->a, &ct);
	run(box, MS(5));
	opens(&box->a, &ct);
	run(box, MS(100));
	assert_true(has(&box->b, 1));
	assert_int_equal(stats(&box->b).deleted_heard, 0);
	box_free(box);
}

static void a_new_translation_is_a_new_entry(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	opens(&box->a, &ct);
	run(box, MS(50));
	ct.rdport = 4000;
	SET_HAS(&ct, CT_RDPORT);
	ct.status |= IPS_SRC_NAT | IPS_SRC_NAT_DONE;
	*kernel_find(&box->a, &ct) = ct;
	tell(&box->a, CT_NEWS_NEW, &ct);
	run(box, MS(50));
	assert_int_equal(box->b.creates, 2);
	assert_int_equal(box->b.deletes, 1);
	assert_int_equal(kernel_find(&box->b, &ct)->rdport, 4000);
	box_free(box);
}

static void what_the_kernel_knows_better_is_put_the_other_way(void **state)
{
	struct box *box = box_new(true, true);
	struct ct there = session(1), missing = session(2), answered = session(3);

	(void)state;
	kernel_add(&box->b, &there); /* EEXIST: an update then */
	opens(&box->a, &there);
	kernel_add(&box->b, &answered); /* EBUSY: a delete and a create */
	answered.status &= ~(uint32_t)(IPS_SEEN_REPLY | IPS_ASSURED);
	opens(&box->a, &answered);
	opens(&box->a, &missing);
	run(box, MS(50));
	kernel_remove(&box->b, kernel_find(&box->b, &missing)); /* ENOENT: a create then */
	changes(&box->a, 2, 4);
	run(box, MS(50));
	assert_int_equal(kernel_find(&box->b, &missing)->mark, 4);
	assert_false(kernel_find(&box->b, &answered)->status & IPS_SEEN_REPLY);
	assert_int_equal(stats(&box->b).inject_failed, 0);
	assert_true(stats(&box->b).inject_retried >= 3);
	expect_equal(box);
	box_free(box);
}

static void a_helper_that_is_missing_costs_the_helper_only(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	box->b.has_helpers = false;
	strcpy(ct.helper, "ftp");
	SET_HAS(&ct, CT_HELPER);
	opens(&box->a, &ct);
	run(box, MS(50));
	assert_true(has(&box->b, 1));
	/* An update of the copy names the helper again, and is refused again. */
	changes(&box->a, 1, 3);
	run(box, MS(50));
	assert_int_equal(kernel_find(&box->b, &ct)->mark, 3);
	assert_int_equal(stats(&box->b).inject_failed, 0);
	box_free(box);
}

static void what_the_kernel_refuses_is_tried_again(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_state described;
	struct ct ct = session(1);

	(void)state;
	box->b.is_full = true;
	opens(&box->a, &ct);
	run(box, MS(100));
	sync_describe(box->b.sync, box->now, &described);
	assert_int_equal(described.differing, 1);
	assert_int_equal(described.stats.inject_failed, 1);
	box->b.is_full = false;
	run(box, SEC(2));
	sync_describe(box->b.sync, box->now, &described);
	assert_int_equal(described.differing, 0);
	assert_true(has(&box->b, 1));
	box_free(box);
}

static void lost_copies_are_put_back(void **state)
{
	struct box *box = box_new(true, true);
	struct ct one = session(1), two = session(2);

	(void)state;
	opens(&box->a, &one);
	opens(&box->a, &two);
	run(box, MS(50));
	ends(&box->b, &one); /* conntrack -D on the secondary */
	run(box, MS(10));
	assert_true(has(&box->b, 1));
	/* conntrack -F, so much of it that its events were lost. */
	box->b.kernel_count = 0;
	sync_on_overrun(box->b.sync, box->now);
	run(box, MS(50));
	expect_equal(box);
	assert_int_equal(stats(&box->b).put_back, 3);
	assert_int_equal(stats(&box->a).deleted_sent, 0);
	box_free(box);
}

static void an_overrun_is_repaired_by_one_dump(void **state)
{
	struct box *box = box_new(true, true);
	struct ct gone = session(1), unseen = session(2);
	uint64_t dumps;

	(void)state;
	opens(&box->a, &gone);
	run(box, MS(50));
	kernel_remove(&box->a, kernel_find(&box->a, &gone));
	kernel_add(&box->a, &unseen);
	dumps = stats(&box->a).dumps;
	sync_on_overrun(box->a.sync, box->now);
	run(box, MS(100));
	assert_int_equal(stats(&box->a).dumps, dumps + 1);
	assert_false(has(&box->b, 1));
	assert_true(has(&box->b, 2));
	expect_equal(box);
	box_free(box);
}

static void a_takeover_keeps_every_record_and_reads_the_kernel(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1), own = session(9);
	uint64_t head;

	(void)state;
	opens(&box->a, &ct);
	run(box, MS(50));
	sync_free(box->a.sync); /* A dies */
	box->a.sync = NULL;
	head = store_head(sync_store(box->b.sync));
	kernel_add(&box->b, &own);
	sync_on_members(box->b.sync, box->now, NULL, 0);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	run(box, MS(50));
	assert_int_equal(box->b.timeouts, 1);
	assert_int_equal(box->b.dumps, 2);
	assert_int_equal(store_live(sync_store(box->b.sync)), 2);
	assert_true(store_head(sync_store(box->b.sync)) > head);
	box_free(box);
}

/* Its primary dies in the middle of a walk: nothing of the walk may hold the new primary back. */
static void a_takeover_ends_a_walk(void **state)
{
	struct box *box = box_new(true, false);
	struct ct ct = session(1);

	(void)state;
	opens(&box->a, &ct);
	box->is_cut = true;
	join(box);
	run(box, SEC(1));
	assert_int_equal(stats(&box->b).walks_taken, 1);
	sync_free(box->a.sync);
	box->a.sync = NULL;
	sync_on_members(box->b.sync, box->now, NULL, 0);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	run(box, MS(50));
	assert_int_equal(box->b.dumps, 2);
	box_free(box);
}

/* Records of two streams with one version: both must be told. */
static void a_new_primary_has_no_version_twice(void **state)
{
	struct box *box = box_new(true, true);
	struct ct one = session(1), two = session(2);
	struct store_entry *entry;

	(void)state;
	kernel_add(&box->b, &one);
	kernel_add(&box->b, &two);
	store_put(sync_store(box->b.sync), &one, 7, &entry);
	store_put(sync_store(box->b.sync), &two, 7, &entry);
	sync_on_role(box->b.sync, box->now, SYNC_PRIMARY, "FKB", TERM);
	sync_on_role(box->a.sync, box->now, SYNC_SECONDARY, "FKB", TERM);
	run(box, SEC(2));
	assert_true(has(&box->a, 1));
	assert_true(has(&box->a, 2));
	assert_int_equal(store_digest(sync_store(box->a.sync)),
			 store_digest(sync_store(box->b.sync)));
	assert_int_equal(stats(&box->a).drops.n[DROP_RANGE], 0);
	box_free(box);
}

static void what_does_not_belong_is_refused_by_name(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_ack ack = { .term = TERM, .cursor = 1000, .want = 0 };
	uint8_t bytes[256];
	struct wbuf w;
	struct rbuf r;

	(void)state;
	/* Data of a member that is not the primary; the primary takes none at all. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_data, &(struct sync_data){ .has = 7, .term = TERM },
		     UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKX", SYNC_TYPE_DATA, &r),
			 DROP_NOT_PRIMARY);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_DATA, &r),
			 DROP_NOT_PRIMARY);
	/* Another term. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_data, &(struct sync_data){ .has = 7, .term = TERM - 1 },
		     UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
			 DROP_STALE_TERM);
	/* A walk that nobody asked for. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 0);
	codec_encode(&schema_sync_data,
		     &(struct sync_data){ .has = 7 | 1 << SYNC_DATA_WALK, .term = TERM,
					  .walk = 99 },
		     UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
			 DROP_STALE_VERSION);
	/* Positions that nobody can have counted to: the next of our own would be that of a cursor. */
	for (unsigned i = 0; i < 2; i++) {
		struct sync_data lie = { .has = 7, .term = TERM, .prev = i, .head = i ? 0 :
					 STORE_IS_CURSOR - 1 };

		w = wbuf_of(bytes, sizeof(bytes));
		wbuf_be16(&w, 0);
		codec_encode(&schema_sync_data, &lie, UINT64_MAX, &w);
		r = rbuf_of(bytes, wbuf_len(&w));
		assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
				 DROP_RANGE);
	}
	/* Records longer than the frame. */
	w = wbuf_of(bytes, sizeof(bytes));
	wbuf_be16(&w, 500);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", SYNC_TYPE_DATA, &r),
			 DROP_TRUNCATED);
	r = rbuf_of(bytes, 0);
	assert_int_equal(sync_on_message(box->b.sync, box->now, "FKA", 77, &r), DROP_TYPE);
	/* Acknowledgements: of nobody we know, of more than was said. */
	ack.has = 7;
	w = wbuf_of(bytes, sizeof(bytes));
	codec_encode(&schema_sync_ack, &ack, UINT64_MAX, &w);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKX", SYNC_TYPE_ACK, &r),
			 DROP_UNKNOWN_SENDER);
	r = rbuf_of(bytes, wbuf_len(&w));
	assert_int_equal(sync_on_message(box->a.sync, box->now, "FKB", SYNC_TYPE_ACK, &r),
			 DROP_RANGE);
	box_free(box);
}

static void a_full_table_is_counted_and_shown(void **state)
{
	struct box *box = box_new(true, true);
	struct sync_config small = { .serial = "FKB", .is_enabled = true, .max_sessions = 2,
				     .keys = { .digest = { 1 } }, .fence_ns = MS(20) };

	(void)state;
	sync_free(box->b.sync);
	box->b.sync = sync_new(&small, &ops, &box->b, box->now);
	box->b.is_ready = false;
	join(box);
	for (uint16_t port = 1; port <= 3; port++) {
		struct ct ct = session(port);

		opens(&box->a, &ct);
	}
	run(box, SEC(1));
	assert_false(box->b.is_ready);
	assert_true(stats(&box->b).drops.n[DROP_TABLE_FULL] > 0);
	assert_int_equal(store_live(sync_store(box->b.sync)), 2);
	box_free(box);
}

static void disabled_it_does_nothing(void **state)
{
	struct box *box = box_new(false, true);
	struct ct ct = session(1);

	(void)state;
	assert_true(box->b.is_ready); /* nothing can be missing */
	opens(&box->a, &ct);
	run(box, SEC(2));
	assert_int_equal(box->data_frames, 0);
	assert_int_equal(box->b.kernel_count, 0);
	assert_int_equal(store_live(sync_store(box->a.sync)), 0);
	box_free(box);
}

static void switching_it_off_takes_the_copies_away(void **state)
{
	struct box *box = box_new(true, true);
	struct ct ct = session(1);

	(void)state;
	opens(&box->a, &ct);
	run(box, MS(50));
	assert_true(has(&box->b, 1));
	sync_set_enabled(box->a.sync, box->now, false);
	sync_set_enabled(box->b.sync, box->now, false);
	run(box, MS(50));
	assert_int_equal(box->b.kernel_count, 0);
	assert_true(has(&box->a, 1));
	sync_set_enabled(box->a.sync, box->now, true);
	sync_set_enabled(box->b.sync, box->now, true);
	run(box, SEC(1));
	expect_equal(box);
	assert_true(has(&box->b, 1));
	box_free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live_changes_are_copied_at_once),
		cmocka_unit_test(late_joiner_gets_everything_by_one_walk),
		cmocka_unit_test(a_walk_removes_what_it_does_not_confirm),
		cmocka_unit_test(lost_frames_are_asked_for_again),
		cmocka_unit_test(a_parked_delete_asks_the_kernel_first),
		cmocka_unit_test(a_delete_is_not_parked_for_ever),
		cmocka_unit_test(a_lost_role_discards_its_deletes),
		cmocka_unit_test(an_untouched_session_is_put_back_too),
		cmocka_unit_test(a_key_that_returns_behind_the_fence_lives),
		cmocka_unit_test(a_new_translation_is_a_new_entry),
		cmocka_unit_test(what_the_kernel_knows_better_is_put_the_other_way),
		cmocka_unit_test(a_helper_that_is_missing_costs_the_helper_only),
		cmocka_unit_test(what_the_kernel_refuses_is_tried_again),
		cmocka_unit_test(lost_copies_are_put_back),
		cmocka_unit_test(an_overrun_is_repaired_by_one_dump),
		cmocka_unit_test(a_takeover_keeps_every_record_and_reads_the_kernel),
		cmocka_unit_test(a_takeover_ends_a_walk),
		cmocka_unit_test(a_new_primary_has_no_version_twice),
		cmocka_unit_test(what_does_not_belong_is_refused_by_name),
		cmocka_unit_test(a_full_table_is_counted_and_shown),
		cmocka_unit_test(disabled_it_does_nothing),
		cmocka_unit_test(switching_it_off_takes_the_copies_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
