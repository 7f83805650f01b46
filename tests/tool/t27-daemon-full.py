"""A part of t27-daemon-full.sh."""
from proxy import Client, counters, wait_until

client = Client("no-room")
client.counter("no_room_total", 1)
wait_until("its refusal", lambda: counters().get(
    'mproxy_refused_total{reason="gateway_room"}', 0) >= 1)
