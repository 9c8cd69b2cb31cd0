#!/bin/bash
# Heartbeat links are cut one by one: heartbeats fall back to the data interfaces, A stays primary, and
# no session notices. The switches are hubs: a second forwarder would be heard.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
for port in hb1 hb2; do
	tell "heartbeat link $port of A is pulled"
	cut_hb A $port
	claim "A stays primary without $port" stays 1.5 primary_is A
	claim "only A forwards" forwards_alone A
done
tell "both heartbeat links are back"
mend_hb A hb1 hb2
claim "A is still primary" stays 1 primary_is A
tell "both heartbeat links are pulled at once"
cut_hb A hb1 hb2
claim "A stays primary without any" stays 1.5 primary_is A
claim_survival "heartbeat links cut"
finish
