#!/bin/bash
# The daemon of a primary is killed and started again, alone, while the other member is cut off and keeps the store
# it has. The primary reads its kernel's table, which is the truth. When the other one is heard again the tables are
# compared by digests: a new incarnation and its new versions are no reason to tell the table again, and the
# kernel of the other member is written where it differs only. The control: what changed meanwhile differs at first.
. "$(dirname "$0")/lib.sh"
COUNT=20000 FEW=40

proven() { sync_of "$1" | jq -e '.differing == 0 and .proven_ms != null' >/dev/null; }
written() { sync_count B '.created + .updated + .deleted'; }
in_order() { eventually 20 proven B && eventually 10 proven A && eventually 10 same_made && eventually 5 same_sessions A B; }
stored_all() { (($(sync_count A .stored) >= COUNT)); }

meanwhile() { # meanwhile FROM: FEW begin, FEW change, FEW end
	conntrack_in A make $FEW $((COUNT + $1))
	conntrack_in A mark $FEW "$1" 7
	conntrack_in A end $FEW $(($1 + FEW))
}

return_a() { # return_a HOW: started again, alone: B hears nothing of it
	start_gw A
	claim "$1: A is primary, alone" eventually 20 says_primary A A
	claim "$1: A has read its kernel's table" eventually 10 stored_all
}

compare() { # compare HOW CHANGED TOLD
	local count

	claim "$1: B is a secondary again" eventually 20 says_primary B A
	claim "$1: both kernels know the same, and it is proven" in_order
	count=$(records_told A) written=$(($(written) - written))
	measure "$1, $2 of $COUNT sessions changed: records told, copies written" "$count, $written"
	claim "$1: A has not told its table ($count)" at_most "$count" "$3"
	claim "$1: only copies that differ have been written ($written)" at_most "$written" $(($2 + 100))
	claim "$1: no session of A is disturbed" test "$(conntrack_in A table | wc -l)" = $COUNT
}

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep. A stays primary by its priority.
ha hb-interval 5
ha hb-lost-threshold 6
ha override enable
lab_new A B
start_server
start_cluster A B
conntrack_in A make $COUNT
# No echo: after seconds without a gateway (A asks for others for 5 s before it is alone) it waits for its timers.
flows_along plain 10.1.0.10 10.2.0.10 80 download idle udp
flows_along snat 10.1.0.11 10.2.0.10 80 download udp
flows_along v6 fd01::10 fd02::10 80 idle udp
await_flows
need "A and B are proven equal" in_order

tell "B is frozen; SIGKILL to the daemon of A, started again"
written=$(written)
freeze_gw B
kill_gw A
return_a "killed at rest"
thaw_gw B
compare "killed at rest" 0 $((COUNT / 20))

tell "B is frozen; SIGKILL to the daemon of A, which hears nothing of what changes then"
written=$(written)
freeze_gw B
kill_gw A
meanwhile 0
return_a "killed"
claim "they differ" not same_made
thaw_gw B
compare "killed" $((3 * FEW)) $((COUNT / 4))

tell "B is frozen; SIGTERM to the daemon of A"
written=$(written)
freeze_gw B
stop_gw A
meanwhile 2000
return_a "stopped in order"
claim "they differ" not same_made
thaw_gw B
compare "stopped in order" $((3 * FEW)) $((COUNT / 4))

tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 6 says_primary B B
claim "with every session" has_made B $COUNT
claim_survival "primary killed after its own restarts" 20000
finish
