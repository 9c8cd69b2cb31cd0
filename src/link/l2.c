/* l2.c: a port for frames of one of our Ethertypes on one interface (AF_PACKET, packet(7)) */
#include "link/l2.h"

#include "base/log.h"
#include "base/xalloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RX_BATCH = 32,
	RX_BATCHES = 4, /* a turn, so that one flooded port does not starve the loop */
	RX_FRAME_MAX = 9216 + ETH_HLEN,
	RCVBUF_BYTES = 4 << 20,
};

struct l2_port {
	struct loop *loop;
	struct watch *watch;
	int fd;
	int ifindex; /* 0: not bound */
	size_t mtu;
	char name[IF_NAMESIZE];
	uint16_t ethertype;
	struct ethhdr header; /* of every frame we send */
	struct mac sender;    /* of the frame being told */
	l2_rx_fn *on_frame;
	void *arg;
	struct l2_stats *stats; /* apart: reading the kernel's counter writes no port */
	bool is_receiving;
	bool is_closed; /* by its own callback */
	struct mmsghdr msgs[RX_BATCH];
	struct iovec iovs[RX_BATCH];
	struct sockaddr_ll from[RX_BATCH];
	uint8_t (*frames)[RX_FRAME_MAX];
};

static void port_free(struct l2_port *port)
{
	close(port->fd);
	free(port->frames);
	free(port->stats);
	free(port);
}

/* After a device has gone the kernel keeps the socket, bound to nothing. */
static void port_on_error(struct l2_port *port)
{
	struct sockaddr_ll ll;
	socklen_t len = sizeof(ll);

	if (getsockname(port->fd, (struct sockaddr *)&ll, &len) < 0 || ll.sll_ifindex <= 0)
		port->ifindex = 0;
}

static void port_take(struct l2_port *port, unsigned i)
{
	const struct mmsghdr *msg = &port->msgs[i];

	/* OTHERHOST: for a VLAN that does not exist here, or promiscuous leftovers */
	if (port->from[i].sll_pkttype == PACKET_OUTGOING ||
	    port->from[i].sll_pkttype == PACKET_OTHERHOST)
		return;
	if ((msg->msg_hdr.msg_flags & MSG_TRUNC) || msg->msg_len < ETH_HLEN) {
		port->stats->rx_dropped++;
		return;
	}
	port->stats->rx_frames++;
	port->stats->rx_bytes += msg->msg_len;
	memcpy(port->sender.bytes, port->from[i].sll_addr, sizeof(port->sender.bytes));
	port->on_frame(port->arg, port, port->frames[i] + ETH_HLEN, msg->msg_len - ETH_HLEN);
}

static void port_on_readable(void *arg, unsigned events)
{
	struct l2_port *port = arg;

	(void)events;
	port->is_receiving = true;
	for (unsigned batch = 0; batch < RX_BATCHES && !port->is_closed; batch++) {
		int n;

		for (unsigned i = 0; i < RX_BATCH; i++)
			port->msgs[i].msg_hdr.msg_namelen = sizeof(port->from[i]);
		n = recvmmsg(port->fd, port->msgs, RX_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				port_on_error(port); /* ENETDOWN, told once */
			break;
		}
		for (int i = 0; i < n && !port->is_closed; i++)
			port_take(port, (unsigned)i);
		if (n < RX_BATCH)
			break;
	}
	port->is_receiving = false;
	if (port->is_closed)
		port_free(port);
}

int l2_port_rebind(struct l2_port *port)
{
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(port->ethertype)};
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, port->name, sizeof(ifr.ifr_name));
	if (ioctl(port->fd, SIOCGIFMTU, &ifr) < 0) {
		port->ifindex = 0;
		return errno == ENODEV ? 0 : -errno;
	}
	port->mtu = (size_t)ifr.ifr_mtu;
	ll.sll_ifindex = (int)if_nametoindex(port->name);
	/* Gone and back under its old number, between two of our frames: nobody has told us. */
	port_on_error(port);
	if (ll.sll_ifindex == port->ifindex && port->ifindex > 0)
		return 0;
	if (ll.sll_ifindex == 0 || bind(port->fd, (struct sockaddr *)&ll, sizeof(ll)) < 0) {
		port->ifindex = 0;
		return errno == ENODEV ? 0 : -errno;
	}
	port->ifindex = ll.sll_ifindex;
	return 0;
}

