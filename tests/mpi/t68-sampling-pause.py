"""A part of t68-sampling.sh."""
import json
import sys

values = {e["name"]: e["ctype"]["Counter"]["value"]
          for e in json.load(open(sys.argv[1]))["counters"] if "Counter" in e["ctype"]}
assert values["mpi___hits___mpi_send"] == 1000
sys.exit(values.get("mpi_untimed_seconds_total", 0) < 0.29)
