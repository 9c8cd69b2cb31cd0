#!/bin/bash
# Without Flowkeep: the lab itself. A failover by hand kills TCP sessions that were not copied, and keeps
# those that were copied by `conntrack`: so "goes on" in the other scenarios means something.
. "$(dirname "$0")/lib.sh"

MAC_IN=02:00:00:00:01:01 MAC_OUT=02:00:00:00:01:02

addresses_on() { # by hand, what the daemon does otherwise: the same MAC and addresses, one gateway at a time
	local gw=gw$1

	ip -n "$gw" -batch - <<-END
		link set in address $MAC_IN
		link set out address $MAC_OUT
		addr add 10.1.0.1/24 dev in
		addr add 10.2.0.1/24 dev out
		addr add fd01::1/64 dev in nodad
		addr add fd02::1/64 dev out nodad
	END
	# Its first frames tell the switches where the MAC is now.
	eventually 5 both_sides_answer "$gw" || echo "# $gw does not reach both sides"
}

both_sides_answer() {
	ns "$1" ping -c1 -W1 -q 10.1.0.10 && ns "$1" ping -c1 -W1 -q 10.2.0.10 &&
		ns "$1" ping -c1 -W1 -q fd01::10 && ns "$1" ping -c1 -W1 -q fd02::10
} >/dev/null 2>&1

copy_sessions() { # TCP only, no NAT: enough to prove the lab
	ns "gw$1" conntrack -L -p tcp 2>/dev/null | sed -nE \
		's/.* src=(\S+) dst=(\S+) sport=(\S+) dport=(\S+) src=.*/\1 \2 \3 \4/p' |
		while read -r src dst sport dport; do
			ns "gw$2" conntrack -I -p tcp --src "$src" --dst "$dst" --sport "$sport" --dport "$dport" \
				--state ESTABLISHED --timeout 300 --status ASSURED,SEEN_REPLY >/dev/null 2>&1
		done
}

round() { # round WHETHER-COPIED
	addresses_on A
	flow echo echo --from 10.1.0.10 10.2.0.10
	flow download download --from 10.1.0.10 --rate 500000 10.2.0.10
	flow idle idle --from 10.1.0.10 10.2.0.10
	await_flows
	[ "$1" = copied ] && copy_sessions A B
	tell "A loses its cables, B takes the addresses; sessions $1"
	cut_data A
	addresses_on B
	claim "new sessions pass through B" eventually 5 reaches
	[ "$1" = copied ] && claim "copied sessions pass through B only" eventually 2 forwards_alone B
	server_speaks
	sleep 3 # as long as a dead session must stay dead
	end_flows
}

lab_new A B
start_server
round uncopied
for name in echo download idle; do
	claim "$name dies without a copy: $(flow_told $name)" flow_died $name
done

for gw in A B; do
	for dev in in out; do ip -n gw$gw addr flush dev $dev scope global; done
	ns gw$gw conntrack -F 2>/dev/null
	mend_data $gw
done
FLOW_RC=()
round copied
claim_flows_live
finish
