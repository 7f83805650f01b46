"""A part of t55-hostile-segments.sh."""
import os
import random
import socket as sockets
import struct

from proxy import ask, counters, quote, wait_until, want, want_reply
from segments import (FCOUNTER, GAUGE, HISTOGRAM, Held, LOG, METRIC, PAGE, drop, extent,
                      following, header, job, many_names, metric, record, segment)

random.seed(1)
DIR, PID = os.environ["DIR"], os.environ["PROXY_PID"]


def memory():
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def descriptors():
    return len(os.listdir(f"/proc/{PID}/fd"))

before, open_before = memory(), descriptors()
one = [metric("one_total", 0)]
good = segment("raw", one, [1])
noise = random.randbytes(65536)
bad = {
    "empty": b"", "short": good[:100], "header": good[:512], "less": good[:4095],
    "zero": bytes(4096), "ones": b"\xff" * 4096, "noise": noise,
    "magic": segment("x", one, magic=1), "page": segment("x", one, page=65536),
    "many-records": segment("x", one, count=60000), "most": segment("x", one, count=2**32 - 1),
    "none": segment("x", one, count=0),
    "no-job": header(count=1) + metric("one_total", 0).ljust(3584, b"\0"),
    "size-0": segment("x", [record(METRIC, b"abc", 0)]),
    "size-4": segment("x", [record(METRIC, b"abc", 4)]),
    "size-odd": segment("x", [record(METRIC, b"abc", 33)]),
    "size-most": segment("x", [record(METRIC, b"abc", 2**32 - 8)]),
    "loop": segment("x", [following(LOG, 2560)], count=60000),
    "loop-2": segment("x", [following(PAGE, PAGE)], count=60000) +
        following(LOG, 2560).ljust(PAGE, b"\0"),
    "next-out": segment("x", [following(1 << 40, 4096)]),
    "next-wrap": segment("x", [following(2**64 - 4096, 4096)]),
    "extent-out": segment("x", one + [extent(0, 128, 512, 1 << 30)]),
    "extent-wrap": segment("x", one + [extent(0, 128, 512, 2**64 - 8)]),
    "extent-most": segment("x", one + [extent(0, 128, 2**32 - 1, 4096)]) + bytes(8192),
    "extent-header": segment("x", one + [extent(1, 0, 64, 0)]),
    "extent-row": segment("x", one + [extent(2**32 - 1, 0, 8, 3072)]),
    "job-lengths": segment("x", one, job_record=job("x", lengths=[2**32 - 1] * 6)),
    "job-long": segment("x", one, job_record=job("x" * 4096)),
    "metric-lengths": segment("x", [metric("a_total", 0, lengths=(2**32 - 1, 2**31))]),
    "metric-slot": segment("x", [metric("a_total", 2**32 - 1)]),
    "metric-slots": segment("x", [metric("a_total", 0, slots=9)]),
    "metric-bounds": segment("x", [metric("a", 0, HISTOGRAM, bound_count=2**31)]),
    "metric-kind": segment("x", [metric("a_total", 0, kind=99)]),
    "kind": segment("x", one, kind=99),
}
bad |= {"version": segment("x", one, version=2), "huge": good, "large": good}


def log():
    with open(os.environ["LOG"], "rb") as file:
        return file.read()


def wait_round():
    rounds = ask("/api/v1/status").json()["rounds"]
    wait_until("a round", lambda: ask("/api/v1/status").json()["rounds"] > rounds + 1)

# A few at a time: of more than eight in one round the rest is only counted in the log.
for number, (name, data) in enumerate(bad.items()):
    drop(DIR, f"bad-{name}.seg", data)
    if name in ("huge", "large"):
        os.truncate(f"{DIR}/bad-{name}.seg", {"huge": 1 << 40, "large": 300 << 20}[name])
    if number % 6 == 5 or number == len(bad) - 1:
        wait_round()


def lines_of(name):
    return log().count(f"segment 'bad-{name}.seg'".encode())

# What looks as if it was being born is given some seconds.
wait_until("something said of each file", lambda: all(map(lines_of, bad)))
want("lines for each", sum(map(lines_of, bad)) < 2 * len(bad), True)

# What is no file at all.
os.symlink("/etc/passwd", f"{DIR}/link.seg")
os.symlink("link-2.seg", f"{DIR}/link-2.seg")
os.symlink("/nowhere/at/all", f"{DIR}/link-3.seg")
os.mkfifo(f"{DIR}/fifo.seg")
os.mkfifo(f"{DIR}/.new-fifo")
os.mkdir(f"{DIR}/folder.seg")
os.mkdir(f"{DIR}/.new-folder")
listener = sockets.socket(sockets.AF_UNIX)
listener.bind(f"{DIR}/socket.seg")
os.symlink("999999999999999999999 ../../etc/x", f"{DIR}/.off-1-1")
os.symlink("nothing", f"{DIR}/.off-")
os.symlink("2 \x1b[2J\n" + "x" * 500, f"{DIR}/.off-2-99999999999999999999999")
open(f"{DIR}/.off-3-3", "w").close()
for name in (b"\xff\xfe\n\x1b[31m.seg", b"a b\"c\\.seg", b"x" * 240 + b".seg"):
    with open(os.path.join(DIR.encode(), name), "wb") as file:
        file.write(noise)
