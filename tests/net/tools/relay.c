/* relay.c: bad cables: frames of the sync plane are lost, doubled, overtaken and throttled on the way
 *
 *   relay --seed N --options FILE LEFT:RIGHT ...
 *
 * Every pair of interfaces becomes a cable. What comes in on one goes out on the other; only frames of
 * session sync suffer, heartbeats pass. FILE holds words, 0 or absent is off, and is read again at
 * SIGUSR1:
 *
 *   drop=P dup=P reorder=P   percent of frames
 *   hold=N hold-ms=N         one that is held back goes on after 1 .. N later ones, or so much later
 *   rate=N queue=N           bytes a second and bytes that wait for their turn, per direction;
 *                            what finds the queue full is lost
 *
 * SIGUSR2 and the end (SIGTERM) print the counts as a line of JSON. The same seed and the same frames
 * give the same faults.
 */
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CABLES_MAX = 4,
	ENDS_MAX = 2 * CABLES_MAX,
	FRAME_MAX = 9216 + ETH_HLEN,
	WAITING_MAX = 4096,       /* frames, held back and queued, per direction */
	TURN_FRAMES = 64,
	RELAY_MAX_S = 600,        /* it does not outlive its scenario by much */
	RCVBUF_BYTES = 8 << 20,
	ETHERTYPE_SYNC = 0x8892,  /* docs/PROTOCOL.md, plane 2 */
};

struct knobs {
	uint64_t drop, dup, reorder, hold, hold_ms, rate, queue;
};

static const struct {
	const char *name;
	size_t at;
} knob_names[] = {
	{ "drop", offsetof(struct knobs, drop) },     { "dup", offsetof(struct knobs, dup) },
	{ "reorder", offsetof(struct knobs, reorder) }, { "hold", offsetof(struct knobs, hold) },
	{ "hold-ms", offsetof(struct knobs, hold_ms) }, { "rate", offsetof(struct knobs, rate) },
	{ "queue", offsetof(struct knobs, queue) },
};

struct waiting {
	struct waiting *next;
	int64_t due_ns;    /* held back until then ... */
	uint64_t after;    /* ... or until so many frames have passed */
	size_t len;
	uint8_t bytes[];
};

/* What comes in at an interface and goes out at the other end of its cable. */
struct direction {
	int in, out;
	struct waiting *held;
	struct waiting *first, **last; /* the queue of the throttle */
	size_t queued_bytes;
	unsigned waiting;
	int64_t free_ns;               /* the wire is busy until then */
	uint64_t passed;               /* frames of sync that went their way, for `after` */
};

struct relay {
	uint64_t seed, state;
	const char *options;
	struct knobs knobs;
	struct direction ends[ENDS_MAX];
	unsigned count;
	/* frames and bytes of sync that came, and what became of them */
	uint64_t sync, bytes, others, dropped, doubled, held, overflowed, sent, sent_bytes, failed;
	uint64_t missed; /* by our sockets: not among the others */
};

