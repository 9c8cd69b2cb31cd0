#!/bin/bash
# A second cluster with another group-id lives on the same segments: both keep their own primary, neither
# takes the other's frames for its own.
. "$(dirname "$0")/lib.sh"

for gw in C D; do
	ha_of $gw group-id 8
	ha_of $gw group-name other
	VIP[$gw]=2
done
ha_of C priority 90
lab_new A B C D
# Nothing fails here: a stall of the machine must not be taken for an effect of the other side.
ha hb-interval 5
ha hb-lost-threshold 6
carry some_flows A B
tell "the other cluster starts"
start_gw C
start_gw D
claim "its own primary is elected" eventually 15 says_primary C C
claim "and known to its secondary" eventually 5 says_primary D C
claim "the first cluster is undisturbed" stays 2 says_primary A A
claim "its secondary too" says_primary B A
claim "only A forwards" forwards_alone A
claim "frames of the other group are counted" has_drops A group
claim "by the other side too" has_drops C group
claim_survival "second cluster on the segment"
finish
