#!/usr/bin/env python3
"""run.py: the same load through conntrackd and through flowkeepd, alternating; prints and stores the table

    bench/run.py [--quick] [--only PART,...] [--sides SIDE,...] [--repeat N] [--out DIR]

It builds the lab (lab.sh) in namespaces of its own, raises the host-wide nf_conntrack_max where it may, and puts
it back. Parts: cpu, closed, rate, lag, kernel, join, pipeline and fanout (pipeline.c: a daemon's rooms without the
generator), and profile (perf of both daemons). Sides: conntrackd (as its documents say), conntrackd-filtered (only TCP
states from ESTABLISHED on), established and all-states (flowkeepd).
Writes RESULTS.md and results.json; on fewer parts or sides than all only the latter.
"""
import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time

import table
from pairs import TOP, Conntrackd, Flowkeep, note, ns, until

MAX = "/proc/sys/net/netfilter/nf_conntrack_max"
BUCKETS = "/proc/sys/net/netfilter/nf_conntrack_buckets"
ENTRIES = 4000000  # of all namespaces together: 1 M sessions in two kernels, and room
TIME_WAIT_S, TIME_WAIT_BRIEF_S = 120, 5
RATE_TOP = 90000  # the generator and the kernel alone reach less

FULL = {"cpu": 200000, "closed": 100000, "rate_s": 3, "precision": 1.08, "lag": 100000, "kernel": 200000,
        "join": (200000, 1000000), "pipeline": 300000, "fanout": 50000, "repeat": 3,
        "parts": "cpu,closed,rate,lag,kernel,join,pipeline,fanout",
        "sides": "conntrackd,established,conntrackd-filtered,all-states"}
QUICK = {"cpu": 30000, "closed": 10000, "rate_s": 1, "precision": 1.51, "lag": 20000, "kernel": 40000,
         "join": (50000,), "pipeline": 50000, "fanout": 10000, "repeat": 1,
         "parts": "cpu,rate,lag,kernel,pipeline,fanout", "sides": "conntrackd,established"}


def part_cpu(opt, keep):
    """CPU, bytes, memory of sessions opened at 10 000/s"""
    for pair in opt.pairs:
        pair.fresh()
        got = pair.load(opt.count or opt.size["cpu"], opt.rate or 10000, patience=5)
        keep("cpu", pair, got)
        note(f"opened, {pair.key}: {got['us_owner']:.2f} + {got['us_secondary']:.2f} us a session, {got['bytes']:.1f} "
             f"bytes, {got['copies']} copies of {got['opened']}, {got['rss'][0]:.0f} + {got['rss'][1]:.0f} B of memory")
        pair.clear()


def part_closed(opt, keep):
    """The same for sessions that close after a second and whose entries end"""
    for pair in opt.pairs:
        pair.sysctl(f"net.netfilter.nf_conntrack_tcp_timeout_time_wait={TIME_WAIT_BRIEF_S}")
        pair.fresh()
        got = pair.load(opt.count or opt.size["closed"], opt.rate or 10000, close_ms=1000)
        keep("closed", pair, got)
        note(f"opened and closed, {pair.key}: {got['us_owner']:.2f} + {got['us_secondary']:.2f} us a session, "
             f"{got['bytes']:.1f} bytes, {got['first_kernel']} and {got['second_kernel']} entries left")
        pair.clear()
        pair.sysctl(f"net.netfilter.nf_conntrack_tcp_timeout_time_wait={TIME_WAIT_S}")


def holds(opt, pair, rate, keep):
    if not pair.reset():
        pair.fresh()
    got = pair.load(int(rate * opt.size["rate_s"]), int(rate))
    del got["counters"]
    keep("rate_steps", pair, dict(asked=rate, **got))
    note(f"rate, {pair.key}: {rate:.0f}/s asked, {got['per_s']:.0f}/s opened, {got['lost']} lost on the way, "
         f"{got['copies']} copies of {got['opened']}: {'lossless' if got['lossless'] else 'lossy'}")
    return got


