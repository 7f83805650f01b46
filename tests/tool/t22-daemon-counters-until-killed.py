"""A part of t22-daemon-counters.sh."""

from proxy import ask

answered = 0
try:
    while True:
        if ask("/accumulate?key=killed_total&value=1").status == 200:
            answered += 1
except OSError:
    pass
print(answered)
