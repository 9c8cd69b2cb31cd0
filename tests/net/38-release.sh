#!/bin/bash
# What a daemon leaves behind is taken away by hand: flowkeepd --release gives an interface its own MAC and its
# freedom back, and takes the virtual addresses off. Before that, the same socket refuses a second daemon.
. "$(dirname "$0")/lib.sh"

mac_of() { ip -n "gw$1" -j link show dev "$2" | jq -r '.[0].address'; }
addresses_of() { ip -n "gw$1" -j addr show dev "$2" | jq -r '[.[0].addr_info[] | select(.scope == "global") | .local] | join(" ")'; }
is_muted() { # nothing of B's kernel leaves by that port: a broadcast ARP of its own is not seen on the switch
	local before=$(seen_frames)

	ns gwB ping -c1 -W1 -q -I in 10.1.0.10 >/dev/null 2>&1
	[ "$(seen_frames)" = "$before" ]
}
seen_frames() { ns sw nft -j list counter netdev lab all-B-in | jq '.nftables[].counter?.packets // empty'; }
second_daemon() {
	nsenter --net=/run/netns/gwB timeout 5 "$BUILD/flowkeepd" -f "$RUN/B.conf" -s "$RUN/A.sock" -d "$RUN/B.d" \
		>"$RUN/second.log" 2>&1
}
release() { ns gwB "$BUILD/flowkeepd" --release "$1" -f "$RUN/B.conf"; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
# Addresses of B's own are what one can speak from once it is released.
ip -n gwB addr add 10.1.0.3/24 dev in
own=$(mac_of B in) own_out=$(mac_of B out)
start_server
start_cluster A B
flow plain-echo echo --from 10.1.0.10 10.2.0.10
await_flows

stop_gw B
virtual=$(mac_of B in)
claim "the stopped daemon leaves the virtual MAC ($virtual)" test "$virtual" = "$(mac_of A in)"
claim "and it is not the device's own" test "$virtual" != "$own"
claim "and the addresses" test "$(addresses_of B in)" = "10.1.0.3 10.1.0.1 fd01::1"
claim "and the mute" is_muted
claim "a second daemon on A's socket is refused" not second_daemon
claim "with a reason" grep -q "another flowkeepd answers there" "$RUN/second.log"
claim "A is not disturbed by it" says_primary A A

tell "flowkeepd --release in"
claim "it is released" release in
claim "the MAC is another" test "$(mac_of B in)" != "$virtual"
claim "the virtual addresses are gone, its own stays" test "$(addresses_of B in)" = 10.1.0.3
claim "it speaks" not is_muted
claim "B reaches the client by it" eval "ns gwB ping -c1 -W1 -q -I 10.1.0.3 10.1.0.10 >/dev/null"
claim "out is still muted and virtual" test "$(mac_of B out)" = "$(mac_of A out)"
claim "out is released too" release out
claim "nothing of ours is left" test -z "$(addresses_of B out)"
claim "twice does no harm" release in
sleep 0.5
end_flows
claim_flows_live
finish