def part_rate(opt, keep):
    """The highest rate at which every session opened is in the second kernel within 2 s. A rate that was not
    reached because the machine is busy counts as what was reached, and ends the search upwards."""
    for pair in opt.pairs:
        pair.fresh()
        best, low, high = 0, 2000, None
        rate = pair.first_rate
        while True:
            got = holds(opt, pair, rate, keep)
            if got["lossless"]:
                best = max(best, got["per_s"])
            if got["lossless"] and got["per_s"] > 0.93 * rate:
                low = rate
            else:
                high = rate
            if low >= RATE_TOP or (high and high / low < opt.size["precision"]):
                break
            rate = (low * high) ** 0.5 if high else low * 1.5
        keep("rate", pair, best)
        note(f"rate, {pair.key}: {best:.0f}/s")
        pair.clear()


def part_lag(opt, keep):
    """Time from the third packet of a handshake to the copy's event in the second kernel, at 20 000/s"""
    for pair in opt.pairs:
        pair.fresh()
        got = pair.load(opt.count or opt.size["lag"], opt.rate or 20000, watch=True, patience=5)
        keep("lag", pair, got)
        note(f"lag, {pair.key}: p50 {got.get('copy_p50_ms', -1)} ms, p99 {got.get('copy_p99_ms', -1)} ms of "
             f"{got['copies_seen']} copies, {got['per_s']:.0f}/s")
        pair.clear()


def part_kernel(opt, keep):
    """How fast the kernel alone sets sessions up, and how fast with one daemon that listens"""
    bare = next(p for p in opt.pairs if isinstance(p, Conntrackd))
    for pair in [None] + opt.pairs:
        (pair or bare).clear()
        if pair:
            pair.start(alone=True)
        (pair or bare).routes()
        got = (pair or bare).gen(opt.count or opt.size["kernel"])
        keep("kernel", pair, got)
        if isinstance(pair, Flowkeep):
            pair.record()  # for two other parts, while it is a primary
        note(f"set-up, {pair.key if pair else 'no daemon'}: {got['per_s']:.0f}/s, {got['lost']} lost")
        (pair or bare).clear()


@contextlib.contextmanager
def buckets_for(sessions):
    """A host of so many sessions has as many buckets: here two hosts share them. Written from the outer namespace only."""
    outer = os.environ.get("OUTER_NET")
    old = int(open(BUCKETS).read())

    def write(number):
        return subprocess.run(["nsenter", f"--net=/proc/self/fd/{outer}", "sh", "-c", f"echo {number} >{BUCKETS}"],
                              pass_fds=(int(outer),), capture_output=True).returncode == 0

    change = outer and 2 * sessions > old and write(2 * sessions)
    if not change:
        note(f"nf_conntrack_buckets stays {old}")
    try:
        yield
    finally:
        if change:
            write(old)


def part_join(opt, keep):
    """A member that joins and finds so many sessions"""
    for count in (opt.count,) if opt.count else opt.size["join"]:
        with buckets_for(count):
            join(opt, keep, count)


def join(opt, keep, count):
    for pair in opt.pairs:
        if isinstance(pair, Conntrackd):
            continue  # it proves nothing
        pair.clear()
        pair.start(alone=True)
        pair.routes()
        got = pair.gen(count, rate=pair.first_rate)
        time.sleep(1)
        got.update(pair.join(got["opened"]), sessions=got["opened"])
        keep("join", pair, got)
        note(f"join, {pair.key}, {got['opened']} sessions: stores proven {got['stores_s']} s, kernel filled "
             f"{got['kernels_s']} s, from the start of the daemon {got['since_start_s']} s")
        pair.clear()


def part_pipeline(opt, keep):
    """One core, one daemon's rooms: recorded events in, frames out; frames in, kernel out"""
    for pair in opt.pairs:
        if isinstance(pair, Conntrackd):
            continue  # it has no such parts
        recording = pair.record()
        pair.clear()  # whoever listens costs the kernel something
        count = opt.count or opt.size["pipeline"]
        got = {half: pair.pipeline(half, recording, count, opt.rate or 300000) for half in ("owner", "secondary")}
        keep("pipeline", pair, got)
        note(f"pipeline, {pair.key}: sessions/s opened, opened and closed: " + ", ".join(
            f"{half} {got[half]['opened']['per_s']:.0f}, {got[half]['closed']['per_s']:.0f}" for half in got))


