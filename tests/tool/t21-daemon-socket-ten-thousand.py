"""A part of t21-daemon-socket.sh."""
from proxy import Client, wait_value

client = Client("kj")
for i in range(10000):
    client.counter("kill_total", 1)
wait_value("kill_total", 10000, "kj")
