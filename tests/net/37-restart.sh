#!/bin/bash
# The new primary's daemon ends and is started again while sessions wait, idle since the takeover: they are copies that
# no packet has claimed yet, and no store knows them any more. They go on; so do those that never fell silent.
# The control: a copy that its owner deleted is not among them.
. "$(dirname "$0")/lib.sh"

is_unbounded() { fk "$1" --json diagnose sys ha status | jq -e '[.. | .lease_unbounded? // empty] | any' >/dev/null; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
start_cluster A B
flows_along plain 10.1.0.10 10.2.0.10 80 idle echo udp
flows_along snat 10.1.0.11 10.2.0.10 80 idle
flows_along v6 fd01::10 fd02::10 80 idle
flow deleted-echo echo --from 10.1.0.13,40001 10.2.0.10
await_flows
need "copied" eventually 5 copied A B
ns gwA conntrack -D -p tcp --orig-port-src 40001 >/dev/null 2>&1
kill -TERM "${FLOW_PID[deleted-echo]}"
wait "${FLOW_PID[deleted-echo]}"
unset "FLOW_PID[deleted-echo]"
claim "a deleted session goes on B too" eventually 3 not has_session B sport=40001
tell "A loses its power"
gw_gone A
claim "B is primary" eventually 5 primary_is B
need "B knows that it is alone, so its kernel may go on without it" eventually 5 is_unbounded B
tell "SIGKILL to the daemon of B; started again"
kill_gw B
start_gw B
claim "B is primary again" eventually 15 primary_is B
sleep 1 # it has read its kernel's table
claim "the idle session is still there" has_session B tcp src=10.1.0.11 dst=10.2.0.1
claim "the deleted one is not" not has_session B sport=40001
claim_survival "primary's daemon restarted" 2000
finish
