"""A part of t17-own-daemon.sh: an older client, which talks over the socket itself."""
from proxy import Client, wait_value

client = Client("old")
client.counter("old_total", 7)
wait_value("old_total", 7, "old")
client.close()
wait_value("old_total", 7)
wait_value("mproxy_clients", (1, 0))
