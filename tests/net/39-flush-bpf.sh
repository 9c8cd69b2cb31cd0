#!/bin/bash
# The operator says `nft flush ruleset`, on the primary and on the secondary, with either way of muting: no second
# forwarder, not one packet; what is ours comes back; the sessions go on. The control: the operator's own table is gone,
# and its translation with it, so the sessions are those without any.
MUTE=${MUTE:-bpf}
. "$(dirname "$0")/lib.sh"

start_gw() { # with a chosen way of muting; as in lib.sh else
	mkdir -p "$RUN/$1.d"
	gw_conf "$1" >"$RUN/$1.conf"
	nsenter --net="/run/netns/gw$1" "$BUILD/flowkeepd" --mute $MUTE -f "$RUN/$1.conf" -s "$RUN/$1.sock" \
		-d "$RUN/$1.d" >>"$RUN/$1.log" 2>&1 &
	PID[$1]=$!
}
has_table() { ns "gw$1" nft list table "$2" "$3" >/dev/null 2>&1; }
has_ours() { # the masks are there, and where nftables mutes the whole mute is
	has_table "$1" inet flowkeep && ns "gw$1" nft list table inet flowkeep | grep -q 'ct mark set' || return 1
	[ $MUTE != nft ] || [ "$(ns "gw$1" nft list table netdev flowkeep_mute 2>/dev/null | grep -c 'policy drop')" = 4 ]
}
flush() { ns "gw$1" nft flush ruleset; }
put_operator_back() { operator_rules "$1" | ns "gw$1" nft -f -; }

# Milliseconds are not the point here: 50 ms x 6 (nft: 100 ms x 10), which a busy machine can keep.
ha hb-interval ${HB:-5}
ha hb-lost-threshold ${LOST:-6}
lab_new A B
lab_hub
plain_flows() {
	flows_along plain 10.1.0.10 10.2.0.10 80 download idle echo udp icmp
	flows_along v6 fd01::10 fd02::10 80 echo udp
}
carry plain_flows A B
[ $MUTE != nft ] || claim "nftables mutes B" has_table B netdev flowkeep_mute

tell "nft flush ruleset on the secondary"
before=$(emitted B)
flush B
claim "the operator's table is gone" not has_table B inet operator
claim "ours is there" eventually 3 has_ours B
leaked=$(($(emitted B) - before))
claim "B has forwarded next to nothing meanwhile ($leaked frames)" test "$leaked" -le "${LEAK:-0}"
claim "only A forwards" eventually 1 forwards_alone A
put_operator_back B
claim "every session is still copied" eventually 3 copied A B

tell "nft flush ruleset on the primary"
before=$(emitted B)
flush A
claim "ours is there" eventually 3 has_ours A
put_operator_back A
claim "A stays primary" primary_is A
claim "B has not forwarded a packet" emitted_still B "$before"
claim "every session is still copied" eventually 3 copied A B
flow late-echo echo --from 10.1.0.10,40001 10.2.0.10
claim "a new session is copied" eventually 3 has_session B tcp sport=40001
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 5 primary_is B
claim "only B forwards" eventually 5 forwards_alone B
eventually 8 all_answered $(probes)
server_speaks
eventually 8 idle_agreed
sleep 0.5
end_flows
claim_flows_live
[ $MUTE = nft ] || claim "no packet was answered twice" no_duplicates plain-udp plain-icmp v6-udp
finish
