#!/usr/bin/env python3
"""Part of t88-other-make.sh: a proxy of ours and doubles of other make.

    t88-other-make.py --folder DIR [--rounds N] [--seed N]
"""
import argparse
import json
import os
import random
import subprocess
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "chaos"))
import driver  # noqa: E402
from other_proxy import NODE, OtherProxy  # noqa: E402

PERIOD_MS = 50
SEND = "mpi___hits___mpi_send"
STYLES = ({"times": "s", "numbers": "int", "ts": True},
          {"times": "ms", "numbers": "real", "ts": False},
          {"times": "s", "numbers": "exp", "ts": True})


def want(what, is_, should):
    if is_ != should:
        raise driver.Wrong(f"{what}: is {is_!r}, should be {should!r}")


class Ours:
    """Our proxy, which may be killed at any time."""

    def __init__(self, folder):
        self.node = driver.Node(folder, ["-S", "50"])
        self.node.ensure()

    def ask(self, path):
        status, body = self.node.ask(path)
        return status, json.loads(body) if body else None

    def do(self, path):
        status, reply = self.ask(path)
        want(path, (status, reply and reply["success"]), (200, True))

    def job(self, jobid):
        """Description and values by name, or None."""
        status, reply = self.ask("/job?job=" + urllib.parse.quote(jobid))
        if status != 200:
            return None
        values = {}
        for entry in reply["counters"]:
            (kind, value), = entry["ctype"].items()
            values[entry["name"]] = (value["value"] if kind == "Counter" else
                                     tuple(value[k] for k in ("min", "max", "hits", "total")))
        return reply["desc"], values

    def value(self, jobid, name):
        job = self.job(jobid)
        return job and job[1].get(name)

    def wait(self, jobid, name, value):
        try:
            driver.until("", lambda: self.value(jobid, name) == value)
        except driver.Wrong:
            raise driver.Wrong(f"{name} of {jobid}: is {self.value(jobid, name)}, "
                               f"should be {value}") from None

    def target(self, other):
        return next((t for t in self.ask("/join/list")[1] if other.address in t["target_url"]),
                    None)

    def join(self, other):
        self.do(f"/join?to={other.address}&period={PERIOD_MS}")

    def wait_replies(self, other, count):
        """So many good replies have been taken: the one asked for next follows them."""
        before = other.replies
        driver.until("replies", lambda: other.replies > before + count)


def check_style(ours, style, number):
    """A child that is read, from its first job to the profile of it."""
    other = OtherProxy(node=f"{NODE}-{number}", **style)
    jobid, name, only = f"job-{number}", f"style_{number}_total", f"of_none_{number}_total"
    other.start_job(jobid)
    other.count(jobid, name, 100000)
    other.count(None, only, 0.5)
    other.count(None, "mproxy_rounds_total", 7)
    other.gauges[f"gauge_{number}"] = (1, 3, 2, 4)
    other.gauges["proxy_cpu_total"] = (8, 8, 1, 8)
    own = ours.value("Node: " + ours.hostname, "proxy_cpu_total")
    ours.join(other)
    ours.wait("main", name, 100000)

    target = ours.target(other)
    want("type and place", (target["ttype"], target["target_url"], target["healthy"]),
         ("Proxy", f"http://{other.address}/job", True))
    want("refused", (target["refused"], "mproxy_rounds_total" in target["why_refused"]),
         (2, True))  # in main and on the node
    want("of no job", ours.value("main", only), 0.5)
    want("a gauge of main", ours.value("main", f"gauge_{number}"), (1, 3, 2, 4))
    desc, values = ours.job(f"Node: {other.node}")
    want("the node", (desc["nodelist"], values[name], values[f"gauge_{number}"]),
         (other.node, 100000, (1, 3, 2, 4)))
    want("the node's own metrics", values["proxy_cpu_total"], (8, 8, 1, 8))
    want("our node", name in ours.job("Node: " + ours.hostname)[1], False)
    want("our node's own", ours.value("Node: " + ours.hostname, "proxy_cpu_total"), own)
    desc, values = ours.job(jobid)
    want("the job", {k: desc[k] for k in desc if k != "jobid"}, {
        "command": "./a.out", "size": 4, "nodelist": other.node, "partition": "p",
        "cluster": "c", "run_dir": "/home", "start_time": other.born, "end_time": 0})
    want("its values", values, {name: 100000})

    other.count(jobid, name, 1)
    ours.wait(jobid, name, 100001)
    other.restart()
    ours.wait_replies(other, 1)
    other.count(jobid, name, 5)
    ours.wait(jobid, name, 100006)
    ours.wait("main", name, 100006)
    ours.wait(f"Node: {other.node}", name, 100006)

    other.kill()
    driver.until("a failure", lambda: not ours.target(other)["healthy"])
    want("while it is dead", (ours.value("main", name), ours.value(jobid, name)),
         (100006, 100006))
    ours.node.kill()
    ours.node.ensure()
    want("after a kill", ours.value("main", name), 100006)
    other.restart()
    other.come_back()
    driver.until("it is well", lambda: (t := ours.target(other))["healthy"] and
                 t["ttype"] == "Proxy")
    ours.wait(jobid, name, 100006)
    other.count(jobid, name, 4)
    ours.wait(jobid, name, 100010)
    want("main after a kill", ours.value("main", name), 100010)

    other.end_job(jobid)
    profile = driver.until("its profile", lambda: (p := ours.ask(
        f"/profiles/get?jobid={jobid}"))[0] == 200 and "provisional" not in p[1] and p[1])
    want("the profile", [c["ctype"]["Counter"]["value"] for c in profile["counters"]
                         if c["name"] == name], [100010])
    want("its end", profile["desc"]["end_time"] >= other.born, True)
    driver.until("it leaves the list", lambda: ours.job(jobid) is None)
    want("main after the job", ours.value("main", name), 100010)

    ours.do(f"/disconnect?target={target['target_url']}")
    driver.until("its node is gone", lambda: ours.job(f"Node: {other.node}") is None)
    want("main when it was left", ours.value("main", name), 100010)
    want("gauges when it was left", ours.value("main", f"gauge_{number}"), None)
    other.kill()


