"""table.py: the table of a run, its ratios, RESULTS.md and results.json"""
import datetime
import json
import os
import platform
import statistics

WORDS = {"conntrackd": "conntrackd", "conntrackd-filtered": "conntrackd, ESTABLISHED filter",
         "established": "flowkeepd, established", "all-states": "flowkeepd, all-states"}
# Measured with ct_inject alone: 1.8 us a create with nobody in the group, 3.5 to 4.4 with somebody in another namespace.
SHARED_KERNEL = (
    "Both gateways run in one kernel, where it is counted for all namespaces together whether anybody listens to "
    "new conntrack entries. So the kernel makes an event, which nobody gets, for every copy that the secondary "
    "writes, because the owner listens: some 2 us of its figure that it does not spend on a host of its own.")
ONE_CORE = (
    "The rows of one core are CPU time of a daemon's rooms alone (pipeline.c): neither the generator nor reading events "
    "and frames from sockets, sending frames, sleeping and waking are in them; the kernel that takes the copies is. "
    "Whether anybody on this machine listened to new entries meanwhile, as above, shows in the row where nobody can.")
JOIN = (
    "While members join the host has as many conntrack buckets as it has sessions, as a gateway of that size has: with the "
    "262144 of this machine each search in the table of a million passes sixteen entries, and the kernel takes twice as long.")
ALL = {"cpu", "closed", "rate", "lag", "kernel", "join", "pipeline", "fanout"}


def median(runs, key):
    values = [v for v in (key(r) for r in runs) if v is not None]
    return statistics.median(values) if values else None


def setup_cost(parts, side):
    """How much slower the kernel sets sessions up, in per cent of what it does with no daemon."""
    alone = median(parts["kernel"].get("none", []), lambda r: r["per_s"])
    listened = median(parts["kernel"].get(side, []), lambda r: r["per_s"])
    return None if not alone or not listened else 100 * (1 - listened / alone)


def rows(parts):
    """(text, unit, aim, {side: value}); what was not measured is not there."""
    out = []

    def row(part, text, aim, key, unit="{:.1f}", less_is_better=True):
        if part in parts:
            values = {side: median(runs, key) for side, runs in parts[part].items() if side != "none"}
            out.append((text, aim, unit, less_is_better, values))

    row("cpu", "CPU of both daemons, us per session opened", "1/10, try 1/20", lambda r: r["us_both"])
    row("cpu", "- owner", "", lambda r: r["us_owner"])
    row("cpu", "- secondary", "", lambda r: r["us_secondary"])
    row("closed", "CPU of both daemons, us per session opened and closed", "", lambda r: r["us_both"])
    row("rate", "highest lossless rate, sessions/s", "40000", lambda r: r, "{:.0f}", False)
    row("cpu", "bytes on the sync link per session opened", "", lambda r: r["bytes"])
    row("closed", "bytes on the sync link per session opened and closed", "60, try 40", lambda r: r["bytes"])
    row("cpu", "memory of the owner's daemon, bytes per session", "160", lambda r: r["rss"][0], "{:.0f}")
    row("cpu", "memory of the secondary's daemon, bytes per session", "160", lambda r: r["rss"][1], "{:.0f}")
    row("lag", "third packet to usable copy at 20 k/s, p50, ms", "2", lambda r: r.get("copy_p50_ms"), "{:.2f}")
    row("lag", "the same, p99, ms", "10", lambda r: r.get("copy_p99_ms"), "{:.2f}")
    row("lag", "- sessions/s really opened meanwhile", "", lambda r: r["per_s"], "{:.0f}", False)
    if "kernel" in parts:
        row("kernel", "kernel's own set-up rate with the daemon listening, sessions/s", "", lambda r: r["per_s"], "{:.0f}", False)
        alone = median(parts["kernel"].get("none", []), lambda r: r["per_s"])
        out.append((f"- slow-down against no daemon ({alone:.0f}/s), %", "15", "{:.0f}", True,
                    {side: setup_cost(parts, side) for side in parts["kernel"] if side != "none"}))
    for count in sorted({r["sessions"] for runs in parts.get("join", {}).values() for r in runs}):
        for text, aim, key in (("stores proven equal", "6 for 1 M", "stores_s"), ("in the kernel too", "10 for 1 M", "kernels_s")):
            out.append((f"member joins and finds {count} sessions: {text}, s", aim, "{:.2f}", True,
                        {side: median([r for r in runs if r["sessions"] == count], lambda r: r[key])
                         for side, runs in parts["join"].items()}))
    for half, text, aim in (("owner", "recorded events in, frames out", "300000"), ("secondary", "frames in, kernel out", "250000")):
        row("pipeline", f"one core without wire and generator: {text}, sessions opened/s", aim,
            lambda r: r[half]["opened"]["per_s"], "{:.0f}", False)
        row("pipeline", "- opened and closed", "", lambda r: r[half]["closed"]["per_s"], "{:.0f}", False)
    row("pipeline", "- opened, on a host where nobody listens to new entries", "250000",
        lambda r: r["secondary"]["opened"]["per_s_unheard"], "{:.0f}", False)
    row("fanout", "owner's CPU per session at 10 k/s with 15 secondaries, times that with 1", "1.5", lambda r: r["ratio"], "{:.2f}")
    row("fanout", "- with 1 (without system calls), us", "", lambda r: r["ns_1"] / 1000, "{:.2f}")
    return out


