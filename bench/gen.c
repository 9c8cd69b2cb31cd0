/* gen.c: opens (and closes) TCP sessions through a gateway by raw packets, at a rate or as fast as it goes
 *
 *   gen --client NS:IFACE --server NS:IFACE --gw-client MAC --gw-server MAC --count N [--rate N/s]
 *       [--base N] [--close MS] [--watch NS]
 *
 * One process plays the client and the server: an AF_PACKET socket with a receive ring in each of the two
 * namespaces, nothing of their TCP/IP stacks involved. A SYN leaves the client's side; when it has come out
 * of the gateway the server's side answers, and so on: a session counts as opened when the third packet of
 * its handshake (RFC 9293 section 3.5) has arrived at the server's side. With --close it lives that many
 * milliseconds and then ends by FIN, FIN, ACK. Nothing is retransmitted: what the gateway drops is `lost`.
 *
 * Open loop: SYNs follow the clock whatever becomes of them. Without --rate a window of handshakes is kept
 * under way. The number of a session is in its address and port (10.128.0.0 + n / 50000, 10000 + n % 50000).
 *
 * --watch listens to conntrack events in another gateway's namespace and tells, for every session, the time
 * from the handshake's third packet leaving the client to an event there of the session ESTABLISHED: the copy
 * is usable. One JSON line is printed at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	RING_FRAME = 256,	     /* headers only: the socket's filter cuts frames to SNAP bytes */
	RING_FRAMES = 32768,
	RING_BLOCK = 65536,
	SNAP = 96,
	BATCH = 64,		     /* frames in one sendmmsg() */
	WINDOW = 512,		     /* handshakes under way without --rate */
	BURST_MAX = 256,	     /* SYNs in one round: what the gateway's backlog (1000) takes with the rest */
	PORTS = 50000,
	PORT_FIRST = 10000,
	FRAME_MAX = 14 + 20 + 32,
	SERVER_PORT = 80,
	PATIENCE_MS = 500,	     /* nothing has moved for so long: the rest is lost */
};
#define CLIENT_NET 0x0a800000u /* 10.128.0.0/9 */
#define SERVER_IP 0x0a02000au  /* 10.2.0.10 */

enum { FIN = 1, SYN = 2, ACK = 16 };
enum state { NONE, SYN_SENT, SYN_SEEN, ACK_SENT, OPEN, FIN_SENT, FIN_SEEN, LAST_SENT, CLOSED };

struct side {
	int fd;
	uint8_t *ring;
	unsigned next;
	uint8_t header[14];
	unsigned queued;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint8_t frame[BATCH][FRAME_MAX];
	uint64_t sent, failed;
};

struct gen {
	struct side client, server;
	uint64_t count, rate, base, close_ns;
	uint8_t *state;
	uint64_t *open_ns;	   /* when the session opened; sessions open nearly in order */
	uint32_t *order;	   /* sessions as they opened, for closing them in that order */
	_Atomic uint64_t *ack_ns;  /* when the third packet left; for --watch */
	_Atomic uint64_t *copy_ns; /* when the copy was seen; for --watch */
	uint64_t started, opened, closing, closed, late_ns;
	int watch;
	atomic_bool stop;
	atomic_uint_fast64_t watched, overruns;
};

static __attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void enter(const char *ns)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die("namespace %s", ns);
	close(fd);
}

/* ---- packets ----------------------------------------------------------------------------------------- */

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v & 0xffff); }
static uint32_t get16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }
static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }

/* RFC 1071; the gateway's conntrack verifies it (nf_conntrack_checksum). */
static uint32_t checksum(const uint8_t *p, unsigned len, uint32_t sum)
{
	for (unsigned i = 0; i < len; i += 2)
		sum += get16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16)) & 0xffff;
}

static void flush(struct side *s)
{
	unsigned done = 0;
	int n;

	while (done < s->queued) {
		n = sendmmsg(s->fd, s->msg + done, s->queued - done, MSG_DONTWAIT);
		if (n > 0) {
			done += (unsigned)n;
			s->sent += (unsigned)n;
		} else {
			done++; /* a full device: lost like on any other */
			s->failed++;
		}
	}
	s->queued = 0;
}

