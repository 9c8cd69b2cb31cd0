/* frames.h: ARP and neighbour discovery frames, built and read without any I/O
 *
 * ARP: RFC 826, RFC 5227 (probe, announcement). Neighbour discovery: RFC 4861 (messages), RFC 4862
 * section 5.4 (duplicate address detection).
 */
#ifndef FK_CLUSTER_FRAMES_H
#define FK_CLUSTER_FRAMES_H

#include "base/addr.h"

enum {
	FRAME_ARP_LEN = 60, /* padded to Ethernet's minimum */
	FRAME_NA_LEN = 14 + 40 + 32,
	FRAME_NS_LEN = 14 + 40 + 24,
	FRAME_MAX = FRAME_NA_LEN,
};

/* "I am `addr`": broadcast ARP announcement, or unsolicited NA to all nodes with the router and
 * override flags. Returns the length. */
size_t frame_announce(const struct ipaddr *addr, const struct mac *mac, uint8_t out[FRAME_MAX]);
/* "Is anybody `addr`?" without claiming it: ARP probe, or the solicitation of DAD. */
size_t frame_probe(const struct ipaddr *addr, const struct mac *mac, uint8_t out[FRAME_MAX]);
/* An ARP reply or a neighbour advertisement: who says to be where. */
bool frame_read_answer(const uint8_t *frame, size_t len, struct ipaddr *ret_addr,
		       struct mac *ret_mac);

#endif
