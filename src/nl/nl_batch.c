/* nl_batch.c: many requests in flight, one verdict for each, nothing allocated per request
 *
 * The kernel handles a netlink request within sendmsg(): when that returns, its answer to all that
 * the datagram carried is queued on our socket (netlink_rcv_skb() -> netlink_ack()), in order. A
 * request that failed is answered in any case, one that did not only if it has NLM_F_ACK. So only
 * the last of a datagram has it: an answer to that says that the ones before it have been carried
 * out, as far as no error was said of them. And:
 *  - nothing has to wait for the socket: what was sent is settled at the loop's next occasion;
 *  - what is in flight must fit the receive buffer if all of it fails; the ring of cookies is
 *    sized by it;
 *  - when the queue has been read empty, a datagram whose last request has no answer never gets
 *    one (buffer overrun after all, or the kernel gave up its walk); whatever it carried that has
 *    no error gets the verdict -ENOBUFS;
 *  - so does what has no answer once the socket said ENOBUFS, until the queue has been read empty:
 *    the answers that were lost may have been errors.
 *
 * The ring holds, from `first` on: requests sent, then requests packed but not sent. A position
 * is a sequence number; its place is the number modulo the ring's size.
 */
#include "nl/nl_impl.h"

#include "base/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	ACK_SLOTS = 64,      /* answers a recvmmsg() */
	ACK_SLOT_BYTES = 64, /* a capped answer is 36 bytes; more is cut and not missed */
	ACK_COST = 1280,     /* what one answer takes from the receive buffer: an skb's truesize */
	IN_FLIGHT_MAX = 4096,
	IN_FLIGHT_MIN = 64,
	ROUNDS = 64, /* recvmmsg() a callback: the whole ring */
	WAITING = 1, /* no verdict yet; verdicts are 0 or negative */
};

struct slot {
	uint64_t cookie;
	int error;
	bool is_last; /* of its datagram */
};

struct nl_batch {
	struct mnl_socket *socket;
	struct timer *sent; /* something was: its answers are there already */
	nl_verdict_fn *on_verdict;
	void *arg;

	char *buffer;
	size_t buffer_bytes;
	size_t packed_bytes;
	struct nlmsghdr *begun; /* between _begin() and _end() */
	struct nlmsghdr *last;  /* the last that is packed */
	uint64_t begun_cookie;

	struct slot *ring;
	uint32_t ring_size; /* a power of two */
	uint32_t first;     /* oldest without verdict */
	uint32_t sent_end;  /* first that is packed but not sent */
	uint32_t end;       /* the next request's number */

	bool is_lossy; /* answers may be missing from the queue */
	bool is_reading;
	bool is_closed;
	struct mmsghdr headers[ACK_SLOTS];
	struct iovec iovs[ACK_SLOTS];
	union {
		struct nlmsghdr nlh;
		char bytes[ACK_SLOT_BYTES];
	} acks[ACK_SLOTS];
};

static struct slot *slot_of(struct nl_batch *batch, uint32_t number)
{
	return &batch->ring[number & (batch->ring_size - 1)];
}

/* Gives the verdicts of [first, end), -ENOBUFS where none came. Callbacks may begin requests,
 * flush, and close the batch. */
static void settle_until(struct nl_batch *batch, uint32_t end)
{
	while (!batch->is_closed && batch->first != end) {
		struct slot slot = *slot_of(batch, batch->first++);

		batch->on_verdict(batch->arg, slot.cookie,
				  slot.error == WAITING ? -ENOBUFS : slot.error);
	}
}

/* `number` has been handled, so what its datagram carried before it has been too. */
static void infer_success(struct nl_batch *batch, uint32_t number)
{
	while (number != batch->first) {
		struct slot *slot = slot_of(batch, --number);

		if (slot->is_last)
			return;
		if (slot->error == WAITING)
			slot->error = 0;
	}
}

