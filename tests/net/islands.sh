# islands.sh: every path between A and B is cut, but not those to their own clients and servers: two islands
#
#   br-in   cl            gwA   sv            br-out          split: gwB, cl2 and sv2 are moved
#   br-in2  cl2 10.1.0.14 gwB   sv2 10.2.0.14 br-out2         to switches of their own
#
# Sourced by scenarios that differ in who wins when the islands become one again. Sessions that were
# opened on either island while they were two must go on through the winner.

lab_new A B
# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
for bridge in br-in2 br-out2; do
	ip -n sw link add $bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	ip -n sw link set $bridge up
done
netns_new cl2
wire cl2 eth0 br-in cl2
ip -n cl2 addr add 10.1.0.14/24 dev eth0
ip -n cl2 addr add 10.1.0.15/24 dev eth0
ip -n cl2 route add default via 10.1.0.1
netns_new sv2
wire sv2 eth0 br-out sv2
ip -n sv2 addr add 10.2.0.14/24 dev eth0
ip -n sv2 route add default via 10.2.0.1
lab_hub
for port in cl2 sv2; do ns sw bridge link set dev $port learning off; done
for gw in A B; do
	ns gw$gw nft add rule inet operator post oifname out ip saddr 10.1.0.15 snat ip to 10.2.0.1
done

move_b() { # move_b 2|'': its ports, and the second client and server, to the switches of that name
	local port

	ip -n sw -batch - <<-END
		link set sv2 master br-out$1
		link set gwB-out master br-out$1
		link set gwB-in master br-in$1
		link set cl2 master br-in$1
	END
	# A port begins to learn when it is moved: back to the hub of lab_hub.
	for port in gwB-in gwB-out cl2 sv2; do ns sw bridge link set dev $port learning off; done
	for port in br-in br-out br-in2 br-out2; do ip -n sw link set $port type bridge fdb_flush; done
}

split() {
	{ echo link set gwB-hb1 down; echo link set gwB-hb2 down; } | ip -n sw -batch -
	move_b 2
}

heal() {
	move_b ''
	{ echo link set gwB-hb1 up; echo link set gwB-hb2 up; } | ip -n sw -batch -
}

island_flows() { # island_flows NAME CLIENT FROM SNAT-FROM TO
	FLOW_NS=$2
	flows_along "$1" "$3" "$5" 80 download idle echo udp icmp
	flows_along "$1-snat" "$4" "$5" 80 download idle echo udp
	FLOW_NS=cl
}

merge_islands() { # merge_islands WINNER LOSER [COMMAND ...: while they are two]
	local winner=$1 loser=$2 name

	shift 2
	start_server
	ns_start sv2 "$RUN/server2.json" "$BUILD/tests/net/traffic" serve
	FLOW_PID[server2]=$!
	need "second server listens" eventually 5 grep -qs listening "$RUN/server2.json"
	start_cluster A B
	tell "every path between A and B is cut; B keeps a client and a server of its own"
	split
	need "B serves its island" eventually 5 says_primary B B
	claim "A serves the other" says_primary A A
	"$@"
	island_flows first cl 10.1.0.10 10.1.0.11 10.2.0.10
	island_flows second cl2 10.1.0.14 10.1.0.15 10.2.0.14
	await_flows
	claim "A does not know B's sessions" not has_session A src=10.1.0.15
	claim "B does not know A's" not has_session B src=10.1.0.11
	tell "the islands become one again"
	heal
	claim "$winner is primary of both" eventually 5 primary_is "$winner"
	claim "both kernels know the sessions of both islands" eventually 5 same_sessions A B
	claim "$winner took what only $loser knew" merged_by "$winner"
	eventually 8 all_answered $(probes)
	server_speaks
	kill -USR1 "${FLOW_PID[server2]}"
	eventually 8 idle_agreed
	# What was lost while the switches were joined TCP says again after 0.2, 0.6, 1.4, 3 s.
	for name in $(flows | grep -E -- '-(echo|download)$'); do eventually 8 goes_on "$name"; done
	sleep 0.5 # more of every stream, so that one that limps is noticed
	end_flows
	claim_flows_live
}

# goes_on NAME: more has come since it was looked at last
declare -A SEEN
goes_on() {
	local now=$(flow_now "$1" '.answered // .bytes') before=${SEEN[$1]:-}

	SEEN[$1]=$now
	[ -n "$before" ] && ((now > before))
}

merged_by() { (($(fk "$1" --json diagnose sys session sync | jq .merged) > 0)); }
