#!/usr/bin/env python3
"""local.py: what runs on a gateway itself: services whose sessions end there, for the namespace tests

    local.py [--transparent PORT] TCP-PORT...    echoes TCP on each port, eats UDP 5353 of 239.1.2.3 and
                                                 UDP 5354 (broadcast); ends at SIGTERM
"""
import select
import signal
import socket
import struct
import sys
import time

MAX_S = 300  # no tool outlives this
IP_TRANSPARENT = 19


def listen(port, is_transparent):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_transparent:
        sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    sock.bind(("0.0.0.0", port))
    sock.listen(16)
    return sock


def datagrams(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))
    return sock


def main():
    words = sys.argv[1:]
    transparent = int(words.pop(words.index("--transparent") + 1)) if "--transparent" in words else 0
    ports = [int(word) for word in words if word.isdigit()]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listeners = [listen(port, False) for port in ports]
    if transparent:
        listeners.append(listen(transparent, True))
    group = datagrams(5353)
    group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     struct.pack("4s4s", socket.inet_aton("239.1.2.3"), socket.inet_aton("10.1.0.1")))
    eaters = [group, datagrams(5354)]
    open_socks = []
    print("listening", flush=True)
    end = time.monotonic() + MAX_S
    while time.monotonic() < end:
        for sock in select.select([*listeners, *eaters, *open_socks], [], [], 1)[0]:
            if sock in listeners:
                open_socks.append(sock.accept()[0])
            elif sock in eaters:
                sock.recv(2048)
            else:
                data = sock.recv(2048)
                if data:
                    sock.sendall(data)
                else:
                    open_socks.remove(sock)
                    sock.close()


main()