static void take_answer(struct nl_batch *batch, const struct mmsghdr *header,
			const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *answer = mnl_nlmsg_get_payload(nlh);
	uint32_t number = nlh->nlmsg_seq;

	if (header->msg_len < MNL_NLMSG_HDRLEN + sizeof(answer->error) ||
	    nlh->nlmsg_type != NLMSG_ERROR ||
	    number - batch->first >= batch->sent_end - batch->first)
		return;
	slot_of(batch, number)->error = answer->error > 0 ? -EPROTO : answer->error;
	if (!batch->is_lossy)
		infer_success(batch, number);
	/* Answers come in order: whatever still waits before it gets none. */
	settle_until(batch, number + 1);
}

/* One round: the number of datagrams, or negative errno. */
static int read_answers(struct nl_batch *batch)
{
	int n = recvmmsg(mnl_socket_get_fd(batch->socket), batch->headers, ACK_SLOTS, MSG_DONTWAIT,
			 NULL);

	if (n < 0) {
		batch->is_lossy = errno == ENOBUFS || (batch->is_lossy && errno != EAGAIN);
		return -errno;
	}
	for (int i = 0; i < n && !batch->is_closed; i++)
		take_answer(batch, &batch->headers[i], &batch->acks[i].nlh);
	return n;
}

/* Reads until nothing that was sent waits for its answer, within ROUNDS. False when a verdict's
 * callback closed the batch, which is gone then. */
static bool settle(struct nl_batch *batch)
{
	batch->is_reading = true;
	for (unsigned round = 0; round < ROUNDS && !batch->is_closed; round++) {
		int n;

		/* What sendmsg() refused has its verdict already. */
		while (!batch->is_closed && batch->first != batch->sent_end &&
		       slot_of(batch, batch->first)->error != WAITING)
			settle_until(batch, batch->first + 1);
		if (batch->is_closed || (batch->first == batch->sent_end && !batch->is_lossy))
			break;
		n = read_answers(batch);
		if (n == -EAGAIN)
			settle_until(batch, batch->sent_end);
	}
	batch->is_reading = false;
	if (batch->is_closed) {
		nl_batch_close(batch);
		return false;
	}
	if (batch->first != batch->sent_end)
		timer_set(batch->sent, MONO_ZERO);
	else
		timer_clear(batch->sent);
	return true;
}

static void batch_on_sent(void *arg)
{
	settle(arg);
}

static void prepare_slots(struct nl_batch *batch)
{
	for (unsigned i = 0; i < ACK_SLOTS; i++) {
		batch->iovs[i] = (struct iovec){ batch->acks[i].bytes, ACK_SLOT_BYTES };
		batch->headers[i].msg_hdr.msg_iov = &batch->iovs[i];
		batch->headers[i].msg_hdr.msg_iovlen = 1;
	}
}

/* The largest power of two of answers that the receive buffer holds. */
static uint32_t ring_size_for(size_t rcvbuf_bytes)
{
	uint32_t size = IN_FLIGHT_MIN;

	while (size < IN_FLIGHT_MAX && (size_t)size * 2 * ACK_COST <= rcvbuf_bytes)
		size *= 2;
	return size;
}

static void set_sndbuf(int fd, size_t bytes)
{
	int want = (int)bytes;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want));
}

int nl_batch_open(struct loop *loop, const char *name, int bus, size_t buffer_bytes,
		  nl_verdict_fn *on_verdict, void *arg, struct nl_batch **ret_batch)
{
	struct nl_batch *batch;
	struct mnl_socket *socket;
	int err, fd, on = 1;

	if (buffer_bytes < 1024 || buffer_bytes > 1024 * 1024)
		return -EINVAL;
	err = nl_open(bus, &socket);
	if (err < 0)
		return err;
	batch = xcalloc(1, sizeof(*batch));
	batch->socket = socket;
	fd = mnl_socket_get_fd(socket);
	/* Without it an error would carry its whole request (Linux before 4.3): only slower. */
	mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on));
	/* A datagram needs room for itself and its skb (netlink_sendmsg(): -EMSGSIZE). */
	set_sndbuf(fd, buffer_bytes + 4096);
	batch->ring_size = ring_size_for(nl_set_rcvbuf(fd, (size_t)IN_FLIGHT_MAX * ACK_COST / 2));
	batch->ring = xcalloc(batch->ring_size, sizeof(*batch->ring));
	batch->buffer = xcalloc(1, buffer_bytes);
	batch->buffer_bytes = buffer_bytes;
	batch->first = batch->sent_end = batch->end = 1; /* 0 is the sequence number of events */
	batch->on_verdict = on_verdict;
	batch->arg = arg;
	prepare_slots(batch);
	batch->sent = timer_new(loop, name, batch_on_sent, batch);
	*ret_batch = batch;
	return 0;
}

