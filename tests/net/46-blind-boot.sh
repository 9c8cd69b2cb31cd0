#!/bin/bash
# A gateway boots while its data ports have no carrier, beside one whose daemon is dead and whose kernel forwards:
# it cannot ask, so it does not take over. When the ports come up it asks, and stays muted as long as the other one
# answers. Without an answer one port of two is enough: that is the control.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
start_server
start_cluster A B
flow plain-udp udp --hz 100 --from 10.1.0.10 10.2.0.10
await_flows
warns() { ha_status "$1" | jq -r '.warnings[].name' | grep -qx "$2"; }
silent_about() { # silent_about A WARNING: its daemon answers, and says nothing of it
	daemon_lives "$1" && fk "$1" --json get system ha status >"$RUN/status" && ! grep -q "\"$2\"" "$RUN/status"
}
told_blind() { # told_blind A TIMES: in its history
	[ "$(fk "$1" diagnose sys ha history read | grep -c 'no interface with virtual addresses is up: not taking over')" = "$2" ]
}
no_role() { ! says_primary B B && forwards_alone A; }

tell "SIGKILL to the daemons of B, then of A"
kill_gw B
claim "A is primary alone" stays 1 says_primary A A
kill_gw A
claim "A's kernel goes on forwarding" stays 1 forwards_alone A
tell "the daemon of B is started, the data ports of B have no carrier"
cut_data B
start_gw B
claim "B says that it cannot ask, when its hello-holddown is over" eventually 9 warns B blind
claim "and in words" grep -q 'WARNING: no interface with virtual addresses is up' <<<"$(fk B get system ha status)"
claim "it keeps out" stays 3 no_role
claim "its history says why, once" told_blind B 1
tell "the data ports of B come up"
mend_data B
claim "B finds that somebody answers" eventually 2 warns B unknown_gateway
claim "and that it can ask" silent_about B blind
claim "it stays muted" stays 5 no_role
tell "the data ports of B lose their carrier again"
cut_data B
claim "B says that it cannot ask" eventually 2 warns B blind
claim "what answered is not taken for gone" stays 3 no_role
tell "A loses its power"
port_set down A $PORTS
claim "B keeps out: it could serve nobody" stays 2 not says_primary B B
tell "one data port of B comes up"
port_set up B in
claim "B takes over" eventually 2 says_primary B B
claim "and warns no more" silent_about B blind
tell "the other data port of B comes up"
port_set up B out
claim "clients are served" eventually 3 reaches
claim "only B forwards" eventually 2 forwards_alone B
end_flows
finish
