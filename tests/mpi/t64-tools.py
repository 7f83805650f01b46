"""A part of t64-tools.sh."""
import json
import sys

counters = {e["name"]: e["ctype"]["Counter"]["value"]
            for e in json.load(open(sys.argv[1]))["counters"] if "Counter" in e["ctype"]}
print(f"{counters.get(sys.argv[2], 'absent'):g}" if sys.argv[2] in counters else "absent")
