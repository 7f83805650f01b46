"""A node for tests that kill: a proxy that comes and goes, programs that count for certain.

`Node` starts, kills and restarts a proxy and asks it. `Job` starts workers (worker.c) and
knows what their counters must be; `SocketClient` and `Direct` do so for values that come in
through the proxy. What is known is a range (low, high): mostly low == high, and apart by one
addition for each thread that was killed in the middle of one, or by what a proxy may or may
not have read when it was killed. When all has ended, `Node.settle` waits until everything
is stored, and `Node.check` compares profiles and main with the ranges.

BIN and WORKER come from the environment.
"""
import atexit
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
import urllib.parse

BIN = os.environ["BIN"]
WORKER = os.environ["WORKER"]
PR_SET_CHILD_SUBREAPER = 36
WORDS = 16  # of the truth's head, and of a row
ROWS = 4096
SEGMENT_KIND, PASSIVE = 64, 3  # segment/layout.h


class Wrong(Exception):
    """A figure that is not what was counted, or a wait in vain."""


def until(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Wrong(f"waited in vain for {what}")
        time.sleep(0.005)


def crash_points(source):
    """All names in MPX_CRASH_POINT(...) of the library."""
    found = set()
    for folder, _, files in os.walk(os.path.join(source, "libmproxy")):
        for name in files:
            if name.endswith(".c"):
                with open(os.path.join(folder, name)) as file:
                    found |= set(re.findall(r'MPX_CRASH_POINT\("([^"]*)"\)', file.read()))
    return sorted(found)


def become_reaper():
    """Orphans of killed programs become our children, so that their end can be seen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Truth:
    """The file that the workers of a job write to; see worker.c."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(8 * WORDS * (1 + ROWS))

    def read(self):
        with open(self.path, "rb") as file:
            data = file.read()
        head = struct.unpack_from(f"{WORDS}Q", data)
        rows = [struct.unpack_from(f"{WORDS}Q", data, 8 * WORDS * (1 + i))
                for i in range(head[0])]
        return head, rows

    def ranges(self, launched, ended_well):
        """Metric -> (low, high); the gauge's are (hits, total)."""
        head, rows = self.read()
        _, started, reached, ending, ended = head[:5]
        result = {
            "chaos_total": (sum(r[2] for r in rows), sum(r[1] for r in rows)),
            "chaos_sizes_count": (sum(r[6] for r in rows), sum(r[5] for r in rows)),
            "chaos_sizes_sum": (sum(r[8] for r in rows), sum(r[7] for r in rows)),
            "has_started": (reached, started + launched),
            "has_finished": (ended + ended_well, ending)}
        return result, self.gauge(rows)

    @staticmethod
    def gauge(rows):
        """A process holds what it set last, in whichever image: all (hits, total)."""
        processes = {}
        for pid, *_, before, after in (r[:5] for r in rows):
            if before == 0:
                continue
            earlier = processes.get(pid, {0})
            processes[pid] = {after} if before == after else {before} | (
                {after} if after else earlier)
        possible = {(0, 0)}
        for values in processes.values():
            possible = {(hits + (value > 0), total + value)
                        for hits, total in possible for value in values}
        return possible


class Job:
    """A job of workers, and what must be in its profile."""

    def __init__(self, node, jobid):
        self.node, self.jobid = node, jobid
        self.truth = Truth(os.path.join(node.folder, f"truth-{len(node.jobs)}"))
        self.programs = []
        self.launched = self.ended_well = 0
        self.extra = {}  # name -> [low, high] of what came through the proxy
        node.jobs.append(self)

    def start(self, program):
        environment = dict(os.environ, CHAOS_TRUTH=self.truth.path, CHAOS_PROGRAM=program)
        self.launched += 1
        self.programs.append(subprocess.Popen(
            [os.path.join(BIN, "proxy_run"), "-u", self.node.socket, "-j", self.jobid, "--",
             WORKER], env=environment, start_new_session=True, stdin=subprocess.DEVNULL))
        return self.programs[-1]

    def kill(self, program, whole_group):
        if program.poll() is None:
            if whole_group:
                os.killpg(program.pid, signal.SIGKILL)
            else:
                program.kill()

    def add(self, name, low, high):
        pair = self.extra.setdefault(name, [0, 0])
        pair[0] += low
        pair[1] += high

    def wait(self):
        """Until all processes have ended, orphans too."""
        for program in self.programs:
            status = program.wait(timeout=60)
            if status not in (0, -signal.SIGKILL):
                raise Wrong(f"a worker of {self.jobid} ended with {status}")
            self.ended_well += status == 0
            while True:
                try:
                    os.waitpid(-program.pid, 0)
                except ChildProcessError:
                    break
        self.programs = []

    def check(self, values):
        """What differs between the values of a profile and the truth."""
        ranges, gauges = self.truth.ranges(self.launched, self.ended_well)
        ranges.update({name: tuple(pair) for name, pair in self.extra.items()})
        faults = []
        for name, (low, high) in ranges.items():
            value = values.get(name, 0)
            if not low <= value <= high:
                faults.append(f"{self.jobid}: {name} is {value}, counted: {low}..{high}")
        if values.get("chaos_gauge", (0, 0)) not in gauges:
            faults.append(f"{self.jobid}: chaos_gauge is {values.get('chaos_gauge')}, "
                          f"set: {sorted(gauges)[:5]}")
        return faults


class SocketClient:
    """A program of the legacy socket; its metric is its own."""

    def __init__(self, node, job, command=WORKER):
        self.node, self.job = node, job
        self.name = f'legacy_total{{c="{node.number()}"}}'
        self.sent = self.seen = 0
        self.deaths = node.deaths  # when what was not yet seen began
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        try:
            self.socket.connect(node.socket)
            self.send({"JobDesc": {
                "jobid": job.jobid if job else "", "command": command, "size": 1,
                "nodelist": "", "partition": "", "cluster": "", "run_dir": "/",
                "start_time": int(time.time() * 1000), "end_time": 0}})
        except OSError:
            self.socket.close()
            self.socket = None
        node.clients.append(self)

    def send(self, message):
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def count(self, times):
        if not self.socket:
            return
        if self.sent == self.seen:
            self.deaths = self.node.deaths
        try:
            for _ in range(times):
                # Raised first: a message may be taken whose send fails.
                self.sent += 1
                self.send({"Value": {"name": self.name,
                                     "value": {"Counter": {"value": 1}}}})
        except OSError:
            self.deaths = None
            self.socket.close()
            self.socket = None

    def sync(self):
        """What is shown was read, and survives the proxy."""
        shown = self.node.shown(self.name, self.job.jobid if self.job else "main")
        self.seen = max(self.seen, shown or 0)
        return self.seen == self.sent

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def conclude(self):
        """With the node settled: what must have been counted."""
        low = self.sent if self.node.deaths == self.deaths else self.seen
        (self.job.add if self.job else self.node.add)(self.name, low, self.sent)


class Node:
    """One proxy's rendezvous, prefix, and what must be in them. At the end of the test
    nothing of it runs on."""

    def __init__(self, folder, options=()):
        self.folder = folder
        os.makedirs(folder)
        self.socket = os.path.join(folder, "p.socket")
        self.rendezvous = "/dev/shm/" + self.socket.replace("/", "%2F") + ".d"
        shutil.rmtree(self.rendezvous, ignore_errors=True)
        self.prefix = os.path.join(folder, "prefix")
        self.options = list(options)
        self.proxy = None
        self.port = None
        self.deaths = self.starts = 0
        self.jobs, self.clients = [], []
        self.extra = {}  # of no job
        self.main = {}   # sums of what was checked so far
        self.numbers = 0
        self.highest, self.steps_back = {}, []  # of main, whichever proxy shows it
        atexit.register(self.bury)

    def bury(self):
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
            self.proxy = None
        for job in self.jobs:
            for program in job.programs:
                job.kill(program, True)
                program.wait()
        self.jobs = []

    def number(self):
        self.numbers += 1
        return self.numbers

    def add(self, name, low, high):
        pair = self.extra.setdefault(name, [0, 0])
        pair[0] += low
        pair[1] += high

    # ---- the proxy

    def start(self, crash_at=None):
        self.stop_counting()
        environment = dict(os.environ)
        environment.pop("MPROXY_CRASH_AT", None)
        if crash_at:
            environment["MPROXY_CRASH_AT"] = crash_at
        self.starts += 1
        self.port = None
        self.log = os.path.join(self.folder, f"proxy-{self.starts}.log")
        with open(self.log, "wb") as log:
            self.proxy = subprocess.Popen(
                [os.path.join(BIN, "proxy-v2"), "-p", "0", "--listen", "127.0.0.1",
                 "-u", self.socket, "-t", self.prefix, *self.options],
                env=environment, stderr=log, stdin=subprocess.DEVNULL)

    def lives(self):
        return self.proxy is not None and self.proxy.poll() is None

    def kill(self):
        if self.lives():
            self.proxy.kill()
        self.stop_counting()

    def stop_counting(self):
        """One that died is buried: by our kill or at a crash point, by nothing else."""
        if self.proxy is None:
            return
        status = self.proxy.wait(timeout=20)
        self.proxy = None
        self.deaths += 1
        if status != -signal.SIGKILL:
            raise Wrong(f"the proxy ended with {status}: {open(self.log).read()[-500:]}")

    def terminate(self):
        if self.lives():
            self.proxy.terminate()
            status = self.proxy.wait(timeout=20)
            if status != 0:
                raise Wrong(f"the proxy ended with {status}")
        self.proxy = None
        self.deaths += 1

    def find_port(self):
        if self.port is None and self.proxy is not None:
            with open(self.log) as log:
                found = re.match(r"Proxy webserver listening on \S*:(\d+)\n", log.read())
            self.port = int(found.group(1)) if found else None
        return self.port

    def ready(self):
        return self.ask("/-/ready")[0] == 200

    def ensure(self):
        """A proxy that serves, whatever happened before."""
        def is_there():
            if not self.lives():
                self.start()
            return self.ready()
        until("a proxy that serves", is_there)

    # ---- asking; (None, None) without an answer

    def ask(self, path):
        port = self.find_port()
        if port is None:
            return None, None
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None, None
        finally:
            connection.close()

    def ask_surely(self, path):
        """The answer of a proxy that serves; one may still die on the way."""
        def answer():
            self.ensure()
            status, body = self.ask(path)
            return status not in (None, 503) and (status, body)
        return until(f"an answer to {path}", answer)

    def accumulate(self, name, value, job=None):
        """Answered: counted. Refused: not. No answer: one or the other."""
        target = "&job=" + urllib.parse.quote(job.jobid, safe="") if job else ""
        if self.find_port() is None:
            return None
        status, _ = self.ask(f"/accumulate?key={name}&value={value}{target}")
        if status is None or status == 200:
            (job or self).add(name, value if status == 200 else 0, value)
        return status

    @staticmethod
    def values(entries):
        result = {}
        for entry in entries:
            kind, value = next(iter(entry["ctype"].items()))
            result[entry["name"]] = (value["value"] if kind == "Counter"
                                     else (value["hits"], value["total"]))
        return result

    def job_values(self, jobid, ask=None):
        status, body = (ask or self.ask)(
            "/job?job=" + urllib.parse.quote(jobid, safe=""))
        values = self.values(json.loads(body)["counters"]) if status == 200 else None
        if values and jobid == "main":
            self.watch(values)
        return values

    def watch(self, values):
        """What is shown in main never steps back, nor is anything missing from it."""
        for name, value in values.items():
            if self.is_ours(name) and isinstance(value, (int, float)):
                self.highest[name] = max(self.highest.get(name, 0), value)
        for name, highest in self.highest.items():
            if values.get(name, 0) < highest:
                self.steps_back.append(f"main: {name} stepped back from {highest} to "
                                       f"{values.get(name)}")

    def shown(self, name, jobid):
        values = self.job_values(jobid)
        return values.get(name) if values else None

    def profile(self, jobid):
        status, body = self.ask_surely(
            "/profiles/get?jobid=" + urllib.parse.quote(jobid, safe=""))
        profile = json.loads(body) if status == 200 else None
        return None if profile and profile.get("provisional") else profile

    def running(self):
        status, body = self.ask("/job/list")
        return None if status != 200 else {
            job["jobid"] for job in json.loads(body)} - {"main"} - {
                "Node: " + socket.gethostname()}

    # ---- the end of a round

    def segments(self):
        """All but those of direct counters, which stay for as long as the proxy."""
        for name in os.listdir(self.rendezvous):
            if not name.endswith(".seg"):
                continue
            try:
                with open(os.path.join(self.rendezvous, name), "rb") as file:
                    head = file.read(SEGMENT_KIND + 4)
            except FileNotFoundError:
                continue
            # One that is being born is empty for a moment.
            if len(head) < SEGMENT_KIND + 4 or struct.unpack_from(
                    "I", head, SEGMENT_KIND)[0] != PASSIVE:
                yield name

    def is_settled(self):
        """All is folded, sealed, stored and released. That the list of jobs is empty says
        less: a run that goes on after a share was released may be sealed and not listed."""
        if any(self.segments()):
            return False
        shown = self.job_values("main") or {}
        return all(shown.get(f"mproxy_{kind}_shares") == (1, 0)
                   for kind in ("open", "sealed"))

    def settle(self):
        """Until all jobs are stored and released, whatever kills the proxy meanwhile."""
        for job in self.jobs:
            job.wait()
        for client in self.clients:
            client.close()
        end = time.monotonic() + 20
        while True:
            self.ensure()
            if self.is_settled():
                break
            if time.monotonic() > end:
                raise Wrong(f"not settled: jobs {self.running()}, in the rendezvous "
                            f"{sorted(os.listdir(self.rendezvous))}")
            time.sleep(0.005)
        for client in self.clients:
            client.conclude()
        self.clients = []

    def check(self):
        """Compare all profiles and main; what was checked is added up for the next time."""
        faults, sums = [], dict(self.main)
        for job in self.jobs:
            profile = self.profile(job.jobid)
            if profile is None and job.launched + len(job.extra) > 0:
                # A job that nobody reached leaves nothing.
                head, _ = job.truth.read()
                if head[2] or any(low for low, _ in job.extra.values()):
                    faults.append(f"{job.jobid}: no profile")
                continue
            if profile is None:
                continue
            if profile["partial"] or profile["unheard"]:
                faults.append(f"{job.jobid}: partial {profile['partial']}")
            values = self.values(profile["counters"])
            faults += job.check(values)
            for name, value in values.items():
                if isinstance(value, (int, float)) and self.is_ours(name):
                    sums[name] = sums.get(name, 0) + value
        faults += self.check_main(sums)
        faults += self.steps_back[:5]
        self.jobs = []
        return faults

    @staticmethod
    def is_ours(name):
        return name.startswith(("chaos_", "has_", "legacy_", "direct_"))

    def check_main(self, sums):
        faults, shown = [], self.job_values("main", self.ask_surely)
        for name in set(sums) | set(self.extra):
            low, high = self.extra.get(name, (0, 0))
            base, value = sums.get(name, 0), shown.get(name, 0)
            if not base + low <= value <= base + high:
                faults.append(f"main: {name} is {value}, counted: {base + low}.."
                              f"{base + high}")
            sums[name] = value
        for name, value in shown.items():
            if name.startswith("mproxy_processes_uncounted_total") and value:
                faults.append(f"main: {name} is {value}")
        # From now on what came in is part of what is known.
        self.main = sums
        self.extra = {name: [0, 0] for name in self.extra}
        return faults
