#!/usr/bin/env python3
"""Check a reply of the HTTP API against its contract, on the raw text.

    schema.py KIND < reply      exit 0: it holds; 1: it does not, the faults on stderr
    schema.check(kind, text)    the same for a program: a list of faults, empty if it holds

Kinds: see KINDS at the end. Required keys must be there with their type, other keys may;
integers must be integer literals; no null, no NaN, no key twice, `ctype` and `operator` with
exactly one key; numbers in their shortest form.
"""
import json
import math
import re
import sys

DESC_TEXTS = ("jobid", "command", "nodelist", "partition", "cluster", "run_dir")
DESC_INTEGERS = ("size", "start_time", "end_time")
NAME = re.compile(
    r'[a-zA-Z_:][^\x00-\x20\x7f{}"\']*'
    r'(\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"'
    r'(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*")*\})?')
HOST_PORT = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}")
PRETTY = re.compile(
    r".* : .* \(.*\) = \S+ "
    r"(\(Min: \S+, Max : \S+, Hits: \S+, Total : \S+\) GAUGE|COUNTER) [<>=] \S+", re.S)


class Real(float):
    """A number that was not written as an integer, with its text."""

    def __new__(cls, text):
        real = super().__new__(cls, text)
        real.text = text
        return real


class Fault(Exception):
    pass


def significant(text):
    return text.lstrip("-").lower().partition("e")[0].replace(".", "").strip("0")


def unique(pairs):
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise Fault(f"key {key!r} is there twice")
    return dict(pairs)


def refuse_constant(text):
    raise Fault(f"{text} is not JSON")


def parse(text):
    try:
        return json.loads(text, parse_float=Real, parse_constant=refuse_constant,
                          object_pairs_hook=unique)
    except ValueError as error:
        raise Fault(f"not JSON: {error}") from None


