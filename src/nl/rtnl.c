/* rtnl.c: read links, set their address and state, add and remove addresses */
#include "nl/rtnl.h"

#include "nl/nl.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	REQUEST_BYTES = 512,
	DUMP_TRIES = 5, /* a dump that others' changes interrupted is asked for again */
};

union request {
	struct nlmsghdr nlh;
	char bytes[REQUEST_BYTES];
};

static struct nlmsghdr *begin(union request *request, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh;

	memset(request, 0, sizeof(*request));
	nlh = mnl_nlmsg_put_header(request->bytes);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	return nlh;
}

static bool take_mac(const struct nlattr *attr, struct mac *ret_mac)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(ret_mac->bytes))
		return false;
	memcpy(ret_mac->bytes, mnl_attr_get_payload(attr), sizeof(ret_mac->bytes));
	return true;
}

static void take_name(const struct nlattr *attr, char name[17])
{
	size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	if (len > 16)
		len = 16;
	memcpy(name, mnl_attr_get_payload(attr), len);
	name[len] = '\0';
}

static int link_on_attr(const struct nlattr *attr, void *arg)
{
	struct rtnl_link *link = arg;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		take_name(attr, link->name);
		break;
	case IFLA_ADDRESS:
		take_mac(attr, &link->mac);
		break;
	case IFLA_PERM_ADDRESS:
		link->has_perm_mac = take_mac(attr, &link->perm_mac);
		break;
	case IFLA_MTU:
		if (mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
			link->mtu = mnl_attr_get_u32(attr);
		break;
	default: /* the kernel's list is long */
		break;
	}
	return MNL_CB_OK;
}

int rtnl_read_link(const struct nlmsghdr *nlh, struct rtnl_link *ret_link)
{
	struct rtnl_link link = { .ifindex = 0 };
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

	if ((nlh->nlmsg_type != RTM_NEWLINK && nlh->nlmsg_type != RTM_DELLINK) ||
	    nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*info))
		return -EBADMSG;
	link.ifindex = info->ifi_index;
	link.is_up = info->ifi_flags & IFF_UP;
	link.has_carrier = info->ifi_flags & IFF_RUNNING;
	mnl_attr_parse(nlh, sizeof(*info), link_on_attr, &link);
	*ret_link = link;
	return 0;
}

/* The speed is no attribute of a link message. ETHTOOL_GSET needs one call and no handshake for the
 * size of masks that are of no interest here; the kernel translates it for every driver. */
static uint32_t read_speed(const char *name)
{
	struct ethtool_cmd cmd = { .cmd = ETHTOOL_GSET };
	struct ifreq ifr = { .ifr_data = (void *)&cmd };
	uint32_t speed = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, SIOCETHTOOL, &ifr) == 0)
		speed = ethtool_cmd_speed(&cmd);
	close(fd);
	return speed == (uint32_t)SPEED_UNKNOWN ? 0 : speed;
}

static void link_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	rtnl_read_link(nlh, arg);
}

int rtnl_get_link(const char *name, struct rtnl_link *ret_link)
{
	struct rtnl_link link = { .ifindex = 0 };
	union request request;
	struct nlmsghdr *nlh = begin(&request, RTM_GETLINK, 0);
	int err;

	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = nl_talk(NETLINK_ROUTE, nlh, link_on_msg, &link);
	if (err < 0)
		return err;
	if (!link.ifindex)
		return -ENODEV;
	link.speed_mbit = read_speed(name);
	*ret_link = link;
	return 0;
}

int rtnl_set_mac(int ifindex, const struct mac *mac)
{
	union request request;
	struct nlmsghdr *nlh = begin(&request, RTM_SETLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	info->ifi_index = ifindex;
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac->bytes), mac->bytes);
	return nl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

int rtnl_set_up(int ifindex, bool is_up)
{
	union request request;
	struct nlmsghdr *nlh = begin(&request, RTM_SETLINK, 0);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	info->ifi_index = ifindex;
	info->ifi_flags = is_up ? IFF_UP : 0;
	info->ifi_change = IFF_UP;
	return nl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

static struct ifaddrmsg *put_addr(struct nlmsghdr *nlh, int ifindex, const struct ipnet *net)
{
	struct ifaddrmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	size_t size = ipaddr_size(&net->addr);

	msg->ifa_family = net->addr.family;
	msg->ifa_prefixlen = net->prefix_len;
	msg->ifa_index = (uint32_t)ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, size, net->addr.bytes);
	mnl_attr_put(nlh, IFA_ADDRESS, size, net->addr.bytes);
	return msg;
}

int rtnl_add_addr(int ifindex, const struct ipnet *net)
{
	union request request;
	struct nlmsghdr *nlh = begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);

	put_addr(nlh, ifindex, net);
	/* Duplicate address detection would keep the address silent for a second after a takeover,
	 * and fail for good while the old primary still answers. */
	if (net->addr.family == AF_INET6)
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD);
	return nl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

int rtnl_del_addr(int ifindex, const struct ipnet *net)
{
	union request request;
	struct nlmsghdr *nlh = begin(&request, RTM_DELADDR, 0);
	int err;

	put_addr(nlh, ifindex, net);
	err = nl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
	return err == -EADDRNOTAVAIL ? 0 : err;
}

struct addr_search {
	int ifindex;
	const struct ipnet *net;
	const struct nlattr *local;
	const struct nlattr *address;
	bool is_found;
};

static int addr_on_attr(const struct nlattr *attr, void *arg)
{
	struct addr_search *search = arg;

	if (mnl_attr_get_type(attr) == IFA_LOCAL)
		search->local = attr;
	else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
		search->address = attr;
	return MNL_CB_OK;
}

static void search_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct addr_search *search = arg;
	const struct ifaddrmsg *msg = mnl_nlmsg_get_payload(nlh);
	size_t size = ipaddr_size(&search->net->addr);
	const struct nlattr *own;

	if (nlh->nlmsg_type != RTM_NEWADDR || nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*msg) ||
	    msg->ifa_index != (uint32_t)search->ifindex ||
	    msg->ifa_family != search->net->addr.family ||
	    msg->ifa_prefixlen != search->net->prefix_len)
		return;
	search->local = search->address = NULL;
	mnl_attr_parse(nlh, sizeof(*msg), addr_on_attr, search);
	/* IFA_ADDRESS is the far end where there is one; IPv6 leaves out IFA_LOCAL otherwise. */
	own = search->local ? search->local : search->address;
	if (own && mnl_attr_get_payload_len(own) == size &&
	    memcmp(mnl_attr_get_payload(own), search->net->addr.bytes, size) == 0)
		search->is_found = true;
}

int rtnl_has_addr(int ifindex, const struct ipnet *net)
{
	struct addr_search search = { .ifindex = ifindex, .net = net };
	int err = -EINTR;

	for (int i = 0; i < DUMP_TRIES && err == -EINTR && !search.is_found; i++) {
		union request request;
		struct nlmsghdr *nlh = begin(&request, RTM_GETADDR, NLM_F_DUMP);
		struct ifaddrmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));

		msg->ifa_family = net->addr.family;
		err = nl_talk(NETLINK_ROUTE, nlh, search_on_msg, &search);
	}
	return search.is_found ? 1 : err;
}
