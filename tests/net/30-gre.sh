#!/bin/bash
# GRE: copied, and its session goes on for several of its timeouts on the new primary, whose kernel cannot
# refresh it (the daemon makes it anew); it dies by itself when nobody speaks. The control: PPTP's GRE and
# control session and L2TP are not copied, and die. After the failover only the server speaks at first.
. "$(dirname "$0")/lib.sh"
OPERATOR_RULES='table inet operator_pptp {
	ct helper pptp { type "pptp" protocol tcp; l3proto ip; }
	chain assign {
		type filter hook prerouting priority mangle;
		tcp dport 1723 ct state new ct helper set "pptp"
	}
}'
TIMEOUT=2

tunnel() { # tunnel NS NAME ARGUMENTS...: tunnel.py in the background
	ns_start "$1" "$RUN/$2.json" python3 "$NET_DIR/tools/tunnel.py" "${@:3}"
	FLOW_PID[$2]=$!
}
end_tunnel() { kill -TERM "${FLOW_PID[$1]}"; wait "${FLOW_PID[$1]}" 2>/dev/null; unset "FLOW_PID[$1]"; }
tunnel_field() { tail -n2 "$RUN/$1.json" | head -n1 | jq "$2 // 0"; } # the last line may be half written
reaches_count() { (($(tunnel_field "$1" "$2") + 0 >= $3)); }                   # reaches_count NAME .FIELD NUMBER

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
for gw in A B; do
	sysctl_in gw$gw net.netfilter.nf_conntrack_gre_timeout=$TIMEOUT \
		net.netfilter.nf_conntrack_gre_timeout_stream=$TIMEOUT
done
start_server
start_cluster A B
tunnel sv tunnels serve
need "tunnel server listens" eventually 5 test -s "$RUN/tunnels.json"
tunnel cl plain gre --from 10.1.0.10 --to 10.2.0.10
tunnel cl snat gre --from 10.1.0.11 --to 10.2.0.10
ip -n cl addr add 10.1.0.14/24 dev eth0
tunnel cl brief gre --from 10.1.0.14 --to 10.2.0.10
tunnel cl pptp pptp --from 10.1.0.13 --to 10.2.0.10
ns cl bash -c 'exec 3<>/dev/udp/10.2.0.10/1701; echo l2tp >&3'
need "GRE is answered" eventually 5 reaches_count plain .answered 5
need "translated GRE is answered" eventually 5 reaches_count snat .answered 5
need "PPTP's GRE is answered" eventually 5 reaches_count pptp .answered 5
claim "GRE is copied" eventually 3 has_session B "gre " src=10.1.0.10
claim "with its translation" eventually 3 has_session B "gre " src=10.1.0.11 dst=10.2.0.1
need "a third one is copied" eventually 3 has_session B "gre " src=10.1.0.14
end_tunnel brief
claim "the copy of one that nobody uses any more ends" eventually $((3 * TIMEOUT)) not has_session B "gre " src=10.1.0.14
claim "a stream older than its timeout is still copied" has_session B "gre " src=10.1.0.10
for words in "gre src=10.1.0.13" "tcp dport=1723" "udp dport=1701"; do
	claim "not copied: $words" eval "has_session A $words && ! has_session B $words"
done

tell "SIGKILL to the daemon of A; from now on the server speaks first"
for name in plain snat pptp; do kill -USR1 "${FLOW_PID[$name]}"; done
kill_gw A
claim "B is primary" eventually 5 primary_is B
kill -USR1 "${FLOW_PID[tunnels]}"
tell "three timeouts pass"
sleep $((3 * TIMEOUT))
asked=$(tunnel_field tunnels .sent_since) got=$(tunnel_field tunnels .since_v0)
# Four peers are asked in turn: the third GRE is gone, PPTP is not copied, so two can answer.
claim "GRE goes on for three timeouts ($got of $((asked / 2)) answered)" test "$got" -ge $((asked / 2 * 95 / 100))
claim "PPTP's GRE does not" test "$(tunnel_field tunnels .since_v1)" = 0
claim "the sessions are still there" eval 'has_session B "gre " src=10.1.0.10 && has_session B "gre " src=10.1.0.11'
tell "nobody speaks any more"
end_tunnel tunnels
for name in plain snat pptp; do end_tunnel $name; done
claim "the session dies by itself" eventually $((2 * TIMEOUT)) not has_session B "gre " src=10.1.0.10
claim "the translated one too" eventually $((2 * TIMEOUT)) not has_session B "gre " src=10.1.0.11
finish
