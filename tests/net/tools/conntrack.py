#!/usr/bin/env python3
"""conntrack.py: the kernel's sessions, by ctnetlink itself: what conntrack(8) does not show, and many at once

    conntrack.py dump               every session as one JSON line: attributes by name, nested as in the kernel
    conntrack.py make COUNT [FROM]  established TCP sessions 172.16.x.y:1024 -> 172.31.0.1:443, in a few sends
    conntrack.py count              how many of those there are
    conntrack.py mark COUNT FROM MARK [ROUNDS]  changes the mark of COUNT of them, ROUNDS times
    conntrack.py end COUNT [FROM]   deletes them
    conntrack.py copy COUNT FROM    makes them with the copy bit, as a member that does not forward them
    conntrack.py churn SEED COUNT FROM STEPS RATE  so many steps, RATE a second: each opens one of COUNT sessions, gives
                                    it another mark or ends it; prints what was done
    conntrack.py table              what they are, one a line, sorted; equal on two members whose sessions are
    conntrack.py fill COUNT         others, to 172.31.0.2: they only take up room; says how many there was room for
    conntrack.py drain COUNT        deletes those
"""
import json
import random
import socket
import struct
import sys
import time

NETLINK_NETFILTER, NFNL_CTNETLINK = 12, 1
CT_NEW, CT_GET, CT_DELETE = 0, 1, 2
REQUEST, ACK, DUMP, CREATE = 1, 4, 0x300, 0x400
NESTED = 0x8000
ERROR, DONE = 2, 3
ENOMEM, ENOENT = 12, 2
COPY_BIT = 1 << 31
AF_INET, TCP = 2, 6
ESTABLISHED = 3  # enum tcp_conntrack
SEEN_REPLY_ASSURED_CONFIRMED = 0x0E
BATCH = 100

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


def tuples(number, server=1):
    client, server = bytes([172, 16, number >> 8 & 255, number & 255]), bytes([172, 31, 0, server])
    port = 1024 + (number >> 16)
    return ip_tuple(1, client, server, port, 443), ip_tuple(2, server, client, 443, port)


STATE = b"".join([
    attribute(3, struct.pack("!I", SEEN_REPLY_ASSURED_CONFIRMED)), attribute(7, struct.pack("!I", 3600)),
    attribute(4, [attribute(1, [attribute(1, bytes([ESTABLISHED]))])])])


def ask(numbers, request):
    """One request for each number, a hundred a send; how many were refused, by errno."""
    sock, refused = netlink(), {}
    for at in range(0, len(numbers), BATCH):
        some = numbers[at:at + BATCH]
        sock.send(b"".join(request(number) for number in some))
        for error in verdicts(sock, len(some)):
            if error:
                refused[error] = refused.get(error, 0) + 1
        if refused.get(ENOMEM, 0) > 1000:
            break
    return refused


def verdicts(sock, count):
    while count:
        data = sock.recv(1 << 16)
        while len(data) >= 16:
            length = struct.unpack("I", data[:4])[0]
            yield -struct.unpack("i", data[16:20])[0]
            count -= 1
            data = data[(length + 3) & ~3:]


def create(server, more=b""):
    return lambda number: message(CT_NEW, REQUEST | ACK | CREATE, AF_INET,
                                  b"".join(tuples(number, server)) + STATE + more)


def delete(server):
    return lambda number: message(CT_DELETE, REQUEST | ACK, AF_INET, tuples(number, server)[0])


def change(mark):
    body = attribute(8, struct.pack("!I", mark))
    return lambda number: message(CT_NEW, REQUEST | ACK, AF_INET, tuples(number)[0] + body)


def known(refused, *expected):
    """What else is refused is a mistake of the test."""
    for error in refused:
        if error not in expected:
            raise OSError(error, "ctnetlink")


def churn(seed, count, first, steps, rate):
    chance, sock, is_open = random.Random(seed), netlink(), set()
    done = {"opened": 0, "changed": 0, "ended": 0}
    began = time.monotonic()
    for at in range(0, steps, BATCH):
        requests = []
        for number in (first + chance.randrange(count) for _ in range(min(BATCH, steps - at))):
            if number not in is_open:
                is_open.add(number)
                done["opened"] += 1
                requests.append(create(1)(number))
            elif chance.random() < 0.5:
                is_open.remove(number)
                done["ended"] += 1
                requests.append(delete(1)(number))
            else:
                done["changed"] += 1
                requests.append(change(at + len(requests) + 1)(number))
        sock.send(b"".join(requests))
        known(dict.fromkeys(filter(None, verdicts(sock, len(requests)))))
        time.sleep(max(0, began + (at + BATCH) / rate - time.monotonic()))
    print(json.dumps(done))


def is_made(session):
    return session["orig"]["ip"].get("v4dst") == "172.31.0.1"


def line(session):
    ip, proto = session["orig"]["ip"], session["orig"]["proto"]
    return (f"{ip['v4src']}:{proto['sport']} mark={session.get('mark', 0) & ~COPY_BIT} "
            f"state={session['protoinfo']['tcp']['state']}")


def main():
    what, numbers = sys.argv[1], [int(word, 0) for word in sys.argv[2:]]
    count, first = (numbers + [0, 0])[:2]
    some = range(first, first + count)
    if what == "dump":
        for session in sessions():
            print(json.dumps(session))
    elif what == "make":
        known(ask(some, create(1)))
    elif what == "copy":
        known(ask(some, create(1, attribute(8, struct.pack("!I", COPY_BIT)))))
    elif what == "end":
        known(ask(some, delete(1)))
    elif what == "mark":
        for turn in range(numbers[3] if len(numbers) > 3 else 1):
            known(ask(some, change(numbers[2] + turn)))
    elif what == "fill":
        refused = ask(some, create(2))
        known(refused, ENOMEM)
        print("full" if refused else "not full")
    elif what == "drain":
        known(ask(some, delete(2)), ENOENT)
    elif what == "churn":
        churn(*numbers)
    elif what == "count":
        print(sum(is_made(session) for session in sessions()))
    elif what == "table":
        print("\n".join(sorted(line(session) for session in sessions() if is_made(session))))


main()
