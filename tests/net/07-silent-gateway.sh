#!/bin/bash
# Nothing leaves the primary any more, on any port, while it hears everything: the sessions go on through B,
# and A's kernel stops forwarding into the void.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
tell "every port of A goes silent in one direction"
silence_from A
claim "B is primary" eventually 2 says_primary B B
claim "A stops forwarding" eventually 1 forwards_alone B
claim_survival "every port of the primary silent"
finish
