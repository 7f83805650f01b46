"""A part of t32-starts-stored.sh."""
import json
import sys

values = {e["name"]: e["ctype"] for e in json.load(open(sys.argv[1]))["counters"]}
print(*(values.get(name, {"Counter": {"value": 0}})["Counter"]["value"]
        for name in ("has_started", "has_finished")))