int l2_port_open(struct loop *loop, const char *ifname, uint16_t ethertype, enum loop_prio prio,
		 const struct mac *source, l2_rx_fn *on_frame, void *arg, struct l2_port **ret_port)
{
	static const int one = 1, rcvbuf = RCVBUF_BYTES;
	struct l2_port *port;
	int r;

	if (strlen(ifname) >= IF_NAMESIZE)
		return -EINVAL;
	port = xcalloc(1, sizeof(*port));
	*port = (struct l2_port){
		.loop = loop, .ethertype = ethertype, .on_frame = on_frame, .arg = arg};
	memcpy(port->name, ifname, strlen(ifname));
	memset(port->header.h_dest, 0xff, ETH_ALEN);
	memcpy(port->header.h_source, source->bytes, ETH_ALEN);
	port->header.h_proto = htons(ethertype);
	port->stats = xcalloc(1, sizeof(*port->stats));
	port->frames = xcalloc(RX_BATCH, sizeof(*port->frames));
	for (unsigned i = 0; i < RX_BATCH; i++) {
		port->iovs[i] = (struct iovec){port->frames[i], RX_FRAME_MAX};
		port->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &port->from[i], .msg_iov = &port->iovs[i], .msg_iovlen = 1};
	}
	/* protocol 0: nothing arrives before bind() has chosen the interface */
	port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (port->fd < 0 ||
	    setsockopt(port->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0) {
		r = -errno;
		goto fail;
	}
	if (setsockopt(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)) < 0)
		(void)setsockopt(port->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	r = l2_port_rebind(port);
	if (r < 0)
		goto fail;
	if (port->ifindex == 0)
		log_warnx("link", "%s: no such interface yet", ifname);
	port->watch = watch_new(loop, port->fd, LOOP_READ, prio, "l2 port", port_on_readable, port);
	*ret_port = port;
	return 0;
fail:
	if (port->fd >= 0)
		close(port->fd);
	free(port->frames);
	free(port->stats);
	free(port);
	return r;
}

void l2_port_close(struct l2_port *port)
{
	if (!port)
		return;
	watch_free(port->watch);
	if (port->is_receiving)
		port->is_closed = true;
	else
		port_free(port);
}

struct mac l2_port_sender(const struct l2_port *port)
{
	return port->sender;
}

bool l2_port_is_up(const struct l2_port *port)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, port->name, sizeof(ifr.ifr_name));
	return port->ifindex > 0 && ioctl(port->fd, SIOCGIFFLAGS, &ifr) == 0 &&
	       (ifr.ifr_flags & IFF_UP) && (ifr.ifr_flags & IFF_RUNNING);
}

size_t l2_port_mtu(const struct l2_port *port)
{
	return port->mtu;
}

int l2_port_send(struct l2_port *port, const void *frame, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_protocol = port->header.h_proto,
				 .sll_ifindex = port->ifindex,
				 .sll_halen = ETH_ALEN};
	struct iovec iov[2] = {{&port->header, sizeof(port->header)},
			       {(void *)(uintptr_t)frame, len}};
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = 2};
	int error;

	if (port->ifindex == 0)
		return -ENETDOWN;
	memset(to.sll_addr, 0xff, ETH_ALEN);
	if (sendmsg(port->fd, &msg, MSG_DONTWAIT) >= 0) {
		port->stats->tx_frames++;
		port->stats->tx_bytes += len + sizeof(port->header);
		return 0;
	}
	error = errno;
	port->stats->tx_errors++;
	switch (error) {
	case ENXIO: /* the device has gone */
	case ENODEV:
		port->ifindex = 0;
		return -ENETDOWN;
	case EAGAIN: /* our send buffer, other than the device's queue */
		return -ENOBUFS;
	default:
		return -error;
	}
}

struct l2_stats l2_port_stats(const struct l2_port *port)
{
	struct tpacket_stats kernel = {0};
	socklen_t len = sizeof(kernel);

	/* reading resets the kernel's counter */
	if (getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &kernel, &len) == 0)
		port->stats->rx_dropped += kernel.tp_drops;
	return *port->stats;
}

struct mac l2_own_mac(const char *serial, const char *ifname, const struct mac *perm_or_null)
{
	static const struct mac none;
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	struct mac mac;

	if (perm_or_null && !mac_equal(perm_or_null, &none))
		return *perm_or_null;
	for (const char *p = serial; *p; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	hash = (hash ^ '/') * UINT64_C(0x100000001b3);
	for (const char *p = ifname; *p; p++)
		hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32; /* the low bytes of FNV mix best; fold the high ones in */
	for (unsigned i = 0; i < sizeof(mac.bytes); i++)
		mac.bytes[i] = (uint8_t)(hash >> (8 * i));
	mac.bytes[0] = (uint8_t)((mac.bytes[0] & 0xfc) | 0x02); /* local, unicast */
	return mac;
}
