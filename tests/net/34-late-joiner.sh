#!/bin/bash
# A member that joins late gets 20000 sessions and proves its table equal. Until then it does not become primary,
# although its priority is higher: the third one that is ready does. The control: alone, it may.
# Its stream is held up by the switch, which drops the frames of session sync on their way to it.
. "$(dirname "$0")/lib.sh"
COUNT=20000

made() { ns "gw$1" python3 "$NET_DIR/tools/conntrack.py" count; }
has_made() { [ "$(made "$1")" = $COUNT ]; }
proven() { sync_of "$1" | jq -e '.differing == 0 and .proven_ms != null' >/dev/null; }
stored() { sync_of "$1" | jq .stored; }
stored_all() { (($(stored "$1") >= COUNT)); }
stored_some() { (($(stored "$1") > 0)); }
hold_sync() { # hold_sync B RATE: no more frames of session sync a second reach it
	local port

	for port in hb1 hb2; do
		ns sw nft add rule netdev lab "to-$1-$port" ether type 0x8892 limit rate over "$2/second" drop comment '"cut"'
	done
}

ha_of B priority 250
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B C
start_server
tell "A has $COUNT sessions before anybody else boots"
ns gwA python3 "$NET_DIR/tools/conntrack.py" make $COUNT
start_gw A
need "A is primary alone" eventually 15 says_primary A A
need "A has all of them stored" eventually 10 stored_all A
start_gw C
need "C joins" eventually 15 primary_is A
claim "C's table is proven equal" eventually 10 proven C
claim "and its kernel has all $COUNT" eventually 3 has_made C
flow plain-udp udp --hz 100 --from 10.1.0.10 10.2.0.10
flow plain-echo echo --from 10.1.0.10 10.2.0.10
await_flows
need "copied" eventually 5 copied A C

hold_sync B 20
start_gw B
claim "B joins" eventually 15 primary_is A
claim "B has begun to walk" eventually 5 stored_some B
tell "A loses its power; B ($(stored B) of $COUNT sessions) has the higher priority, C all of them"
gw_gone A
claim "C is primary" eventually 6 says_primary C C
claim "B follows it" eventually 6 says_primary B C
claim "B is not proven equal yet" not proven B
claim "and has not got everything" not stored_all B

tell "the switch lets the rest through"
mend_all B
claim "B's table is proven equal" eventually 10 proven B
claim "and its kernel has all $COUNT" eventually 3 has_made B
claim "C is still primary (override is off)" says_primary B C
claim "C differs in nothing" eventually 3 proven C
end_flows
claim_flows_live
finish
