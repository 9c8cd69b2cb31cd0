#!/bin/bash
# On every path A hears nothing of B, while B hears A: to A the other has died, A goes on alone.
. "$(dirname "$0")/lib.sh"

lab_new A B
lab_hub
carry some_flows A B
tell "nothing B says reaches A"
cut_one_way B A
claim "A stays primary in A's eyes" stays 2 says_primary A A
claim "A stays primary in B's eyes" stays 1 says_primary B A
claim "only A forwards" forwards_alone A
claim_survival "one direction cut, primary deaf"
finish
