#!/bin/bash
# The old primary returns: it stays secondary (override is off, the other is older), learns every session,
# and carries them all when the new primary dies in its turn.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
need "the members are old enough for age to count" eventually 10 grown_up A
tell "SIGKILL to the daemon of A"
kill_gw A
claim "B is primary" eventually 2 primary_is B
ns gwA conntrack -F 2>/dev/null # as after a reboot: it knows nothing
tell "the daemon of A is started again"
start_gw A
claim "A joins as secondary" eventually 15 primary_is B
claim "A learns every session" eventually 10 same_sessions B A
claim "still only B forwards" forwards_alone B
tell "SIGKILL to the daemon of B"
kill_gw B
claim "A is primary again" eventually 2 primary_is A
claim "only A forwards" eventually 2 forwards_alone A
claim_survival "killed, returned, the other killed"
finish
