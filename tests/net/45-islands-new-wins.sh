#!/bin/bash
# Two islands served their own sessions; a monitored link of A fails for a moment meanwhile, so B is the older
# one when they become one again: A's sessions go on through B.
. "$(dirname "$0")/lib.sh"
. "$NET_DIR/islands.sh"

link_of_a_fails() {
	need "A is older than the margin" eventually 5 grown_up A # and so will B be, compared with A
	port_set down A in
	claim "A has seen its link fail" eventually 5 failed_links A 1
	port_set up A in
	claim "and come back" eventually 5 failed_links A 0
}
failed_links() { [ "$(ha_status "$1" | jq '[.members[] | select(.serial == "'"${SERIAL[$1]}"'")][0].failures')" = "$2" ]; }

merge_islands B A link_of_a_fails
finish
