#!/bin/bash
# What must stay at home: sessions of the gateway itself in both directions, diverted ones, multicast and broadcast;
# with the masks in the kernel and, event-mask being off, by the filter alone (TPROXY's sessions and those to a
# subnet's broadcast address look like forwarded ones: a label tells them). Then the two switches:
# without session-pickup-connectionless only TCP is copied, without session-pickup nothing. Each session that must
# not be copied is first seen on the primary, and one that must be copied is made after it, through the same stream.
. "$(dirname "$0")/lib.sh"
OPERATOR_RULES='table inet operator_proxy {
	chain divert {
		type filter hook prerouting priority mangle;
		ip daddr 10.2.0.10 tcp dport 8888 meta mark set 1 tproxy ip to 127.0.0.1:3128 accept
	}
	chain to_us {
		type nat hook prerouting priority dstnat;
		ip daddr 10.2.0.10 tcp dport 8889 redirect to :3129
	}
}'

talk() { # talk NS ADDRESS PORT FROM-PORT: a TCP session that stays open, spoken on both ways
	ns "$1" python3 - "$@" <<-'END' &
		import socket, sys, time
		s = socket.create_connection((sys.argv[2], int(sys.argv[3])), 5, ("0.0.0.0", int(sys.argv[4])))
		s.sendall(b"x"); s.recv(1); time.sleep(60)
	END
	FLOW_PID[talk-$4]=$!
}
datagram() { # datagram NS ADDRESS PORT FROM-PORT
	ns "$1" python3 - "$@" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
		if sys.argv[1] == "cl":
		    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.1.0.10"))
		s.bind(("0.0.0.0", int(sys.argv[4])))
		s.sendto(b"x", (sys.argv[2], int(sys.argv[3])))
	END
}
# sessions_of() shows client's addresses only; here every address counts.
stays_home() { # stays_home WORDS...
	claim "seen on A, not on B: $*" eval "eventually 3 has_session A $* && not has_session B $*"
}
travels() { claim "copied: $*" eventually 3 has_session B "$@"; }
set_both() { # set_both WORDS...: one key of config system ha on both members, by command
	for gw in A B; do need "$* on $gw" fk $gw config system ha set "$@" end; done
}
masks_on_a() { ns gwA nft list table inet flowkeep | grep -q 'ct event set'; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
for gw in A B; do
	# Diverted packets are delivered here although their address is another's.
	ip -n gw$gw rule add fwmark 1 lookup 100
	ip -n gw$gw route add local default dev lo table 100
done
start_server
start_cluster A B
ns_start gwA "$RUN/local.json" python3 "$NET_DIR/tools/local.py" 22 3129 --transparent 3128
FLOW_PID[local]=$!
need "services on the gateway listen" eventually 5 grep -qs listening "$RUN/local.json"

flows_up() {
	local name

	for name; do [ -e "$RUN/$name.ready" ] || return 1; done
}
homebodies() { # homebodies N: sessions with port numbers of their own
	talk cl 10.1.0.1 22 4${1}001
	talk cl 10.2.0.10 8888 4${1}002
	talk cl 10.2.0.10 8889 4${1}003
	ns cl ping -c1 -W1 -q 10.1.0.1 -e $((7000 + $1)) >/dev/null
	datagram gwA 10.2.0.10 53 4${1}004
	datagram cl 239.1.2.3 5353 4${1}005
	datagram cl 10.1.0.255 5354 4${1}006
	flow echo$1 echo --from 10.1.0.10,4${1}010 10.2.0.10
	flow udp$1 udp --hz 50 --from 10.1.0.10,4${1}011 10.2.0.10
	travels tcp sport=4${1}010
	travels udp sport=4${1}011
	stays_home tcp sport=4${1}001
	stays_home tcp sport=4${1}002
	stays_home tcp sport=4${1}003
	stays_home icmp id=$((7000 + $1))
	stays_home udp sport=4${1}004
	stays_home udp sport=4${1}005
	stays_home udp sport=4${1}006
}

claim "the kernel masks events" masks_on_a
homebodies 1
set_both event-mask disable
claim "the kernel masks no events now" not masks_on_a
homebodies 2

set_both session-pickup-connectionless disable
flow udp3 udp --hz 50 --from 10.1.0.10,43011 10.2.0.10
flow ping3 icmp --from 10.1.0.10,7333 10.2.0.10
flow echo3 echo --from 10.1.0.10,43010 10.2.0.10
travels tcp sport=43010
stays_home udp sport=43011
stays_home icmp id=7333

set_both session-pickup disable
flow udp4 udp --hz 50 --from 10.1.0.10,44011 10.2.0.10
flow echo4 echo --from 10.1.0.10,44010 10.2.0.10
claim "without session-pickup B has none at all" eventually 3 test -z "$(sessions_of B)"
need "sessions without pickup are up" eventually 5 flows_up udp4 echo4
sleep 0.5 # copying would have taken milliseconds
stays_home tcp sport=44010
stays_home udp sport=44011
claim "nothing at all" test -z "$(sessions_of B)"
finish
