/* netlab.c: namespaces, a veth pair and sockets for the tests of this room */
#include "cluster/netlab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool run(const char *prefix, const char *format, va_list args)
{
	char command[1024];
	size_t at = (size_t)snprintf(command, sizeof(command), "exec >&2; %s", prefix);
	int status;

	vsnprintf(command + at, sizeof(command) - at, format, args);
	status = system(command);
	if (status != 0 && !strstr(command, "ping"))
		fprintf(stderr, "netlab: status %d: %s\n", status, command);
	return status == 0;
}

bool netlab_run(const struct netlab *lab, const char *format, ...)
{
	va_list args;
	bool ok;

	(void)lab;
	va_start(args, format);
	ok = run("", format, args);
	va_end(args);
	return ok;
}

bool netlab_run_host(const struct netlab *lab, const char *format, ...)
{
	char prefix[64];
	va_list args;
	bool ok;

	snprintf(prefix, sizeof(prefix), "nsenter --net=/proc/%d/ns/net ", lab->host_pid);
	va_start(args, format);
	ok = run(prefix, format, args);
	va_end(args);
	return ok;
}

static bool wire_up(const struct netlab *lab)
{
	return netlab_run(lab,
			  "ip link add lan address 02:00:00:00:09:01 type veth peer name host "
			  "address 02:00:00:00:09:02 netns %d",
			  lab->host_pid) &&
	       netlab_run(
		       lab,
		       "ip link set lo up && ip link set lan up && "
		       "ip addr add 10.9.0.1/24 dev lan && ip addr add fd09::1/64 dev lan nodad") &&
	       netlab_run_host(lab, "ip link set host up") &&
	       netlab_run_host(lab, "ip addr add 10.9.0.2/24 dev host") &&
	       netlab_run_host(lab, "ip addr add fd09::2/64 dev host nodad");
}

bool netlab_open(struct netlab *lab)
{
	int to_host[2], to_us[2];
	char path[64], c = 0;

	*lab = (struct netlab){.home_ns = -1, .gw_ns = -1, .host_ns = -1, .host_pipe = -1};
	lab->home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0 || pipe2(to_host, O_CLOEXEC) < 0 ||
	    pipe2(to_us, O_CLOEXEC) < 0)
		return false;
	lab->gw_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	lab->host_pid = fork();
	if (lab->host_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to_host[1]);
		c = unshare(CLONE_NEWNET) == 0;
		if (write(to_us[1], &c, 1) != 1)
			_exit(1);
		(void)!read(to_host[0], &c, 1); /* until the other end closes */
		_exit(0);
	}
	close(to_host[0]);
	close(to_us[1]);
	lab->host_pipe = to_host[1];
	if (read(to_us[0], &c, 1) != 1 || !c)
		return false;
	close(to_us[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", lab->host_pid);
	lab->host_ns = open(path, O_RDONLY | O_CLOEXEC);
	return lab->host_ns >= 0 && wire_up(lab);
}

void netlab_close(struct netlab *lab)
{
	close(lab->host_pipe);
	if (lab->host_pid > 0)
		waitpid(lab->host_pid, NULL, 0);
	if (setns(lab->home_ns, CLONE_NEWNET) < 0 && errno != EPERM) /* EPERM: a rootless child */
		perror("netlab: cannot return home");
	close(lab->home_ns);
	close(lab->gw_ns);
	close(lab->host_ns);
}

bool netlab_enter_host(const struct netlab *lab)
{
	return setns(lab->host_ns, CLONE_NEWNET) == 0;
}

bool netlab_enter_gw(const struct netlab *lab)
{
	return setns(lab->gw_ns, CLONE_NEWNET) == 0;
}

int netlab_udp(const struct netlab *lab, bool on_host)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(4000)};
	int fd;

	sin.sin_addr.s_addr = htonl(on_host ? 0x0a090002 : 0x0a090001);
	if (on_host && !netlab_enter_host(lab))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		perror("netlab: bind");
	if (on_host && !netlab_enter_gw(lab))
		return -1;
	sin.sin_addr.s_addr = htonl(on_host ? 0x0a090001 : 0x0a090002);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		perror("netlab: connect");
	return fd;
}

bool netlab_pin_neighbours(const struct netlab *lab)
{
	return netlab_run(lab, "ip neigh replace 10.9.0.2 lladdr 02:00:00:00:09:02 dev lan nud "
			       "permanent") &&
	       netlab_run_host(lab, "ip neigh replace 10.9.0.1 lladdr 02:00:00:00:09:01 dev host "
				    "nud permanent");
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool netlab_become_rootless(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
	    setresuid(65534, 65534, 65534) < 0)
		return false;
	prctl(PR_SET_DUMPABLE, 1); /* so that /proc/self is ours again */
	return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", "0 65534 1") &&
	       write_file("/proc/self/gid_map", "0 65534 1");
}
