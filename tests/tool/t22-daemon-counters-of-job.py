"""A part of t22-daemon-counters.sh."""
import json

from proxy import ask, refused, wait_until, wait_value, want

values = {entry["name"]: entry["ctype"] for entry in
          ask("/profiles/get?jobid=dj").json()["counters"]}
want("the job's counter", values["of_job_total"]["Counter"]["value"], 9)
# Extra-P reads what is stored.
wait_until("the stored profile", lambda: ask("/profiles/extrap?jobid=dj").status == 200)
points = [json.loads(line) for line in
          ask("/profiles/extrap?jobid=dj").body.splitlines()]
want("points for Extra-P", [p for p in points if p["metric"] == "of_job_total"],
     [{"params": {"size": 1}, "metric": "of_job_total", "value": 9}])
wait_until("the end of the job", lambda: ask("/job?job=dj").status == 404)
refused("a job that has ended", ask("/accumulate?key=a&value=1&job=dj"), 404, "'job'")
wait_value("of_job_total", 9)
