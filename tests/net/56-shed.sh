#!/bin/bash
# A daemon that was stopped finds its event socket part full. It sheds in a fixed order: nothing (the control),
# refreshes, then new sessions too, never an end; counts it, and makes it good by one reading of the kernel's table.
# By a user without power over the host, whose sockets are small: thousands of events fill one, not tens of thousands.
[ "$(id -u)" = 0 ] && export FK_ROOTLESS=1
. "$(dirname "$0")/lib.sh"

# A stopped daemon sends no heartbeats: the lease must last longer than the stop.
ha hb-interval 20
ha hb-lost-threshold 60
# Every packet to port 9 changes its session's mark, which is a refresh.
OPERATOR_RULES='table ip marks { chain forw { type filter hook forward priority 10;
	udp dport 9 ct mark set numgen inc mod 100000 offset 1; }; }'
lab_new A B
ns sv nft -f - <<-END
	table inet quiet { chain in { type filter hook input priority 0; udp dport 9 drop; udp dport 20000-59999 drop; }; }
END
# What is compared is not to expire meanwhile, however slow the machine is.
for gw in A B; do sysctl_in gw$gw net.netfilter.nf_conntrack_udp_timeout=600; done
start_gw A
start_gw B
tell "daemons started: they watch each other for twelve seconds"
need "A is primary" eventually 60 primary_is A

pressure() { fk "$1" --json diagnose sys session sync | jq ".pressure.$2"; }
sync_field() { fk "$1" --json diagnose sys session sync | jq ".$2"; }
flood() { ns cl "$NET_DIR/tools/flood.py" "10.1.0.10,$1" 10.2.0.10 "${@:2}"; } # flood SPORT PORT COUNT [NEXT]
# Percent of the event socket of A that is in use (the one netlink socket of netfilter that listens to something).
fill() { ns gwA ss -f netlink -a -m 2>/dev/null | grep -o 'skmem:(r[0-9]*,rb[0-9]*' |
	sed 's/[^0-9,]//g' | awk -F, '$2 { p = 100 * $1 / $2; if (p > most) most = p } END { printf "%d", most }'; }
fill_to() { # fill_to PERCENT: refreshes and new sessions in turn, until the socket is that full
	local end=$((${EPOCHREALTIME/./} + 9000000)) filled sent=0 count=1000

	while filled=$(fill); ((filled < $1)); do
		((${EPOCHREALTIME/./} < end)) || return 1
		((sent && filled)) && count=$((($1 - filled) * sent / filled / 10 * 10 + 100))
		flood 41000 9 $count "$NEXT"
		NEXT=$((NEXT + count / 10)) sent=$((sent + count))
	done
}
mark_of() { session_line "$1" udp sport=41000 dport=9 | grep -o 'mark=[0-9]*'; }
# Both kernels have the same sessions, the mark that changed most included (B's copies have the copy bit).
same_tables() {
	same_sessions A B && [ "$(($(mark_of A | cut -d= -f2) | 2147483648))" = "$(mark_of B | cut -d= -f2)" ]
}
calm() { [ "$(pressure A level)" = '"none"' ] && [ "$(pressure A owed)" = 0 ] && [ "$(sync_field A differing)" = 0 ]; }

NEXT=20000
press() { # press PERCENT PORT...: stops A, ends its sessions to these ports, fills its socket, lets it go on
	local percent=$1 port

	shift
	for port; do flood 43000 "$port" 1; done
	need "equal before" eventually 20 same_tables
	need "and at rest" eventually 20 calm
	before_refreshes=$(pressure A shed_refreshes) before_new=$(pressure A shed_new) before_dumps=$(pressure A dumps)
	freeze_gw A
	for port; do ns gwA conntrack -D -p udp --sport 43000 --dport "$port" >/dev/null 2>&1; done
	fill_to "$percent"
	local rc=$? filled=$(fill) last=$((NEXT - 1))
	thaw_gw A
	need "the socket was filled to $percent % ($filled %)" test $rc = 0 -a "$filled" -lt 97
	need "A is still primary" primary_is A
	need "the newest session is told" eventually 20 has_session B udp "dport=$last"
	for port; do claim "the session to port $port, which ended meanwhile, has ended" eventually 20 not has_session B udp "dport=$port"; done
	claim "all ends equal" eventually 20 same_tables
	claim "and A says so" eventually 20 calm
	refreshes=$(($(pressure A shed_refreshes) - before_refreshes)) new=$(($(pressure A shed_new) - before_new))
	dumps=$(($(pressure A dumps) - before_dumps))
	tell "filled to $filled %: shed $refreshes refreshes, $new new sessions; $dumps dumps made it good"
}

flood 41000 9 5
press 35 55000
claim "35 % full: nothing is shed" test "$refreshes $new $dumps" = "0 0 0"
press 60 55001 55002
claim "60 % full: refreshes are shed ($refreshes)" test "$refreshes" -gt 100
claim "and no new session" test "$new" = 0
claim "one dump made it good" test "$dumps" = 1
press 85 55003 55004
claim "85 % full: refreshes are shed ($refreshes)" test "$refreshes" -gt 100
claim "and new sessions ($new)" test "$new" -gt 10
claim "one dump made it good" test "$dumps" = 1
claim "nothing was lost: no overrun" test "$(sync_field A overruns)" = 0
finish
