#!/usr/bin/env python3
"""tunnel.py: both ends of GRE and PPTP, made by hand, for the namespace tests

    tunnel.py serve [--hz N]               answers GRE and PPTP's control; ends at SIGTERM
    tunnel.py gre --from A --to B          GRE version 0, RFC 2784
    tunnel.py pptp --from A --to B         a PPTP call (RFC 2637) and its GRE version 1

An end that talks sends questions, the other answers them. At first the clients talk. At SIGUSR1 the clients
stop talking, and the server talks to everybody it has heard of. Each end prints one JSON line ten times a
second: how many questions it has sent and how many of them were answered, in all and since SIGUSR1.
"""
import argparse
import json
import select
import signal
import socket
import struct
import sys
import time

GRE = 47
PPTP_PORT = 1723
MAX_S = 300  # no tool outlives this
COOKIE = 0x1A2B3C4D
START_REQUEST, START_REPLY, CALL_REQUEST, CALL_REPLY = 1, 2, 7, 8
CALL_OF_CLIENT, CALL_OF_SERVER = 0x1111, 0x2222


def gre0(payload):
    return struct.pack("!HH", 0, 0x0800) + payload


def gre1(call, seq, payload):
    return struct.pack("!HHHHI", 0x3001, 0x880B, len(payload), call, seq) + payload


def gre_open(packet):
    """An IPv4 packet as a raw socket gives it: version and payload."""
    gre = packet[(packet[0] & 15) * 4:]
    version = gre[1] & 7
    return version, gre[12 if version else 4:]


def control(kind, body):
    return struct.pack("!HHIHH", 12 + len(body), 1, COOKIE, kind, 0) + body


def start(result):
    return struct.pack("!HBBIIHH64s64s", 0x0100, result, 0, 3, 3, 1, 1, b"lab", b"lab")


def call_request():
    return struct.pack("!HHIIIIHHHH64s64s", CALL_OF_CLIENT, 1, 300, 100000000, 3, 3, 64, 0, 0, 0, b"", b"")


def call_reply():
    return struct.pack("!HHBBHIHHI", CALL_OF_SERVER, CALL_OF_CLIENT, 1, 0, 0, 100000000, 64, 0, 0)


def control_read(sock):
    head = sock.recv(12, socket.MSG_WAITALL)
    if len(head) < 12:
        return None
    length, _, _, kind, _ = struct.unpack("!HHIHH", head)
    sock.recv(length - 12, socket.MSG_WAITALL)
    return kind


class End:
    """One end of all tunnels: asks, answers, counts."""

    def __init__(self, hz, source=None):
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, GRE)
        if source:
            self.raw.bind((source, 0))
        self.period = 1.0 / min(hz, 200)
        self.peers = {}  # (address, version) -> number of the next question
        self.is_talking = False
        self.turned_at = 0
        self.sent = self.answered = self.sent_since = self.answered_since = 0
        self.of_version = {0: 0, 1: 0}  # answered since the turn
        self.call = 0

    def say(self, address, version, payload):
        packet = gre1(self.call, self.sent, payload) if version else gre0(payload)
        try:
            self.raw.sendto(packet, (address, 0))
        except OSError:
            pass

    def ask(self):
        for (address, version), number in list(self.peers.items()):
            self.peers[(address, version)] = number + 1
            self.sent += 1
            self.sent_since += self.turned_at > 0
            self.say(address, version, b"q%010d" % number)

    def hear(self):
        packet, (address, _) = self.raw.recvfrom(2048)
        version, payload = gre_open(packet)
        self.peers.setdefault((address, version), 0)
        if payload[:1] == b"q":
            self.say(address, version, b"a" + payload[1:])
        elif payload[:1] == b"a":
            self.answered += 1
            if self.turned_at:
                self.answered_since += 1
                self.of_version[version] += 1

    def turn(self, *_):
        self.is_talking = not self.is_talking
        self.turned_at = time.monotonic()

    def report(self):
        print(json.dumps({"sent": self.sent, "answered": self.answered, "sent_since": self.sent_since,
                          "answered_since": self.answered_since, "since_v0": self.of_version[0],
                          "since_v1": self.of_version[1]}), flush=True)

    def run(self, others=()):
        signal.signal(signal.SIGUSR1, self.turn)
        end = time.monotonic() + MAX_S
        next_ask = next_report = time.monotonic()
        while time.monotonic() < end:
            ready, _, _ = select.select([self.raw, *others], [], [], self.period / 2)
            for sock in ready:
                others = self.hear() or others if sock is self.raw else others[sock](sock)
            now = time.monotonic()
            if self.is_talking and now >= next_ask:
                next_ask = now + self.period
                self.ask()
            if now >= next_report:
                next_report = now + 0.1
                self.report()


def serve(hz):
    end = End(hz)
    end.call = CALL_OF_CLIENT
    listener = socket.create_server(("0.0.0.0", PPTP_PORT), backlog=4)
    socks = {}

    def on_control(sock):
        kind = control_read(sock)
        if kind == START_REQUEST:
            sock.sendall(control(START_REPLY, start(1)))
        elif kind == CALL_REQUEST:
            sock.sendall(control(CALL_REPLY, call_reply()))
        elif kind is None:
            del socks[sock]
            sock.close()
        return socks

    def on_connection(sock):
        socks[sock.accept()[0]] = on_control
        return socks

    socks[listener] = on_connection
    end.run(socks)


def client(options):
    end = End(options.hz, getattr(options, "from"))
    version = 0
    if options.what == "pptp":
        sock = socket.create_connection((options.to, PPTP_PORT), 5, (getattr(options, "from"), 0))
        sock.sendall(control(START_REQUEST, start(0)))
        if control_read(sock) != START_REPLY:
            sys.exit("no answer to the start request")
        sock.sendall(control(CALL_REQUEST, call_request()))
        if control_read(sock) != CALL_REPLY:
            sys.exit("no answer to the call request")
        end.call, version = CALL_OF_SERVER, 1
    end.peers[(options.to, version)] = 0
    end.is_talking = True
    end.run()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("serve", "gre", "pptp"))
    parser.add_argument("--from")
    parser.add_argument("--to")
    parser.add_argument("--hz", type=float, default=20)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if options.what == "serve":
        serve(options.hz)
    else:
        client(options)


main()
