#!/bin/bash
# Everything that was said before a member restarted is said again to it, by somebody without the password: it is
# refused, changes no role, and brings no dead session back into the restarted member's kernel.
. "$(dirname "$0")/lib.sh"

lab_new A B
# The fastest heartbeats are for machines that keep a real-time thread to 10 ms; here a stall of the machine
# must not be taken for the attacker's doing.
ha hb-interval 5
ha hb-lost-threshold 6
lab_hub
netns_new ev
wire ev hb br-hb1 ev-hb
ns_start ev "$RUN/tape.json" python3 "$NET_DIR/tools/replay.py" record hb "$RUN/tape"
recorder=$!
takeovers() { ha_status "$1" | jq -c '[.. | objects | .takeovers? // empty]'; }
standby_in_sync() { ha_status "$1" | jq -e --arg s "${SERIAL[$2]}" \
	'.members[] | select(.serial == $s) | .in_sync' >/dev/null; }
ghost() { has_session "$1" src=10.1.0.13; }

start_server
tell "A is alone; one session will not live long"
start_cluster A
some_flows
flow ghost idle --port 80 --from 10.1.0.13 10.2.0.10
await_flows
need "A forwards the short-lived session" ghost A
tell "B joins and is told everything, with the attacker listening"
start_gw B
need "B follows A" eventually 15 says_primary B A
need "every session is copied" eventually 8 copied A B
need "B has the short-lived session too" ghost B
kill -TERM $recorder
wait $recorder
tell "$(cat "$RUN/tape.json")"
kill -KILL "${FLOW_PID[ghost]}"
wait "${FLOW_PID[ghost]}" 2>/dev/null
unset "FLOW_PID[ghost]"
ns gwA conntrack -D -s 10.1.0.13 >/dev/null 2>&1
need "the session has ended at A and at B" eventually 8 eval 'not ghost A && not ghost B'
before=$(takeovers A)

tell "B's daemon dies and returns; the attacker holds A's words back and says the old ones instead"
kill_gw B
ns sw nft add rule netdev lab to-B-hb1 meta mark 1 ether type 0x8892 drop
ns sw nft add rule netdev lab to-B-hb2 meta mark 1 ether type 0x8892 drop
ns ev python3 "$NET_DIR/tools/replay.py" strike hb "$RUN/tape" "${SERIAL[A]}" "${SERIAL[B]}" 8 \
	>"$RUN/strike.json" 2>"$RUN/strike.log" &
striker=$!
start_gw B
claim "B follows A again" eventually 8 says_primary B A
claim "no dead session comes back while old words are all that B hears" stays 3 not ghost B
claim "B is not called equal by old words" not standby_in_sync B B
wait $striker
tell "$(cat "$RUN/strike.json")"
claim "the attacker struck" test "$(jq .strikes "$RUN/strike.json")" -gt 0
for port in hb1 hb2; do
	for handle in $(ns sw nft -a list chain netdev lab to-B-$port | sed -n 's/.*0x8892.* handle //p'); do
		ns sw nft delete rule netdev lab to-B-$port handle "$handle"
	done
done
claim "B is proven equal once it hears A itself" eventually 12 standby_in_sync B B
claim "with A's sessions and no other" eventually 5 same_sessions A B

tell "the whole tape again, heartbeats of every incarnation, for everybody"
ns ev python3 "$NET_DIR/tools/replay.py" play hb "$RUN/tape" 4 >"$RUN/play.json" 2>"$RUN/play.log" &
player=$!
claim "A stays primary while it lasts" stays 4 primary_is A
wait $player
tell "$(cat "$RUN/play.json")"
claim "A refuses what B said in its earlier life" eval 'has_drops A replay || has_drops A unverified'
claim "B counts old words" eval 'has_drops B replay || has_drops B unverified'
claim "nobody took over" test "$(takeovers A)" = "$before"
claim "no dead session came back" not ghost B
claim "only A forwards" forwards_alone A
claim "sessions are still copied" eventually 8 same_sessions A B
claim_survival "recordings on the heartbeat segment"
finish
