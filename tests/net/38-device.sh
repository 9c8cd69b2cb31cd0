#!/bin/bash
# A device that carries a virtual address is deleted and made again, on the secondary and on the primary: it is muted
# and gets its virtual MAC and addresses back, and no second gateway forwards. The control: a device of a gateway
# without daemon gets nothing back.
. "$(dirname "$0")/lib.sh"

mac_of() { ip -n "gw$1" -j link show dev "$2" | jq -r '.[0].address'; }
has_vip() { # has_vip A: in has the virtual MAC and the addresses
	[ "$(mac_of "$1" in)" = "$virtual" ] && ip -n "gw$1" -o addr show dev in | grep -q 'inet 10.1.0.1/' &&
		ip -n "gw$1" -o addr show dev in | grep -q 'inet6 fd01::1/'
}
remake() { # remake A: in is another device; the switch's port too
	ip -n "gw$1" link del in
	ip link add in netns "gw$1" type veth peer name "gw$1-in" netns sw
	ns sw nft delete chain netdev lab from-$1-in 2>/dev/null # of the port that is no more
	ip -n sw link set "gw$1-in" master br-in up
	ns sw bridge link set dev "gw$1-in" learning off flood on
	ns sw nft -f - <<-END
		add chain netdev lab from-$1-in { type filter hook ingress device "gw$1-in" priority 0; }
		add rule netdev lab from-$1-in th dport { 9, 53, 80, 8080 } counter name traffic-$1-in
		add rule netdev lab from-$1-in th sport { 53, 80, 8080 } counter name traffic-$1-in
	END
	ip -n "gw$1" link set in up
}

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
lab_hub
ha monitor '"out"' # without in, A stays primary while it has none
carry some_flows A B
virtual=$(mac_of A in)

tell "in of the secondary is deleted and made again"
before=$(emitted B)
remake B
claim "it gets MAC and addresses back" eventually 5 has_vip B
claim "B has not forwarded a packet" stays 1 emitted_still B "$before"
claim "A is primary" primary_is A

tell "in of the primary is deleted and made again"
remake A
claim "it gets MAC and addresses back" eventually 5 has_vip A
claim "A is primary" eventually 5 primary_is A
claim "only A forwards" eventually 5 forwards_alone A
need "the streams are answered again" eventually 8 all_answered $(probes)
claim "every session is still copied" eventually 5 copied A B
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 5 primary_is B
claim "only B forwards" eventually 5 forwards_alone B
remake A
claim "without a daemon a device gets nothing back" stays 2 not has_vip A
claim_survival "device made again, then the primary killed" 15000
finish
