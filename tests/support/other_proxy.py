"""A proxy of other make: a real HTTP server that speaks the published JSON and nothing else.

    p = OtherProxy(times="ms", numbers="real", ts=False)
    p.start_job("7"); p.count("7", "mpi___hits___mpi_send", 3); p.end_job("7")
    p.restart()                    # all of its counters begin anew, its jobs go on
    p.kill(); p.come_back()        # connections are refused; as it was

As others do, it adds up: what a job counts is in the job, in its node and in main. What it counted
in all its lives is in `truth`. `read(host_port)` is what it does as a parent: it makes sure that
there is a proxy, and reads its jobs as strictly as the contract lets it.
"""
import http.client
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import schema  # noqa: E402
from http_server import HttpServer  # noqa: E402

NODE = "other-node"


def write_number(value, style):
    if style == "int" and float(value).is_integer():
        return str(int(value))
    if style == "exp":
        mantissa, _, exponent = f"{value:.17e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return repr(float(value))


def write(value, style):
    """JSON with its numbers in one style."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{write(v, style)}"
                              for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write(item, style) for item in value) + "]"
    return json.dumps(value) if isinstance(value, str) else write_number(value, style)


class OtherProxy(HttpServer):
    def __init__(self, times="s", numbers="int", ts=True, node=NODE):
        self.times, self.numbers, self.ts, self.node = times, numbers, ts, node
        self.lock = threading.RLock()
        self.born = int(time.time())
        self.main, self.of_node = {}, {}  # of this life
        self.jobs = {}                    # id: (description, counters of this life)
        self.truth = {}                   # of all lives: (job or None, name)
        self.gauges = {}                  # name: (min, max, hits, total), of main and the node
        self.raw = None                   # what /job answers instead
        self.is_proxy = True
        self.replies = 0                  # to /job, sent whole
        self.open(0)

    # ---- what runs there

    def start_job(self, jobid, start=None):
        with self.lock:
            start = start or self.born
            self.jobs[jobid] = ({
                "jobid": jobid, "command": "./a.out", "size": 4, "nodelist": self.node,
                "partition": "p", "cluster": "c", "run_dir": "/home", "start_time":
                start * (1000 if self.times == "ms" else 1), "end_time": 0}, {})

    def count(self, jobid, name, value):
        """jobid None: of no job."""
        with self.lock:
            sums = [self.main, self.of_node] + ([self.jobs[jobid][1]] if jobid else [])
            for counters in sums:
                counters[name] = counters.get(name, 0) + value
            for owner in {None, jobid}:
                key = (owner, name)
                self.truth[key] = self.truth.get(key, 0) + value

    def end_job(self, jobid):
        with self.lock:
            del self.jobs[jobid]

    def restart(self):
        with self.lock:
            for counters in [self.main, self.of_node] + [c for _, c in self.jobs.values()]:
                for name in counters:
                    counters[name] = 0

    # ---- what it says

    def desc(self, jobid, command, nodelist=""):
        return {"jobid": jobid, "command": command, "size": 0, "nodelist": nodelist,
                "partition": "", "cluster": "", "run_dir": "", "start_time": 0, "end_time": 0}

    def entry(self, name, ctype):
        return {"name": name, "doc": f"what {name} is", "ctype": ctype}

    def view(self, desc, counters, gauges):
        ts = {"ts": int(time.time() * 1e6)} if self.ts else {}
        return {"desc": desc, "counters": [
            self.entry(name, {"Counter": {**ts, "value": value}})
            for name, value in counters.items()] + [
            self.entry(name, {"Gauge": dict(zip(("min", "max", "hits", "total"), gauge))})
            for name, gauge in gauges.items()]}

    def views(self):
        return [self.view(self.desc("main", "Sum of all Jobs"), self.main, self.gauges),
                self.view(self.desc(f"Node: {self.node}",
                                    f"Sum of all Jobs running on {self.node}", self.node),
                          self.of_node, self.gauges)] + [
            self.view(desc, counters, {}) for desc, counters in self.jobs.values()]

    def answer(self, path):
        path = path.rstrip("/")
        if path == "/is_admire_proxy.html" and self.is_proxy:
            return "text/html", "<!DOCTYPE html>\n<html><body>a proxy</body></html>\n"
        with self.lock:
            if path == "/job":
                return "application/json", self.raw if self.raw is not None else write(
                    self.views(), self.numbers)
            if path == "/job/list":
                return "application/json", write([v["desc"] for v in self.views()],
                                                 self.numbers)
        return None

    # ---- the server

    def get(self, handler):
        found = self.answer(handler.path)
        kind, body = found or ("application/json", '{"operation":"?","success":false}')
        body = body.encode()
        handler.send_response(200 if found else 404)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        self.replies += handler.path.startswith("/job")

    def kill(self):
        self.close()

    def come_back(self):
        self.open(self.port)

    # ---- as a parent

    def read(self, host_port):
        """The jobs of the proxy there: id: (description, name: kind and value)."""
        def get(path, kind):
            connection = http.client.HTTPConnection(host_port, timeout=20)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read()
            finally:
                connection.close()
            if response.status != 200:
                raise ValueError(f"{path}: status {response.status}")
            faults = schema.check(kind, body) if kind else []
            if faults:
                raise ValueError(f"{path}: {faults[:3]}")
            return body

        if b"<html>" not in get("/is_admire_proxy.html", None):
            raise ValueError(f"{host_port} is no proxy")
        get("/job/list", "joblist")
        get("/join/list", "joins")
        jobs = {}
        for view in json.loads(get("/job", "jobs")):
            jobs[view["desc"]["jobid"]] = (view["desc"], {
                c["name"]: c["ctype"] for c in view["counters"]})
        return jobs