static void say(struct gen *g, struct side *s, uint32_t n, uint8_t flags, uint32_t seq, uint32_t ack)
{
	static const uint8_t options[12] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2}; /* MSS, window scale, SACK */
	uint8_t *f = s->frame[s->queued], *ip = f + 14, *tcp = ip + 20;
	uint64_t id = g->base + n;
	uint32_t addr = CLIENT_NET + (uint32_t)(id / PORTS), port = PORT_FIRST + (uint32_t)(id % PORTS);
	unsigned len = flags & SYN ? 32 : 20;
	int client = s == &g->client;

	memcpy(f, s->header, 14);
	memcpy(ip, "\x45\0\0\0\0\0\x40\0\x40\x06\0\0", 12);
	put16(ip + 2, 20 + len);
	put32(ip + 12, client ? addr : SERVER_IP);
	put32(ip + 16, client ? SERVER_IP : addr);
	put16(ip + 10, checksum(ip, 20, 0));
	put16(tcp, client ? port : SERVER_PORT);
	put16(tcp + 2, client ? SERVER_PORT : port);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	put16(tcp + 12, len / 4 << 12 | flags);
	put16(tcp + 14, 64240);
	put32(tcp + 16, 0);
	if (flags & SYN)
		memcpy(tcp + 20, options, 12);
	put16(tcp + 16, checksum(tcp, len, 6 + len + (addr >> 16) + (addr & 0xffff) + (SERVER_IP >> 16) + (SERVER_IP & 0xffff)));
	s->iov[s->queued].iov_len = 34 + len;
	if (++s->queued == BATCH)
		flush(s);
}

/* ---- what came out of the gateway ---------------------------------------------------------------------- */

static void server_heard(struct gen *g, uint32_t n, uint8_t flags, uint32_t seq, uint64_t t)
{
	uint32_t isn = n * 2654435761u;

	if (flags & SYN && g->state[n] == SYN_SENT) {
		g->state[n] = SYN_SEEN;
		say(g, &g->server, n, SYN | ACK, isn, seq + 1);
	} else if (flags & FIN && g->state[n] == FIN_SENT) {
		g->state[n] = FIN_SEEN;
		say(g, &g->server, n, FIN | ACK, isn + 1, seq + 1);
	} else if (g->state[n] == ACK_SENT) {
		g->state[n] = OPEN;
		g->open_ns[n] = t;
		g->order[g->opened++] = n;
	} else if (g->state[n] == LAST_SENT) {
		g->state[n] = CLOSED;
		g->closed++;
	}
}

static void client_heard(struct gen *g, uint32_t n, uint8_t flags, uint32_t seq, uint32_t ack, uint64_t t)
{
	if (flags & SYN && g->state[n] == SYN_SEEN) {
		g->state[n] = ACK_SENT;
		if (g->ack_ns)
			atomic_store(&g->ack_ns[n], t);
		say(g, &g->client, n, ACK, ack, seq + 1);
	} else if (flags & FIN && g->state[n] == FIN_SEEN) {
		g->state[n] = LAST_SENT;
		say(g, &g->client, n, ACK, ack, seq + 1);
	}
}

static unsigned hear(struct gen *g, struct side *s)
{
	unsigned heard = 0;
	uint64_t t = now();

	while (heard < 4 * BATCH) {
		struct tpacket2_hdr *h = (struct tpacket2_hdr *)(s->ring + (size_t)s->next * RING_FRAME);
		const uint8_t *ip, *tcp, *host;
		uint64_t n;

		if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			break;
		ip = (const uint8_t *)h + h->tp_mac + 14;
		tcp = ip + 20;
		host = s == &g->client ? ip + 16 : ip + 12;
		n = (uint64_t)(get32(host) - CLIENT_NET) * PORTS + get16(s == &g->client ? tcp + 2 : tcp) - PORT_FIRST - g->base;
		if (h->tp_snaplen >= 54 && n < g->count) {
			if (s == &g->client)
				client_heard(g, (uint32_t)n, tcp[13], get32(tcp + 4), get32(tcp + 8), t);
			else
				server_heard(g, (uint32_t)n, tcp[13], get32(tcp + 4), t);
		}
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		s->next = (s->next + 1) % RING_FRAMES;
		heard++;
	}
	return heard;
}

