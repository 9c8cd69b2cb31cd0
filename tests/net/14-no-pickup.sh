#!/bin/bash
# The control case: without session-pickup nothing is copied and TCP sessions die.
. "$(dirname "$0")/lib.sh"

copies() { fk "$1" get system session status; }

ha session-pickup disable
ha session-pickup-connectionless disable
lab_new A B
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
start_server
start_cluster A B
flow download download --from 10.1.0.10 --rate 200000 10.2.0.10
flow snat-download download --from 10.1.0.11 --rate 200000 10.2.0.10
flow v6-echo echo --from fd01::10 fd02::10
flow plain-idle idle --from 10.1.0.10 10.2.0.10
flow plain-udp udp --from 10.1.0.10 10.2.0.10
await_flows
sleep 1 # copying would have taken milliseconds
claim "nothing is copied" test -z "$(sessions_of B)"
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 2 primary_is B
claim "B forwards (UDP starts anew)" eventually 3 forwards_alone B
server_speaks
sleep 3
end_flows
for name in download snat-download v6-echo plain-idle; do
	claim "$name dies: $(flow_told $name)" flow_died $name
done
finish
