#!/bin/bash
# Somebody removes the virtual address on the primary: masquerade flushes its sessions there, and the deletes wait until
# the dust has settled. The gateway dies meanwhile: the copies live and the sessions go on. The control: a gateway
# that lives on tells them, late, and the sessions die as they would on a single gateway. What goes on is idle
# while A has no session of it: a packet then would be for A itself, and A would reset the connection.
. "$(dirname "$0")/lib.sh"

gone_on() { not has_session "$@"; }
has_address() { ip -n "gw$1" -o addr show dev out | grep -q "inet 10.2.0.1/"; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
start_cluster A B
flow doomed-echo echo --from 10.1.0.12,40000 10.2.0.10
await_flows
need "copied" eventually 5 copied A B
tell "control: the address goes, the gateway stays"
ip -n gwA addr del 10.2.0.1/24 dev out
claim "masquerade flushes its session on A" eventually 2 gone_on A sport=40000
claim "the daemon puts the address back" eventually 3 has_address A
claim "A stays primary" primary_is A
claim "the copy is still there" has_session B sport=40000
claim "and goes late" eventually 6 gone_on B sport=40000

flow masq-idle idle --from 10.1.0.12,40001 10.2.0.10
flow masq-udp udp --hz 100 --from 10.1.0.12,40002 10.2.0.10
await_flows
need "copied" eventually 5 copied A B
tell "the address goes, then the gateway"
ip -n gwA addr del 10.2.0.1/24 dev out
claim "masquerade flushes its sessions on A" eventually 1 gone_on A sport=40001
gw_gone A
claim "B is primary" eventually 5 primary_is B
claim "the copies live on B" has_session B sport=40001 dst=10.2.0.1
eventually 5 all_answered masq-udp
sleep 2.5 # longer than the fence and the settling
server_speaks
eventually 5 idle_agreed
end_flows
claim_flows_live masq-idle masq-udp
claim "the doomed one died: $(flow_told doomed-echo)" flow_died doomed-echo
finish
