/* rtnl.h: the few rtnetlink requests Flowkeep makes, each a function; synchronous, for set-up
 *
 * Used when virtual addresses are put up or taken down and to read the state of links. News about
 * links, addresses and neighbours comes through nl_sock with RTNLGRP_* groups; rtnl_read_link()
 * turns such a message into a struct.
 */
#ifndef FK_NL_RTNL_H
#define FK_NL_RTNL_H

#include "base/addr.h"

#include <libmnl/libmnl.h>
#include <stdbool.h>

struct rtnl_link {
	int ifindex;
	char name[17];
	struct mac mac;      /* IFLA_ADDRESS */
	struct mac perm_mac; /* IFLA_PERM_ADDRESS; all zero where the driver has none (veth) */
	bool has_perm_mac;
	bool is_up;          /* IFF_UP */
	bool has_carrier;    /* IFF_RUNNING: operational */
	uint32_t mtu;
	uint32_t speed_mbit; /* 0: unknown; only rtnl_get_link() asks (no attribute of news) */
};

/* 0; -EBADMSG when nlh is no RTM_NEWLINK/DELLINK. */
int rtnl_read_link(const struct nlmsghdr *nlh, struct rtnl_link *ret_link);
/* 0, -ENODEV. */
int rtnl_get_link(const char *name, struct rtnl_link *ret_link);
int rtnl_set_mac(int ifindex, const struct mac *mac);
int rtnl_set_up(int ifindex, bool is_up);
/* NLM_F_CREATE | NLM_F_REPLACE, IFA_F_NODAD for IPv6; 0 also when it is there already. */
int rtnl_add_addr(int ifindex, const struct ipnet *net);
/* 0 also when it is not there. */
int rtnl_del_addr(int ifindex, const struct ipnet *net);
/* Is exactly this address and prefix on the interface? 1, 0 or negative errno. */
int rtnl_has_addr(int ifindex, const struct ipnet *net);

#endif
