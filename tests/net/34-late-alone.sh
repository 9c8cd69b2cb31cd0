#!/bin/bash
# The control of 34-late-joiner: the primary dies in the middle of the walk, and nobody else is there. The late joiner
# is alone then, and takes over with what it has.
. "$(dirname "$0")/lib.sh"
COUNT=20000

stored() { fk "$1" --json diagnose sys session sync | jq .stored; }
stored_all() { (($(stored "$1") >= COUNT)); }
stored_some() { (($(stored "$1") > 0)); }
made() { ns "gw$1" python3 "$NET_DIR/tools/conntrack.py" count; }

# Milliseconds are not the point here: 50 ms x 6, which a busy machine can keep.
ha hb-interval 5
ha hb-lost-threshold 6
lab_new A B
start_server
ns gwA python3 "$NET_DIR/tools/conntrack.py" make $COUNT
start_gw A
need "A is primary alone" eventually 15 says_primary A A
need "A has all of them stored" eventually 10 stored_all A
for port in hb1 hb2; do
	ns sw nft add rule netdev lab to-B-$port ether type 0x8892 limit rate over 20/second drop
done
start_gw B
need "B joins" eventually 15 primary_is A
need "B has begun to walk" eventually 5 stored_some B
tell "A loses its power; B has $(stored B) of $COUNT sessions"
gw_gone A
claim "B is primary, being alone" eventually 3 primary_is B
claim "it has not got everything" not stored_all B
some=$(stored B)
made_some() { (($(made B) >= some)); }
claim "what it has it keeps ($some)" test "$some" -gt 0
claim "and its kernel gets all of it" eventually 5 made_some
claim "clients are served" eventually 3 reaches
finish