def check_absence(ours):
    """Only good replies without a job count, three of them."""
    other = OtherProxy()
    other.start_job("absent")
    other.count("absent", "absent_total", 2)
    ours.join(other)
    ours.wait("absent", "absent_total", 2)
    with other.lock:
        whole, job = other.views(), other.jobs["absent"]
        del other.jobs["absent"]
        absent = json.dumps(other.views())
        broken = absent[:-2]
        other.raw = broken
        other.replies = 0
    driver.until("bad replies", lambda: other.replies > 4)
    want("a job that bad replies do not have", ours.value("absent", "absent_total"), 2)
    error = ours.target(other)["last_error"]
    want("the place of the fault", "line 1, column" in error and "/job" in error, True)
    with other.lock:
        other.jobs["absent"] = job
        other.raw = None
    driver.until("it is well", lambda: ours.target(other)["healthy"])
    want("its own", len(whole), 3)
    other.end_job("absent")
    driver.until("it is over", lambda: ours.job("absent") is None)
    ours.do(f"/disconnect?target={other.address}")
    other.kill()


def check_shared_job(ours):
    """A job that runs below both proxies is one."""
    other = OtherProxy()
    with subprocess.Popen([os.path.join(driver.BIN, "proxy_run"), "-u", ours.node.socket,
                           "-j", "shared", "--", "sleep", "300"]) as program:
        driver.until("our part", lambda: ours.job("shared"))
        ours.do("/accumulate?key=shared_total&value=3&job=shared")
        ours.wait("shared", "shared_total", 3)
        start = ours.job("shared")[0]["start_time"]
        other.start_job("shared", start)
        other.jobs["shared"][0]["command"] = ours.job("shared")[0]["command"]
        other.count("shared", "shared_total", 4)
        ours.join(other)
        ours.wait("shared", "shared_total", 7)
        ours.wait("main", "shared_total", 7)
        ours.do(f"/disconnect?target={other.address}")
        ours.wait("shared", "shared_total", 3)
        want("main", ours.value("main", "shared_total"), 7)
        program.kill()
    other.kill()