if os.geteuid() == 0:
    os.mknod(f"{DIR}/device.seg", 0o20600, os.makedev(1, 5))

# Names that are none, in a segment that is sound; values that are none.
names = ["", "1a", "a b", "a\nb", "a\x1b[31mb", "a{", "a}", 'a{b="c"', 'a{b="c}', 'a{b=c}', 'a{="c"}',
         'a{b="c",b="d"}', 'a{b="\x01"}', b"\xff\xfe", b'a{b="\xff"}', "a" * 1025, "é_total",
         'a"b',  "proxy_cpu_total", "mproxy_uptime_seconds", "has_started"]
drop(DIR, "names.seg", segment("names", [metric(name, i) for i, name in enumerate(names)],
                               [1] * len(names)))
nan, inf = (struct.unpack("<Q", struct.pack("<d", x))[0] for x in (float("nan"), float("inf")))
negative = struct.unpack("<Q", struct.pack("<d", -1.0))[0]
drop(DIR, "values.seg", segment("values", [
    metric("nan_total", 0, FCOUNTER), metric("inf_total", 1, FCOUNTER),
    metric("negative_total", 2, FCOUNTER), metric("nan_gauge", 3, GAUGE),
    metric("scale_total", 5, scale=float("nan")), metric("scaled_total", 6, scale=1e308),
    metric("fine_total", 7)], [nan, inf, negative, nan, 1, 1, 2**63, 4]))
drop(DIR, "many.seg", many_names("many", 10000))


def profile(job):
    reply = wait_until(f"the profile of {job}", lambda: (lambda r: r.status == 200 and r)(
        ask("/profiles/get?jobid=" + quote(job))))
    want_reply(job, reply, 200, "profile")
    return {entry["name"]: next(iter(entry["ctype"].values())) for entry in
            reply.json()["counters"]}

many = profile("many")
want("names", sum(name.startswith("many_") for name in many), 10000)
want("a value", {many[f"many_{i}_total"]["value"] for i in range(10000)}, {1})
values = profile("values")
want("a good value", values["fine_total"]["value"], 4)
want("bad values", [name for name in ("nan_total", "inf_total", "negative_total", "scale_total",
                                      "scaled_total") if values.get(name, {"value": 0})["value"]], [])
shown = profile("names")
want("bad names", sorted(set(shown) & {n for n in names if isinstance(n, str)} -
                         {"has_started", "proxy_cpu_total"}), [])
status = counters()
want("refused files", status['mproxy_bad_segments{reason="corrupt"}'][1] >= len(bad) - 4, True)
want("of another version", status['mproxy_bad_segments{reason="version"}'][1], 1)
want("refused names", status['mproxy_refused_total{reason="segment_name"}'] >= 14, True)
want("bad values", status["mproxy_bad_values_total"] >= 3, True)

# Files that live: they grow, shrink and are scribbled on while the proxy reads.
held = [Held(DIR, f"live-{i}.seg", segment(f"live-{i}", one, [1], pid=os.getpid(), start=i,
        finished=0)) for i in range(8)]
wait_until("their jobs", lambda: len([j for j in ask("/job/list").json()
                                      if j["jobid"].startswith("live-")]) == 8)
rounds = ask("/api/v1/status").json()["rounds"]
while ask("/api/v1/status").json()["rounds"] < rounds + 15:
    for number, segment_ in enumerate(held):
        size = random.choice((0, 1, 511, 4095, 4096, 5000, 1 << 20, 1 << 33))
        if number < 4:
            os.ftruncate(segment_.fd, size)
        else:
            os.pwrite(segment_.fd, random.randbytes(random.randrange(1, 4096)),
                      random.randrange(0, 4096))
for segment_ in held:
    segment_.end()
wait_until("the damage to be counted", lambda: counters().get(
    'mproxy_refused_total{reason="segment_damaged"}', 0) >= 5)
wait_until("the end of their jobs", lambda: not [
    j for j in ask("/job/list").json() if j["jobid"].startswith("live-")])
for kind in ("jobs", "joblist", "profiles"):
    path = {"jobs": "/job", "joblist": "/job/list", "profiles": "/profiles"}[kind]
    want_reply(path, ask(path), 200, kind)
want_reply("/metrics", ask("/metrics?job=*"), 200, "metrics-text")
want("memory is bounded", memory() < before + (96 << 10), True)
want("descriptors are given back", descriptors() <= open_before + 40, True)
want("a log of text", [line for line in log().decode().splitlines()
                        if not line.isprintable()], [])
