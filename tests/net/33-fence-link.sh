#!/bin/bash
# Masquerade flushes its sessions when a link goes down. Those deletes must not kill the copies: not told at all when
# the role goes with the link, told late when the primary stays primary (a link that nobody monitors and that has no
# virtual address). That the kernel of A has flushed them each time is claimed too.
. "$(dirname "$0")/lib.sh"

# A link of A alone: sessions that leave by it are masqueraded to 10.9.0.2.
extra_link() {
	ip link add ext netns gwA type veth peer name eth1 netns sv
	ip -n gwA addr add 10.9.0.2/24 dev ext
	ip -n gwA link set ext up
	ip -n sv addr add 10.9.0.10/24 dev eth1
	ip -n sv link set eth1 up
	ns gwA nft 'table ip ext { chain post {
		type nat hook postrouting priority srcnat + 1; oifname "ext" masquerade; }; }'
}
gone_on() { not has_session "$@"; }
flushed() { grep -q "sport=$1 " "$RUN/destroyed.json"; }
listener_hears() { # conntrack -E does not tell when it listens
	local what=(-p udp -s 10.250.0.1 -d 10.250.0.2 --sport 1 --dport 2)

	ns gwA conntrack -I "${what[@]}" -t 60 >/dev/null 2>&1
	ns gwA conntrack -D "${what[@]}" >/dev/null 2>&1
	flushed 1
}

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
extra_link
start_server
start_cluster A B
flow masq-echo echo --from 10.1.0.12,40001 10.2.0.10
flow masq-udp udp --hz 100 --from 10.1.0.12,40002 10.2.0.10
flow masq-download download --rate 200000 --from 10.1.0.12,40003 10.2.0.10
flow snat-echo echo --from 10.1.0.11,40005 10.2.0.10
flow ext-echo echo --from 10.1.0.10,40004 10.9.0.10
await_flows
need "copied" eventually 5 copied A B

ns_start gwA "$RUN/destroyed.json" stdbuf -oL conntrack -E -e DESTROY
listener=$!
need "somebody listens to deletes on A" eventually 5 listener_hears

tell "the link that nobody monitors goes down on A"
ip -n gwA link set ext down
claim "masquerade flushes its session on A" eventually 3 flushed 40004
claim "A stays primary" primary_is A
claim "the delete arrives at B" eventually 6 gone_on B sport=40004
claim "no other one does" has_session B sport=40001

tell "out goes down on A, by the operator's own hand"
ip -n gwA link set out down
claim "masquerade flushes its sessions on A" eventually 3 flushed 40001
claim "B is primary" eventually 5 primary_is B
claim "the copies live on B" has_session B sport=40001 dst=10.2.0.1
eventually 5 all_answered masq-udp
sleep 2.5 # longer than the fence and the settling
claim "they still do" has_session B sport=40001 dst=10.2.0.1
kill "$listener"
end_flows
claim_flows_live masq-echo masq-udp masq-download snat-echo
claim "the one without a copy dies: $(flow_told ext-echo)" flow_died ext-echo
finish
