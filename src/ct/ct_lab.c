/* ct_lab.c: namespaces, links and sockets for this room's tests */
#include "ct/ct_lab.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const lab_hosts[LAB_NS_COUNT] = {
	[LAB_GATEWAY] = "10.1.0.1",
	[LAB_CLIENT] = "10.1.0.9",
	[LAB_SERVER] = "10.2.0.9",
	[LAB_STANDBY] = "0.0.0.0",
};

static void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* A user namespace makes us root of the network namespaces to come; root itself needs none. */
static int become_root(void)
{
	char text[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER) < 0)
		return uid == 0 ? 0 : -errno;
	file_write("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "0 %u 1", (unsigned)uid);
	file_write("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "0 %u 1", (unsigned)gid);
	file_write("/proc/self/gid_map", text);
	return 0;
}

static int links_up(struct lab *lab)
{
	static const char client[] = "ip link set lo up; ip addr add 10.1.0.9/24 dev c1; ip addr "
				     "add fd01::9/64 dev c1 nodad;"
				     "ip link set c1 up; ip route add default via 10.1.0.1; ip "
				     "route add default via fd01::1";
	static const char server[] = "ip link set lo up; ip addr add 10.2.0.9/24 dev s1; ip addr "
				     "add fd02::9/64 dev s1 nodad;"
				     "ip link set s1 up; ip route add default via 10.2.0.1; ip "
				     "route add default via fd02::1";
	static const char gateway[] =
		"ip link set lo up; ip addr add 10.1.0.1/24 dev c0; ip addr add 10.2.0.1/24 dev s0;"
		"ip addr add fd01::1/64 dev c0 nodad; ip addr add fd02::1/64 dev s0 nodad;"
		"ip link set c0 up; ip link set s0 up; echo 1 > /proc/sys/net/ipv4/ip_forward;"
		"echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
	int r;

	r = lab_run(lab, LAB_GATEWAY,
		    "ip link add c0 type veth peer name c1 netns /proc/%d/fd/%d && "
		    "ip link add s0 type veth peer name s1 netns /proc/%d/fd/%d",
		    getpid(), lab->ns[LAB_CLIENT], getpid(), lab->ns[LAB_SERVER]);
	r |= lab_run(lab, LAB_CLIENT, "%s", client);
	r |= lab_run(lab, LAB_SERVER, "%s", server);
	r |= lab_run(lab, LAB_GATEWAY, "%s", gateway);
	return r == 0 ? 0 : -EIO;
}

int lab_open(struct lab *lab, const char **ret_why)
{
	memset(lab, 0, sizeof(*lab));
	if (become_root() < 0) {
		*ret_why = "user namespaces are refused here";
		return -EPERM;
	}
	for (unsigned i = 0; i < LAB_NS_COUNT; i++) {
		if (unshare(CLONE_NEWNET) < 0) {
			*ret_why = "network namespaces are refused here";
			return -EPERM;
		}
		lab->ns[i] = open("/proc/self/ns/net", O_RDONLY);
		assert(lab->ns[i] >= 0);
	}
	if (links_up(lab) < 0) {
		*ret_why = "no veth or no ip(8) here";
		return -ENODEV;
	}
	lab->loop = loop_new();
	return 0;
}

void lab_close(struct lab *lab)
{
	loop_free(lab->loop);
	for (unsigned i = 0; i < LAB_NS_COUNT; i++)
		close(lab->ns[i]);
}

void lab_enter(const struct lab *lab, enum lab_ns ns)
{
	if (setns(lab->ns[ns], CLONE_NEWNET) < 0)
		abort();
}

int lab_run(const struct lab *lab, enum lab_ns ns, const char *fmt, ...)
{
	char command[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert(n > 0 && (size_t)n < sizeof(command));
	lab_enter(lab, ns);
	return system(command);
}

void lab_on_seen(void *arg, const struct ct_seen *seen)
{
	struct lab *lab = arg;

	/* Neighbour discovery and the like are no business of a test. */
	if (lab->seen_count < LAB_SEEN_MAX)
		lab->seen[lab->seen_count++] = *seen;
}

void lab_on_overrun(void *arg)
{
	((struct lab *)arg)->overruns++;
}

void lab_on_verdict(void *arg, enum ct_op op, uint64_t cookie, int error)
{
	struct lab *lab = arg;

	(void)op;
	(void)cookie;
	lab->verdicts++;
	lab->last_error = error;
}

bool lab_wait(struct lab *lab, const unsigned *counter, unsigned want)
{
	mono_t end = mono_add(mono_read(), SEC(2));

	while (*counter < want && mono_before(mono_read(), end))
		loop_turn(lab->loop, MS(20));
	return *counter >= want;
}

void lab_listen(struct lab *lab, int64_t ns)
{
	mono_t end = mono_add(mono_read(), ns);

	while (mono_before(mono_read(), end))
		loop_turn(lab->loop, MS(5));
}

int lab_socket(const struct lab *lab, enum lab_ns ns, int type, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval limit = {.tv_sec = 2};
	int fd, one = 1;

	lab_enter(lab, ns);
	fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert(fd >= 0);
	inet_pton(AF_INET, lab_hosts[ns], &sin.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (bind(fd, (void *)&sin, sizeof(sin)) < 0)
		abort();
	if (type == SOCK_STREAM && ns == LAB_SERVER && listen(fd, 8) < 0)
		abort();
	return fd;
}

int lab_connect(int fd, const char *host, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, host, &sin.sin_addr);
	return connect(fd, (void *)&sin, sizeof(sin)) < 0 ? -errno : 0;
}