/* ---- the copies' events ---------------------------------------------------------------------------------- */

static const struct nlattr *attr(const uint8_t *p, size_t len, unsigned kind, size_t *ret_len)
{
	while (len >= sizeof(struct nlattr)) {
		const struct nlattr *a = (const struct nlattr *)p;
		size_t step = (size_t)NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			break;
		if ((a->nla_type & NLA_TYPE_MASK) == kind) {
			*ret_len = a->nla_len - (size_t)NLA_HDRLEN;
			return a;
		}
		if (step > len)
			break;
		p += step;
		len -= step;
	}
	return NULL;
}

/* The value of an attribute several nests deep; NULL when any of them is missing. */
static const uint8_t *dig(const uint8_t *p, size_t len, const unsigned *kinds)
{
	for (; *kinds; kinds++) {
		const struct nlattr *a = attr(p, len, *kinds, &len);

		if (!a)
			return NULL;
		p = (const uint8_t *)a + NLA_HDRLEN;
	}
	return p;
}

static void event(struct gen *g, const uint8_t *p, size_t len, uint64_t t)
{
	const uint8_t *src = dig(p, len, (unsigned[]){CTA_TUPLE_ORIG, CTA_TUPLE_IP, CTA_IP_V4_SRC, 0});
	const uint8_t *port = dig(p, len, (unsigned[]){CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT, 0});
	const uint8_t *state = dig(p, len, (unsigned[]){CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE, 0});
	uint64_t n;

	if (!src || !port || !state || *state != TCP_CONNTRACK_ESTABLISHED)
		return;
	n = (uint64_t)(get32(src) - CLIENT_NET) * PORTS + get16(port) - PORT_FIRST - g->base;
	if (n < g->count && !atomic_load(&g->copy_ns[n])) {
		atomic_store(&g->copy_ns[n], t);
		atomic_fetch_add(&g->watched, 1);
	}
}

