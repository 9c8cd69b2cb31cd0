#!/usr/bin/env python3
"""flood.py FROM,PORT TO TO-PORT COUNT [NEXT]: COUNT small UDP datagrams of one session.

With NEXT every tenth goes to another port instead, from NEXT on, each a new session of its own. Where a rule
changes the mark with every packet, the rest are refreshes.
"""
import socket
import sys


def main():
    address, port = sys.argv[1].split(",")
    target = sys.argv[2]
    to, count = int(sys.argv[3]), min(int(sys.argv[4]), 100000)
    fresh = int(sys.argv[5]) if len(sys.argv) > 5 else None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, int(port)))
        for i in range(count):
            if fresh and i % 10 == 9:
                sock.sendto(b"flood", (target, fresh + i // 10))
            else:
                sock.sendto(b"flood", (target, to))


main()
