#!/bin/bash
# lab.sh: the lab of the benchmark: a pair of gateways for each of the two daemons, cabled directly
#
#   cl fk ──── in gwA out ──── fk sv        gwA, gwB: flowkeepd        no switch: every cycle of the
#   cl cd ──── in cdA out ──── cd sv        cdA, cdB: conntrackd       machine belongs to the figures
#
#   gwA hb1 ── hb1 gwB, gwA hb2 ── hb2 gwB, the same for cdA and cdB; in and out of the Bs end in sw
#
# cl and sv have no addresses: gen plays client (10.128.0.0/9) and server (10.2.0.10) by raw packets.
# Namespaces and their removal are those of tests/net/lib.sh. What is measured is run.py's affair.
. "$(dirname "$0")/../tests/net/lib.sh"

RULES='table inet operator {
	chain forw {
		type filter hook forward priority 0; policy drop;
		ct state invalid drop
		ct state established,related accept
		iifname "in" ct state new accept
	}
}'

cable() { # cable NS IFACE NS IFACE
	ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}

gateway() {
	netns_new "$1"
	ns "$1" nft -f - <<<"$RULES"
	# Sessions in all states last until a measurement ends them.
	sysctl_in "$1" net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_tcp_loose=0 net.netfilter.nf_conntrack_events=1
}

pair() { # pair NAME FIRST SECOND
	gateway "$2"
	gateway "$3"
	cable cl "$1" "$2" in
	cable sv "$1" "$2" out
	cable sw "$1-in" "$3" in
	cable sw "$1-out" "$3" out
	cable "$2" hb1 "$3" hb1
	cable "$2" hb2 "$3" hb2
}

if [ "$FK_UID" = 0 ] && [ -z "${FK_ROOTLESS:-}" ]; then
	mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns
else
	mount -t tmpfs tmpfs /run && mkdir /run/netns
fi || exit 1
for place in cl sv sw; do
	netns_new $place
	sysctl_in $place net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
pair fk gwA gwB
SERIAL[A]=FKA0000000000001 SERIAL[B]=FKB0000000000001
pair cd cdA cdB
# gen hears its packets before this; the stacks of cl and sv hear none.
for place in cl sv; do
	ns $place nft -f - <<-END
		table netdev quiet {
			chain fk { type filter hook ingress device "fk" priority 0; policy drop; }
			chain cd { type filter hook ingress device "cd" priority 0; policy drop; }
		}
	END
done
for gw in cdA cdB; do
	ip -n $gw -batch - <<-END
		addr add 10.1.0.1/24 dev in
		addr add 10.2.0.1/24 dev out
		addr add 192.168.100.$([ $gw = cdA ] && echo 1 || echo 2)/24 dev hb1
	END
done
ha hb-interval 2
ha hb-interval-in-milliseconds 100ms
ha hb-lost-threshold 6
ha monitor ''
ha session-pickup-connectionless ''
for level in established all-states; do
	ha session-sync-level $level
	for gw in A B; do gw_conf $gw >"$RUN/$gw-$level.conf"; done
done
RUN=$RUN BUILD=$BUILD python3 "$TOP/bench/run.py" --inside "$@" &
RUNNER=$!
wait $RUNNER
