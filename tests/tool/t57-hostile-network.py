"""A part of t57-hostile-network.sh."""
import os
import random
import socket
import threading
import time

from proxy import (ADDRESS, Client, HOST, ask, counters, fail, wait_until, wait_value,
                   want, want_reply)

random.seed(2)
HOST_PORT = tuple(ADDRESS.rsplit(":", 1))


def status_of(key):
    with open(f"/proc/{os.environ['PROXY_PID']}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))


def http(data=b"", timeout=20):
    connection = socket.create_connection(HOST_PORT, timeout=timeout)
    connection.sendall(data)
    return connection


def answer(connection):
    """The status line's code, 0 when the connection was closed without one."""
    data = b""
    try:
        while b"\r\n" not in data:
            piece = connection.recv(4096)
            if not piece:
                break
            data += piece
    except (ConnectionError, TimeoutError):
        pass
    connection.close()
    return int(data.split()[1]) if data.startswith(b"HTTP/1.") else 0


def alive(what):
    started = time.monotonic()
    want(f"after {what}", ask("/-/healthy").status, 200)
    took = time.monotonic() - started
    if took > 3:
        fail(f"after {what} an answer took {took:.1f} s")

before, threads = status_of("RssAnon"), status_of("Threads")

# A client of the socket that is good all the time, and exact in the end.
stop, sent = threading.Event(), [0]


def be_good():
    client = Client("beside")
    while not stop.is_set():
        client.counter("beside_total", 1)
        sent[0] += 1
        time.sleep(0.001)  # the pace of a client that means well
    wait_value("beside_total", sent[0], "beside")
    client.close()
good = threading.Thread(target=be_good, daemon=True)
good.start()

# The socket.
nonsense = [b"\0" * 100, b"{}\0", b"[]\0", b"null\0", b'"x"\0', b"{\0", b"\xff\0", b'{"Desc":1}\0',
            b'{"Desc":{"name":1}}\0', b'{"Value":{"name":"x"}}\0', b'{"Value":{"name":"x","value":{}}}\0',
            b'{"Value":{"name":"x","value":{"Counter":{}}}}\0', b'{"JobDesc":null}\0',
            b'{"Value":{"name":"x","value":{"Counter":{"value":"1"}}}}\0',
            b'{"Value":{"name":"a\\u0000b","value":{"Counter":{"value":1}}}}\0',
            b'{"Value":{"name":"x","value":{"Counter":{"value":1},"Gauge":{}}}}\0',
            b'{"Desc":{"name":"x","doc":"d","ctype":{"Other":{}}}}\0',
            b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\0", b"[" * 1000000 + b"\0",
            b'{"JobDesc":{"jobid":"x","size":1e400}}\0',
            random.randbytes(5000) + b"\0", b'{"x":"' + b"\\u0041" * 100000 + b'"}\0']


def refusals():
    return sum(value for name, value in counters().items()
               if name.startswith('mproxy_refused_total{reason="gateway_'))
for text in nonsense:
    client, had = Client(), refusals()
    try:
        client.raw(text)
    except ConnectionError:
        pass
    want(f"{text[:50]!r} ends its connection", client.is_closed(), True)
    client.close()
    wait_until(f"{text[:50]!r} to be counted", lambda: refusals() > had)
# Names and values that are none cost themselves or the connection, not the rest.
for name, value in (("a{", 1), ("", 1), ("a b", 1), ("x" * 1100, 1), ("a\x1b[2J", 1),
                    ("neg_total", -5), ("big_total", 1e308), ("proxy_cpu_total", 1)):
    client = Client("odd")
    try:
        for _ in range(3):
            client.counter(name, value)
    except ConnectionError:
        pass
    client.close()
alive("nonsense")
huge = Client("huge")
try:
    huge.raw(b'{"x":"' + b"a" * (5 << 20) + b'"}\0')
except ConnectionError:
    pass
want("5 MiB end the connection", huge.is_closed(), True)
endless = [Client(f"endless-{i}") for i in range(20)]
for client in endless:
    try:
        client.raw(b"a" * (3 << 20))
    except ConnectionError:
        pass
alive("60 MiB of beginnings")
for client in endless:
    client.close()
# A client whose jobs never end to be new, and one with names without end.
client = Client("first")
for i in range(3000):
    client.send({"JobDesc": {"jobid": f"many-{i}", "command": "x", "size": 1, "nodelist": "",
                             "partition": "", "cluster": "", "run_dir": "", "start_time": 0,
                             "end_time": 0}})
alive("3,000 jobs of one client")
client.close()
client = Client("names")
try:
    for i in range(40000):
        client.counter(f"name_{i}_total", 1)
except ConnectionError:
    pass
alive("40,000 names of one client")
client.close()
# More connections than it takes.
idle, refused_connects = [], 0
for i in range(3000):
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(os.environ["SOCKET"])
        idle.append(connection)
    except OSError:
        refused_connects += 1
alive("3,000 clients")
for connection in idle:
    connection.close()
wait_until("the clients to go", lambda: counters().get("mproxy_clients", (0, 99))[1] <= 1)

# HTTP: what is no request.
for data, codes in ((b"\r\n\r\n", (0, 400)), (b"nonsense\r\n\r\n", (0, 400)),
                    (b"GET\r\n\r\n", (0, 400)), (b"GET / HTTP/9.9\r\n\r\n", (0, 400, 505)),
                    (random.randbytes(3000) + b"\r\n\r\n", (0, 400)),
                    (b"GET /job HTTP/1.1\r\n\r\n", (0, 200, 400)),  # no Host
                    (b"GET /job?job=%zz%&=&& HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404)),
                    (b"GET " + b"/" * 60000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (0, 414)),
                    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200000 + b"\r\n\r\n", (0, 431)),
                    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n", (0, 431)),
                    (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 99999999999\r\n\r\n{", (0, 413)),
                    (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: -1\r\n\r\n{", (0, 400)),
                    (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", (0, 400)),
                    (b"GET http://evil/-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", (0, 200, 400, 404)),
                    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", (0, 404, 405)),
                    (b"TRACE /job HTTP/1.1\r\nHost: x\r\n\r\n", (0, 405)),
                    (b"GET /job?" + b"a=1&" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400,)),
                    (b"GET /job?job=" + b"x" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                     (414,)),
                    (b"POST /set HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Transfer-Encoding: gzip\r\n\r\n{", (400,)),
                    (b"GET /job\0/x HTTP/1.1\r\nHost: x\r\n\r\n", (0, 200, 400, 404))):
    try:
        code = answer(http(data))
    except ConnectionError:
        code = 0
    want(f"{data[:60]!r} is answered {code}", code in codes, True)
alive("what is no request")
# Slow ones: a byte now and then, a head without end, an answer that nobody reads.
slow = [http(b"GET /job HTTP/1.1\r\nHost: x\r\nX-") for _ in range(200)]
unread = [http(b"GET /job HTTP/1.1\r\nHost: x\r\n\r\n" * 50) for _ in range(50)]
for connection in slow:
    connection.sendall(b"a")
alive("200 slow heads and 50 readers that do not read")


# While all jobs make a large reply, those that do not read it hold what there is of these,
# until others need them.
def served():
    answered = ask("/job")
    return answered.status == 200 and answered


want_reply("/job", wait_until("/job", served, 60), 200, "jobs")
# And a crowd, more than are taken: others go on, each by a connection of its own.
crowd = []
for i in range(1500):
    crowd.append(http(b"GET /job HTTP/1.1\r\nHo" if i % 2 else b"", timeout=5))
for address in ("127.0.0.2", "127.0.0.1", "127.0.0.3"):
    started = time.monotonic()
    connection = socket.create_connection(HOST_PORT, timeout=10, source_address=(address, 0))
    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    want(f"the answer to {address} beside a crowd", answer(connection), 200)
    took = time.monotonic() - started
    print(f"beside {len(crowd)} connections {address} is answered after {took:.3f} s")
    want("in time", took < 2, True)
cut = ask("/api/v1/status").json()["connections_cut"]
want(f"connections that had to go ({cut})", 600 < cut < 2500, True)
for connection in slow + unread + crowd:
    connection.close()
wait_until("an answer after the crowd", lambda: ask("/-/healthy").status == 200)
wait_until("being ready", lambda: ask("/-/ready").status == 200)
stop.set()
good.join()
want("no thread more", status_of("Threads") <= threads + 4, True)
wait_until("the jobs' end", lambda: {j["jobid"] for j in ask("/job/list").json()} ==
           {"main", "Node: " + HOST, "good"}, 30)
print("RssAnon in KiB:", before, status_of("RssAnon"))
want("memory is bounded", status_of("RssAnon") < before + (160 << 10), True)
want_reply("/metrics", ask("/metrics"), 200, "metrics-text")
with open(os.environ["LOG"], encoding="utf-8") as file:
    lines = file.read().splitlines()
want("a log of text", [line for line in lines if not line.isprintable()], [])
print(len(lines), "lines in the log")
want("a log in bounds", len([l for l in lines if "profile" not in l]) < 500, True)