void nl_batch_close(struct nl_batch *batch)
{
	if (!batch)
		return;
	if (batch->socket) {
		timer_free(batch->sent);
		mnl_socket_close(batch->socket);
		batch->socket = NULL;
	}
	if (batch->is_reading) {
		batch->is_closed = true;
		return;
	}
	free(batch->buffer);
	free(batch->ring);
	free(batch);
}

uint32_t nl_batch_portid(const struct nl_batch *batch)
{
	return mnl_socket_get_portid(batch->socket);
}

unsigned nl_batch_in_flight(const struct nl_batch *batch)
{
	return batch->end - batch->first;
}

struct nlmsghdr *nl_batch_begin(struct nl_batch *batch, uint16_t type, uint16_t flags, size_t room,
				uint64_t cookie)
{
	size_t need = MNL_NLMSG_HDRLEN + (size_t)MNL_ALIGN(room);

	assert(need <= batch->buffer_bytes);
	if (batch->end - batch->first >= batch->ring_size) {
		nl_batch_flush(batch); /* verdicts come only for what was sent */
		return NULL;
	}
	if (batch->packed_bytes + need > batch->buffer_bytes)
		nl_batch_flush(batch);
	batch->begun = mnl_nlmsg_put_header(batch->buffer + batch->packed_bytes);
	batch->begun->nlmsg_type = type;
	batch->begun->nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST);
	batch->begun->nlmsg_seq = batch->end;
	batch->begun_cookie = cookie;
	return batch->begun;
}

void nl_batch_end(struct nl_batch *batch, struct nlmsghdr *nlh)
{
	assert(nlh == batch->begun);
	batch->begun = NULL;
	batch->last = nlh;
	batch->packed_bytes += MNL_ALIGN(nlh->nlmsg_len);
	assert(batch->packed_bytes <= batch->buffer_bytes);
	*slot_of(batch, batch->end++) = (struct slot){ batch->begun_cookie, WAITING, false };
}

void nl_batch_flush(struct nl_batch *batch)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	if (!batch->packed_bytes)
		return;
	batch->begun = NULL;
	batch->last->nlmsg_flags |= NLM_F_ACK;
	slot_of(batch, batch->end - 1)->is_last = true;
	do {
		n = sendto(mnl_socket_get_fd(batch->socket), batch->buffer, batch->packed_bytes, 0,
			   (struct sockaddr *)&kernel, sizeof(kernel));
	} while (n < 0 && errno == EINTR);
	/* A refused datagram was not looked at. */
	for (uint32_t i = batch->sent_end; n < 0 && i != batch->end; i++)
		slot_of(batch, i)->error = -errno;
	/* Verdicts wait for the loop, so that no caller of _begin() or _flush() is called back from
	 * there. */
	timer_set(batch->sent, MONO_ZERO);
	batch->sent_end = batch->end;
	batch->packed_bytes = 0;
}

int nl_batch_drain(struct nl_batch *batch, int64_t timeout_ns)
{
	mono_t deadline = mono_add(mono_read(), timeout_ns);

	assert(!batch->is_reading);
	for (;;) {
		nl_batch_flush(batch);
		if (batch->first == batch->end)
			return 0;
		/* The answers are there already; only verdicts that send more can take long. */
		if (!settle(batch))
			return -ECANCELED;
		if (batch->first != batch->end && mono_reached(mono_read(), deadline))
			return -ETIMEDOUT;
	}
}
