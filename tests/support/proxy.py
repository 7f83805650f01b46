"""What test scripts in Python share: HTTP requests to a proxy, clients of its socket.

The proxy's address is in $URL and its socket in $SOCKET.
"""
import http.client
import json
import os
import socket
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import schema  # noqa: E402

ADDRESS = os.environ["URL"].removeprefix("http://")
HOST = socket.gethostname()


class Reply:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = {key.lower(): value for key, value in response.getheaders()}
        self.body = body

    def json(self):
        return json.loads(self.body)


def ask(path, method="GET", body=None, headers=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(ADDRESS, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Reply(response, response.read())
    finally:
        connection.close()


def post(path, value):
    return ask(path, "POST", json.dumps(value), {"Content-Type": "application/json"})


def quote(text):
    return urllib.parse.quote(text, safe="")


def fail(text):
    print("FAILED:", text, file=sys.stderr)
    sys.exit(1)


def want(what, is_, should):
    if is_ != should:
        fail(f"{what}: is {is_!r}, should be {should!r}")


def want_reply(what, reply, status, kind):
    """A reply with this status that keeps to the contract."""
    if reply.status != status:
        fail(f"{what}: status {reply.status}, should be {status}: {reply.body[:300]!r}")
    faults = schema.check(kind, reply.body)
    if faults:
        fail(f"{what}: {faults[:3]} in {reply.body[:300]!r}")
    return reply


def refused(what, reply, status, names=""):
    """A refusal whose sentence names the parameter."""
    want_reply(what, reply, status, "refusal")
    if names not in reply.json()["operation"]:
        fail(f"{what}: {reply.json()['operation']!r} does not name {names!r}")


def wait_until(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            fail(f"waited in vain for {what}")
        time.sleep(0.02)


def counters(job="main"):
    """Values of a job by name: a number for a counter, (hits, total) for a gauge."""
    reply = ask("/job?job=" + quote(job))
    if reply.status != 200:
        return {}
    values = {}
    for entry in reply.json()["counters"]:
        kind, value = next(iter(entry["ctype"].items()))
        values[entry["name"]] = (value["value"] if kind == "Counter"
                                 else (value["hits"], value["total"]))
    return values


def wait_value(name, value, job="main"):
    try:
        wait_until("", lambda: counters(job).get(name) == value)
    except SystemExit:
        fail(f"{name} of {job}: is {counters(job).get(name)!r}, should be {value!r}")


class Client:
    """A program that pushes to the legacy socket."""

    def __init__(self, jobid=None, command="./legacy"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["SOCKET"])
        if jobid is not None:
            self.send({"JobDesc": {
                "jobid": jobid, "command": command, "size": 1, "nodelist": "",
                "partition": "", "cluster": "", "run_dir": "/", "start_time":
                int(time.time() * 1000), "end_time": 0}})

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, message):
        self.raw(json.dumps(message).encode() + b"\0")

    def counter(self, name, value):
        self.send({"Value": {"name": name, "value": {"Counter": {"value": value}}}})

    def gauge(self, name, value):
        self.send({"Value": {"name": name, "value": {"Gauge": {
            "min": value, "max": value, "hits": 1, "total": value}}}})

    def is_closed(self):
        self.socket.settimeout(10)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def close(self):
        self.socket.close()
