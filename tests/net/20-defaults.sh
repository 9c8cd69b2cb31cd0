#!/bin/bash
# The outage with the heartbeats' defaults (2 x 100 ms, threshold 6).
. "$(dirname "$0")/lib.sh"

ha hb-interval ""
ha hb-interval-in-milliseconds ""
ha hb-lost-threshold ""
lab_new A B
carry some_flows A B
tell "A loses its power"
gw_gone A
claim "B is primary" eventually 5 primary_is B
claim_survival "whole primary gone, default heartbeats" 1600
finish
