#!/bin/bash
# make demo: a gateway dies in the middle of a real download, calls and pings, twice: first without session
# pickup, so that one sees what is lost, then with it. Every sentence with a figure is measured here and now,
# and the demo fails when a claim does not hold.
if [ -z "${DEMO_PART:-}" ]; then
	DEMO_PART=control bash "$0" "$@" && DEMO_PART=pickup bash "$0" "$@"
	exit
fi
. "$(dirname "$0")/lib.sh"

FILE_BYTES=$((24 * 1024 * 1024))
CURL_RATE=3M # 8 seconds for the file

picture() {
	cat <<-END

		             10.1.0.1 fd01::1           10.2.0.1 fd02::1
		                     ┌── gateway A (primary) ──┐
		   client ── switch ─┤                         ├─ switch ── server
		   10.1.0.10         └── gateway B (secondary)─┘            10.2.0.10
		                           └─ 2 heartbeat links ─┘

	END
}

begin() {
	lab_new A B
	mkdir -p "$RUN/www"
	head -c $FILE_BYTES /dev/urandom >"$RUN/www/file"
	start_server
	(cd "$RUN/www" && exec nsenter --net=/run/netns/sv python3 -m http.server -b 10.2.0.10 8000) >"$RUN/http.log" 2>&1 &
	PID_HTTP=$!
	start_cluster A B
	need "web server answers" eventually 5 web_answers
}
web_answers() { ns cl curl -s -o /dev/null -m 2 -r 0-9 http://10.2.0.10:8000/file; }

start_clients() {
	tell "the client starts: curl (24 MB at 3 MB/s), ping, and sessions that check themselves:"
	tell "  downloads, uploads, keystrokes, idle TCP, UDP calls, SCTP; plain, SNAT, masquerade, DNAT, IPv6, NAT66"
	nsenter --net=/run/netns/cl curl -s --limit-rate $CURL_RATE -m 60 -o "$RUN/got" http://10.2.0.10:8000/file \
		2>"$RUN/curl.log" &
	PID_CURL=$!
	nsenter --net=/run/netns/cl ping -i 0.05 -c 100 -W 1 -q 10.2.0.10 >"$RUN/ping.out" 2>&1 &
	PID_PING=$!
	every_flow
	await_flows
}

kill_primary() {
	sleep 1.5 # so that everything is well under way
	tell "curl has $(stat -c %s "$RUN/got" 2>/dev/null || echo 0) bytes. Now the primary dies: SIGKILL to the daemon of A"
	kill_gw A
	claim "B is primary" eventually 2 primary_is B
}

same_file() { cmp -s "$RUN/got" "$RUN/www/file"; }
ping_told() { grep -m1 transmitted "$RUN/ping.out"; }
ping_lost() { sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$RUN/ping.out" | awk '{ print $1 - $2 }'; }
kept() { local name n=0; for name in "${!FLOW_RC[@]}"; do flow_lives "$name" && n=$((n + 1)); done; echo $n; }
tcp_flows() { printf '%s\n' "${!FLOW_RC[@]}" | grep -E -- '-(download|upload|echo|idle)$'; }

case $DEMO_PART in
control)
	picture
	tell "first without session pickup: a second gateway alone saves nothing"
	ha session-pickup disable
	ha session-pickup-connectionless disable
	begin
	start_clients
	kill_primary
	server_speaks
	sleep 3
	kill "$PID_CURL" "$PID_PING" 2>/dev/null
	wait "$PID_CURL" "$PID_PING" 2>/dev/null
	end_flows
	claim "curl's download is dead at $(stat -c %s "$RUN/got" 2>/dev/null || echo 0) of $FILE_BYTES bytes" not same_file
	dead=0
	for name in $(tcp_flows); do flow_died "$name" && dead=$((dead + 1)); done
	claim "every TCP session is lost: $dead of $(tcp_flows | wc -l)" test $dead = "$(tcp_flows | wc -l)"
	;;
pickup)
	tell "now with session-pickup and session-pickup-connectionless"
	begin
	start_clients
	need "every session is copied to B" eventually 8 copied A B
	tell "B has a copy of each of $(sessions_of B | wc -l) sessions"
	kill_primary
	claim "only B forwards" eventually 2 forwards_alone B
	eventually 8 all_answered $(probes)
	tell "the server speaks first on the idle sessions"
	server_speaks
	eventually 8 idle_agreed
	wait "$PID_CURL"
	rc=$?
	wait "$PID_PING"
	end_flows
	claim "curl ends well (exit $rc) with $(stat -c %s "$RUN/got") of $FILE_BYTES bytes" test $rc = 0
	claim "its file is right: sha256 $(sha256sum <"$RUN/got" | cut -c1-16)..." same_file
	claim "ping: $(ping_told)" at_most "$(ping_lost)" 3
	claim "sessions kept: $(kept) of ${#FLOW_RC[@]}" test "$(kept)" = ${#FLOW_RC[@]}
	for name in plain-download snat-upload dnat-echo nat66-download plain-udp v6-udp masq-sctp; do
		tell "  $name: $(flow_told "$name")"
	done
	claim_outage "primary's daemon killed" plain-udp
	((FAILED)) || tell "the primary died, and nobody noticed"
	;;
esac
kill "$PID_HTTP"
finish