static void *watch(void *arg)
{
	static uint8_t buf[64][2048];
	struct mmsghdr msg[64] = {0};
	struct iovec iov[64];
	struct gen *g = arg;

	for (int i = 0; i < 64; i++) {
		iov[i] = (struct iovec){buf[i], sizeof(buf[i])};
		msg[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	while (!atomic_load(&g->stop)) {
		int n = recvmmsg(g->watch, msg, 64, MSG_WAITFORONE, NULL);
		uint64_t t = now();

		if (n < 0 && errno == ENOBUFS)
			atomic_fetch_add(&g->overruns, 1);
		for (int i = 0; i < n; i++)
			for (struct nlmsghdr *h = (struct nlmsghdr *)buf[i]; NLMSG_OK(h, msg[i].msg_len); h = NLMSG_NEXT(h, msg[i].msg_len))
				event(g, (uint8_t *)NLMSG_DATA(h) + sizeof(struct nfgenmsg), NLMSG_PAYLOAD(h, sizeof(struct nfgenmsg)), t);
	}
	return NULL;
}

static void watch_open(struct gen *g, const char *ns)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK, .nl_groups = 1 << 0 | 1 << 1}; /* conntrack NEW, UPDATE */
	struct timeval tick = {.tv_usec = 20000};
	int size = 64 << 20;

	enter(ns);
	g->watch = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (g->watch < 0 || bind(g->watch, (struct sockaddr *)&sa, sizeof(sa)))
		die("conntrack events of %s", ns);
	setsockopt(g->watch, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(g->watch, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
	g->ack_ns = calloc(g->count, sizeof(*g->ack_ns));
	g->copy_ns = calloc(g->count, sizeof(*g->copy_ns));
}

/* ---- the sockets ------------------------------------------------------------------------------------------- */

static void side_open(struct side *s, char *where, const char *gw)
{
	/* IPv4 TCP, cut to SNAP bytes. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SNAP), BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog filter = {6, code};
	struct tpacket_req ring = {RING_BLOCK, RING_FRAME * RING_FRAMES / RING_BLOCK, RING_FRAME, RING_FRAMES};
	/* Every protocol: sockets of one protocol hear a packet only after the ingress hook, where it dies. */
	struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	socklen_t len = sizeof(sa);
	int version = TPACKET_V2, one = 1;
	char *iface = strchr(where, ':');
	unsigned m[6];

	if (!iface || sscanf(gw, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
		die("%s wants NS:IFACE, %s a MAC", where, gw);
	*iface++ = 0;
	enter(where);
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	sa.sll_ifindex = (int)if_nametoindex(iface);
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) || bind(s->fd, (struct sockaddr *)&sa, len) ||
	    getsockname(s->fd, (struct sockaddr *)&sa, &len))
		die("packets of %s in %s", iface, where);
	s->ring = mmap(NULL, (size_t)RING_FRAME * RING_FRAMES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->fd, 0);
	if (s->ring == MAP_FAILED)
		die("ring");
	for (int i = 0; i < 6; i++)
		s->header[i] = (uint8_t)m[i];
	memcpy(s->header + 6, sa.sll_addr, 6);
	put16(s->header + 12, ETH_P_IP);
	for (int i = 0; i < BATCH; i++) {
		s->iov[i].iov_base = s->frame[i];
		s->msg[i].msg_hdr = (struct msghdr){.msg_iov = &s->iov[i], .msg_iovlen = 1};
	}
}

/* ---- the run --------------------------------------------------------------------------------------------------- */

static uint64_t syns_due(struct gen *g, uint64_t begun, uint64_t t)
{
	uint64_t due;

	if (!g->rate)
		due = g->opened + WINDOW;
	else
		due = (uint64_t)((double)(t - g->started) * (double)g->rate / 1e9);
	if (due > g->count)
		due = g->count;
	due = due > begun ? due - begun : 0;
	if (g->rate && due > BURST_MAX && due * 1000000000u / g->rate > g->late_ns)
		g->late_ns = due * 1000000000u / g->rate;
	return due > BURST_MAX ? BURST_MAX : due;
}

static void close_old(struct gen *g, uint64_t t)
{
	for (unsigned i = 0; i < BURST_MAX && g->closing < g->opened; i++) {
		uint32_t n = g->order[g->closing];

		if (t < g->open_ns[n] + g->close_ns)
			break;
		g->closing++;
		g->state[n] = FIN_SENT;
		say(g, &g->client, n, FIN | ACK, n * 40503u + 1, n * 2654435761u + 1);
	}
}

static uint64_t run(struct gen *g)
{
	uint64_t begun = 0, t, moved, last = 0;

	g->started = moved = t = now();
	while (t - moved < PATIENCE_MS * 1000000ull + g->close_ns) {
		unsigned heard = hear(g, &g->server) + hear(g, &g->client);
		uint64_t due = syns_due(g, begun, t = now());

		for (; due; due--, begun++) {
			g->state[begun] = SYN_SENT;
			say(g, &g->client, (uint32_t)begun, SYN, (uint32_t)begun * 40503u, 0);
			heard++;
		}
		if (g->close_ns)
			close_old(g, t);
		if (heard || g->client.queued || g->server.queued)
			moved = t;
		flush(&g->server);
		flush(&g->client);
		if (begun == g->count && !last && g->opened == g->count)
			last = t;
		if (g->opened == g->count && (!g->close_ns || g->closed == g->count))
			break;
		/* Without a rate a stuck window is given up after a while and opened again. */
		if (!heard) {
			struct pollfd fds[2] = {{g->client.fd, POLLIN, 0}, {g->server.fd, POLLIN, 0}};
			struct timespec nap = {0, 200000};

			if (!g->rate && begun < g->count && t - moved > 20000000)
				break;
			ppoll(fds, 2, &nap, NULL);
		}
	}
	return (last ? last : moved) - g->started;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_lags(struct gen *g, pthread_t thread)
{
	uint64_t *lag = calloc(g->count, sizeof(*lag)), quiet = 0, seen = 0, n = 0;

	/* Copies still under way: until nothing has come for a second. */
	while (atomic_load(&g->watched) < g->opened && quiet < 50) {
		struct timespec nap = {0, 20000000};

		nanosleep(&nap, NULL);
		quiet = atomic_load(&g->watched) == seen ? quiet + 1 : 0;
		seen = atomic_load(&g->watched);
	}
	atomic_store(&g->stop, 1);
	pthread_join(thread, NULL);
	for (uint64_t i = 0; i < g->count; i++)
		if (g->copy_ns[i] && g->ack_ns[i])
			lag[n++] = g->copy_ns[i] > g->ack_ns[i] ? g->copy_ns[i] - g->ack_ns[i] : 0;
	qsort(lag, n, sizeof(*lag), by_value);
	printf(", \"copies_seen\": %lu, \"watch_overruns\": %lu", (unsigned long)n, (unsigned long)g->overruns);
	if (n)
		printf(", \"copy_p50_ms\": %.3f, \"copy_p99_ms\": %.3f, \"copy_max_ms\": %.3f", (double)lag[n / 2] / 1e6,
		       (double)lag[n * 99 / 100] / 1e6, (double)lag[n - 1] / 1e6);
	free(lag);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"client", 1, NULL, 'c'}, {"server", 1, NULL, 's'}, {"gw-client", 1, NULL, 'C'}, {"gw-server", 1, NULL, 'S'},
		{"count", 1, NULL, 'n'}, {"rate", 1, NULL, 'r'}, {"base", 1, NULL, 'b'}, {"close", 1, NULL, 'x'},
		{"watch", 1, NULL, 'w'}, {0},
	};
	char *client = NULL, *server = NULL, *gw_client = NULL, *gw_server = NULL, *watched = NULL;
	static struct gen g;
	struct rusage usage;
	pthread_t thread = 0;
	uint64_t took;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'c': client = optarg; break;
		case 's': server = optarg; break;
		case 'C': gw_client = optarg; break;
		case 'S': gw_server = optarg; break;
		case 'n': g.count = strtoull(optarg, NULL, 0); break;
		case 'r': g.rate = strtoull(optarg, NULL, 0); break;
		case 'b': g.base = strtoull(optarg, NULL, 0); break;
		case 'x': g.close_ns = strtoull(optarg, NULL, 0) * 1000000u; break;
		case 'w': watched = optarg; break;
		default: return 2;
		}
	if (!client || !server || !gw_client || !gw_server || !g.count || g.count > 4000000 || optind != argc) {
		fprintf(stderr, "gen: see the head of gen.c\n");
		return 2;
	}
	g.state = calloc(g.count, 1);
	g.open_ns = calloc(g.count, sizeof(*g.open_ns));
	g.order = calloc(g.count, sizeof(*g.order));
	if (watched)
		watch_open(&g, watched);
	side_open(&g.client, client, gw_client);
	side_open(&g.server, server, gw_server);
	if (watched && pthread_create(&thread, NULL, watch, &g))
		die("thread");
	took = run(&g);
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"count\": %lu, \"opened\": %lu, \"closed\": %lu, \"lost\": %lu, \"seconds\": %.3f, \"per_s\": %.0f, "
	       "\"late_ms\": %.1f, \"send_failed\": %lu, \"cpu_s\": %.3f", (unsigned long)g.count, (unsigned long)g.opened,
	       (unsigned long)g.closed, (unsigned long)(g.count - g.opened), (double)took / 1e9,
	       (double)g.opened * 1e9 / (double)(took ? took : 1), (double)g.late_ns / 1e6,
	       (unsigned long)(g.client.failed + g.server.failed),
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	if (watched)
		print_lags(&g, thread);
	printf("}\n");
	return 0;
}
