"""A part of t22-daemon-counters.sh."""
from proxy import HOST, ask, post, wait_value, want, want_reply


def changed(path, reply):
    want_reply(path, reply, 200, "success")

for path in ("/push?key=declared_total&doc=A%20doc", "/accumulate?key=k_total&value=2.5",
             "/accumulate?key=k_total&value=1", "/set?key=s_total&value=40",
             "/push?key=declared_total", "/push/?key=l_total%7Ba%3D%22b%22%7D&doc=d",
             "/accumulate?key=main_total&value=1&job=main",
             "/accumulate?key=main_total&value=1&job=Node:%20" + HOST):
    changed(path, ask(path))
changed("POST", post("/accumulate", {"key": "k_total", "value": 1}))
changed("POST", post("/accumulate", {"key": "k_total", "value": "0.5", "doc": "of k"}))
changed("POST", post("/push", {"key": "p_total", "doc": "posted"}))
wait_value("k_total", 5)
wait_value("s_total", 40)
wait_value("main_total", 2)
wait_value("declared_total", 0)
shown = {entry["name"]: entry for entry in ask("/job?job=main").json()["counters"]}
want("doc", shown["declared_total"]["doc"], "A doc")
want("labels", 'l_total{a="b"}' in shown, True)

# Set is exact whatever came before and in the same moment, also downwards.
for value in (100, 100.25, 7, 0, 12):
    changed("/set", ask(f"/set?key=s_total&value={value}"))
    wait_value("s_total", value)
changed("/accumulate", ask("/accumulate?key=s_total&value=3"))
changed("/set", ask("/set?key=s_total&value=50"))
changed("/accumulate", ask("/accumulate?key=s_total&value=1"))
changed("/accumulate", ask("/accumulate?key=s_total&value=1"))
wait_value("s_total", 52)
