#!/bin/bash
# The primary loses its data links (monitored interfaces): B is elected, sessions go on, masquerade too,
# whose deletes at the cut must not reach the copies.
. "$(dirname "$0")/lib.sh"

lab_new A B
carry every_flow A B
tell "data links of A are pulled"
cut_data A
claim "B is primary" eventually 2 primary_is B
claim "only B forwards" eventually 2 forwards_alone B
claim_survival "primary's data links cut"
finish
