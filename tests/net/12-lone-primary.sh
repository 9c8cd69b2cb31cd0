#!/bin/bash
# The secondary dies, then the lone primary's daemon dies: its kernel goes on forwarding. The secondary that
# boots now must find that out and stay muted.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
tell "SIGKILL to the daemon of B"
kill_gw B
claim "A is primary alone" stays 1 says_primary A A
tell "SIGKILL to the daemon of A"
kill_gw A
claim "A's kernel goes on forwarding" stays 2 forwards_alone A
tell "the daemon of B is started"
start_gw B
claim "B stays muted, beyond its hello-holddown" stays 9 forwards_alone A
claim "B does not call itself primary" not says_primary B B
tell "the daemon of A is started"
start_gw A
claim "the two agree on a primary" eventually 20 agree A B
one=$(forwarders)
claim "one gateway forwards ($one)" test ${#one} = 1
claim_survival "lone primary's daemon dies, secondary boots"
finish
