#!/bin/bash
# `conntrack -F` with 20000 sessions. On the secondary: every copy is put back, and the primary is told nothing. On
# the primary: every copy goes too, which is the control that copies of this many sessions do get deleted.
. "$(dirname "$0")/lib.sh"
COUNT=20000

proven() { fk A --json diagnose sys session sync | jq -e '.differing == 0 and .proven_ms != null' >/dev/null; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
conntrack_in A make $COUNT
start_gw A
need "A is primary alone" eventually 15 says_primary A A
start_gw B
need "B joins" eventually 15 primary_is A
need "B has a copy of each of $COUNT" eventually 15 has_made B $COUNT
claim "proven equal" eventually 5 proven
tell "conntrack -F on the secondary"
ns gwB conntrack -F >/dev/null 2>&1
claim "every copy is put back" eventually 15 has_made B $COUNT
claim "A still has all of its own" has_made A $COUNT
tell "conntrack -F on the primary"
ns gwA conntrack -F >/dev/null 2>&1
# The sessions are older than the daemon's nf_conntrack_events=1 and may end without an event: it reads its table.
claim "no copy is left on B" eventually 30 has_made B 0
claim "proven equal again" eventually 5 proven
claim "A is primary throughout" says_primary B A
finish
