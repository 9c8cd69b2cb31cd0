/* probe.c: the datagram clients: udp, dns, icmp, sctp are answered packet by packet; oneway is not
 *
 * The outage around a run of lost packets is the time between the arrival of the last answer before
 * it and of the first one after it. `dup` counts answers that came twice: in a lab whose switches
 * are hubs, that is a second forwarder.
 */
#include "traffic.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	OUTAGES_SHOWN = 24,
	DRAIN_MS = 200,     /* for the last answers */
	ICMP_ECHO = 8,
	ICMP6_ECHO = 128,
};

struct probe {
	const struct options *options;
	int fd, signals, timer;
	uint16_t id;           /* ICMP identifier, or SCTP port */
	uint32_t tag, peer_tag; /* SCTP */
	int64_t *answered_ns;  /* by sequence number, 0 = not (yet) */
	uint32_t limit, sent, answered, dup;
	int64_t started_ns, last_ns, rtt_max_ns;
	int64_t *sent_ns;
	int error;
	bool is_over;
};

static bool is_kind(const struct probe *probe, const char *kind)
{
	return strcmp(probe->options->kind, kind) == 0;
}

/* sin_port and sin6_port lie at the same place. */
static uint16_t to_port(const struct options *options)
{
	return ntohs(((const struct sockaddr_in *)&options->to)->sin_port);
}

/* RFC 1071; for ICMPv6 the kernel does it. */
static uint16_t inet_sum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t icmp_put(const struct probe *probe, uint8_t *out, uint32_t seq)
{
	bool is_v6 = probe->options->to.ss_family == AF_INET6;
	uint16_t sum;

	memset(out, 0, 64);
	out[0] = is_v6 ? ICMP6_ECHO : ICMP_ECHO;
	out[4] = (uint8_t)(probe->id >> 8);
	out[5] = (uint8_t)probe->id;
	out[6] = (uint8_t)(seq >> 8);
	out[7] = (uint8_t)seq;
	memcpy(out + 8, &seq, 4);
	if (!is_v6) {
		sum = inet_sum(out, 64);
		out[2] = (uint8_t)(sum >> 8);
		out[3] = (uint8_t)sum;
	}
	return 64;
}

static bool icmp_is_reply(const struct probe *probe, const uint8_t *data, size_t len, uint32_t *ret_seq)
{
	bool is_v6 = probe->options->to.ss_family == AF_INET6;

	if (len < 64 || data[0] != (is_v6 ? ICMP6_ECHO + 1 : 0) ||
	    (data[4] << 8 | data[5]) != probe->id)
		return false;
	memcpy(ret_seq, data + 8, 4);
	return true;
}

static void probe_send(struct probe *probe)
{
	const struct options *options = probe->options;
	struct sockaddr_storage to = options->to;
	uint32_t seq = probe->sent;
	uint8_t out[2048] = { 0 };
	size_t len = options->size;
	bool is_raw = true;

	if (is_kind(probe, "icmp")) {
		len = icmp_put(probe, out, seq);
	} else if (is_kind(probe, "sctp")) {
		len = sctp_heartbeat(out, sizeof(out), probe->id, to_port(options), probe->tag,
				     probe->peer_tag, seq);
	} else {
		memcpy(out, &seq, 4);
		is_raw = false;
	}
	probe->sent_ns[seq] = now_ns();
	probe->sent++;
	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = 0;
	/* A refused send (ICMP error, no neighbour) counts as lost by not being answered. */
	if (is_raw)
		(void)sendto(probe->fd, out, len, MSG_DONTWAIT, (struct sockaddr *)&to,
			     sockaddr_len(&to));
	else
		(void)send(probe->fd, out, len, MSG_DONTWAIT);
}

static bool probe_parse(const struct probe *probe, const uint8_t *data, size_t len, uint32_t *ret_seq)
{
	size_t at = 0;

	if (is_kind(probe, "udp") || is_kind(probe, "dns")) {
		if (len < 4)
			return false;
		memcpy(ret_seq, data, 4);
		return true;
	}
	if (probe->options->to.ss_family == AF_INET)
		at = (size_t)(data[0] & 15) * 4;
	if (at >= len)
		return false;
	if (is_kind(probe, "icmp"))
		return icmp_is_reply(probe, data + at, len - at, ret_seq);
	return sctp_is_heartbeat_ack(data + at, len - at, probe->id, ret_seq);
}

static void probe_receive(struct probe *probe)
{
	for (unsigned i = 0; i < 64; i++) {
		uint8_t data[2048];
		ssize_t n = recv(probe->fd, data, sizeof(data), MSG_DONTWAIT);
		uint32_t seq;

		if (n < 0)
			return;
		if (n == 0 || !probe_parse(probe, data, (size_t)n, &seq) || seq >= probe->sent)
			continue;
		if (probe->answered_ns[seq]) {
			probe->dup++;
			continue;
		}
		if (!probe->answered++)
			ready_tell(probe->options);
		probe->last_ns = probe->answered_ns[seq] = now_ns();
		if (probe->last_ns - probe->sent_ns[seq] > probe->rtt_max_ns)
			probe->rtt_max_ns = probe->last_ns - probe->sent_ns[seq];
	}
}

static bool probe_is_alive(const struct probe *probe)
{
	if (probe->error)
		return false;
	if (is_kind(probe, "oneway"))
		return probe->sent > 0; /* the server counts */
	return probe->answered && (now_ns() - probe->last_ns) / 1000000 < probe->options->alive_ms;
}

