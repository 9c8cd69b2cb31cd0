#!/usr/bin/env python3
"""conntrack.py: the kernel's sessions, by ctnetlink itself: what conntrack(8) does not show, and many at once

    conntrack.py dump               every session as one JSON line: attributes by name, nested as in the kernel
    conntrack.py make COUNT         established TCP sessions 172.16.x.y:1024 -> 172.31.0.1:443, in a few sends
    conntrack.py count              how many of those there are
"""
import json
import socket
import struct
import sys

NETLINK_NETFILTER, NFNL_CTNETLINK = 12, 1
CT_NEW, CT_GET = 0, 1
REQUEST, ACK, DUMP, CREATE = 1, 4, 0x300, 0x400
NESTED = 0x8000
ERROR, DONE = 2, 3
AF_INET, TCP = 2, 6
ESTABLISHED = 3  # enum tcp_conntrack
SEEN_REPLY_ASSURED_CONFIRMED = 0x0E

# enum ctattr_type and those below it; a dict is a nest, a string is how the value reads.
ADDR = {1: ("v4src", "ip4"), 2: ("v4dst", "ip4"), 3: ("v6src", "ip6"), 4: ("v6dst", "ip6")}
PROTO = {1: ("num", "u"), 2: ("sport", "u"), 3: ("dport", "u"), 4: ("id", "u"), 5: ("type", "u"), 6: ("code", "u"),
         7: ("id6", "u"), 8: ("type6", "u"), 9: ("code6", "u")}
TUPLE = {1: ("ip", ADDR), 2: ("proto", PROTO), 3: ("zone", "u")}
INFO_TCP = {1: ("state", "u"), 2: ("wscale_orig", "u"), 3: ("wscale_reply", "u"), 4: ("flags_orig", "x"),
            5: ("flags_reply", "x")}
NAMES = {1: ("orig", TUPLE), 2: ("reply", TUPLE), 3: ("status", "u"), 4: ("protoinfo", {1: ("tcp", INFO_TCP)}),
         5: ("help", {1: ("name", "s")}), 7: ("timeout", "u"), 8: ("mark", "u"), 18: ("zone", "u"),
         20: ("timestamp", {1: ("start", "u")}), 22: ("labels", "x")}


def attributes(data, names):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack("HH", data[:4])
        name, how = names.get(kind & 0x3FFF, (None, None))
        value = data[4:length]
        if isinstance(how, dict):
            found[name] = attributes(value, how)
        elif how == "u":
            found[name] = int.from_bytes(value, "big")
        elif how == "x":
            found[name] = value.hex()
        elif how == "s":
            found[name] = value.rstrip(b"\0").decode()
        elif how:
            found[name] = socket.inet_ntop(socket.AF_INET if how == "ip4" else socket.AF_INET6, value)
        data = data[(length + 3) & ~3:]
    return found


def attribute(kind, value):
    if isinstance(value, list):
        kind, value = kind | NESTED, b"".join(value)
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def message(kind, flags, family, body=b"", seq=1):
    head = struct.pack("BBH", family, 0, 0)
    return struct.pack("IHHII", 16 + len(head) + len(body), NFNL_CTNETLINK << 8 | kind, flags, seq, 0) + head + body


def netlink():
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((0, 0))
    return sock


def messages(sock):
    """Netlink messages until one that ends a dump; an error is an exception."""
    while True:
        data = sock.recv(1 << 16)
        while len(data) >= 16:
            length, kind = struct.unpack("IH", data[:6])
            if kind == DONE:
                return
            if kind == ERROR:
                number = -struct.unpack("i", data[16:20])[0]
                if number:
                    raise OSError(number, "ctnetlink")
            yield data[:length]
            data = data[(length + 3) & ~3:]


def sessions():
    sock = netlink()
    sock.send(message(CT_GET, REQUEST | DUMP, 0))
    for data in messages(sock):
        yield attributes(data[20:], NAMES)


def ip_tuple(kind, src, dst, sport, dport):
    return attribute(kind, [
        attribute(1, [attribute(1, src), attribute(2, dst)]),
        attribute(2, [attribute(1, bytes([TCP])), attribute(2, struct.pack("!H", sport)),
                      attribute(3, struct.pack("!H", dport))])])


def made(number):
    client, server = bytes([172, 16, number >> 8, number & 255]), bytes([172, 31, 0, 1])
    return b"".join([
        ip_tuple(1, client, server, 1024, 443), ip_tuple(2, server, client, 443, 1024),
        attribute(3, struct.pack("!I", SEEN_REPLY_ASSURED_CONFIRMED)), attribute(7, struct.pack("!I", 3600)),
        attribute(4, [attribute(1, [attribute(1, bytes([ESTABLISHED]))])])])


def make(count):
    sock = netlink()
    for at in range(0, count, 100):
        some = range(at, min(at + 100, count))
        sock.send(b"".join(message(CT_NEW, REQUEST | ACK | CREATE, AF_INET, made(number)) for number in some))
        for _ in zip(some, messages(sock)):
            pass


def main():
    what = sys.argv[1]
    if what == "dump":
        for session in sessions():
            print(json.dumps(session))
    elif what == "make":
        make(int(sys.argv[2]))
    elif what == "count":
        print(sum(session["orig"]["ip"].get("v4dst") == "172.31.0.1" for session in sessions()))


main()
