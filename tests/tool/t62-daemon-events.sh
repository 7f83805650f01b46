#!/bin/sh
# 1,000 clients that listen to /events: each hears every round, others are answered meanwhile,
# and the daemon stays below 32 MiB with no more threads than before.
. "$(dirname "$0")/../support/lib.sh"
need python3 curl
ulimit -n 16384 2>/dev/null || skip descriptors "no more than $(ulimit -n) descriptors"
start_proxy
wait_for "the first round" get /-/ready

# A sanitizer's memory is not the proxy's.
SANITIZED=
nm -D "$LIB/libmproxy.so" 2>/dev/null | grep -q '__asan_init\|__tsan_init' && SANITIZED=yes
export URL SOCKET PYTHONPATH="$SUPPORT" PROXY_PID SANITIZED
timeout 150 python3 - <<'TXT'
from proxy import *
import os

HOST_PORT = (ADDRESS.rpartition(":")[0], int(ADDRESS.rpartition(":")[2]))
COUNT, LIMIT_KIB = 1000, 32 << 10

def status_of(key):
    with open(f"/proc/{os.environ['PROXY_PID']}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))

class Listener:
    """A connection of HTTP/1.0, so that its bytes come as they are."""
    def __init__(self, number, last_id=None):
        self.text = b""
        self.connection = socket.socket()
        self.connection.settimeout(30)
        # Many addresses, as of many hosts.
        self.connection.bind((f"127.0.1.{number % 200 + 1}", 0))
        self.connection.connect(HOST_PORT)
        again = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        self.connection.sendall(f"GET /events HTTP/1.0\r\n{again}\r\n".encode())

    def hear(self, text):
        while text not in self.text:
            piece = self.connection.recv(65536)
            if not piece:
                fail(f"the stream ended without {text}: {self.text[-200:]}")
            self.text += piece

    def rounds(self):
        events = self.text.rpartition(b"\n\n")[0].split(b"\n\n")
        return [json.loads(event.partition(b"data: ")[2])["round"]
                for event in events if b"event: round" in event]

# One first, so that the thread that wakes is there; then what is measured is the crowd.
first = Listener(0)
first.hear(b"event: round\n")
want("the head", b"Content-Type: text/event-stream\r\n" in first.text, True)
want("how soon to come back", b"retry: 1000\nid: " in first.text, True)
memory, threads = status_of("RssAnon"), status_of("Threads")

crowd = [first] + [Listener(number) for number in range(1, COUNT)]
for listener in crowd:
    listener.hear(b"id: ")
want("who listens", ask("/api/v1/status").json()["listeners"], COUNT)

# Others are answered, on new connections and by those that change.
for i in range(100):
    want("a request beside them", ask("/job/list").status, 200)
want("a change beside them", ask("/set?key=beside_total&value=7").status, 200)
want("cut off meanwhile", ask("/api/v1/status").json()["connections_cut"], 0)

# All hear the same rounds, one after another without a gap.
now = ask("/api/v1/status").json()["rounds"]
for listener in crowd:
    listener.hear(b'"round":%d,' % (now + 3))
for listener in crowd:
    rounds = listener.rounds()
    want("rounds", rounds, list(range(rounds[0], rounds[-1] + 1)))

grown, more = status_of("RssAnon"), status_of("Threads")
print(f"RssAnon in KiB: {memory} with 1 that listens, {grown} with {COUNT}")
want(f"below {LIMIT_KIB} KiB with {COUNT} that listen",
     grown < LIMIT_KIB or os.environ["SANITIZED"] != "", True)
want("threads", more, threads)

# One that comes back goes on where it was; of another proxy's start it hears of a gap.
last = first.text.rpartition(b"\nid: ")[2].partition(b"\n")[0].decode()
heard = int(last.partition("-")[2])
again = Listener(1, last)
again.hear(b"event: round\n")
want("the next event", f"-{heard + 1}\nevent: round".encode() in again.text, True)
want("a gap", b"event: gap" in again.text, False)
other = Listener(2, "1-" + last.partition("-")[2])
other.hear(b"event: gap\n")

# Those that leave are forgotten, and their place is free.
for listener in crowd:
    listener.connection.close()
wait_until("all to be gone", lambda: ask("/api/v1/status").json()["listeners"] <= 2)
if not os.environ["SANITIZED"]:
    wait_until("their memory", lambda: status_of("RssAnon") < (memory + grown) / 2)
TXT

# A stop does not wait for those that listen, and ends what they hear.
curl -sN --max-time 60 "$URL/events" >"$TMP/heard" &
CURL=$!
kill_later $CURL
wait_for "an event" grep -q '^event: round' "$TMP/heard"
stop_proxy
want "exit status" "$STATUS" 0
wait $CURL || fail "the stream was not ended well: $?"
