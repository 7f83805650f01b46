"""A part of t25-daemon-trouble.sh."""
from proxy import Client, wait_value

Client("again").counter("again_total", 1)
wait_value("again_total", 1)
