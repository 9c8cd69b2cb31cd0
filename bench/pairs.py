"""pairs.py: the two pairs of gateways and their daemons: start, load, count, clear"""
import json
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")
RUN, BUILD = os.environ.get("RUN", ""), os.environ.get("BUILD", "")

CONNTRACKD = """
Sync {
	Mode FTFW {
		DisableExternalCache On
		PurgeTimeout 60
		ResendQueueSize 131072
	}
	Multicast {
		IPv4_address 225.0.0.50
		Group 3780
		IPv4_interface 192.168.100.%(host)d
		Interface hb1
		SndSocketBuffer 1249280
		RcvSocketBuffer 1249280
		Checksum on
	}
}
General {
	HashSize 262144
	HashLimit 4000000
	LogFile off
	Syslog off
	LockFile %(run)s/%(gw)s.lock
	UNIX { Path %(run)s/%(gw)s.ctl }
	NetlinkBufferSize 2097152
	NetlinkBufferSizeMaxGrowth 268435456
	%(filter)s
}
"""
FILTER = """Filter From %(space)s {
		Protocol Accept { TCP SCTP DCCP UDP }
		Address Ignore { IPv4_address 127.0.0.1 IPv4_address 10.1.0.1 IPv4_address 10.2.0.1
			IPv4_address 192.168.100.1 IPv4_address 192.168.100.2 }
		%(state)s
	}"""
STATES = "State Accept { ESTABLISHED CLOSED TIME_WAIT CLOSE_WAIT for TCP }"


