"""A part of t26-daemon-large.sh."""
import gzip
import json
import os
import socket

from proxy import ADDRESS, Client, ask, counters, wait_until, want

CLIENTS, NAMES = 5, 15000
clients = [Client("large") for _ in range(CLIENTS)]
for number, client in enumerate(clients):
    client.raw(b"".join(json.dumps({"Value": {
        "name": f'large_total{{client="{number}",name="{i:05}",text="{"x" * 60}"}}',
        "value": {"Counter": {"value": i + 0.25}}}}).encode() + b"\0"
        for i in range(NAMES)))
wait_until("all series", lambda: counters().get("mproxy_series", (0, 0))[1] >=
           3 * CLIENTS * NAMES, 60)


def memory():
    with open(f"/proc/{os.environ['PROXY_PID']}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

values = counters("large")
want("series in JSON", sum(name.startswith("large_total") for name in values),
     CLIENTS * NAMES)
want("a value", values[f'large_total{{client="4",name="14999",text="{"x" * 60}"}}'], 14999.25)
before = memory()
reply = ask("/metrics?job=*")
want("status", reply.status, 200)
want("it is large", len(reply.body) > 20 << 20, True)
want("it is streamed", "content-length" in reply.headers, False)
plain = [line for line in reply.body.splitlines() if line.startswith(b"large_total")]
want("series in text", len(plain), 3 * CLIENTS * NAMES)
packed = ask("/metrics?job=*", headers={"Accept-Encoding": "gzip"})
want("packing", packed.headers["content-encoding"], "gzip")
unpacked = [line for line in gzip.decompress(packed.body).splitlines()
            if line.startswith(b"large_total")]
want("what is packed", unpacked == plain, True)
want("HEAD of a stream", ask("/metrics?job=*", "HEAD").body, b"")

# Readers that leave, and some that do not read at all.
lazy = []
for i in range(12):
    reader = socket.create_connection(ADDRESS.rsplit(":", 1), timeout=20)
    reader.sendall(b"GET /metrics?job=* HTTP/1.1\r\nHost: x\r\n\r\n")
    lazy.append(reader)
answers = [reader.recv(12) for reader in lazy]
want("streams at one time", sorted(set(answers)), [b"HTTP/1.1 200", b"HTTP/1.1 503"])
want("others are served", ask("/-/healthy").status, 200)
for reader in lazy:
    reader.close()
wait_until("room for a stream", lambda: ask("/metrics?job=*").status == 200)
wait_until("memory to be given back", lambda: memory() < before + (16 << 10))

# Limits of requests.
reply = ask("/job?job=" + "x" * 20000)
want("a long address", reply.status in (404, 414), True)
reply = ask("/job?job=" + "x" * 100000)
want("a longer address", reply.status in (414, 431) and len(reply.body) > 0, True)
for number in range(300):
    idle = socket.create_connection(ADDRESS.rsplit(":", 1))
    lazy.append(idle)
want("with 300 idle connections", ask("/-/healthy").status, 200)
