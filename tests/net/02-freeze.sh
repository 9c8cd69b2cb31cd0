#!/bin/bash
# The primary's daemon is frozen, and later thawed: sessions go on, and the thawed one forwards no packet.
# The switches are hubs, so that A's kernel gets every packet that B's gets.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
need "the members are old enough for age to count" eventually 10 grown_up A
tell "SIGSTOP to the daemon of A"
freeze_gw A
claim "B is primary" eventually 2 primary_is B
claim "only B forwards" eventually 2 forwards_alone B
before=$(emitted A)
tell "SIGCONT to the daemon of A"
thaw_gw A
claim "the thawed A does not forward a packet" stays 2 emitted_still A "$before"
claim "the thawed A takes B for the primary" eventually 5 primary_is B
claim "still only B forwards" forwards_alone B
claim_survival "primary's daemon frozen"
finish
