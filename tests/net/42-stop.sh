#!/bin/bash
# The primary's daemon is told to stop: it resigns, says so in its history, ends with status 0 (a sanitizer's
# verdict too), and the standby goes on.
. "$(dirname "$0")/lib.sh"

lab_new A B
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_hub
carry some_flows A B
need "B is proven equal" eventually 8 eval \
	'ha_status A | jq -e "all(.members[]; .in_sync)" >/dev/null && ha_status B | jq -e "all(.members[]; .in_sync)" >/dev/null'
sleep 0.5 # B is counted
kill -TERM "${PID[A]}"
status=0
wait "${PID[A]}" || status=$?
unset "PID[A]"
claim "A ends with status 0 ($status)" test $status = 0
claim "its history says that it resigned" grep -q 'resigns: the daemon is stopped' "$RUN/A.d/history"
claim "B is primary" eventually 5 says_primary B B
claim "only B forwards" forwards_alone B
claim_survival "orderly stop of the primary" 60
finish
