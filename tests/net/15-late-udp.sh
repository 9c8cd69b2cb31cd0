#!/bin/bash
# A UDP session that has been copied and active for longer than its timeout is still there on the secondary:
# the kernel refreshes the owner's timer without a word, so a copy must not age by itself.
. "$(dirname "$0")/lib.sh"

lab_new A B
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
for gw in A B; do
	sysctl_in gw$gw net.netfilter.nf_conntrack_udp_timeout=3 net.netfilter.nf_conntrack_udp_timeout_stream=3
done
start_server
start_cluster A B
flow snat-udp udp --hz 100 --from 10.1.0.11,41000 10.2.0.10
await_flows
claim "copied" eventually 3 has_session B udp sport=41000
claim "still there after three times its timeout" stays 9 has_session B udp sport=41000
copy=$(sessions_of B)
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 2 primary_is B
eventually 5 all_answered snat-udp
claim "it is the same session, with the same translation" test "$(sessions_of B)" = "$copy"
end_flows
claim_flows_live
tell "the session ends on the new primary: nobody speaks any more"
claim "and ages there" eventually 10 not has_session B udp sport=41000
finish
