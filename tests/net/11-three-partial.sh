#!/bin/bash
# Three members; the two highest are cut from each other, the third hears both: one forwarder at any moment.
. "$(dirname "$0")/lib.sh"

misses() { # misses A B: A takes B for dead
	ha_status "$1" | jq -e "any(.members[]; .serial == \"${SERIAL[$2]}\" and .living) | not" >/dev/null
}
settled() { # one forwards, and both it and C (who hears everybody) take it for the primary
	local one

	one=$(forwarders)
	[ ${#one} = 1 ] && says_primary C "$one" && says_primary "$one" "$one"
}

lab_new A B C
lab_hub
carry some_flows A B C
tell "A and B no longer hear each other; C hears both"
cut_between A B
claim "A misses B" eventually 5 misses A B
claim "B misses A" eventually 5 misses B A
claim "they settle it" eventually 5 settled
one=$(forwarders)
claim "one gateway forwards ($one)" test ${#one} = 1
claim "it goes on doing so" stays 2 forwards_alone "$one"
mend_all A
mend_all B
tell "A and B hear each other again"
claim "the three agree" eventually 5 agree A B C
claim_survival "two highest of three cut from each other"
finish