static uint64_t next_random(struct relay *relay)
{
	uint64_t z = relay->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool befalls(struct relay *relay, uint64_t percent)
{
	return next_random(relay) % 100 < percent;
}

/* ---- one frame ---- */

static void put_out(struct relay *relay, struct direction *d, const uint8_t *bytes, size_t len)
{
	if (send(d->out, bytes, len, MSG_DONTWAIT) < 0) {
		relay->failed++;
		return;
	}
	relay->sent++;
	relay->sent_bytes += len;
}

static struct waiting *waiting_new(struct direction *d, const uint8_t *bytes, size_t len)
{
	struct waiting *w = d->waiting < WAITING_MAX ? malloc(sizeof(*w) + len) : NULL;

	if (!w)
		return NULL;
	*w = (struct waiting){ .len = len };
	memcpy(w->bytes, bytes, len);
	d->waiting++;
	return w;
}

static void waiting_free(struct direction *d, struct waiting *w)
{
	d->waiting--;
	free(w);
}

static void queue_or_send(struct relay *relay, struct direction *d, const uint8_t *bytes, size_t len)
{
	struct waiting *w;

	d->passed++;
	if (!relay->knobs.rate && !d->first) {
		put_out(relay, d, bytes, len);
		return;
	}
	w = d->queued_bytes + len <= relay->knobs.queue ? waiting_new(d, bytes, len) : NULL;
	if (!w) {
		relay->overflowed++;
		return;
	}
	*d->last = w;
	d->last = &w->next;
	d->queued_bytes += len;
}

static void hold_back(struct relay *relay, struct direction *d, const uint8_t *bytes, size_t len)
{
	struct waiting *w = waiting_new(d, bytes, len);

	if (!w) {
		relay->overflowed++;
		return;
	}
	w->due_ns = now_ns() + (int64_t)relay->knobs.hold_ms * 1000000;
	w->after = d->passed + 1 + (relay->knobs.hold ? next_random(relay) % relay->knobs.hold : 0);
	w->next = d->held;
	d->held = w;
	relay->held++;
}

static void on_frame(struct relay *relay, struct direction *d, const uint8_t *bytes, size_t len)
{
	bool is_sync = bytes[2 * ETH_ALEN] == ETHERTYPE_SYNC >> 8 &&
		       bytes[2 * ETH_ALEN + 1] == (ETHERTYPE_SYNC & 0xff);

	if (!is_sync) {
		relay->others++;
		if (send(d->out, bytes, len, MSG_DONTWAIT) < 0)
			relay->failed++;
		return;
	}
	relay->sync++;
	relay->bytes += len;
	if (befalls(relay, relay->knobs.drop)) {
		relay->dropped++;
		return;
	}
	if (befalls(relay, relay->knobs.dup)) {
		relay->doubled++;
		queue_or_send(relay, d, bytes, len);
	}
	if (befalls(relay, relay->knobs.reorder))
		hold_back(relay, d, bytes, len);
	else
		queue_or_send(relay, d, bytes, len);
}

/* ---- time ---- */

/* Lets go what is due; returns when something is due next. */
static int64_t let_go(struct relay *relay, struct direction *d, int64_t now)
{
	int64_t due = INT64_MAX;

	for (struct waiting **at = &d->held, *w; (w = *at);) {
		if (now < w->due_ns && d->passed < w->after) {
			due = w->due_ns < due ? w->due_ns : due;
			at = &w->next;
			continue;
		}
		*at = w->next;
		queue_or_send(relay, d, w->bytes, w->len);
		waiting_free(d, w);
	}
	for (struct waiting *w; (w = d->first) && (!relay->knobs.rate || d->free_ns <= now);) {
		put_out(relay, d, w->bytes, w->len);
		if (relay->knobs.rate)
			d->free_ns = (d->free_ns > now - 10000000 ? d->free_ns : now) +
				     (int64_t)(w->len * 1000000000 / relay->knobs.rate);
		d->queued_bytes -= w->len;
		d->first = w->next;
		if (!d->first)
			d->last = &d->first;
		waiting_free(d, w);
	}
	return d->first && d->free_ns < due ? d->free_ns : due;
}

static void take_in(struct relay *relay, struct direction *d)
{
	static uint8_t bytes[FRAME_MAX];

	for (unsigned i = 0; i < TURN_FRAMES; i++) {
		ssize_t len = recv(d->in, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (len < ETH_HLEN)
			return;
		on_frame(relay, d, bytes, (size_t)len);
		let_go(relay, d, now_ns());
	}
}

/* ---- what the scenario says and asks ---- */

static int read_options(struct relay *relay)
{
	FILE *file = fopen(relay->options, "r");
	struct knobs knobs = { 0 };
	char word[64];

	if (!file)
		return -errno;
	while (fscanf(file, "%63s", word) == 1) {
		char *value = strchr(word, '='), *end;
		bool is_known = false;

		if (value)
			*value++ = 0;
		for (size_t i = 0; value && i < sizeof(knob_names) / sizeof(knob_names[0]); i++)
			if (strcmp(word, knob_names[i].name) == 0) {
				uint64_t number = strtoull(value, &end, 10);

				memcpy((char *)&knobs + knob_names[i].at, &number, sizeof(number));
				is_known = end != value && !*end;
			}
		if (!is_known) {
			fprintf(stderr, "relay: %s: no such option: %s\n", relay->options, word);
			fclose(file);
			return -EINVAL;
		}
	}
	fclose(file);
	relay->knobs = knobs;
	return 0;
}

static void tell(struct relay *relay)
{
	for (unsigned i = 0; i < relay->count; i++) {
		struct tpacket_stats stats = { 0 };
		socklen_t len = sizeof(stats);

		getsockopt(relay->ends[i].in, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
		relay->missed += stats.tp_drops;
	}
	printf("{\"seed\": %llu, \"sync\": %llu, \"bytes\": %llu, \"others\": %llu, \"dropped\": %llu, "
	       "\"doubled\": %llu, \"held\": %llu, \"overflowed\": %llu, \"sent\": %llu, "
	       "\"sent_bytes\": %llu, \"failed\": %llu, \"missed\": %llu}\n",
	       (unsigned long long)relay->seed, (unsigned long long)relay->sync,
	       (unsigned long long)relay->bytes, (unsigned long long)relay->others,
	       (unsigned long long)relay->dropped, (unsigned long long)relay->doubled,
	       (unsigned long long)relay->held, (unsigned long long)relay->overflowed,
	       (unsigned long long)relay->sent, (unsigned long long)relay->sent_bytes,
	       (unsigned long long)relay->failed, (unsigned long long)relay->missed);
	fflush(stdout);
}

/* ---- entry ---- */

static int plug_in(const char *ifname, int *ret_fd)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(ifname) };
	static const int one = 1, rcvbuf = RCVBUF_BYTES;
	int fd, r;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (!ll.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&ll, sizeof(ll)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int add_cable(struct relay *relay, char *pair)
{
	char *right = strchr(pair, ':');
	struct direction *a = &relay->ends[relay->count], *b = a + 1;
	int left_fd, right_fd, r;

	if (!right || relay->count == ENDS_MAX)
		return -EINVAL;
	*right++ = 0;
	r = plug_in(pair, &left_fd);
	if (r < 0)
		return r;
	r = plug_in(right, &right_fd);
	if (r < 0) {
		close(left_fd);
		return r;
	}
	*a = (struct direction){ .in = left_fd, .out = right_fd, .last = &a->first };
	*b = (struct direction){ .in = right_fd, .out = left_fd, .last = &b->first };
	relay->count += 2;
	return 0;
}

static int run(struct relay *relay, int signals)
{
	int64_t end = now_ns() + (int64_t)RELAY_MAX_S * 1000000000;

	for (;;) {
		struct pollfd fds[ENDS_MAX + 1] = { { .fd = signals, .events = POLLIN } };
		int64_t now = now_ns(), due = end;

		if (now >= end)
			return 1;
		for (unsigned i = 0; i < relay->count; i++) {
			int64_t next = let_go(relay, &relay->ends[i], now);

			due = next < due ? next : due;
			fds[i + 1] = (struct pollfd){ .fd = relay->ends[i].in, .events = POLLIN };
		}
		poll(fds, relay->count + 1, due <= now ? 0 : (int)((due - now) / 1000000 + 1));
		for (unsigned i = 0; i < relay->count; i++)
			if (fds[i + 1].revents)
				take_in(relay, &relay->ends[i]);
		if (!fds[0].revents)
			continue;
		switch (signals_read(signals)) {
		case SIGUSR1:
			if (read_options(relay) < 0)
				return 1;
			tell(relay);
			break;
		case SIGUSR2:
			tell(relay);
			break;
		default:
			return 0;
		}
	}
}

static void unplug(struct relay *relay)
{
	for (unsigned i = 0; i < relay->count; i++) {
		struct direction *d = &relay->ends[i];

		for (struct waiting *w; (w = d->held); waiting_free(d, w))
			d->held = w->next;
		for (struct waiting *w; (w = d->first); waiting_free(d, w))
			d->first = w->next;
		close(d->in);
	}
}

int main(int argc, char **argv)
{
	struct relay relay = { 0 };
	int at = 1, signals, r;

	for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		if (strcmp(argv[at], "--seed") == 0)
			relay.seed = strtoull(argv[at + 1], NULL, 10);
		else if (strcmp(argv[at], "--options") == 0)
			relay.options = argv[at + 1];
		else
			break;
	}
	if (!relay.options || at >= argc || argv[at][0] == '-') {
		fprintf(stderr, "usage: relay --seed N --options FILE LEFT:RIGHT ...\n");
		return 2;
	}
	if (!relay.seed && getrandom(&relay.seed, 4, 0) < 0)
		return 1;
	relay.state = relay.seed;
	signals = signals_open();
	r = signals < 0 ? signals : read_options(&relay);
	for (; !r && at < argc; at++)
		r = add_cable(&relay, argv[at]);
	if (r < 0) {
		fprintf(stderr, "relay: %s\n", strerror(-r));
		return 1;
	}
	tell(&relay);
	r = run(&relay, signals);
	tell(&relay);
	unplug(&relay);
	return r;
}
