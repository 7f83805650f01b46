"""A part of t44-push-killed.sh: t44-push-killed.py [CRASH-POINT...]

Each group has one writer, who knows what it must hold: what was answered last or, where the
answer was lost with the proxy, that or what it asked for.
"""
import http.client
import os
import random
import re
import subprocess
import sys
import threading
import time

from pushgateway import samples
from proxy import fail

ROUNDS = int(os.environ.get("PUSH_ROUNDS", "200"))
SEED = int(os.environ.get("PUSH_SEED", time.time_ns() % 10**9))
WRITERS, GROUPS, SERIES = 2, 6, 40
TMP, SOCKET = os.environ["TMP"], os.environ["SOCKET"]


class Died(Exception):
    """At its crash point, before it served: it has groups to copy then."""


class Proxy:
    def __init__(self, crash_at=None):
        environment = dict(os.environ)
        self.crash_at = crash_at
        if crash_at:
            environment["MPROXY_CRASH_AT"] = crash_at
        self.log_path = os.path.join(TMP, "killed.log")
        log = open(self.log_path, "w")
        self.process = subprocess.Popen(
            [os.path.join(os.environ["BIN"], "proxy-v2"), "-p", "0", "--listen", "127.0.0.1",
             "-u", SOCKET, "-t", os.path.join(TMP, "prefix"), "-S", "20"],
            stderr=log, env=environment)
        log.close()
        self.port = self.wait_for(self.said_port)
        self.wait_for(lambda: self.get("/-/ready")[0] == 200)

    def wait_for(self, condition):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                found = condition()
                if found:
                    return found
            except OSError:
                pass
            if self.process.poll() is not None:
                if self.crash_at:
                    raise Died
                fail(f"the proxy ended: {self.said()}")
            time.sleep(0.002)
        fail(f"the proxy does not start: {self.said()}")

    def said(self):
        with open(self.log_path) as log:
            return log.read()

    def said_port(self):
        match = re.search(r"listening on http://[^ ]*:(\d+)\n", self.said())
        return match and int(match[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path):
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Group:
    """What one group may hold: a list of states, {series: value}, or None where it is gone."""

    def __init__(self, name):
        self.name, self.may = name, [None]

    def request(self, rng):
        """A change at random: method, path, body, and the state that it leads to."""
        before, path = self.may[0], "/metrics/job/" + self.name
        what = rng.choice(["post", "post", "sum", "sum", "sum", "put", "delete", "bad"])
        first = rng.randrange(3)
        news = {f"{kind}{i}": rng.randrange(1, 1000) for kind in ("count", "gauge")
                for i in range(first, first + rng.choice([1, SERIES]))}
        body = "".join(f"# TYPE {name} {'counter' if name[0] == 'c' else 'gauge'}\n"
                       f"{name} {value}\n" for name, value in news.items())
        if what == "delete":
            return "DELETE", path, None, None
        if what == "bad":
            return "POST", path, body + "x\n", before
        if what == "put":
            return "PUT", path, body, news
        after = dict(before or {})
        for name, value in news.items():
            add = what == "sum" and name[0] == "c"
            after[name] = after.get(name, 0) + value if add else value
        return "POST", path + ("?aggregate=sum" if what == "sum" else ""), body, after

    def push(self, connection, rng):
        method, path, body, after = self.request(rng)
        self.may = [self.may[0], after]
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        should = {"DELETE": 202}.get(method, 200)
        if response.status != should and not (body and body.endswith("x\n")):
            fail(f"seed {SEED}: {method} {path}: {response.status}")
        self.may = [after]

    def check(self, held):
        is_ = held.get(self.name)
        if is_ not in self.may:
            fail(f"seed {SEED}: group {self.name}: is {is_}, should be one of {self.may}")
        self.may = [is_]


def write(proxy, groups, rng, answered):
    connection = proxy.connect()
    try:
        while True:
            rng.choice(groups).push(connection, rng)
            answered.append(1)
    except (OSError, http.client.HTTPException):
        pass  # it was killed
    finally:
        connection.close()


def held(proxy):
    """What the proxy shows: {group: {series: value}}; one that exists has a push time."""
    found = {}
    for (name, labels), value in samples(proxy.get("/metrics")[1]).items():
        job = dict(labels)["job"]
        if name == "push_time_seconds" and value > 0:
            found.setdefault(job, {})
        elif not name.startswith("push_"):
            found.setdefault(job, {})[name] = value
    return found


def one_round(writers, rng, crash_at=None):
    """How many were answered, and whether the proxy died by itself."""
    try:
        proxy = Proxy(crash_at)
        shown = held(proxy)
    except (Died, OSError, http.client.HTTPException):
        if not crash_at:
            raise
        return 0, True
    for groups in writers:
        for group in groups:
            group.check(shown)
    answered = []
    threads = [threading.Thread(target=write, args=(proxy, groups, random.Random(rng.random()),
                                                    answered)) for groups in writers]
    for thread in threads:
        thread.start()
    if crash_at:
        proxy.process.wait(20)
    else:
        time.sleep(rng.random() * 0.1)  # when to kill is the test's chance, nothing waits
    died = proxy.process.poll() is not None
    proxy.kill()
    for thread in threads:
        thread.join()
    return len(answered), died


def main(points):
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    writers = [[Group(f"g{SEED}-{w}-{g}") for g in range(GROUPS)] for w in range(WRITERS)]
    answered = 0
    for point in points:
        for passage in (1, 2, 7):
            count, died = one_round(writers, rng, f"{point}:{passage}")
            answered += count
            if not died:
                fail(f"{point}:{passage}: the proxy did not die")
    for _ in range(0 if points else ROUNDS):
        answered += one_round(writers, rng)[0]
    one_round(writers, rng)
    print(f"{answered} pushes were answered, none is lost or counts twice")


main(sys.argv[1:])
