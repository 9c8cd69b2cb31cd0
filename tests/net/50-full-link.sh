#!/bin/bash
# The link of session sync carries 1 Mbit/s, and what finds its short queue full is lost: 20000 sessions are opened
# at once, and half of them ended while the backlog lasts. What is said stays near what has to be said: nobody is
# told everything again, or of sessions that have ended meanwhile. Until nothing is missing the one look says so.
. "$(dirname "$0")/lib.sh"
COUNT=20000
HALF=$((COUNT / 2))
RATE=125000 # bytes a second

is_equal() { sync_count A .differing | grep -qx 0; }
is_proven() { sync_of A | jq -e '.differing == 0 and .proven_ms != null and .proven_ms < 2000' >/dev/null; }
knows_the_end() { (($(sync_count A .stored) < HALF + 100)); }
told() { # told A BEFORE COUNTER: how many of those records since
	echo $(($(sync_count "$1" ".$3") - $(jq ".$3" <<<"$2")))
}

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
relay_new 1 B hb1 hb2
carry some_flows A B
need "B is proven equal" eventually 5 is_proven
before=$(sync_of A) before_b=$(sync_of B)

relay_set rate=$RATE queue=16384
tell "a link of $((RATE * 8 / 1000)) kbit/s; $COUNT sessions, and $HALF of them end"
began=$(date +%s%3N)
conntrack_in A make $COUNT
conntrack_in A end $HALF $HALF
need "A knows that they have ended" eventually 5 knows_the_end
look=$(sync_of A)
lacking=$(($(jq .stored <<<"$look") - $(sync_count B .stored)))
tell "differing $(jq .differing <<<"$look"), oldest unacknowledged change $(jq .unacked_ms <<<"$look") ms"
# B has more than at that look by now, so it lacked that many at least.
claim "B lacks sessions ($lacking)" test "$lacking" -gt 1000
claim "A's look says so: differing $(jq .differing <<<"$look")" test "$(jq .differing <<<"$look")" -ge "$lacking"
claim "and for how long: $(jq .unacked_ms <<<"$look") ms" test "$(jq .unacked_ms <<<"$look")" -gt 300
claim "equal in the end" eventually 60 is_equal
measure "backlog of $COUNT sessions over $((RATE * 8 / 1000)) kbit/s" "$(($(date +%s%3N) - began)) ms"
claim "whenever it says equal, B has as many" test "$(sync_count B .stored)" = "$(sync_count A .stored)"
claim "both kernels have the same of the made sessions ($(conntrack_in A table | wc -l))" eventually 5 same_made
claim "and of the clients'" eventually 5 same_sessions A B
claim "proven equal" eventually 5 is_proven

bytes=$(relay_now .bytes)
tell "relay: $(relay_now . | jq -c .)"
claim "control: frames found the queue full ($(relay_now .overflowed))" test "$(relay_now .overflowed)" -gt 50
claim "the relay itself missed none" test "$(relay_now '.missed + .failed')" = 0
claim "B counts its gaps" test "$(sync_count B .gaps)" -gt 0
claim "A counts what it said again" test "$(sync_count A .resends)" -gt "$(jq .resends <<<"$before")"
claim "nobody was told everything again" test "$(sync_count A '[.walks, .ranges]' | jq -c .)" = "$(jq -c '[.walks, .ranges]' <<<"$before")"
put=$(($(told A "$before" sync.created) + $(told A "$before" sync.updated))) deleted=$(told A "$before" sync.deleted)
again=$(told A "$before" bulk.records_sent) heard=$(told B "$before_b" recv.created)
measure "said over the full link" "$put put, $deleted deleted, $again to B alone, $bytes bytes; heard: $heard new sessions"
claim "what has ended meanwhile is not told as begun" test "$heard" -lt $((COUNT * 8 / 10))
claim "nothing is said twice on the average" test $((put + deleted + again)) -lt $((2 * (COUNT + HALF)))
claim "no more than 100 bytes for each of the $COUNT" test "$bytes" -lt $((COUNT * 100))
claim "heartbeats go on: A is primary" primary_is A

relay_set
tell "SIGKILL to A"
kill_gw A
need "B is primary" eventually 5 says_primary B B
claim_survival "A killed after a full link" 2000
finish
