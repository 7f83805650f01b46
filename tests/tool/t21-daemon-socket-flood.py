"""A part of t21-daemon-socket.sh."""
from proxy import Client

client = Client("kj2")
while True:
    client.counter("flood_total", 1)