def check_parent(ours):
    """One of other make reads ours while a counted job runs here."""
    parent = OtherProxy()
    at = f"127.0.0.1:{ours.node.port}"
    with subprocess.Popen([os.path.join(driver.BIN, "proxy_run"), "-u", ours.node.socket,
                           "-j", "counted", "--", "sleep", "300"]) as program:
        driver.until("the job", lambda: ours.job("counted"))
        for total in (5, 12):
            ours.do(f"/accumulate?key=parent_total&value={5 if total == 5 else 7}&job=counted")
            ours.wait("counted", "parent_total", total)
            jobs = parent.read(at)
            for job in ("counted", "main", "Node: " + ours.hostname):
                want(f"parent_total of {job}",
                     jobs[job][1]["parent_total"]["Counter"]["value"], total)
        want("walltime", "walltime" in jobs["counted"][1], False)
        program.kill()
    driver.until("the job's end", lambda: "counted" not in parent.read(at))
    parent.kill()


def check_mistaken(ours):
    """An exporter that answers everything with a page of HTML and /metrics with metrics."""
    exporter = OtherProxy()
    exporter.answer = lambda path: (
        ("text/plain; version=0.0.4", "# TYPE mistaken_total counter\nmistaken_total 3\n")
        if path == "/metrics" else ("text/html", "<html>welcome</html>"))
    ours.join(exporter)
    ours.wait("main", "mistaken_total", 3)
    want("its type", ours.target(exporter)["ttype"], "Prometheus")
    ours.do(f"/disconnect?target={exporter.address}")
    exporter.kill()


class Chaos:
    """Either proxy is killed while counters grow, restart, and jobs come and go."""

    def __init__(self, ours, seed):
        self.ours, self.rng = ours, random.Random(seed)
        self.other = OtherProxy(node="chaos-node")
        self.names = ["chaos_a_total", "chaos_b_total", SEND]
        self.highest = {}
        self.jobs = 0
        self.is_dead = False

    def look(self):
        job = self.ours.job("main")
        if job is None:
            return
        for name in self.names:
            shown, truth = job[1].get(name, 0), self.other.truth.get((None, name), 0)
            if shown > truth:
                raise driver.Wrong(f"{name} is {shown}, counted: {truth}")
            if shown < self.highest.get(name, 0):
                raise driver.Wrong(f"{name} is {shown}, was {self.highest[name]}")
            self.highest[name] = shown

    def settle(self):
        if self.is_dead:
            self.other.come_back()
            self.is_dead = False
        self.ours.node.ensure()
        for name in self.names:
            if (None, name) in self.other.truth:
                self.ours.wait("main", name, self.other.truth[None, name])
            for jobid in self.other.jobs:
                counted = self.other.truth.get((jobid, name))
                if counted is not None:
                    self.ours.wait(jobid, name, counted)
        self.ours.wait_replies(self.other, 1)
        self.look()

    def play(self):
        rng, other = self.rng, self.other
        for _ in range(rng.randrange(4)):
            other.count(rng.choice([None, *other.jobs]), rng.choice(self.names),
                        rng.choice((1, 5, 1000, 0.5)))
        action = rng.random()
        if action < 0.25:
            self.settle()
            other.restart()
            if rng.random() < 0.5:
                self.ours.wait_replies(other, 1)
            else:  # the zeros are never seen: what is counted next must not overtake
                self.ours.node.kill()
                self.ours.node.ensure()
                self.ours.wait_replies(other, 1)
        elif action < 0.4:
            self.jobs += 1
            other.start_job(f"chaos-{self.jobs}", other.born + self.jobs)
        elif action < 0.5 and other.jobs:
            self.settle()
            other.end_job(rng.choice(list(other.jobs)))
        elif action < 0.6:
            if self.is_dead:
                other.come_back()
            else:
                other.kill()
            self.is_dead = not self.is_dead
        if rng.random() < 0.5:
            self.ours.node.kill()
        self.ours.node.ensure()
        self.look()

    def go(self, rounds):
        self.ours.join(self.other)
        for _ in range(rounds):
            self.play()
        self.settle()
        self.other.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    try:
        ours = Ours(options.folder)
        ours.hostname = os.uname().nodename
        for number, style in enumerate(STYLES):
            check_style(ours, style, number)
        check_absence(ours)
        check_shared_job(ours)
        check_parent(ours)
        check_mistaken(ours)
        Chaos(ours, options.seed).go(options.rounds)
        ours.node.kill()
    except driver.Wrong as wrong:
        print(f"seed {options.seed}: {wrong}")
        return 1
    print(f"{options.rounds} rounds, {ours.node.deaths} deaths, seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