def ratio(values, less_is_better):
    ours, theirs = values.get("established"), values.get("conntrackd")
    if not ours or not theirs or ours <= 0 or theirs <= 0:
        return ""
    return f"{theirs / ours if less_is_better else ours / theirs:.1f}"


def render(results):
    parts = results["parts"]
    sides = [s for s in WORDS if any(s in runs for runs in parts.values())]
    lines = ["| figure | aim | " + " | ".join(WORDS[s] for s in sides) + " | times better |",
             "| --- " * (len(sides) + 3) + "|"]
    for text, aim, unit, less, values in rows(parts):
        cells = ["-" if values.get(s) is None else unit.format(values[s]) for s in sides]
        lines.append(f"| {text} | {aim} | " + " | ".join(cells) + f" | {ratio(values, less)} |")
    return "\n".join(lines) + "\n"


def spread(results):
    """Every single measurement, so that nobody has to believe a median."""
    lines = []
    for part, key in (("cpu", "us_both"), ("closed", "us_both"), ("lag", "copy_p99_ms"), ("kernel", "per_s")):
        for side, runs in results["parts"].get(part, {}).items():
            lines.append(f"- {part}, {WORDS.get(side, 'no daemon')}: " +
                         ", ".join("-" if r.get(key) is None else f"{r[key]:.1f}" for r in runs))
    for side, runs in results["parts"].get("rate", {}).items():
        lines.append(f"- rate, {WORDS[side]}: " + ", ".join(f"{r:.0f}" for r in runs))
    for side, runs in results["parts"].get("pipeline", {}).items():
        for half in "owner", "secondary":
            for load in "opened", "closed":
                lines.append(f"- pipeline, {half}, {load}, {WORDS[side]}: " + ", ".join(f"{r[half][load]['per_s']:.0f}" for r in runs))
    for side, runs in results["parts"].get("fanout", {}).items():
        lines.append(f"- fan-out, {WORDS[side]}: " + ", ".join(f"{r['ns_1']:.0f}, {r['ns_3']:.0f}, {r['ns_15']:.0f} ns" for r in runs))
    return "\n".join(lines) + "\n"


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} shared cores, {memory:.0f} GiB, Linux {'.'.join(platform.release().split('.')[:2])}"


def write(results, out, parts):
    os.makedirs(out, exist_ok=True)
    results["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    results["machine"] = machine()
    results["load_average"] = os.getloadavg()
    with open(f"{out}/results.json", "w") as f:
        json.dump(results, f, indent=1)
    text = render(results)
    if ALL <= set(parts):
        with open(f"{out}/RESULTS.md", "w") as f:
            f.write(f"# Figures of one run\n\n{results['date']}, `{results['command']}`, {results['machine']}, "
                    f"load average at the end {results['load_average'][0]:.1f}. conntrackd 1.4.7, FT-FW, direct "
                    "injection. Median of the repetitions; the last column compares the first conntrackd column with "
                    f"flowkeepd at level `established`.\n\n{SHARED_KERNEL}\n\n{ONE_CORE}\n\n{JOIN}\n\n{text}\n## Every repetition\n\n{spread(results)}")
    return text
