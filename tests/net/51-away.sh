#!/bin/bash
# A secondary stands still while a part of 20000 sessions ends, changes or is opened, and what marks their end is long
# forgotten. When it goes on the tables become equal, and only the ranges of them that differ are told again. So too
# where its heartbeats went on and only its session sync was cut. The control: a member that starts anew is told all.
. "$(dirname "$0")/lib.sh"
COUNT=20000
PART=200 # 0 .. 199 end, as many are opened beyond COUNT, and churn works on another 200

is_proven() { sync_of A | jq -e '.differing == 0 and .proven_ms != null and .proven_ms < 2000 and (.members | length) == 1' >/dev/null; }
knows_no_member() { [ "$(sync_count A '.members | length')" = 0 ]; }
cut_sync() { # session sync neither from nor to B
	for port in hb1 hb2; do
		echo "add rule netdev lab to-B-$port ether type 0x8892 drop comment \"cut\""
		echo "add rule netdev lab from-B-$port ether type 0x8892 drop comment \"cut\""
	done | ns sw nft -f -
}
change_a_part() { # change_a_part ROUND
	conntrack_in A end $PART $(($1 * PART))
	conntrack_in A make $PART $((COUNT + $1 * PART))
	# Ends and begins anew, 4000 times: most of it is history when B hears of anything.
	conntrack_in A churn "$1" $PART $((30000 + $1 * PART)) 4000 4000 >/dev/null
}
since() { # since LOOK A COUNTER: how many more than at that look
	echo $(($(sync_count "$2" ".$3") - $(jq ".$3" <<<"$1")))
}
claim_equal() { # claim_equal AT: soon after that moment (milliseconds of the clock)
	claim "proven equal" eventually 15 is_proven
	tell "$(($(date +%s%3N) - $1)) ms later"
	claim "both kernels have the same of the made sessions ($(conntrack_in A table | wc -l))" eventually 5 same_made
	claim "and of the clients'" eventually 5 same_sessions A B
}

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
carry some_flows A B
# Under the daemon's eyes: of sessions that are older than it the kernel may not tell the end.
conntrack_in A make $COUNT
need "B is proven equal" eventually 10 is_proven
need "and has them all" eventually 10 same_made

before_b=$(sync_of B)
tell "B stands still, and is taken for dead: no end is remembered for it"
freeze_gw B
need "A takes it for dead" eventually 5 knows_no_member
change_a_part 0
claim "B's kernel has the table of before" not same_made
before_a=$(sync_of A)
tell "B goes on"
at=$(date +%s%3N)
thaw_gw B
claim_equal "$at"
said=$(since "$before_a" A bulk.records_sent) ranges=$(since "$before_b" B ranges)
measure "told after a standstill, of $(sync_count A .stored) sessions" "$said, in $ranges of 1024 ranges"
claim "B counts the ranges that differed" test "$ranges" -gt 0
claim "and walked once" test "$(since "$before_b" B walks)" = 1
claim "only a part was told" test "$said" -lt $((COUNT / 2))

before_b=$(sync_of B)
tell "the session sync of B is cut; its heartbeats go on"
cut_sync
change_a_part 1
look=$(sync_of A)
claim "A says that B differs ($(jq .differing <<<"$look"))" test "$(jq .differing <<<"$look")" -gt $PART
claim "and for how long: $(jq .unacked_ms <<<"$look") ms" test "$(jq .unacked_ms <<<"$look")" -gt 900
claim "B is a member all the time" primary_is A
at=$(date +%s%3N)
mend_all B
claim_equal "$at"
said=$(since "$look" A bulk.records_sent)
measure "told after a cut, of $(sync_count A .stored) sessions" "$said"
claim "B counts the gap" test "$(since "$before_b" B gaps)" -gt 0
claim "the ends it missed were kept for it: no walk" test "$(since "$before_b" B walks)" = 0
claim "only what changed was told" test "$said" -lt $((COUNT / 10))

before_a=$(sync_of A)
tell "control: B starts anew"
stop_gw B
ns gwB conntrack -F >/dev/null 2>&1
need "A knows that it has gone" eventually 5 knows_no_member
start_gw B
need "B joins" eventually 15 primary_is A
claim "proven equal" eventually 15 is_proven
claim "and was told everything: $(since "$before_a" A bulk.records_sent)" test "$(since "$before_a" A bulk.records_sent)" -ge $COUNT
tell "SIGKILL to A"
kill_gw A
need "B is primary" eventually 5 says_primary B B
claim_survival "A killed after B was away" 2000
finish
