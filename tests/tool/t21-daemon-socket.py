"""A part of t21-daemon-socket.sh."""
from proxy import Client, HOST, ask, counters, wait_until, wait_value, want, want_reply

# Values of two clients of one job, of one without a job, and of one that names a sum.
first, second, nobody, named = Client("lj"), Client("lj"), Client(), Client("main")
for i in range(5000):
    first.counter("legacy_total", 1)
    second.counter("legacy_total", 0.5)
first.gauge("legacy_gauge", 3)
second.gauge("legacy_gauge", 5)
nobody.counter("legacy_total", 7)
named.counter("legacy_total", 11)
wait_value("legacy_total", 7500, "lj")
wait_value("legacy_gauge", (2, 8), "lj")
wait_value("legacy_total", 7518)
wait_value("mproxy_clients", (1, 4))
want("a job called main", [job["jobid"] for job in ask("/job/list").json()],
     ["main", "Node: " + HOST, "lj"])

# Hostile messages cost their own connection.
for text in (b"\0", b"nonsense\0", b'{"Value":{}}\0', b'{"JobDesc":{"jobid":[]}}\0',
             b"[" * 100000 + b"\0", b"\xff\xfe\0",
             b'{"Value":{"name":"x","value":{"Counter":{"value":1e999}}}}\0',
             b'{"JobDesc":{"jobid":"' + b"x" * 4096 + b'"}}\0'):
    client = Client()
    client.raw(text)
    want(f"{text[:40]!r} ends its connection", client.is_closed(), True)
    client.close()
endless = Client("endless")
try:
    for i in range(100):
        endless.raw(b"a" * 65536)
    want("an endless message ends its connection", endless.is_closed(), True)
except ConnectionError:
    pass
for jobid in ("../../etc/x", "a/b", "\u00e9 \" \\", "x" * 512):
    client = Client(jobid)
    client.counter("odd_total", 1)
    wait_value("odd_total", 1, jobid)
    client.close()
first.counter("legacy_total", 1)
wait_value("legacy_total", 7501, "lj")
status = counters()
want("refused as no JSON", status['mproxy_refused_total{reason="gateway_not_json"}'] >= 4, True)
want("refused as of other shape", status['mproxy_refused_total{reason="gateway_shape"}'] >= 2,
     True)
want("refused by size", status['mproxy_refused_total{reason="gateway_size"}'], 1)

# The end of the connections is the end of the job.
for client in (first, second):
    client.close()
profile = wait_until("the profile", lambda: (lambda r: r.status == 200 and r)(
    ask("/profiles/get?jobid=lj")))
want_reply("the profile", profile, 200, "profile")
values = {entry["name"]: entry["ctype"] for entry in profile.json()["counters"]}
want("counter", values["legacy_total"]["Counter"]["value"], 7501)
want("gauge", (values["legacy_gauge"]["Gauge"]["hits"],
               values["legacy_gauge"]["Gauge"]["total"]), (2, 8))
wait_until("the job to leave the list", lambda: ask("/job?job=lj").status == 404)
wait_value("legacy_total", 7519)