class Checker:
    """Collects faults, each with the path to its place."""

    def __init__(self):
        self.faults = []

    def fault(self, path, what):
        self.faults.append(f"{path}: {what}")
        return False

    def anything(self, value, path="$"):
        """What holds for every value of every reply."""
        if value is None:
            self.fault(path, "null")
        elif isinstance(value, Real):
            if not math.isfinite(value):
                self.fault(path, f"{value.text} is not finite")
            elif significant(value.text) != significant(repr(float(value))):
                self.fault(path, f"{value.text} is not the shortest form")
        elif isinstance(value, dict):
            for key, item in value.items():
                self.anything(item, f"{path}.{key}")
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self.anything(item, f"{path}[{i}]")

    def is_a(self, value, kind, path):
        """Of this type: text, integer (a literal), number, flag, list or object."""
        good = {
            "text": isinstance(value, str),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, (int, Real)) and not isinstance(value, bool),
            "flag": isinstance(value, bool),
            "list": isinstance(value, list),
            "object": isinstance(value, dict),
        }[kind]
        return good or self.fault(path, f"{str(value)[:40]!r} is not of type {kind}")

    def has(self, value, path, /, **keys):
        """An object with these keys, each of its type. False if it can't be looked into."""
        if not self.is_a(value, "object", path):
            return False
        good = True
        for key, kind in keys.items():
            if key not in value:
                good = self.fault(path, f"key {key!r} is missing")
            else:
                good = self.is_a(value[key], kind, f"{path}.{key}") and good
        return good

    def each(self, value, path, check, *more):
        if self.is_a(value, "list", path):
            for i, item in enumerate(value):
                check(item, f"{path}[{i}]", *more)

    def texts(self, value, path):
        self.each(value, path, lambda item, at: self.is_a(item, "text", at))

    def distinct(self, values, path):
        seen = set()
        for value in values:
            if value in seen:
                self.fault(path, f"{value!r} is there twice")
            seen.add(value)

    def desc(self, value, path="$"):
        keys = dict.fromkeys(DESC_TEXTS, "text") | dict.fromkeys(DESC_INTEGERS, "integer")
        if not self.has(value, path, **keys):
            return
        for key in DESC_INTEGERS:
            if value[key] < 0:
                self.fault(f"{path}.{key}", "is negative")
        if value["end_time"] and value["end_time"] < value["start_time"]:
            self.fault(path, "ends before it starts")

    def one_key(self, value, path, keys):
        if not self.is_a(value, "object", path):
            return None
        if len(value) != 1 or next(iter(value)) not in keys:
            self.fault(path, f"holds {sorted(value)}, should be exactly one of {keys}")
            return None
        return next(iter(value))

    def gauge(self, value, path):
        if not self.has(value, path, min="number", max="number", hits="number",
                        total="number"):
            return
        hits = value["hits"]
        if hits < 0 or hits != int(hits):
            self.fault(f"{path}.hits", "is not a number of contributors")
        slack = 1e-9 * max(abs(value["min"]), abs(value["max"]), 1e-300)
        if hits > 0 and not (value["min"] - slack <= value["total"] / hits
                             <= value["max"] + slack):
            self.fault(path, "the mean is not between min and max")

    def ranks(self, value, path):
        if not self.has(value, path, n="integer", min="number", max="number",
                        mean="number", min_rank="integer", max_rank="integer"):
            return
        # 0: not known, as of what the node counts.
        if value["n"] < 0 or value["min"] > value["max"]:
            self.fault(path, "a negative number of ranks, or min above max")

    def counter(self, value, path):
        if not self.has(value, path, name="text", doc="text", ctype="object"):
            return
        if not NAME.fullmatch(value["name"]):
            self.fault(f"{path}.name", f"{value['name']!r} is not a metric's name")
        kind = self.one_key(value["ctype"], f"{path}.ctype", ("Counter", "Gauge"))
        if kind == "Gauge":
            self.gauge(value["ctype"][kind], f"{path}.ctype.Gauge")
        elif kind == "Counter":
            self.has(value["ctype"][kind], f"{path}.ctype.Counter", ts="integer",
                     value="number")
        if "ranks" in value:
            self.ranks(value["ranks"], f"{path}.ranks")

    def counters(self, value, path):
        self.each(value, path, self.counter)
        if isinstance(value, list):
            self.distinct([c["name"] for c in value
                           if isinstance(c, dict) and isinstance(c.get("name"), str)], path)

    def job(self, value, path="$"):
        if self.has(value, path, desc="object", counters="list"):
            self.desc(value["desc"], f"{path}.desc")
            self.counters(value["counters"], f"{path}.counters")

    def both_standing_jobs(self, descs, path):
        descs = [d for d in descs if isinstance(d, dict)]
        self.distinct([d.get("jobid") for d in descs], path)
        main = [d for d in descs if d.get("jobid") == "main"]
        nodes = [d for d in descs if str(d.get("jobid")).startswith("Node: ")]
        if not main or main[0].get("command") != "Sum of all Jobs":
            self.fault(path, "no job main of command 'Sum of all Jobs'")
        if not nodes:
            self.fault(path, "no job 'Node: HOST'")
        for node in nodes:
            host = node["jobid"][len("Node: "):]
            if (node.get("nodelist") != host
                    or node.get("command") != f"Sum of all Jobs running on {host}"):
                self.fault(path, f"{node['jobid']!r} is described wrongly")

    def jobs(self, value, path="$"):
        self.each(value, path, self.job)
        if isinstance(value, list):
            self.both_standing_jobs([j.get("desc") for j in value if isinstance(j, dict)],
                                    path)

    def joblist(self, value, path="$"):
        self.profiles(value, path)
        if isinstance(value, list):
            self.both_standing_jobs(value, path)

    def profiles(self, value, path="$"):
        self.each(value, path, self.desc)

    def nodes(self, value, path="$"):
        if not self.has(value, path, desc="object", nodes="list"):
            return
        self.desc(value["desc"], f"{path}.desc")
        self.each(value["nodes"], f"{path}.nodes", self.node, True)
        if "spread" in value:
            self.each(value["spread"], f"{path}.spread", self.spread)

    def node(self, value, path, is_live):
        live = {"fresh": "flag", "age": "number"} if is_live else {}
        if self.has(value, path, node="text", counters="list", **live):
            self.counters(value["counters"], f"{path}.counters")

    def spread(self, value, path):
        self.has(value, path, name="text", min="number", max="number", mean="number",
                 min_node="text", max_node="text")

    def profile(self, value, path="$"):
        self.job(value, path)
        if not self.has(value, path, partial="list", unheard="list", nodes="list",
                        shares="list"):
            return
        self.texts(value["partial"], f"{path}.partial")
        self.texts(value["unheard"], f"{path}.unheard")
        self.each(value["nodes"], f"{path}.nodes", self.node, False)
        self.each(value["shares"], f"{path}.shares", self.is_object)

    def is_object(self, value, path):
        self.is_a(value, "object", path)

    def percmd(self, value, path="$"):
        if not self.is_a(value, "object", path):
            return
        for command, descs in value.items():
            at = f"{path}.{command}"
            if command != command.strip():
                self.fault(at, "the command is not trimmed")
            self.profiles(descs, at)
            for desc in descs if isinstance(descs, list) else []:
                if isinstance(desc, dict) and str(desc.get("command")).strip() != command:
                    self.fault(at, "a profile of another command")

    def alarms(self, value, path="$"):
        if self.is_a(value, "object", path):
            for job, alarms in value.items():
                self.each(alarms, f"{path}.{job}", self.alarm)

    def alarm(self, value, path):
        if not self.has(value, path, name="text", metric="text", operator="object",
                        current="number", active="flag", pretty="text"):
            return
        key = self.one_key(value["operator"], f"{path}.operator",
                           ("More", "Less", "Equal"))
        if key:
            self.is_a(value["operator"][key], "number", f"{path}.operator.{key}")
        if not PRETTY.fullmatch(value["pretty"]):
            self.fault(f"{path}.pretty", f"{value['pretty']!r} has another form")

    def joins(self, value, path="$"):
        self.each(value, path, self.scrape)
        if isinstance(value, list) and not any(
                isinstance(j, dict) and j.get("ttype") == "System" for j in value):
            self.fault(path, "the proxy's own entry is missing")

    def scrape(self, value, path):
        if not self.has(value, path, target_url="text", ttype="text", period="number",
                        last_scrape="integer"):
            return
        if value["ttype"] not in ("Prometheus", "Proxy", "System"):
            self.fault(f"{path}.ttype", f"{value['ttype']!r} is unknown")

    def topo(self, value, path="$"):
        self.each(value, path, self.edge)
        if value == []:
            self.fault(path, "a lone proxy answers one pair with itself twice")

    def edge(self, value, path):
        if not (isinstance(value, list) and len(value) == 2
                and all(isinstance(h, str) and HOST_PORT.fullmatch(h) for h in value)):
            self.fault(path, f"{value!r} is not a pair of host:port")

    def operation(self, value, path="$"):
        if self.has(value, path, operation="text", success="flag"):
            if not value["operation"].strip():
                self.fault(f"{path}.operation", "is empty")

    def success(self, value, path="$"):
        self.operation(value, path)
        if isinstance(value, dict) and value.get("success") is False:
            self.fault(path, f"refused: {value.get('operation')}")

    def refusal(self, value, path="$"):
        self.operation(value, path)
        if isinstance(value, dict) and value.get("success") is not False:
            self.fault(f"{path}.success", "is not false")

    def period(self, value, path="$"):
        self.success(value, path)
        if isinstance(value, dict) and not re.fullmatch(r"[1-9]\d*",
                                                        str(value.get("operation"))):
            self.fault(f"{path}.operation", "is not a number of milliseconds")

    def status(self, value, path="$"):
        self.has(value, path, version="text", uptime="number", jobs="integer",
                 series="integer", clients="integer", children="integer")
        if isinstance(value, dict) and "memory" not in value:
            self.fault(path, "key 'memory' is missing")

    def discovery(self, value, path="$"):
        self.each(value, path, self.target_group)

    def target_group(self, value, path):
        if not self.has(value, path, targets="list", labels="object"):
            return
        self.texts(value["targets"], f"{path}.targets")
        for key, label in value["labels"].items():
            self.is_a(label, "text", f"{path}.labels.{key}")


SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)'
    r'(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*"(?:,(?!\})|(?=\})))*)\})?'
    r' (-?[0-9.]+(?:[eE][-+]?[0-9]+)?)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\[\\"n])*)"')
TYPES = {False: ("counter", "gauge", "histogram"),
         True: ("counter", "gauge", "histogram", "unknown")}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


class TextChecker:
    """Text exposition, Prometheus 0.0.4 or OpenMetrics."""

    def __init__(self, is_openmetrics):
        self.is_openmetrics = is_openmetrics
        self.faults = []
        self.helps = {}
        self.types = {}
        self.closed = set()
        self.family = None
        self.series = set()
        self.buckets = {}
        self.counts = {}

    def open_family(self, name, at):
        if name == self.family:
            return
        if name in self.closed:
            self.faults.append(f"{at}: family {name} is there twice")
        if self.family:
            self.closed.add(self.family)
        self.family = name

    def comment(self, line, at):
        words = line.split(" ", 3)
        if len(words) < 4 or words[1] not in ("HELP", "TYPE"):
            self.faults.append(f"{at}: neither HELP nor TYPE: {line[:60]!r}")
            return
        known = self.helps if words[1] == "HELP" else self.types
        self.open_family(words[2], at)
        if words[2] in known:
            self.faults.append(f"{at}: second {words[1]} of {words[2]}")
        known[words[2]] = words[3]
        if words[1] == "TYPE" and words[3] not in TYPES[self.is_openmetrics]:
            self.faults.append(f"{at}: type {words[3]!r}")

    def names_of(self, family):
        """The names that samples of a family may have."""
        kind = self.types.get(family)
        if kind == "counter" and self.is_openmetrics:
            return (family + "_total",)
        return tuple(family + s for s in SUFFIXES.get(kind, ("",)))

    def sample(self, line, at):
        match = SAMPLE.fullmatch(line)
        if not match:
            self.faults.append(f"{at}: not a sample: {line[:80]!r}")
            return
        name, labels, number = match.groups()
        labels = LABEL.findall(labels or "")
        if self.family is None or name not in self.names_of(self.family):
            self.faults.append(f"{at}: {name} outside of its family")
            return
        for known in (self.helps, self.types):
            if self.family not in known:
                self.faults.append(f"{at}: {self.family} lacks HELP or TYPE")
        if len({key for key, _ in labels}) < len(labels):
            self.faults.append(f"{at}: a label is there twice")
        series = (name, tuple(sorted(labels)))
        if series in self.series:
            self.faults.append(f"{at}: series is there twice")
        self.series.add(series)
        if significant(number) != significant(repr(float(number))):
            self.faults.append(f"{at}: {number} is not the shortest form")
        if self.types.get(self.family) == "histogram":
            self.part(name, labels, float(number), at)

    def part(self, name, labels, value, at):
        group = (self.family, tuple(sorted(l for l in labels if l[0] != "le")))
        if name.endswith("_bucket"):
            le = dict(labels).get("le", "missing")
            try:
                self.buckets.setdefault(group, []).append((float(le), value))
            except ValueError:
                self.faults.append(f"{at}: le {le!r}")
        elif name.endswith("_count"):
            self.counts[group] = value

    def histograms(self):
        for group, buckets in self.buckets.items():
            bounds = [le for le, _ in buckets]
            values = [value for _, value in buckets]
            if bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
                self.faults.append(f"{group[0]}: bounds don't rise to +Inf")
            elif values != sorted(values) or values[-1] != self.counts.get(group):
                self.faults.append(f"{group[0]}: buckets don't rise to the count")

    def check(self, text):
        if text and not text.endswith("\n"):
            self.faults.append("the last line does not end")
        lines = text.split("\n")[:-1]
        if self.is_openmetrics and (not lines or lines.pop() != "# EOF"):
            self.faults.append("does not end in # EOF")
        for number, line in enumerate(lines, 1):
            if line.startswith("#"):
                self.comment(line, f"line {number}")
            else:
                self.sample(line, f"line {number}")
        self.histograms()
        return self.faults


