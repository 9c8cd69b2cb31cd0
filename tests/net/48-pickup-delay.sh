#!/bin/bash
# session-pickup-delay: a TCP session that has lived long enough survives, a younger one does not (the control), and
# short ones are never told.
. "$(dirname "$0")/lib.sh"

lab_new A B
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
ha session-pickup-delay enable
ha session-pickup-delay-seconds 4
start_server
start_cluster A B
sync_field() { fk A --json diagnose sys session sync | jq "$1"; }
flow old echo --port 80 --from 10.1.0.10,41000 10.2.0.10
flow call udp --hz 50 --port 80 --from 10.1.0.10,41001 10.2.0.10
await_flows
claim "UDP is not delayed" eventually 2 has_session B udp sport=41001
claim "a new TCP session is not told" not has_session B tcp sport=41000
claim "it is kept back" test "$(sync_field .young)" -ge 1
claim "after four seconds it is" eventually 6 has_session B tcp sport=41000
tell "a hundred short sessions"
before=$(sync_field .sync.created)
for i in $(seq 100); do ns cl bash -c 'exec 3<>/dev/tcp/10.2.0.10/80 && echo >&3' 2>/dev/null; done
claim "they end young" eventually 3 eval '(($(sync_field .died_young) >= 100))'
claim "and are not told ($(($(sync_field .sync.created) - before)) records meanwhile)" test "$(($(sync_field .sync.created) - before))" -le 20
flow young echo --port 80 --from 10.1.0.10,42000 10.2.0.10
await_flows
tell "SIGKILL to the daemon of A"
kill_gw A
need "B is primary" eventually 5 says_primary B B
eventually 8 all_answered call
sleep 3 # TCP has said again what was lost, several times
end_flows
claim_flows_live old call
claim "the young session died: $(flow_told young)" flow_died young
finish
