#!/bin/bash
# A client on a data segment that sends what looks like a heartbeat with another password: a gateway that starts
# alone must become primary all the same. On the heartbeat link the same frame still keeps it silent.
. "$(dirname "$0")/lib.sh"

lab_new A
netns_new ev
wire ev hb br-hb1 ev-hb
wire ev lan br-in ev-lan
# Magic, version, heartbeat, encrypted and authenticated, plane, group-id 7, a serial; the rest is noise.
forge() {
	ns_start ev "$RUN/forge.json" python3 -c "
import os, socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('$1', 0))
head = bytes.fromhex('464b01010301') + (7).to_bytes(2, 'big') + b'STRANGER'.ljust(16, b'\0')
while True:
    s.send(b'\xff' * 6 + s.getsockname()[4] + b'\x88\x90' + head + os.urandom(120))
    time.sleep(0.5)"
}

tell "a client forges heartbeats, and A starts alone"
forge lan
forger=$!
start_gw A
claim "A becomes primary" eventually 12 says_primary A A
claim "what was forged is counted" has_drops A auth
stop_gw A
kill $forger
ns gwA "$BUILD/flowkeepd" --release in -f "$RUN/A.conf"
ns gwA "$BUILD/flowkeepd" --release out -f "$RUN/A.conf"
tell "the same on the heartbeat link: it may be a member with another password"
forge hb
start_gw A
claim "A does not call itself primary" not eventually 9 says_primary A A
finish