def check_json(method):
    def run(text):
        checker = Checker()
        try:
            value = parse(text)
        except Fault as fault:
            return [f"$: {fault}"]
        checker.anything(value)
        getattr(checker, method)(value)
        return checker.faults
    return run


KINDS = {
    "desc": check_json("desc"),              # one description
    "joblist": check_json("joblist"),        # /job/list: with main and Node: HOST
    "job": check_json("job"),                # /job?job=ID
    "jobs": check_json("jobs"),              # /job
    "nodes": check_json("nodes"),            # /job?job=ID&by=node
    "profile": check_json("profile"),        # /profiles/get?jobid=ID
    "profiles": check_json("profiles"),      # /profiles
    "percmd": check_json("percmd"),          # /profiles/percmd
    "alarms": check_json("alarms"),          # /alarms, /alarms/list
    "joins": check_json("joins"),            # /join/list
    "topo": check_json("topo"),              # /topo
    "operation": check_json("operation"),    # any reply that is not data
    "success": check_json("success"),        # one that says yes
    "refusal": check_json("refusal"),        # one that says no
    "period": check_json("period"),          # /period
    "status": check_json("status"),          # /api/v1/status
    "discovery": check_json("discovery"),    # /api/v1/sd
    "metrics-text": lambda text: TextChecker(False).check(text),  # /metrics
    "openmetrics-text": lambda text: TextChecker(True).check(text),
}


def check(kind, text):
    """The faults of a reply; `text` is its body, bytes or str."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            return [f"not UTF-8: {error}"]
    if not text and kind != "metrics-text":
        return ["the body is empty"]
    return KINDS[kind](text)


def main(arguments):
    if len(arguments) != 1 or arguments[0] not in KINDS:
        print(f"usage: schema.py KIND < reply; KIND is one of {' '.join(KINDS)}",
              file=sys.stderr)
        return 2
    faults = check(arguments[0], sys.stdin.buffer.read())
    for fault in faults[:20]:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
