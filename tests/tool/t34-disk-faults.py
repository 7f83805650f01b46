"""A part of t34-disk-faults.sh."""
import json
import os
import sys
import time

folder, watching, seen = sys.argv[1:]
looks, faults = 0, []
while os.path.exists(watching):
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        names = []
    for name in names:
        if name.startswith(".") or not name.endswith(".json"):
            continue
        try:
            with open(os.path.join(folder, name)) as file:
                profile = json.load(file)
            if not profile["counters"]:
                faults.append(f"{name} is empty")
        except FileNotFoundError:
            pass
        except ValueError as error:
            faults.append(f"{name}: {error}")
    looks += 1
    time.sleep(0.0005)  # between two looks, for as long as the test writes
with open(seen, "w") as file:
    print(f"{looks} looks", *faults[:5], sep="\n", file=file)
