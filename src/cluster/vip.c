/* vip.c: puts the virtual MAC and the virtual addresses on the devices, and takes them away */
#include "cluster/vip.h"

#include "base/log.h"
#include "link/l2.h"
#include "nl/rtnl.h"

#include <errno.h>
#include <string.h>

struct mac vip_mac(uint16_t group_id, unsigned index)
{
	/* fortios-facts 1.7: one prefix for each 256 group-ids, then its low byte, then the index
	 */
	static const uint8_t prefixes[][4] = {
		{0x00, 0x09, 0x0f, 0x09},
		{0xe0, 0x23, 0xff, 0xfc},
		{0xe0, 0x23, 0xff, 0xfd},
		{0xe0, 0x23, 0xff, 0xfe},
	};
	struct mac mac;

	memcpy(mac.bytes, prefixes[(group_id >> 8) & 3], 4);
	mac.bytes[4] = (uint8_t)group_id;
	mac.bytes[5] = (uint8_t)index;
	return mac;
}

static const struct config_iface *find(const struct config *config, const char *name)
{
	for (unsigned i = 0; config && i < config->iface_count; i++) {
		if (strcmp(config->iface[i].name, name) == 0)
			return &config->iface[i];
	}
	return NULL;
}

static bool has(const struct ipnet *nets, unsigned count, const struct ipnet *net)
{
	for (unsigned i = 0; i < count; i++) {
		if (nets[i].prefix_len == net->prefix_len &&
		    ipaddr_equal(&nets[i].addr, &net->addr))
			return true;
	}
	return false;
}

/* The first error counts, every one is told. */
static void note(int r, const char *ifname, const char *what, const char *which, int *result)
{
	if (r >= 0)
		return;
	log_warnx("vip", "%s: cannot %s %s: %s", ifname, what, which, strerror(-r));
	if (*result == 0)
		*result = r;
}

static void del_addrs(const struct rtnl_link *link, const struct ipnet *old, unsigned old_count,
		      const struct ipnet *keep, unsigned keep_count, int *result)
{
	char text[IPNET_STRLEN];

	for (unsigned i = 0; i < old_count; i++) {
		if (!has(keep, keep_count, &old[i]))
			note(rtnl_del_addr(link->ifindex, &old[i]), link->name, "remove",
			     ipnet_format(&old[i], text), result);
	}
}

static void add_addrs(const struct rtnl_link *link, const struct ipnet *nets, unsigned count,
		      int *result)
{
	char text[IPNET_STRLEN];

	for (unsigned i = 0; i < count; i++)
		note(rtnl_add_addr(link->ifindex, &nets[i]), link->name, "add",
		     ipnet_format(&nets[i], text), result);
}

/* Many drivers change the address of a running device, some want it down for that (EBUSY), which
 * costs its routes: said in the log. */
static void set_mac(const struct rtnl_link *link, const struct mac *mac, int *result)
{
	char text[MAC_STRLEN];
	int r;

	if (mac_equal(&link->mac, mac))
		return;
	r = rtnl_set_mac(link->ifindex, mac);
	if (r == -EBUSY && link->is_up) {
		log_warnx("vip",
			  "%s: going down for a moment: its driver changes no address while up",
			  link->name);
		r = rtnl_set_up(link->ifindex, false);
		if (r == 0) {
			int up;

			r = rtnl_set_mac(link->ifindex, mac);
			up = rtnl_set_up(link->ifindex, true);
			r = r < 0 ? r : up;
		}
	}
	note(r, link->name, "set address", mac_format(mac, text), result);
}

static void remove_iface(const struct config_iface *old, const struct config_iface *now,
			 int *result)
{
	struct rtnl_link link;
	int r = rtnl_get_link(old->name, &link);

	if (r < 0) {
		if (r != -ENODEV) /* gone, and its addresses with it */
			note(r, old->name, "read", "link", result);
		return;
	}
	del_addrs(&link, old->ip, old->ip_count, now ? now->ip : NULL, now ? now->ip_count : 0,
		  result);
	del_addrs(&link, old->ip6, old->ip6_count, now ? now->ip6 : NULL, now ? now->ip6_count : 0,
		  result);
	if ((!now || now->ip_count + now->ip6_count == 0) && link.has_perm_mac)
		set_mac(&link, &link.perm_mac, result);
}

int vip_apply(const struct config *config, const struct config *old)
{
	int result = 0;

	for (unsigned i = 0; old && i < old->iface_count; i++)
		remove_iface(&old->iface[i], find(config, old->iface[i].name), &result);
	for (unsigned i = 0; i < config->iface_count; i++) {
		const struct config_iface *iface = &config->iface[i];
		struct mac mac = vip_mac(config->ha.group_id, i);
		struct rtnl_link link;
		int r;

		if (iface->ip_count + iface->ip6_count == 0)
			continue; /* not muted either: its device stays as it is */
		r = rtnl_get_link(iface->name, &link);
		if (r < 0) {
			note(r, iface->name, "read", "link", &result);
			continue;
		}
		set_mac(&link, &mac, &result);
		add_addrs(&link, iface->ip, iface->ip_count, &result);
		add_addrs(&link, iface->ip6, iface->ip6_count, &result);
	}
	return result;
}

int vip_release(const struct config *config, const char *ifname, const char *serial)
{
	const struct config_iface *iface = find(config, ifname);
	struct rtnl_link link;
	struct mac virtual, own;
	int result = 0, r;

	r = rtnl_get_link(ifname, &link);
	if (r < 0 || !iface)
		return r;
	del_addrs(&link, iface->ip, iface->ip_count, NULL, 0, &result);
	del_addrs(&link, iface->ip6, iface->ip6_count, NULL, 0, &result);
	virtual = vip_mac(config->ha.group_id, (unsigned)(iface - config->iface));
	own = l2_own_mac(serial, ifname, link.has_perm_mac ? &link.perm_mac : NULL);
	if (mac_equal(&link.mac, &virtual))
		set_mac(&link, &own, &result);
	return result;
}
