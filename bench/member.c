/* member.c: one member of a group: the sync room and its doors; see member.h */
#include "member.h"

#include "base/xalloc.h"
#include "ct/ct_msg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As node.h has it. */
#define SESSIONS_MAX (4u * 1024 * 1024)

static void tape_put(struct tape *tape, unsigned step, const void *frame, size_t len)
{
	if (tape->count == tape->room) {
		tape->room = tape->room ? 2 * tape->room : 1024;
		tape->items = xrealloc(tape->items, tape->room, sizeof(*tape->items));
	}
	if (tape->len + len > tape->size) {
		tape->size = 2 * tape->size + (1 << 20);
		tape->bytes = xrealloc(tape->bytes, 1, tape->size);
	}
	memcpy(tape->bytes + tape->len, frame, len);
	tape->items[tape->count++] =
		(struct tape_item){.at = tape->len, .step = step, .len = (unsigned)len};
	tape->len += len;
}

void tape_fini(struct tape *tape)
{
	free(tape->bytes);
	free(tape->items);
}

/* ---- the doors of the sync room ------------------------------------------------------ */

static struct wbuf *op_frame_begin(void *arg)
{
	struct member *m = arg;

	m->payload = seal_payload(m->frame, MEMBER_MTU);
	wbuf_be64(&m->payload, (uint64_t)(m->now.ns / 1000));
	return &m->payload;
}

static void op_frame_end(void *arg, uint8_t type)
{
	struct member *m = arg;
	uint64_t tag;
	size_t len;

	if (m->payload.failed) {
		m->refused++;
		return;
	}
	len = seal_close(m->seal, (enum frame_type)type, m->frame, wbuf_len(&m->payload));
	memcpy(&tag, m->frame + len - sizeof(tag), sizeof(tag));
	m->tags += tag;
	m->frames++;
	m->bytes += len;
	if (m->said)
		tape_put(m->said, m->step, m->frame, len);
}

static int answer_later(struct member *m, enum ct_op op, uint64_t cookie)
{
	if (m->verdict_count == MEMBER_IN_FLIGHT)
		return -EAGAIN;
	m->verdicts[m->verdict_count].op = op;
	m->verdicts[m->verdict_count++].cookie = cookie;
	return 0;
}

static int op_kernel_put(void *arg, enum ct_op op, const struct ct *ct, uint64_t cookie)
{
	struct member *m = arg;

	return m->inject ? ct_inject_copy(m->inject, op, ct, cookie) : answer_later(m, op, cookie);
}

static int op_kernel_delete(void *arg, const struct ct *key, uint64_t cookie)
{
	struct member *m = arg;

	return m->inject ? ct_inject_delete(m->inject, key, cookie)
			 : answer_later(m, CT_OP_DELETE, cookie);
}

static int op_kernel_timeout(void *arg, const struct ct *key, uint32_t seconds, uint64_t cookie)
{
	struct member *m = arg;

	return m->inject ? ct_inject_timeout(m->inject, key, seconds, cookie)
			 : answer_later(m, CT_OP_TIMEOUT, cookie);
}

/* GRE, and deletes that were parked: no such sessions here. */
static int op_kernel_renew(void *arg, const struct ct *ct, uint32_t seconds, uint64_t cookie)
{
	(void)ct, (void)seconds, (void)cookie;
	((struct member *)arg)->refused++;
	return -EOPNOTSUPP;
}

static int op_kernel_has(void *arg, const struct ct *key)
{
	(void)key;
	((struct member *)arg)->refused++;
	return -EOPNOTSUPP;
}

static bool op_wants(void *arg, const struct ct *ct)
{
	return filter_decide(&((struct member *)arg)->filter, ct) == FILTER_TRAVELS;
}

/* Members begin with empty kernels: a dump says nothing, a step later. */
static void op_start_dump(void *arg)
{
	((struct member *)arg)->is_dump_due = true;
}

static void op_alone(void *arg, bool is_alone)
{
	(void)arg, (void)is_alone;
}

static void op_full(void *arg, bool is_full)
{
	(void)arg;
	(void)is_full;
}

static void op_ready(void *arg, uint64_t term, bool is_ready)
{
	(void)term;
	((struct member *)arg)->is_ready = is_ready;
}

static const struct sync_ops doors = {
	.frame_begin = op_frame_begin,
	.frame_end = op_frame_end,
	.kernel_put = op_kernel_put,
	.kernel_delete = op_kernel_delete,
	.kernel_timeout = op_kernel_timeout,
	.kernel_renew = op_kernel_renew,
	.kernel_has = op_kernel_has,
	.wants = op_wants,
	.start_dump = op_start_dump,
	.on_alone = op_alone,
	.on_ready = op_ready,
	.on_full = op_full,
};

/* ---- a member ------------------------------------------------------------------------ */

static void serial_of(unsigned number, char ret_serial[17])
{
	snprintf(ret_serial, 17, "FKBENCH%09u", number % 100);
}

