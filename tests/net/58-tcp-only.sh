#!/bin/bash
# Without session-pickup-connectionless no beginning is of use to anybody: the primary does not hear them, so the kernel
# makes no event for the copies of others either. TCP is copied nevertheless, UDP is the control. Switched on at the
# prompt, beginnings are heard and UDP is copied too.
. "$(dirname "$0")/lib.sh"

hears_new() { # a socket of A's namespace is in group 1, NFNLGRP_CONNTRACK_NEW (bus 12 is NETLINK_NETFILTER)
	ns gwA awk '$2 == 12 && $4 ~ /[13579bdf]$/ { found = 1 } END { exit !found }' /proc/net/netlink
}
connectionless() { fk "$1" config system ha set session-pickup-connectionless "$2" end; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
ha session-pickup-connectionless disable
lab_new A B
start_server
start_cluster A B
claim "beginnings are not heard" eventually 2 not hears_new
flow plain-echo echo --from 10.1.0.10 10.2.0.10
flow snat-idle idle --from 10.1.0.11 10.2.0.10
flow deaf-udp udp --from 10.1.0.10 10.2.0.10
await_flows
claim "TCP is copied" eventually 5 has_session B tcp src=10.1.0.10 dport=80
claim "translated too" eventually 5 has_session B tcp src=10.1.0.11 dport=80
claim "UDP is not" not has_session B udp src=10.1.0.10

tell "session-pickup-connectionless enable"
for gw in A B; do need "$gw takes the setting" connectionless $gw enable; done
claim "beginnings are heard" eventually 2 hears_new
flow plain-udp udp --from 10.1.0.11 10.2.0.10
await_flows
claim "UDP is copied" eventually 5 has_session B udp src=10.1.0.11
tell "SIGKILL to the daemon of A"
kill_gw A
need "B is primary" eventually 5 says_primary B B
server_speaks
eventually 8 idle_agreed
end_flows
claim_flows_live
finish
