#!/bin/bash
# The primary's daemon is killed: every kind of traffic through every translation goes on.
. "$(dirname "$0")/lib.sh"

lab_new A B
carry every_flow A B
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 2 primary_is B
claim "only B forwards" eventually 2 forwards_alone B
claim_survival "primary's daemon killed"
finish
