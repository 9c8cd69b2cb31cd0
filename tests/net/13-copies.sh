#!/bin/bash
# What is in a copy: ping, DNS, one-way UDP, labels set at the SYN, a mark changed later, FIN in progress.
RULES='table inet operator_marks {
	counter labelled { }
	chain stamp {
		type filter hook forward priority -10;
		ip saddr 10.1.0.10 tcp dport 80 tcp flags syn / syn,ack ct label set 5
		ct label 5 counter name labelled
	}
}'
. "$(dirname "$0")/lib.sh"
OPERATOR_RULES=$RULES

labelled() { ns "gw$1" nft -j list counter inet operator_marks labelled | jq '.nftables[].counter?.packets // empty'; }
labelled_passes() { (($(labelled "$1") > 0)); }
mark_is() { # mark_is B MARK WORDS...: whatever the copy bit says
	local mark

	mark=$(session_line "$1" "${@:3}" | sed -n 's/.*mark=\([0-9]*\).*/\1/p')
	[ -n "$mark" ] && (((mark & 0x7fffffff) == $2))
}
expire_of() { fk "$1" get system session list | awk -v what="$2" 'index($0, what) { print $2; exit }'; }

lab_new A B
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
start_server
start_cluster A B
flow plain-icmp icmp --from 10.1.0.10,4711 10.2.0.10
flow plain6-icmp icmp --from fd01::10 fd02::10
flow plain-dns dns --from 10.1.0.10,40053 10.2.0.10
flow oneway oneway --from 10.1.0.11,40009 10.2.0.10
flow labelled-echo echo --from 10.1.0.10,40001 10.2.0.10
flow half-idle idle --half-close --from 10.1.0.10,40002 10.2.0.10
flow plain-udp udp --from 10.1.0.10,40080 10.2.0.10
await_flows
claim "ping is copied" eventually 3 has_session B icmp src=10.1.0.10 id=4711
claim "ping6 is copied" eventually 3 has_session B icmpv6 src=fd01::10
claim "a DNS question is copied" eventually 3 has_session B udp sport=40053
claim "a one-way UDP session is copied" eventually 3 has_session B udp sport=40009 dst=10.2.0.1
claim "a TCP session is copied" eventually 3 has_session B tcp sport=40001 ESTABLISHED
claim "a half-closed one too, in its state" eventually 3 has_session B tcp sport=40002 CLOSE_WAIT
claim "EXPIRE of a copy is the owner's timeout" at_most "$(expire_of B 10.1.0.10:40080)" 180
tell "a mark is set on a session that has long been copied"
ns gwA conntrack -U -p udp --orig-src 10.1.0.10 --sport 40080 --mark 0x21 >/dev/null 2>&1
claim "the mark is right on A" mark_is A 0x21 udp sport=40080
claim "the mark arrives in the copy" eventually 3 mark_is B 0x21 udp sport=40080
claim "no packet with the label has passed B yet" test "$(labelled B)" = 0
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 2 primary_is B
eventually 5 all_answered plain-udp plain-icmp plain6-icmp
claim "the label set at the SYN is in the copy" eventually 3 labelled_passes B
claim "the mark stays" mark_is B 0x21 udp sport=40080
claim "and the copy bit is gone from what B forwards" eventually 3 has_session B udp sport=40080 mark=33
server_speaks
sleep 0.5
kill -USR2 "${FLOW_PID[server]}"
end_flows
claim_flows_live
claim "the one-way stream arrives again" eventually 2 grep -q '"oneway":' "$RUN/server.json"
silent=$(tail -n1 "$RUN/server.json" | jq .oneway_gap_ms)
claim "with a gap of at most 100 ms ($silent ms)" at_most "$silent" 100
finish
