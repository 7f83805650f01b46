"""A part of t31-ranks.sh."""
import json
import sys


def load(path):
    profile = json.load(open(path))
    return profile["desc"], {e["name"]: e for e in profile["counters"]}


def want(what, actual, expected):
    if actual != expected:
        sys.exit(f"FAILED: {what}: is {actual!r}, should be {expected!r}")


desc, entries = load(sys.argv[1])
want("size", desc["size"], 4)
# 10, 20 (killed), 30, and 40 that the second image of rank 3 has set.
want("the gauge", entries["chaos_gauge"]["ctype"]["Gauge"],
     {"min": 10, "max": 40, "hits": 4, "total": 100})
# 1; 1+2; 1+2+3; twice 1+2+3+1.
want("the sum", entries["chaos_total"]["ctype"]["Counter"]["value"], 1 + 3 + 6 + 14)
ranks = entries["chaos_total"]["ranks"]
want("the spread", {key: ranks[key] for key in
                    ("n", "min", "max", "mean", "min_rank", "max_rank")},
     {"n": 4, "min": 1, "max": 14, "mean": 6, "min_rank": 0, "max_rank": 3})
want("has_started", entries["has_started"]["ctype"]["Counter"]["value"], 4)
want("has_finished", entries["has_finished"]["ctype"]["Counter"]["value"], 3)

desc, entries = load(sys.argv[2])
work = entries["work_seconds_total"]["ranks"]
want("who works longest", (work["n"], work["max_rank"]), (4, 2))
waits = [name for name in entries if "time" in name and name.endswith("mpi_barrier")]
want("the time in barriers", len(waits), 1)
want("who waits least", entries[waits[0]]["ranks"]["min_rank"], 2)
desc, outside = load(sys.argv[3])
want("the size, told by the ranks", desc["size"], 4)
work = outside["work_seconds_total"]["ranks"]
want("who works longest under a launcher", (work["n"], work["max_rank"]), (4, 2))
print("4 gauges, one of a killed rank; rank 2 works longest and waits least:",
      {key: round(value, 3) for key, value in entries[waits[0]]["ranks"].items()})