def part_fanout(opt, keep):
    """The owner's work for a session when 1, 3 or 15 members acknowledge"""
    for pair in opt.pairs:
        if isinstance(pair, Conntrackd):
            continue
        recording = pair.record()
        pair.clear()  # whoever listens costs the kernel something
        got = pair.pipeline("fanout", recording, opt.count or opt.size["fanout"], opt.rate or 10000)
        keep("fanout", pair, got)
        note(f"fan-out, {pair.key}: {got['ns_1']:.0f}, {got['ns_3']:.0f}, {got['ns_15']:.0f} ns of the owner for a session "
             f"with 1, 3, 15 members: {got['ratio']:.2f} times")


def part_profile(opt, keep):
    """perf of both daemons under load, into OUT/SIDE-owner.perf and OUT/SIDE-secondary.perf"""
    for pair in opt.pairs:
        pair.fresh()
        perf = [subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "3000", "-g", "-p", str(p.pid),
                                  "-o", f"{opt.out}/{pair.key}-{who}.perf"])
                for p, who in zip(pair.procs, ("owner", "secondary"))]
        time.sleep(0.5)
        got = pair.load(opt.count or 100000, opt.rate or 10000, patience=5)
        for p in perf:
            p.send_signal(signal.SIGINT)
            p.wait()
        keep("profile", pair, got)
        note(f"profile, {pair.key}: {got['us_owner']:.2f} + {got['us_secondary']:.2f} us, sleeps a session {got['sleeps']}")
        pair.clear()


PARTS = {"cpu": part_cpu, "closed": part_closed, "rate": part_rate, "lag": part_lag, "kernel": part_kernel,
         "join": part_join, "pipeline": part_pipeline, "fanout": part_fanout, "profile": part_profile}
ONCE = ("join", "profile")  # too long to be repeated
SIDES = {"conntrackd": (Conntrackd, False), "conntrackd-filtered": (Conntrackd, True),
         "established": (Flowkeep, "established"), "all-states": (Flowkeep, "all-states")}


def inside(opt):
    results = {"command": opt.command, "quick": opt.quick, "parts": {}}

    def keep(part, pair, got):
        results["parts"].setdefault(part, {}).setdefault(pair.key if pair else "none", []).append(got)

    opt.pairs = []
    for key in opt.sides.split(","):
        make, argument = SIDES[key]
        opt.pairs.append(make(argument))
        opt.pairs[-1].key = key
    parts = opt.only.split(",")
    pairs = opt.pairs
    try:
        for turn in range(opt.repeat):
            # What is printed beside the two that are compared is measured once.
            opt.pairs = pairs if turn == 0 else pairs[:2]
            for part in parts:
                if turn == 0 or part not in ONCE:
                    PARTS[part](opt, keep)
    finally:
        for pair in pairs:
            pair.stop()
    text = table.write(results, opt.out, parts)
    print(text)


def outside():
    """The limit is host-wide and can be written only from outside the lab."""
    old, lock, net = None, open(MAX), os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("another run is under way: two would spoil each other's figures and the limit that is put back")
        return 1
    try:
        with open(MAX) as f:
            old = f.read().strip()
        with open(MAX, "w") as f:
            f.write(str(max(ENTRIES, int(old))))
    except OSError as error:
        note(f"nf_conntrack_max stays {old}: {error.strerror}")
        old = None
    try:
        return subprocess.call(["bash", f"{TOP}/bench/lab.sh", *sys.argv[1:]], pass_fds=(net,),
                               env=dict(os.environ, OUTER_NET=str(net)))
    finally:
        if old:
            with open(MAX, "w") as f:
                f.write(old)


def main():
    parser = argparse.ArgumentParser()
    for flag in "inside", "quick":
        parser.add_argument(f"--{flag}", action="store_true")
    for text in "only", "sides":
        parser.add_argument(f"--{text}", default="")
    for number in "repeat", "count", "rate":
        parser.add_argument(f"--{number}", type=int, default=0)
    parser.add_argument("--out", default=f"{TOP}/bench")
    opt = parser.parse_args()
    opt.size = QUICK if opt.quick else FULL
    opt.only = opt.only or opt.size["parts"]
    opt.sides = opt.sides or opt.size["sides"]
    opt.repeat = opt.repeat or opt.size["repeat"]
    opt.command = " ".join(["bench/run.py"] + [a for a in sys.argv[1:] if a != "--inside"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(inside(opt) if opt.inside else outside())


if __name__ == "__main__":
    main()
