#!/usr/bin/env python3
"""Each way a process can come, count and go, one after the other, with a proxy that is
killed and started again in the middle of each; a profile and main that are exact.

    t30-exact.py FOLDER
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "chaos"))
import driver  # noqa: E402

WAYS = {
    "threads, killed": "threads 8 125000;kill",
    "fork": "count 100000;fork 4 100000;count 100000",
    "raw clone": "count 100000;clone 100000;clone 100000;count 100000",
    "vfork": "count 100000;vfork 100000;vfork 100000",
    "exec": "count 100000;exec;count 100000;exec;count 100000;exit 0",
    "handler at 20 kHz": "signals 50 10000000",
    "handler at 20 kHz, killed": "signals 50 2000000;kill",
    "ending threads": "threads 8 1;threads 8 1;threads 8 1;threads 8 1",
    "exec after fork": "fork 3 1000;exec;fork 3 1000;vfork 10;exec;threads 8 10",
}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def expect(faults):
    if faults:
        raise driver.Wrong("\n  ".join(faults))


def each_way(node):
    for name, program in WAYS.items():
        job = driver.Job(node, name)
        job.start(program)
        driver.until(f"the job '{name}'", lambda: node.shown("has_started", name))
        node.kill()
        node.ensure()
        node.settle()
        head, rows = job.truth.read()
        low, high = job.truth.ranges(1, 0)[0]["chaos_total"]
        if low != high:
            raise driver.Wrong(f"{name}: the truth is {low}..{high}")
        expect(node.check())
        print(f"{name}: {low} exactly, {head[2]} processes, {len(rows)} rows")


def without_proxy(node):
    """The proxy is started when all is over."""
    node.kill()
    jobs = [driver.Job(node, f"before {i}") for i in range(3)]
    for job in jobs:
        job.start("count 1000;threads 8 1000;fork 3 1000;exec;count 1000;kill")
        job.wait()
    node.ensure()
    node.settle()
    expect(node.check())


def many(node):
    """2,000 processes of 5 ms in one job."""
    job = driver.Job(node, "many")
    cpu, begin = cpu_seconds(node.proxy.pid), time.monotonic()
    job.start("swarm 2000 16")
    job.programs[0].wait()
    seconds = time.monotonic() - begin
    cpu = cpu_seconds(node.proxy.pid) - cpu
    node.settle()
    started = node.values(node.profile("many")["counters"])["has_started"]
    expect(node.check())
    if started != 2001:
        raise driver.Wrong(f"has_started is {started}, not 2001")
    print(f"2,000 processes in {seconds:.1f} s: the proxy took {cpu:.2f} s of CPU, "
          f"{100 * cpu / seconds:.1f} % of a core, {1e6 * cpu / 2000:.0f} us per process")


def answered(node):
    """200 answered calls and 10,000 messages that were seen, then kill -9: all in the
    profile of the job they are for."""
    job = driver.Job(node, "answered")
    client = driver.SocketClient(node, job)
    driver.until("the job", lambda: node.shown("chaos_total", "answered") is not None
                 or "answered" in (node.running() or ()))
    client.count(10000)
    calls = sum(node.accumulate("direct_total", 3, job) == 200 for _ in range(200))
    driver.until("the messages", client.sync)
    node.kill()
    node.ensure()
    node.settle()
    if (calls, job.extra["direct_total"]) != (200, [600, 600]):
        raise driver.Wrong(f"{calls} calls were answered: {job.extra}")
    expect(node.check())
    print("200 answered calls and 10,000 messages outlive the proxy")


def shared_prefix(folder):
    """Two proxies that know nothing of each other but share a prefix, and a job that runs
    with both: one profile, whoever of them comes first."""
    nodes = [driver.Node(os.path.join(folder, name), ["-S", "20", "--linger", "60"])
             for name in ("left", "right")]
    nodes[1].prefix = nodes[0].prefix
    for node in nodes:
        node.ensure()
    for number in range(8):
        jobid = f"both {number}"
        jobs = [driver.Job(node, jobid) for node in nodes]
        for job in jobs:
            job.start("count 3;sleep 100")
        for node in nodes:
            node.settle()
            node.jobs = []
    for number in range(8):
        profile = nodes[0].profile(f"both {number}")
        total = nodes[0].values(profile["counters"])["chaos_total"]
        if (total, len(profile["shares"])) != (12, 2):
            raise driver.Wrong(f"a job on two nodes: {total} of 12 in "
                               f"{len(profile['shares'])} shares")
    for node in nodes:
        node.terminate()
    print("8 jobs on two nodes that share a prefix only are 8 profiles")


def main():
    driver.become_reaper()
    node = driver.Node(sys.argv[1], ["-S", "50", "--linger", "100"])
    node.ensure()
    for part in (each_way, without_proxy, many, answered):
        part(node)
    node.terminate()
    shared_prefix(sys.argv[1])


if __name__ == "__main__":
    try:
        main()
    except driver.Wrong as wrong:
        sys.exit(f"FAILED: {wrong}")
