#!/usr/bin/env python3
"""ledger: is anything missing? Attributes, commands, keys, drop reasons, first lines, room order. Prints TAP.

    ledger.py            every check
    ledger.py protocol   only those (names of the functions below)
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
SRC = TOP / "src"
BUILD = Path(os.environ.get("FK_BUILD", TOP / "build"))

# A room may include itself and the rooms to its left.
ROOMS = ["base", "nl", "record", "ct", "filter", "wire", "link", "sync", "cluster", "control"]
# Constants and declarations that belong to one room and are bounds or data for others, with the reason.
ALLOWED = {
    "record/store.c": {"wire/limits.h": "bounds of what a peer can make us allocate"},
    "record/codec_test.c": {"wire/limits.h": "bounds"},
    "record/codec.c": {"wire/limits.h": "bounds"},
    "cluster/mute_bpf.c": {"bpf/lease.h": "the map's layout", "bpf/objects.h": "the compiled program"},
    "cluster/mute_tc.c": {"bpf/lease.h": "the program's name"},
}


class Ledger:
    def __init__(self):
        self.count, self.failed = 0, 0

    def row(self, text, missing):
        """One promise; `missing` lists what breaks it."""
        missing = sorted(missing)
        self.count += 1
        self.failed += bool(missing)
        print(f"{'not ok' if missing else 'ok'} {self.count} - {text}")
        for line in missing:
            print(f"#   {line}")

    def skip(self, text, reason):
        self.count += 1
        print(f"ok {self.count} - {text} # SKIP {reason}")


def sources(pattern="*.[ch]"):
    return sorted(p for p in SRC.rglob(pattern))


def read_all(*globs):
    return "\n".join(p.read_text(errors="replace") for g in globs for p in sorted(TOP.glob(g)) if p.is_file())


def strip_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def attributes(ledger):
    header = Path("/usr/include/linux/netfilter/nfnetlink_conntrack.h")
    text = f"every CTA_* of {header} is carried or listed as uncarried"
    if not header.exists():
        ledger.skip(text, "no kernel headers")
        return
    enum = re.search(r"enum ctattr_type \{(.*?)\};", header.read_text(), re.S).group(1)
    names = set(re.findall(r"^\s*(CTA_\w+)", strip_comments(enum), re.M))
    aliases = dict(re.findall(r"(CTA_\w+)\s*=\s*(CTA_\w+)", enum))  # second names of one number
    schema = tomllib.loads((TOP / "schema/ct.toml").read_text())
    carried = {f[key][0] for f in schema["field"] for key in ("nl", "nl6") if key in f}
    uncarried = {u["nl"]: u["why"] for u in schema["uncarried"]}
    known = carried | set(uncarried)
    # CTA_NAT_* carry nothing of their own: they are made from the reply tuple when a copy is created.
    known |= set(re.findall(r"CTA_\w+", (SRC / "ct/ct_build.c").read_text()))
    known |= {alias for alias, name in aliases.items() if name in known}
    known |= {name for alias, name in aliases.items() if alias in known}
    ledger.row(text, names - known - {"CTA_UNSPEC", "CTA_PAD"})
    ledger.row("everything uncarried has a reason, and is not carried",
               [n for n, why in uncarried.items() if len(why) < 10] + [n for n in uncarried if n in carried])


def commands(ledger):
    table = (SRC / "control/commands.c").read_text()
    rows = re.search(r"commands\[\] = \{\n(.*?)\n\};", table, re.S).group(1)
    spoken = read_all("tests/golden/cli/*", "src/control/*_test.c", "cli/*_test.c", "tests/net/*.sh")
    missing = []
    for words in re.findall(r'^\s*\{ \{ ((?:K\("[^"]+"\)(?:, )?)+)', rows, re.M):
        command = " ".join(re.findall(r'K\("([^"]+)"\)', words))
        if command not in spoken:
            missing.append(f"{command}: in no golden transcript and no test")
    ledger.row("every command has a transcript or a test", missing)


def keys(ledger):
    table = (SRC / "config/config_keys.c").read_text()
    found = re.findall(r'^\t\{ "(system [\w ]+)", "([\w-]+)", KEY_', table, re.M)
    page = TOP / "docs/flowkeep.conf.5"
    if not page.exists():
        ledger.row("every key is in docs/flowkeep.conf.5", ["the page does not exist"])
        return
    manual = page.read_text().replace("\\-", "-")
    ledger.row("every key is in docs/flowkeep.conf.5",
               [f"{path} / {key}" for path, key in found if not re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", manual)])
    tested = read_all("tests/golden/config/*", "src/config/*_test.c")
    ledger.row("every key is in a configuration test", [f"{path} / {key}" for path, key in found if key not in tested])


def drops(ledger):
    names = re.findall(r"^\tX\(([A-Z_]+), (\w+),", (SRC / "base/drop.h").read_text(), re.M)
    code = "\n".join(strip_comments(p.read_text()) for p in sources() if not p.stem.endswith("_test")
                     and p.parent.name != "base")
    tests = read_all("src/**/*_test.c", "tests/fuzz/*.[ch]", "tests/sim/*.[ch]")
    scenarios = read_all("tests/net/*.sh")
    unmade, untested = [], []
    for name, short in names:
        if not re.search(rf"\bDROP_{name}\b", code):
            unmade.append(f"DROP_{name}: nothing returns it")
        if not (re.search(rf"\bDROP_{name}\b", tests) or re.search(rf"\bdrops \w+ {short}\b", scenarios)):
            untested.append(f"DROP_{name}")
    ledger.row("every drop reason is returned somewhere", unmade)
    ledger.row("every drop reason is expected by some test", untested)


def lines(ledger):
    silent, slashed, long = [], [], []
    for path in sources() + sorted((TOP / "cli").glob("*.[ch]")):
        name = str(path.relative_to(TOP))
        text = path.read_text()
        first = text.split("\n", 1)[0]
        if not re.match(rf"/\* {re.escape(path.name)}: \S", first):
            silent.append(f"{name}: {first[:60]}")
        code = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', strip_comments(text))
        if "//" in code:
            slashed.append(name)
        long += [f"{name}:{n}" for n, line in enumerate(text.split("\n"), 1) if is_long(line)]
    ledger.row("every source's first line says what it is for", silent)
    ledger.row("no // comments", slashed)
    ledger.row("no line beyond 100 columns outside of tables and texts", long)


def is_long(line):
    """Rows of tables and lines that are one text may run on."""
    width = len(line.expandtabs(8))
    return width > 100 and '"' not in line and not line.lstrip().startswith(("{", "*", "/*"))


def rooms(ledger):
    wrong = []
    for path in sources():
        room = path.relative_to(SRC).parts[0]
        if room not in ROOMS and room not in ("config", "bpf"):
            continue  # main and node.c wire everything
        for include in re.findall(r'^#include "([\w/.]+)"', path.read_text(), re.M):
            other = include.split("/")[0] if "/" in include else room
            if include == "schema.h" or other == room:
                continue
            name = str(path.relative_to(SRC))
            if include in ALLOWED.get(name, {}) or name.endswith("_test.c"):
                continue
            if other == "config":
                is_right = room in ROOMS  # it is read by all
            elif room == "config":
                is_right = other == "base"
            elif other not in ROOMS or room not in ROOMS:
                is_right = False
            else:
                is_right = ROOMS.index(other) < ROOMS.index(room)
            if not is_right:
                wrong.append(f"{name} includes {include}")
    ledger.row("no room includes one to its right", wrong)


def numbers(ledger):
    """Messages have the same numbers at both ends of the room border."""
    seal, sync = (SRC / "wire/seal.h").read_text(), (SRC / "sync/sync.h").read_text()
    pairs = [("FRAME_SYNC_DATA", "SYNC_TYPE_DATA"), ("FRAME_SYNC_ACK", "SYNC_TYPE_ACK")]
    value = lambda text, name: re.search(rf"\b{name} = (\d+)", text).group(1)
    ledger.row("message types agree between wire and sync",
               [f"{a} and {b}" for a, b in pairs if value(seal, a) != value(sync, b)])


def outputs(ledger):
    """A reader of JSON takes one of two members with the same name, and which one is its own affair."""
    twice = []
    for path in sorted((TOP / "tests/golden/cli").glob("*.txt")):
        def once(pairs, name=path.name):
            names = [key for key, _ in pairs]
            twice.extend(f"{name}: {key}" for key in sorted(set(names)) if names.count(key) > 1)
            return dict(pairs)

        for line in path.read_text().split("\n"):
            if line.startswith("{"):
                json.loads(line, object_pairs_hook=once)
    ledger.row("no JSON object of the golden transcripts has a key twice", twice)


def readme_configuration(text):
    blocks = re.findall(r"^```\n(config system .*?)^```", text, re.M | re.S)
    return blocks[0] if blocks else ""


def examples(ledger):
    text = "the README's five lines and dist/flowkeep.conf pass flowkeepd --check"
    daemon = BUILD / "flowkeepd"
    if not daemon.exists():
        ledger.skip(text, f"{daemon} is not built")
        return
    five = readme_configuration((TOP / "README.md").read_text())
    wrong = [] if five.count("\n") == 5 else [f"README.md: {five.count(chr(10))} lines"]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(five)
        file.flush()
        for name in (file.name, str(TOP / "dist/flowkeep.conf")):
            done = subprocess.run([str(daemon), "--check", name], capture_output=True, text=True)
            if done.returncode:
                wrong.append(done.stderr.strip())
    ledger.row(text, wrong)


def protocol(ledger):
    done = subprocess.run([sys.executable, str(TOP / "schema/gen.py"), "--doc", str(TOP / "schema")],
                          capture_output=True, text=True)
    page = (TOP / "docs/PROTOCOL.md").read_text()
    missing = [] if done.returncode == 0 and done.stdout and done.stdout in page else \
        ["run: schema/gen.py --doc schema, between the marks of docs/PROTOCOL.md " + done.stderr.strip()]
    ledger.row("docs/PROTOCOL.md has exactly the tables of schema/gen.py --doc", missing)


def main():
    ledger = Ledger()
    for check in (attributes, commands, keys, drops, lines, rooms, numbers, outputs, examples, protocol):
        if len(sys.argv) == 1 or check.__name__ in sys.argv[1:]:
            check(ledger)
    print(f"1..{ledger.count}")
    return 1 if ledger.failed else 0


if __name__ == "__main__":
    sys.exit(main())