def ns(where, *command, check=True):
    done = subprocess.run(["nsenter", f"--net=/run/netns/{where}", *command], capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{where}: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def note(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def until(seconds, claim):
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def mac_of(where, dev):
    return json.loads(subprocess.check_output(["ip", "-n", where, "-j", "link", "show", dev]))[0]["address"]


class Pair:
    """Two gateways and their daemons; the first carries the traffic."""

    procs = ()

    def __init__(self, gws, port):
        self.gws, self.port, self.base = gws, port, 0

    def spawn(self, gw, *command, env=None):
        log = open(f"{RUN}/{gw}.log", "a")
        return subprocess.Popen(["nsenter", f"--net=/run/netns/{gw}", *command], stdout=log, stderr=log, env=env)

    def stop(self):
        for p in self.procs:
            p.terminate()
        for p in self.procs:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.procs = ()

    def clear(self):
        """No daemon, no session."""
        self.stop()
        for gw in self.gws:
            ns(gw, "conntrack", "-F")

    def fresh(self):
        self.clear()
        self.start()
        self.routes()

    def count(self, side):
        return int(ns(self.gws[side], "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))

    def cpu(self, side):
        """User and system seconds of the daemon, all its threads (proc_pid_stat(5), fields 14 and 15)."""
        words = open(f"/proc/{self.procs[side].pid}/stat").read().rsplit(")", 1)[1].split()
        return int(words[11]) / TICK, int(words[12]) / TICK

    def status(self, side, word):
        for line in open(f"/proc/{self.procs[side].pid}/status"):
            if line.startswith(word):
                return int(line.split()[1])
        return 0

    def rss(self, side):
        return self.status(side, "VmRSS") * 1024

    def sleeps(self, side):
        """How often the daemon's main thread went to sleep."""
        return self.status(side, "voluntary_ctxt_switches")

    def link_bytes(self):
        """All that the first gateway's sync links carried, both ways, Ethernet headers included."""
        total = 0
        for line in ns(self.gws[0], "cat", "/proc/net/dev").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip().startswith("hb"):
                total += int(numbers.split()[0]) + int(numbers.split()[8])
        return total

    def mac(self, port):
        return mac_of(self.gws[0], port)

    def routes(self):
        """The way to gen's client and server; a change of MAC address has dropped the neighbours."""
        for place, dev, hop in ("cl", "in", "10.1.0.10"), ("sv", "out", "10.2.0.10"):
            subprocess.check_call(["ip", "-n", self.gws[0], "neigh", "replace", hop, "lladdr",
                                   mac_of(place, self.port), "dev", dev, "nud", "permanent"])
        subprocess.check_call(["ip", "-n", self.gws[0], "route", "replace", "10.128.0.0/9", "via", "10.1.0.10",
                               "dev", "in", "onlink"])

    def gen(self, count, rate=0, close_ms=0, watch=False):
        command = [f"{BUILD}/bench/gen", "--client", f"cl:{self.port}", "--server", f"sv:{self.port}",
                   "--gw-client", self.mac("in"), "--gw-server", self.mac("out"), "--count", str(count),
                   "--rate", str(rate), "--base", str(self.base), "--close", str(close_ms)]
        if watch:
            command += ["--watch", self.gws[1]]
        self.base += count
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def sysctl(self, setting):
        for gw in self.gws:
            ns(gw, "sysctl", "-qw", setting)

    def settle(self, seconds, want):
        return until(seconds, lambda: self.count(1) >= want)

    def load(self, count, rate, close_ms=0, watch=False, patience=2):
        """One load; what it cost the two daemons, and what arrived."""
        copies, link = self.count(1), self.link_bytes()
        before = [self.cpu(side) for side in (0, 1)]
        rss = [self.rss(side) for side in (0, 1)]
        sleeps = [self.sleeps(side) for side in (0, 1)]
        got = self.gen(count, rate, close_ms, watch)
        opened = max(got["opened"], 1)
        if close_ms:
            self.expire()
        else:
            got["within_2s"] = self.settle(patience, copies + opened)
        self.quiet()
        after = [self.cpu(side) for side in (0, 1)]
        link_bytes, rss_after, sleeps_after = self.link_bytes(), [self.rss(s) for s in (0, 1)], [self.sleeps(s) for s in (0, 1)]
        second = self.count(1)
        # An overloaded machine loses packets of handshakes: a session that was copied has cost its share.
        opened = max(opened, second - copies)
        us = [[(after[s][k] - before[s][k]) * 1e6 / opened for k in (0, 1)] for s in (0, 1)]
        got.update(us_owner=sum(us[0]), us_secondary=sum(us[1]), us_user_system=us, us_both=sum(us[0]) + sum(us[1]),
                   copies=second - copies, first_kernel=self.count(0), second_kernel=second,
                   bytes=(link_bytes - link) / opened, rss=[(rss_after[s] - rss[s]) / opened for s in (0, 1)],
                   sleeps=[(sleeps_after[s] - sleeps[s]) / opened for s in (0, 1)], counters=self.counters())
        got["lossless"] = bool(got.get("within_2s")) and got["lost"] == 0
        return got

    def quiet(self):
        """Until neither daemon works any more (less than 2 % of a CPU), at most 30 s."""
        def idle():
            before = [sum(self.cpu(s)) for s in (0, 1)]
            time.sleep(0.3)
            return all(sum(self.cpu(s)) - b <= 0.011 for s, b in zip((0, 1), before))
        until(30, idle)

    def expire(self):
        """Until the closed sessions are gone from both kernels; a dump makes the kernel collect them at once."""
        def gone():
            ns(self.gws[0], "conntrack", "-L", "-o", "id", check=False)
            return self.count(0) < 100
        until(60, gone)
        until(10, lambda: self.count(1) < 100)


class Conntrackd(Pair):
    first_rate = 8000

    def __init__(self, filtered):
        super().__init__(("cdA", "cdB"), "cd")
        self.filtered = filtered

    def one(self, gw):
        where = FILTER % ({"space": "Kernelspace", "state": STATES} if self.filtered else
                          {"space": "Userspace", "state": ""})
        path = f"{RUN}/{gw}.conf"
        with open(path, "w") as f:
            f.write(CONNTRACKD % {"host": self.gws.index(gw) + 1, "run": RUN, "gw": gw, "filter": where})
        return self.spawn(gw, "conntrackd", "-C", path)

    def tell(self, gw, word):
        return ns(gw, "conntrackd", "-C", f"{RUN}/{gw}.conf", word, check=False)

    def start(self, alone=False):
        self.procs = [self.one(gw) for gw in self.gws[:1 if alone else 2]]
        for gw, _ in zip(self.gws, self.procs):
            if not until(5, lambda: self.tell(gw, "-s").strip()):
                raise RuntimeError(open(f"{RUN}/{gw}.log").read())
        time.sleep(0.5)  # they hear each other

    def reset(self):
        return False  # a restart is the quickest

    def counters(self):
        return [self.tell(gw, "-s") for gw in self.gws]


class Flowkeep(Pair):
    first_rate = 20000

    def __init__(self, level):
        super().__init__(("gwA", "gwB"), "fk")
        self.level = level

    def one(self, gw):
        letter = gw[-1]
        os.makedirs(f"{RUN}/{letter}.d", exist_ok=True)
        return self.spawn(gw, f"{BUILD}/flowkeepd", "-f", f"{RUN}/{letter}-{self.level}.conf", "-s",
                          f"{RUN}/{letter}.sock", "-d", f"{RUN}/{letter}.d")

    def ask(self, side, *words):
        out = subprocess.run([f"{BUILD}/flowkeep", "-s", f"{RUN}/{self.gws[side][-1]}.sock", "--json", *words],
                             capture_output=True, text=True, timeout=10).stdout
        try:
            return json.loads(out)
        except ValueError:
            return {}

    def sync(self, side):
        return self.ask(side, "diagnose", "sys", "session", "sync")

    def counters(self):
        return [self.sync(side) for side in (0, 1)]

    def formed(self):
        status = [self.ask(side, "get", "system", "ha", "status").get("primary") for side in range(len(self.procs))]
        return status and all(s and "FKA" in s for s in status)

    def start(self, alone=False):
        self.procs = [self.one(gw) for gw in self.gws[:1 if alone else 2]]
        if not until(30, self.formed):
            raise RuntimeError("the cluster does not form:\n" + open(f"{RUN}/gwA.log").read())

    def reset(self):
        """Empties both tables without a restart (5 s of hello): false when that did not work."""
        ns(self.gws[0], "conntrack", "-F")
        return until(10, lambda: self.count(0) < 50 and self.count(1) < 50)

    def record(self):
        """The events that a primary's kernel raises for a few sessions, from their beginning to their end."""
        path = f"{RUN}/{self.key}.events"
        if os.path.exists(path):
            return path
        if not self.procs:
            self.start(alone=True)
            self.routes()
        self.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait=1")
        recorder = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.gws[0]}", f"{BUILD}/bench/pipeline", "record",
                                     f"{path}.new", "8"], stdout=subprocess.PIPE, text=True)
        recorder.stdout.readline()
        self.gen(8, rate=1000, close_ms=100)
        while recorder.poll() is None:
            ns(self.gws[0], "conntrack", "-L", check=False)  # a dump makes the kernel collect them
            time.sleep(0.1)
        self.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait=120")
        if recorder.returncode:
            raise RuntimeError("no recording of events")
        os.rename(f"{path}.new", path)
        return path

    @staticmethod
    def pipeline(half, recording, count, rate):
        done = subprocess.run([f"{BUILD}/bench/pipeline", half, recording, str(count), str(rate)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def join(self, want):
        begun = time.monotonic()
        self.procs.append(self.one(self.gws[1]))
        if not until(30, self.formed):
            raise RuntimeError("nobody joins")
        ready, stores, kernels = time.monotonic(), None, None
        while time.monotonic() < ready + 120 and not (stores and kernels):
            said = self.sync(1)
            if not stores and said.get("proven_ms") is not None and said.get("stored", 0) >= want:
                stores = time.monotonic()
            if not kernels and said.get("differing") == 0 and self.count(1) >= want:
                kernels = time.monotonic()
            time.sleep(0.02)
        both = stores and kernels and max(stores, kernels)
        return {"stores_s": stores and round(stores - ready, 2), "kernels_s": both and round(both - ready, 2),
                "since_start_s": both and round(both - begun, 2), "second_kernel": self.count(1)}
