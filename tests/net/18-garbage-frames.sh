#!/bin/bash
# Malformed, mutated and replayed frames on a heartbeat segment and on a data segment: counted drops, no role
# change, no second forwarder.
. "$(dirname "$0")/lib.sh"

lab_new A B
# The fastest heartbeats are for machines that keep a real-time thread to 10 ms; here a stall of the machine
# must not be taken for the attacker's doing.
ha hb-interval 5
ha hb-lost-threshold 6
lab_hub
carry some_flows A B
netns_new ev
wire ev hb br-hb1 ev-hb
wire ev lan br-in ev-lan
takeovers() { ha_status "$1" | jq -c '[.. | objects | .takeovers? // empty]'; }
before=$(takeovers A)$(takeovers B)
for port in hb lan; do
	tell "a stranger on $port: noise, pieces, mutations, replays"
	ns ev python3 "$NET_DIR/tools/garbage.py" $port 4 >"$RUN/garbage.$port" 2>"$RUN/garbage.log" &
	claim "A stays primary while it lasts" stays 4 primary_is A
	wait $!
	tell "$(cat "$RUN/garbage.$port")"
done
claim "frames were heard and sent again" test "$(jq .replayed "$RUN/garbage.hb")" -gt 100
claim "replays are counted" has_drops B replay
claim "what is not authentic is counted" has_drops B auth
claim "what is too short is counted" has_drops B short
claim "nobody took over" test "$(takeovers A)$(takeovers B)" = "$before"
claim "the daemon of A lives" daemon_lives A
claim "the daemon of B lives" daemon_lives B
claim "only A forwards" forwards_alone A
claim "sessions are still copied" eventually 5 same_sessions A B
claim_survival "garbage on the segments"
finish
