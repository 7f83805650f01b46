"""A part of t21-daemon-socket.sh."""
from proxy import ask, counters, wait_until, wait_value, want

# Until the job is sealed it is shown, then its profile says the same.
wait_until("the profile", lambda: ask("/profiles/get?jobid=kj").status == 200)
values = {entry["name"]: entry["ctype"] for entry in
          ask("/profiles/get?jobid=kj").json()["counters"]}
want("messages before the kill", values["kill_total"]["Counter"]["value"], 10000)
wait_value("kill_total", 10000)
want("who was not the job's", counters().get("legacy_total"), 7519)
