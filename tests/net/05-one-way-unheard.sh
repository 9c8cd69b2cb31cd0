#!/bin/bash
# On every path B hears nothing of A, while A hears B: A must notice that its echo stands still. One of the
# two forwards, never both, and the sessions go on.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
tell "nothing A says reaches B"
cut_one_way A B
claim "B is primary" eventually 2 says_primary B B
claim "A takes B for the primary" eventually 2 says_primary A B
claim "only B forwards" eventually 2 forwards_alone B
claim_survival "one direction cut, primary unheard"
finish
