#!/bin/bash
# Two members are given one serial: both say so and name both, one of them forwards, the other keeps out until it
# gets a serial of its own. What a member said in an earlier life of its daemon is no such thing, played back or not.
. "$(dirname "$0")/lib.sh"

ha takeover-probe 0 # what they say to each other must keep them apart, without help
lab_new A B
lab_hub
netns_new ev
wire ev hb br-hb1 ev-hb
own_serial=${SERIAL[B]}
SERIAL[B]=${SERIAL[A]}
state_is() { [ "$(ha_status "$1" | jq -r .local.state)" = "$2" ]; }
clashes() { ha_status "$1" | jq -e '.warnings[] | select(.name == "serial_clash")' >/dev/null; }
one_works() {
	[ "$(ha_status A | jq -r .local.state) $(ha_status B | jq -r .local.state)" = "work hello" ] ||
		[ "$(ha_status A | jq -r .local.state) $(ha_status B | jq -r .local.state)" = "hello work" ]
}
names() { # names TEXT US THEM: the sentence, by hostname, with what to do
	grep -q "serial ${SERIAL[A]} is used by both $2 (this member, .*) and $3 (.*, MAC .* on hb[12]).*set serial" <<<"$1"
}
says_both() { # says_both B fw-b fw-a: in both commands, in words and in JSON
	local from='"serial":"'${SERIAL[A]}'","hostname":"'$2'","other_hostname":"'$3'"' command

	for command in "get system ha status" "diagnose sys ha status"; do
		names "$(fk "$1" $command 2>&1)" "$2" "$3" && grep -q "$from" <<<"$(fk "$1" --json $command 2>&1)" || return 1
	done
}
errors() { grep -c "ERROR cluster: serial ${SERIAL[A]} is used by both" "$RUN/$1.log"; }

tell "A and B are started together with the serial ${SERIAL[A]}"
start_gw A
start_gw B
claim "A names both" eventually 8 says_both A fw-a fw-b
claim "B names both" eventually 2 says_both B fw-b fw-a
claim "one of them takes the role" eventually 12 one_works
claim "and the other stays out" stays 5 one_works
claim "A has logged one error that names both" test "$(errors A)" = 1
claim "B has logged one error that names both" test "$(errors B)" = 1
claim "the error is in the log in full" names "$(cat "$RUN/A.log")" fw-a fw-b
claim "and in the history" grep -q "another member uses this serial: fw-b" <<<"$(fk A diagnose sys ha history read)"
stop_gw A
stop_gw B
# Whoever was primary alone forwards on without a daemon.
for gw in A B; do
	for port in in out; do ns gw$gw "$BUILD/flowkeepd" -f "$RUN/$gw.conf" --release $port >/dev/null 2>&1; done
done

tell "A alone, recorded; then its daemon dies, returns, and the recording is played to it"
ns_start ev "$RUN/tape.json" python3 "$NET_DIR/tools/replay.py" record hb "$RUN/tape"
recorder=$!
start_server
start_cluster A
some_flows
await_flows
kill_gw A
kill -TERM $recorder
wait $recorder
tell "$(cat "$RUN/tape.json")"
start_gw A
need "A is primary again" eventually 15 state_is A work
heard=$(drops A unverified)
ns ev python3 "$NET_DIR/tools/replay.py" play hb "$RUN/tape" 4 >"$RUN/play.json" 2>"$RUN/play.log" &
player=$!
claim "A takes what it said in its earlier life for no other member" stays 4 not clashes A
wait $player
tell "$(cat "$RUN/play.json")"
claim "though it heard it" test "$(drops A unverified)" -gt "$heard"
claim "and logs nothing" test "$(errors A)" = 1

tell "B is started with A's serial beside the primary A"
start_gw B
claim "A names both" eventually 5 says_both A fw-a fw-b
claim "B names both" eventually 2 says_both B fw-b fw-a
claim "B does not call itself primary" stays 9 state_is B hello
claim "A stays primary" state_is A work
claim "only A forwards" forwards_alone A
claim "A has logged it" test "$(errors A)" = 2
claim "A counts its frames" has_drops A serial_clash

tell "B gets a serial of its own"
stop_gw B
SERIAL[B]=$own_serial
start_gw B
claim "B follows A" eventually 15 says_primary B A
claim "the error is over at B" not clashes B
claim "and at A, when the other has been silent for long" eventually 15 not clashes A
claim "sessions are copied" eventually 8 same_sessions A B
claim_survival "two members with one serial"
finish
