/* rtnl_test.c: links and addresses of a veth pair, in a network namespace of our own */
#include "nl/nl.h"
#include "nl/rtnl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* va <-> vb */
static int make_veth(void)
{
	union {
		struct nlmsghdr nlh;
		char bytes[256];
	} request;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.bytes);
	struct nlattr *info, *data, *peer;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "va");
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "vb");
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return nl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

static int index_of(const char *name)
{
	struct rtnl_link link;

	assert_int_equal(rtnl_get_link(name, &link), 0);
	return link.ifindex;
}

static void rtnl_reads_a_link(void **state)
{
	struct rtnl_link link = { .ifindex = 77 };

	(void)state;
	assert_int_equal(rtnl_get_link("nosuch", &link), -ENODEV);
	assert_int_equal(rtnl_get_link("", &link), -ENODEV);
	assert_int_equal(rtnl_get_link("a-name-that-is-too-long", &link), -ENODEV);
	assert_int_equal(link.ifindex, 77);
	assert_int_equal(rtnl_get_link("va", &link), 0);
	assert_true(link.ifindex > 1 && link.ifindex != 77);
	assert_string_equal(link.name, "va");
	assert_int_equal(link.mtu, 1500);
	assert_false(link.is_up);
	assert_false(link.has_carrier);
	assert_int_equal(link.mac.bytes[0] & 1, 0);
	assert_false(link.has_perm_mac);
	assert_int_equal(link.speed_mbit, 10000); /* what veth says of itself */
}

static void carrier_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	struct rtnl_link *link = arg, news;

	if (rtnl_read_link(nlh, &news) == 0 && news.ifindex == link->ifindex)
		*link = news;
}

static void rtnl_carrier_needs_both_ends_up(void **state)
{
	static const unsigned groups[] = { RTNLGRP_LINK };
	const struct nl_sock_config config = {
		.name = "links", .bus = NETLINK_ROUTE, .groups = groups, .group_count = 1,
		.rcvbuf_bytes = 65536, .rcvbuf_max_bytes = 65536,
	};
	mono_t end = mono_add(mono_read(), SEC(10));
	struct loop *loop = loop_new();
	struct nl_sock *sock;
	struct rtnl_link link, news;
	int b = index_of("vb");

	(void)state;
	assert_int_equal(rtnl_get_link("va", &link), 0);
	assert_int_equal(rtnl_set_up(link.ifindex, true), 0);
	assert_int_equal(rtnl_get_link("va", &link), 0);
	assert_true(link.is_up);
	assert_false(link.has_carrier);
	news = link;
	assert_int_equal(nl_sock_open(loop, &config, carrier_on_msg, NULL, &news, &sock), 0);
	assert_int_equal(rtnl_set_up(b, true), 0);
	/* The kernel may take a second to tell (net/core/link_watch.c). */
	while (!news.has_carrier && mono_before(mono_read(), end))
		loop_turn(loop, SEC(1));
	assert_true(news.has_carrier);
	assert_string_equal(news.name, "va");
	assert_true(mac_equal(&news.mac, &link.mac));
	assert_int_equal(rtnl_get_link("va", &link), 0);
	assert_true(link.has_carrier);
	assert_int_equal(rtnl_set_up(9999, true), -ENODEV);
	nl_sock_close(sock);
	loop_free(loop);
}

static void rtnl_sets_the_mac(void **state)
{
	static const struct mac virtual = { { 0x02, 0x09, 0x0f, 0x09, 0x01, 0x02 } };
	static const struct mac multicast = { { 0x01, 0, 0, 0, 0, 1 } };
	struct rtnl_link link;
	int a = index_of("va");

	(void)state;
	assert_int_equal(rtnl_set_mac(a, &virtual), 0);
	assert_int_equal(rtnl_get_link("va", &link), 0);
	assert_true(mac_equal(&link.mac, &virtual));
	assert_true(rtnl_set_mac(a, &multicast) < 0);
}

static void rtnl_addresses_come_and_go_idempotently(void **state)
{
	static const char *const nets[] = { "10.9.0.1/24", "fd09::1/64", "10.9.0.2/32" };
	int a = index_of("va");

	(void)state;
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		struct ipnet net, other;

		assert_int_equal(ipnet_parse(nets[i], &net), 0);
		other = net;
		other.prefix_len--;
		assert_int_equal(rtnl_has_addr(a, &net), 0);
		assert_int_equal(rtnl_add_addr(a, &net), 0);
		assert_int_equal(rtnl_add_addr(a, &net), 0);
		assert_int_equal(rtnl_has_addr(a, &net), 1);
		assert_int_equal(rtnl_has_addr(a, &other), 0);
		assert_int_equal(rtnl_has_addr(1, &net), 0);
		assert_int_equal(rtnl_del_addr(a, &net), 0);
		assert_int_equal(rtnl_del_addr(a, &net), 0);
		assert_int_equal(rtnl_has_addr(a, &net), 0);
		assert_int_equal(rtnl_add_addr(9999, &net), -ENODEV);
	}
}

static void flags_on_msg(void *arg, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *msg = mnl_nlmsg_get_payload(nlh);

	if (msg->ifa_scope == RT_SCOPE_UNIVERSE)
		*(int *)arg = msg->ifa_flags;
}

static void rtnl_ipv6_address_is_usable_at_once(void **state)
{
	union {
		struct nlmsghdr nlh;
		char bytes[64];
	} request;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.bytes);
	struct ifaddrmsg *msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	struct ipnet net;
	int flags = -1;

	(void)state;
	assert_int_equal(ipnet_parse("fd09::2/64", &net), 0);
	assert_int_equal(rtnl_add_addr(index_of("va"), &net), 0);
	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_DUMP;
	msg->ifa_family = AF_INET6;
	assert_int_equal(nl_talk(NETLINK_ROUTE, nlh, flags_on_msg, &flags), 0);
	assert_true(flags >= 0);
	assert_int_equal(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED), 0);
	assert_true(flags & IFA_F_NODAD);
}

static void rtnl_refuses_what_is_no_link(void **state)
{
	struct nlmsghdr nlh = { .nlmsg_len = sizeof(nlh), .nlmsg_type = RTM_NEWLINK };
	struct rtnl_link link;

	(void)state;
	assert_int_equal(rtnl_read_link(&nlh, &link), -EBADMSG);
	nlh.nlmsg_type = RTM_NEWADDR;
	assert_int_equal(rtnl_read_link(&nlh, &link), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtnl_reads_a_link),
		cmocka_unit_test(rtnl_carrier_needs_both_ends_up),
		cmocka_unit_test(rtnl_sets_the_mac),
		cmocka_unit_test(rtnl_addresses_come_and_go_idempotently),
		cmocka_unit_test(rtnl_ipv6_address_is_usable_at_once),
		cmocka_unit_test(rtnl_refuses_what_is_no_link),
	};
	int err;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		printf("1..0 # SKIP no network namespace for us: %s\n", strerror(errno));
		return 0;
	}
	err = make_veth();
	if (err < 0) {
		printf("1..0 # SKIP no veth pair: %s\n", strerror(-err));
		return 0;
	}
	return cmocka_run_group_tests_name("rtnl", tests, NULL, NULL);
}
