"""A part of t56-hostile-names.sh."""
import os

from proxy import (Client, HOST, ask, counters, quote, refused, wait_until, wait_value,
                   want, want_reply)
from segments import drop, metric, segment

DIR = os.environ["DIR"]


def log():
    with open(os.environ["LOG"], "rb") as file:
        return file.read()

# By a raw segment: those that name no job count for the node, once, with a line.
bad = ["main", "Node: x", b"\xff\xfe", "a\nb", "a\x1b[2Jb", "x" * 4096]
for number, jobid in enumerate(bad):
    drop(DIR, f"id-{number}.seg", segment(jobid, [metric("raw_total", 0)], [1], start=number))
wait_value("raw_total", len(bad))
wait_until("their count", lambda: counters().get(
    'mproxy_refused_total{reason="segment_job_id"}') == len(bad))
for number in range(len(bad)):
    want(f"a line of id-{number}", f"'id-{number}.seg': job id".encode() in log(), True)
drop(DIR, "id-good.seg", segment("../../etc/raw", [metric("raw_total", 0)], [1], start=99))
reply = wait_until("its profile", lambda: (lambda r: r.status == 200 and r)(
    ask("/profiles/get?jobid=" + quote("../../etc/raw"))))
want_reply("a raw job", reply, 200, "profile")

# By the socket: an empty one and those of sums count for the node, too long is refused.
clients = []
for jobid in ("", "main", "Node: x", "Node: " + HOST, "../../etc/socket", "a/socket", "x" * 512):
    client = Client(jobid)
    client.counter("socket_total", 1)
    clients.append(client)
wait_value("socket_total", 7)
for client in clients:
    client.close()
for jobid in ("../../etc/socket", "a/socket", "x" * 512):
    wait_until("its profile", lambda: ask("/profiles/get?jobid=" + quote(jobid)).status == 200)
for jobid in ("x" * 513, "a\nb", "\u0085"):
    client = Client(jobid)
    closed = client.is_closed()
    client.counter("socket_total", 1) if not closed else None
    client.close()
wait_until("the jobs' end", lambda: len(ask("/job/list").json()) == 2)
want_reply("/profiles", ask("/profiles"), 200, "profiles")
want_reply("/percmd", ask("/percmd"), 200, "percmd")
for job in ask("/profiles").json():
    want_reply(job["jobid"], ask("/get?jobid=" + quote(job["jobid"])), 200, "profile")
    want("printable", all(c.isprintable() for c in job["jobid"]), True)
want("a log of text", [line for line in log().decode().splitlines()
                        if not line.isprintable()], [])

# By the path of a request.
for jobid in ("../../etc/x/y", "..%2f..", "x" * 4096, "\n", "\xff", "/", "@", "@1", "x@", "x@x",
              "x@99999999999999999999"):
    refused(jobid, ask("/get?jobid=" + quote(jobid)), 404, "'jobid'")