struct seal *member_seal(unsigned number)
{
	struct seal_config config = {.key = {{1}},
				     .flags = SEAL_ENCRYPTED | SEAL_AUTHENTICATED,
				     .plane = SEAL_PLANE_SYNC,
				     .group_id = 7,
				     .incarnation = 1000 + number};

	serial_of(number, config.serial);
	return seal_new(&config);
}

/* The addresses of a gateway with some VLANs, to be searched. */
static void add_locals(struct filter_locals *locals)
{
	for (uint8_t i = 0; i < 16; i++) {
		struct ipaddr addr = {.family = AF_INET, .bytes = {10, 1, i, 1}};

		filter_locals_add(locals, 2 + i, &addr);
	}
}

struct member *member_new(unsigned number, unsigned count, bool is_brief, mono_t now)
{
	struct member *m = xcalloc(1, sizeof(*m));
	struct sync_config config = {.is_enabled = true,
				     .is_brief = is_brief,
				     .has_group_hash = true,
				     .max_sessions = SESSIONS_MAX,
				     .keys = {.hash = {2}, .digest = {3}},
				     .fence_ns = MS(20)};
	char others[MEMBERS_MAX][17], primary[17];
	unsigned other_count = 0;

	serial_of(number, m->serial);
	serial_of(0, primary);
	memcpy(config.serial, m->serial, sizeof(config.serial));
	m->now = now;
	m->filter.pickup = m->filter.connectionless = true;
	add_locals(&m->filter.locals);
	m->seal = member_seal(number);
	m->sync = sync_new(&config, &doors, m, now);
	for (unsigned i = 0; i < count; i++)
		if (i != number)
			serial_of(i, others[other_count++]);
	sync_on_members(m->sync, now, (const char(*)[17])others, other_count);
	sync_on_role(m->sync, now, number ? SYNC_SECONDARY : SYNC_PRIMARY, primary, TERM);
	return m;
}

void member_free(struct member *m)
{
	sync_free(m->sync);
	seal_free(m->seal);
	filter_locals_fini(&m->filter.locals);
	free(m);
}

void member_see(struct member *m, const struct nlmsghdr *nlh)
{
	struct ct_seen seen;

	if (ct_parse(nlh, false, MEMBER_COPY_BIT, &seen) < 0) {
		m->refused++;
		return;
	}
	/* on_seen() of node_sync.c. */
	if (seen.news == CT_NEWS_NEW && !HAS(&seen.ct, CT_START_S)) {
		seen.ct.start_s = (uint32_t)(m->now.ns / SEC(1));
		SET_HAS(&seen.ct, CT_START_S);
	}
	sync_on_seen(m->sync, m->now, &seen);
}

/* As take() of node_sync.c. */
static enum drop_reason hear(struct member *m, size_t len)
{
	struct frame_head head = {.serial = ""};
	struct rbuf payload;
	enum drop_reason reason = seal_open(m->seal, m->heard, len, &head, &payload);

	if (reason)
		return reason;
	rbuf_be64(&payload);
	seal_pin(m->seal, head.serial, head.incarnation, true);
	return sync_on_message(m->sync, m->now, head.serial, head.type, &payload);
}

void member_hear(struct member *m, const struct tape *tape, const struct tape_item *item)
{
	/* Opening spoils it; and the kernel would have copied it too. */
	memcpy(m->heard, tape->bytes + item->at, item->len);
	if (hear(m, item->len))
		m->refused++;
}

void member_on_verdict(void *arg, enum ct_op op, uint64_t cookie, int error)
{
	struct member *m = arg;

	sync_on_verdict(m->sync, m->now, op, cookie, error);
}

void member_on_event(void *arg, const struct ct_seen *seen)
{
	(void)seen;
	((struct member *)arg)->refused++;
}

void member_on_overrun(void *arg)
{
	((struct member *)arg)->refused++;
}

static void serve_kernel(struct member *m)
{
	unsigned count = m->verdict_count;

	/* Verdicts may ask for more, which is answered a step later. */
	for (unsigned i = 0; i < count; i++)
		member_on_verdict(m, m->verdicts[i].op, m->verdicts[i].cookie, 0);
	m->verdict_count -= count;
	memmove(m->verdicts, m->verdicts + count, m->verdict_count * sizeof(*m->verdicts));
	if (!m->is_dump_due)
		return;
	m->is_dump_due = false;
	sync_on_dump_done(m->sync, m->now, 0);
}

void member_at(struct member *m, mono_t now, unsigned step)
{
	m->now = now;
	m->step = step;
}

void member_step(struct member *m)
{
	serve_kernel(m);
	sync_step(m->sync, m->now);
	if (m->inject)
		ct_inject_flush(m->inject);
}

struct sync_state member_state(const struct member *m)
{
	struct sync_state state;

	sync_describe(m->sync, m->now, &state);
	return state;
}
