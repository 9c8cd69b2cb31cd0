#!/bin/bash
# The secondary's daemon is killed and started again, then stopped in order and started again (an upgrade), while the
# primary's sessions begin, change and end. Its kernel keeps the copies meanwhile. Afterwards the tables are equal,
# and only the copies that differ have been written: the others were not deleted, made or changed again. The control:
# what changed meanwhile differs before the daemon is back.
. "$(dirname "$0")/lib.sh"
COUNT=20000 FEW=40

proven() { sync_of "$1" | jq -e '.differing == 0 and .proven_ms != null' >/dev/null; }
in_order() { eventually 20 proven B && eventually 10 proven A && eventually 10 same_made && eventually 5 same_sessions A B; }
put_back() { sync_count B '.created + .updated + .deleted'; }

# What happens to sessions of gwB from now on, to the file $1: writing a copy raises an event of each.
hear() { ns_start gwB "$1" stdbuf -oL conntrack -E -b 33554432; HEARING=$!; FLOW_PID[server2]=$HEARING; }
heard() { kill -INT "$HEARING"; wait "$HEARING" 2>/dev/null; unset "FLOW_PID[server2]"; grep -c 'dst=172.31.0.1' "$1"; }

meanwhile() { # meanwhile FROM: FEW begin, FEW change, FEW end
	conntrack_in A make $FEW $((COUNT + $1))
	conntrack_in A mark $FEW "$1" 7
	conntrack_in A end $FEW $(($1 + FEW))
}

compare() { # compare HOW CHANGED TOLD: after a restart; so many may have been written, and told
	local events written count

	claim "$1: B is a secondary again" eventually 20 says_primary B A
	claim "$1: both kernels know the same, and it is proven" in_order
	events=$(heard "$RUN/events") written=$(put_back) count=$(($(records_told A) - told))
	measure "$1, $2 of $COUNT sessions changed: copies written, events of them, records told" \
		"$written, $events, $count"
	claim "$1: only copies that differ have been written ($written)" at_most "$written" $(($2 + 30))
	claim "$1: the kernel of B has seen no more ($events)" at_most "$events" $(($2 + 30))
	claim "$1: A has not told its table ($count)" at_most "$count" "$3"
	claim "$1: no session of A is disturbed" test "$(conntrack_in A table | wc -l)" = $COUNT
	claim "$1: A is primary throughout" says_primary A A
}

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
start_cluster A B
conntrack_in A make $COUNT
some_flows
await_flows
need "A and B are proven equal" in_order

tell "SIGKILL to the daemon of B; nothing changes but the sessions of the clients"
told=$(records_told A)
kill_gw B
hear "$RUN/events"
start_gw B
compare "killed at rest" 0 200

tell "SIGKILL to the daemon of B"
told=$(records_told A)
kill_gw B
meanwhile 0
claim "they differ" not same_made
hear "$RUN/events"
start_gw B
# A range of the key space is told as a whole: of 1024 at most 3 * FEW differ, with 20 sessions each.
compare "killed" $((3 * FEW)) $((COUNT / 4))

tell "SIGTERM to the daemon of B"
told=$(records_told A)
stop_gw B
meanwhile 2000
claim "the kernel of B has kept its copies" has_made B $COUNT
claim "they differ" not same_made
hear "$RUN/events"
start_gw B
compare "stopped in order" $((3 * FEW)) $((COUNT / 4))

tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 6 says_primary B B
claim "with every session" has_made B $COUNT
claim_survival "primary killed after restarts of the secondary" 2000
finish
