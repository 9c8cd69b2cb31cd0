#!/bin/bash
# Three members; the two highest are cut from each other, the third hears both: one forwarder at any moment.
. "$(dirname "$0")/lib.sh"

lab_new A B C
lab_hub
carry some_flows A B C
tell "A and B no longer hear each other; C hears both"
cut_between A B
sleep 2 # whatever they decide, they have had time to
one=$(forwarders)
claim "one gateway forwards ($one)" test ${#one} = 1
claim "it goes on doing so" stays 2 forwards_alone "$one"
mend_all A
mend_all B
tell "A and B hear each other again"
claim "the three agree" eventually 5 agree A B C
claim_survival "two highest of three cut from each other"
finish