/* Runs of lost packets before `end`; the last packets may still be under way, see probe_run(). */
static void outages_print(const struct probe *probe, uint32_t end)
{
	int64_t before = 0, max = 0, outage;
	uint32_t lost = 0, lost_all = 0, shown = 0, tail;

	printf(",\"outages_ms\":[");
	for (uint32_t i = 0; i < end; i++) {
		if (!probe->answered_ns[i]) {
			lost++;
			continue;
		}
		if (lost && before) {
			outage = probe->answered_ns[i] - before;
			if (outage > max)
				max = outage;
			if (shown++ < OUTAGES_SHOWN)
				printf("%s%.1f", shown > 1 ? "," : "", ms_of(outage));
		}
		lost_all += lost;
		lost = 0;
		before = probe->answered_ns[i];
	}
	tail = lost;
	if (tail && before && now_ns() - before > max)
		max = now_ns() - before;
	printf("],\"outages\":%u,\"lost\":%u,\"lost_at_end\":%u,\"outage_max_ms\":%.1f", shown,
	       lost_all + tail, tail, ms_of(max));
}

/* While it runs, what was sent during the last 100 ms is not called lost yet. */
static uint32_t settled(const struct probe *probe)
{
	uint32_t end = probe->sent;
	int64_t edge = now_ns() - 100000000;

	while (!probe->is_over && end && probe->sent_ns[end - 1] > edge)
		end--;
	return end;
}

static void probe_print(const struct probe *probe)
{
	printf("{\"name\":\"%s\",\"kind\":\"%s\",\"ok\":%s,\"up\":%s,\"error\":\"%s\",\"sent\":%u,"
	       "\"answered\":%u,\"dup\":%u,\"rtt_max_ms\":%.2f",
	       probe->options->name, probe->options->kind, probe_is_alive(probe) ? "true" : "false",
	       probe->answered ? "true" : "false", probe->error ? strerror(-probe->error) : "",
	       probe->sent, probe->answered, probe->dup, ms_of(probe->rtt_max_ns));
	outages_print(probe, is_kind(probe, "oneway") ? 0 : settled(probe));
	puts("}");
	fflush(stdout);
}

static int probe_open(struct probe *probe)
{
	const struct options *options = probe->options;
	bool is_v6 = options->to.ss_family == AF_INET6;
	int type = SOCK_DGRAM, protocol = 0, r;

	if (is_kind(probe, "icmp")) {
		type = SOCK_RAW;
		protocol = is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	} else if (is_kind(probe, "sctp")) {
		type = SOCK_RAW;
		protocol = IPPROTO_SCTP;
	}
	probe->id = (uint16_t)(1024 + getpid() % 60000);
	probe->tag = (uint32_t)now_ns() | 1;
	if (options->from.ss_family && type == SOCK_RAW) {
		uint16_t port = ntohs(((const struct sockaddr_in *)&options->from)->sin_port);

		if (port)
			probe->id = port;
	}
	r = socket_to(options, type, protocol, &probe->fd);
	if (r < 0)
		return r;
	if (is_kind(probe, "sctp"))
		return sctp_associate(probe->fd, options, probe->id, to_port(options), probe->tag,
				      &probe->peer_tag);
	return 0;
}

static void probe_on_tick(struct probe *probe)
{
	uint64_t ticks;

	if (read(probe->timer, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	/* Missed ticks are not made up for: the load stays what was asked for. */
	if (probe->sent < probe->limit)
		probe_send(probe);
	if (probe->sent == probe->limit)
		probe->is_over = true;
	if (is_kind(probe, "oneway") && probe->sent == 1)
		ready_tell(probe->options);
}

static void probe_run(struct probe *probe)
{
	struct pollfd fds[3] = { { probe->fd, POLLIN, 0 },
				 { probe->signals, POLLIN, 0 },
				 { probe->timer, POLLIN, 0 } };
	int64_t end;
	int got;

	while (!probe->is_over) {
		poll(fds, 3, 1000);
		if (fds[0].revents)
			probe_receive(probe);
		if (fds[2].revents)
			probe_on_tick(probe);
		if (!fds[1].revents)
			continue;
		got = signals_read(probe->signals);
		if (got == SIGUSR2)
			probe_print(probe);
		else if (got == SIGTERM || got == SIGINT)
			probe->is_over = true;
	}
	end = now_ns() + (int64_t)DRAIN_MS * 1000000;
	while (now_ns() < end && probe->answered < probe->sent) {
		poll(fds, 1, 10);
		probe_receive(probe);
	}
}

int probe_main(const struct options *options)
{
	struct probe probe = { .options = options, .fd = -1, .timer = -1 };
	long gap_ns = 1000000000L / options->hz;
	struct itimerspec every = { { gap_ns / 1000000000, gap_ns % 1000000000 }, { 0, 1 } };

	probe.limit = options->bytes ? (uint32_t)options->bytes : options->hz * TRAFFIC_MAX_S;
	if (probe.limit > options->hz * TRAFFIC_MAX_S)
		probe.limit = options->hz * TRAFFIC_MAX_S;
	probe.answered_ns = calloc(probe.limit, sizeof(int64_t));
	probe.sent_ns = calloc(probe.limit, sizeof(int64_t));
	if (!probe.answered_ns || !probe.sent_ns)
		abort();
	probe.signals = signals_open();
	probe.error = probe_open(&probe);
	probe.started_ns = now_ns();
	if (!probe.error) {
		probe.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
		timerfd_settime(probe.timer, 0, &every, NULL);
		probe_run(&probe);
		close(probe.timer);
	}
	probe_print(&probe);
	if (probe.fd >= 0)
		close(probe.fd);
	close(probe.signals);
	free(probe.sent_ns);
	free(probe.answered_ns);
	return probe_is_alive(&probe) ? 0 : 1;
}
