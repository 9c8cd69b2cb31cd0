#!/bin/bash
# The kernel table of the secondary is full: new sessions of the primary cannot be copied. That is said, by its
# reason and by the number of sessions that are missing, costs next to nothing, and ends by itself when there is
# room again. The primary notices nothing but the number. The control: what is not copied is really not there.
. "$(dirname "$0")/lib.sh"
BASE=2000 MORE=20000 ROOM=300000
MAX=$(cat /proc/sys/net/netfilter/nf_conntrack_max)
((MAX <= ROOM)) || skip "nf_conntrack_max of this host is $MAX: filling that takes too long (at most $ROOM)"

proven() { sync_of "$1" | jq -e '.differing == 0 and .proven_ms != null and .proven_ms < 3000' >/dev/null; }
differs() { [ "$(sync_count "$1" .differing)" = "$2" ]; }
says() { fk "$1" diagnose sys session sync | grep -qE -- "$2"; }
cpu_ms() { awk '{ print ($14 + $15) * 10 }' "/proc/${PID[$1]}/stat"; }
in_order() { eventually "$1" proven B && eventually 10 same_made && eventually 5 same_sessions A B; }
logged() { grep -c "$2" "$RUN/$1.log"; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
start_cluster A B
conntrack_in A make $BASE
some_flows
await_flows
need "proven equal" in_order 10
tell "B's kernel is filled up to its $MAX sessions"
filled=$(conntrack_in B fill $((MAX + 10)))
[ "$(cat /proc/sys/net/netfilter/nf_conntrack_max)" = "$MAX" ] ||
	skip "somebody else has changed nf_conntrack_max of this host meanwhile"
need "full" test "$filled" = full
walks=$(sync_count A .walks) told=$(records_told A)

tell "A gets $MORE more sessions, and one that somebody uses"
conntrack_in A make $MORE $BASE
flow late-echo echo --from 10.1.0.13 --port 80 10.2.0.10
need "it is up" eventually 5 flows_ready
claim "B says how many it lacks" eventually 5 says B "^differing sessions: $((MORE + 1))$"
claim "and why" says B 'kernel table is full'
claim "A says it of B" eventually 5 says A "member ${SERIAL[B]}: .*$((MORE + 1)) not in its kernel"
claim "and that it is not protected so far" eventually 5 differs A $((MORE + 1))
claim "nothing of them is in B's kernel" has_made B $BASE
claim "B's log says it once" test "$(logged B 'is full')" = 1
tell "it stays like that for 5 s"
before=$(cpu_ms B) refused=$(sync_count B .refused_full)
sleep 5
used=$(($(cpu_ms B) - before)) refused=$(($(sync_count B .refused_full) - refused))
measure "processor time of B in 5 s with $MORE sessions that its kernel refuses" "$used ms, $refused attempts"
claim "B spends at most 5 % of a processor on it ($used ms)" at_most "$used" 250
claim "B does not call itself equal" not proven B
claim "A does not repeat them: $(($(records_told A) - told)) records for $MORE" at_most $(($(records_told A) - told)) $((MORE + 100))
claim "B is still the one that would take over" test "$(ha_status A | jq '[.members[].in_sync] | all')" = true

tell "some of them end on A while B lacks them, $BASE change"
conntrack_in A end $BASE $BASE
conntrack_in A mark $BASE $((2 * BASE)) 5
claim "B lacks so many fewer" eventually 5 differs B $((MORE + 1 - BASE))
tell "room for half of them"
conntrack_in B drain $((MORE / 2))
claim "B takes half" eventually 5 differs B $((MORE + 1 - BASE - MORE / 2))
tell "room for all"
conntrack_in B drain "$MAX"
claim "B catches up by itself" in_order 10
claim "without a walk through the table" test "$(sync_count A .walks)" = "$walks"
claim "A has told what changed ($(($(records_told A) - told)))" at_most $(($(records_told A) - told)) $((MORE + 2 * BASE + 100))
claim "both say that nothing differs" eventually 5 differs A 0
claim "and B's log says that it is over" test "$(logged B 'has room again')" -ge 1
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 6 says_primary B B
claim "with every session" has_made B $((BASE + MORE - BASE))
claim_survival "primary killed after the secondary's table was full" 2000
finish
