#!/bin/bash
# The whole primary is gone at once, as when its power fails.
. "$(dirname "$0")/lib.sh"

lab_new A B
carry every_flow A B
tell "A loses its power"
gw_gone A
claim "B is primary" eventually 2 primary_is B
claim "only B forwards" eventually 2 forwards_alone B
claim_survival "whole primary gone"
finish
