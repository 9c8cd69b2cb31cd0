#!/usr/bin/env python3
"""garbage.py IFACE SECONDS: a stranger on the segment.

Listens to frames of Flowkeep's Ethertypes, then sends noise, truncations, mutations and exact replays of
them under its own MAC address, about 400 a second. Prints one JSON line with what it did.
"""
import json
import random
import socket
import sys
import time

ETHERTYPES = (0x8890, 0x8891, 0x8892, 0x8893)
ETH_P_ALL = 3
HEARD_MAX = 200
RATE = 400


def noise(rng, heard):
    return rng.choice(ETHERTYPES).to_bytes(2, "big") + rng.randbytes(rng.choice((0, 1, 7, 46, 200, 1400)))


def truncation(rng, heard):
    frame = rng.choice(heard)
    return frame[: rng.randrange(2, max(3, len(frame)))]


def mutation(rng, heard):
    frame = bytearray(rng.choice(heard))
    for _ in range(rng.randrange(1, 4)):
        frame[rng.randrange(2, len(frame))] ^= 1 << rng.randrange(8)
    return bytes(frame)


def replay(rng, heard):
    return rng.choice(heard)


def main():
    iface, seconds = sys.argv[1], min(float(sys.argv[2]), 60)
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((iface, 0))
    sock.settimeout(0.1)
    own = sock.getsockname()[4]
    heard, counts = [], {"noise": 0, "truncation": 0, "mutation": 0, "replayed": 0}
    listen_until = time.monotonic() + seconds / 4
    end = time.monotonic() + seconds
    while time.monotonic() < listen_until and len(heard) < HEARD_MAX:
        try:
            frame = sock.recv(2048)
        except TimeoutError:
            continue
        if int.from_bytes(frame[12:14], "big") in ETHERTYPES:
            heard.append(frame[12:])
    while time.monotonic() < end:
        kind, make = rng.choice((("noise", noise), ("truncation", truncation), ("mutation", mutation),
                                 ("replayed", replay)))
        if kind != "noise" and not heard:
            kind, make = "noise", noise
        try:
            sock.send(b"\xff" * 6 + own + make(rng, heard))
            counts[kind] += 1
        except OSError:
            pass  # a frame the interface refuses (too long, link gone) is simply not sent
        time.sleep(1 / RATE)
    print(json.dumps({"seed": seed, "heard": len(heard), **counts}))


if __name__ == "__main__":
    main()
