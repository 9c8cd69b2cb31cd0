#!/bin/bash
# Two islands served their own sessions; then the old primary wins, by priority: the other one's sessions
# go on through it.
. "$(dirname "$0")/lib.sh"
. "$NET_DIR/islands.sh"

merge_islands A B
finish
