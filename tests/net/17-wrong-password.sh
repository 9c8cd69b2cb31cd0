#!/bin/bash
# One side has another password: the running primary ignores it and counts, the newcomer does not call itself
# alone; no second forwarder.
. "$(dirname "$0")/lib.sh"

ha_of B password '"incorrect zebra"'
lab_new A B
# Nothing fails here: a stall of the machine must not be taken for an effect of the other side.
ha hb-interval 5
ha hb-lost-threshold 6
lab_hub
start_server
start_cluster A
some_flows
await_flows
tell "B is started with another password"
start_gw B
claim "A counts frames it cannot authenticate" eventually 5 has_drops A auth
claim "A stays primary" stays 8 says_primary A A
claim "B does not call itself primary" not says_primary B B
claim "B says why: $(fk B get system ha status | grep -i -m1 -E 'authenticat|password')" \
	grep -q -i -E 'authenticat|password' <<<"$(fk B get system ha status)"
claim "only A forwards" forwards_alone A
claim_survival "wrong password on the other side"
finish
