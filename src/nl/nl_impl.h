/* nl_impl.h: what nl_sock.c, nl_batch.c and nl_dump.c share: opening a socket, sizing its buffer */
#ifndef FK_NL_NL_IMPL_H
#define FK_NL_NL_IMPL_H

#include "nl/nl.h"

#include <sys/socket.h>

/* The kernel fills at most 32 KiB per datagram of a dump (netlink_recvmsg()). */
enum { NL_DATAGRAM_MAX = 32768 };

/* A bound, non-blocking socket; 0 or negative errno. */
int nl_open(int bus, struct mnl_socket **ret_socket);
/* Asks for this many bytes, past rmem_max where permitted; returns what the kernel gave. The kernel
 * doubles the number for its own overhead, and the answer counts that in. */
size_t nl_set_rcvbuf(int fd, size_t bytes);

#endif
