"""A part of t68-sampling.sh."""
import json
import sys

values = {e["name"]: e["ctype"]["Counter"]["value"]
          for e in json.load(open(sys.argv[1]))["counters"] if "Counter" in e["ctype"]}
sampled, seconds = sys.argv[2] == "some", float(sys.argv[3])
brief = ("mpi_irecv", "mpi_send", "mpi_wait")
for fn in brief:
    assert values[f"mpi___hits___{fn}"] == 320000, (fn, values[f"mpi___hits___{fn}"])
assert values["mpi___size_in___mpi_irecv"] == values["mpi___size_out___mpi_send"] == 2560000
time = sum(values[f"mpi___time___{fn}"] for fn in brief)
untimed = values.get("mpi_untimed_seconds_total", 0)
# The pause belongs to no call; sampling can't know that of a dense phase, and says so.
assert 0.2 * (seconds - 0.3) < time + untimed < 1.02 * seconds, (time, untimed, seconds)
assert time < seconds - 0.28, (time, seconds)
assert sampled or untimed == 0, (untimed, seconds)
rank, size = (values[f"mpi___time___mpi_comm_{what}"] for what in ("rank", "size"))
assert values["mpi___hits___mpi_comm_rank"] == values["mpi___hits___mpi_comm_size"] == 200000
assert rank > 0 and size > 0, (rank, size)
print(f"{seconds:.3f} s: {time:.3f} s in calls, {untimed:.3f} s not known")
