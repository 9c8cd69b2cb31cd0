#!/bin/bash
# The kernel tells more than the daemon reads: events are lost. The pipeline of one gateway stands still (its
# heartbeats go on) while marks change so often that the buffer of events is full, and then sessions begin, change
# and end which nobody can be told of any more. One reading of the kernel's table finds them; the other member is
# told what differs, and no more. The control: the reading finds as many as nobody heard of.
. "$(dirname "$0")/lib.sh"
COUNT=20000 FEW=1000

proven() { sync_of "$1" | jq -e '.differing == 0 and .proven_ms != null' >/dev/null; }
has_overruns() { (($(sync_count "$1" .overruns) > $2)); }
has_checked() { (($(sync_count "$1" .kernel_checks) > $2)); }
has_lines() { [ "$(conntrack_in "$1" table | grep -c "$2")" = "$3" ]; }
at_least() { # at_least "FOUND FOUND FOUND" NUMBER NUMBER NUMBER
	local -a found=($1)

	((${found[0]} >= $2 && ${found[1]} >= $3 && ${found[2]} >= $4))
}
stall() { # stall A COMMAND...: while its pipeline stands still
	"$NET_DIR/tools/stall.py" "${PID[$1]}" "${@:2}"
}
in_order() { eventually 30 proven A && eventually 10 same_made && eventually 5 same_sessions A B; }

# 80000 events, of a thousand sessions; then what nobody hears of.
flood='python3 "$0" mark 1000 0 1000 80'
behind="$flood"' && python3 "$0" make 1000 20000 && python3 "$0" mark 1000 2000 7 && python3 "$0" end 1000 5000'

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
start_gw A
need "A is primary alone" eventually 15 says_primary A A
# Not before its daemon has nf_conntrack_events=1: those would raise no event that could be lost.
conntrack_in A make $COUNT
start_gw B
need "B joins" eventually 15 primary_is A
some_flows
await_flows
need "A and B are proven equal" in_order

tell "the pipeline of A stands still: 80000 events, then $FEW sessions begin, $FEW change, $FEW end"
told=$(records_told A) walks=$(sync_count A .walks) events=$(sync_count A .events) checks=$(sync_count A .kernel_checks)
need "the pipeline can be held" stall A nsenter --net=/run/netns/gwA bash -c "$behind" "$NET_DIR/tools/conntrack.py"
claim "A counts the overrun" eventually 10 has_overruns A 0
claim "and has read its kernel's table" eventually 20 has_checked A "$checks"
claim "events were lost: $(sync_count A .events) heard, $events of them before" \
	test "$(sync_count A ".events - $events")" -lt $((83 * FEW))
found=$(sync_of A | jq -r '"\(.kernel_more) \(.kernel_differs) \(.kernel_lacks)"')
claim "the reading found what nobody was told of: begun, changed, ended ($found)" \
	at_least "$found" $FEW $((2 * FEW)) $FEW
claim "both kernels know the same, and it is proven" in_order
claim "B has the new ones" has_lines B '^172\.16\.80\.' 256
claim "those that changed" has_lines B mark=7 $FEW
claim "and the last of eighty marks" has_lines B mark=1079 $FEW
claim "without those that ended" has_lines B . $COUNT
told=$(($(records_told A) - told))
measure "records told after an overrun that hid $((4 * FEW)) changes of $COUNT sessions" $told
# What the socket still gave is told too, before the rest of its queue is thrown away.
claim "A has told what differed, and not its table ($told)" at_most $told $((7 * FEW))
claim "nobody walked through the table" test "$(sync_count A .walks)" = "$walks"
claim "A is primary throughout" test "$(fk A --json diagnose sys ha status | jq '[.. | .stalls? // empty] | add')" = 0

tell "the pipeline of B stands still: 80000 events, then $FEW copies go, $FEW change, $FEW come of nothing"
told=$(records_told A)
behind="$flood"' && python3 "$0" end 1000 7000 && python3 "$0" mark 1000 9000 0x80000009 &&
	python3 "$0" copy 1000 30000'
need "the pipeline can be held" stall B nsenter --net=/run/netns/gwB bash -c "$behind" "$NET_DIR/tools/conntrack.py"
claim "B counts the overrun" eventually 10 has_overruns B 0
claim "both kernels know the same, and it is proven" in_order
claim "A had nothing to tell of it ($(($(records_told A) - told)))" at_most $(($(records_told A) - told)) 100

tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 6 says_primary B B
claim "and has every session" has_lines B . $COUNT
claim_survival "primary killed after overruns" 2000
finish
