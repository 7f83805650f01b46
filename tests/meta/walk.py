"""The walk of a counter through the files, as its steps are called in a proxy that runs.

Under gdb (walk.sh starts it so) it stops at the FILE:FUNCTION of WALK_STEPS and writes their
call stacks to WALK_STACKS. By itself, `walk.py STACKS STEP...`, it prints the files in the order
in which a reader comes to them who follows the steps: down into the functions called, and back
to the caller whose next call leads on. "back" marks a file that was left before.
"""
import json
import os
import sys

ROUND = "mproxy_rounds_run"  # what the loop calls; how it comes there is told by the loop


def record():
    import gdb
    stacks = {}

    class Step(gdb.Breakpoint):
        def __init__(self, name):
            super().__init__(name)
            self.silent, self.name = True, name

        def stop(self):
            frame, stack = gdb.newest_frame(), []
            while frame is not None:
                function = frame.function()
                path = function.symtab.filename if function and function.symtab else ""
                if "libmproxy/" in path and path.endswith(".c"):
                    stack.insert(0, (frame.name(), path.split("libmproxy/")[-1]))
                frame = frame.older()
            ways = stacks.setdefault(self.name, [])
            if stack not in ways:
                ways.append(stack)
            return False

    for word in ("pagination off", "breakpoint pending on", "confirm off"):
        gdb.execute("set " + word)
    gdb.execute("handle SIGPIPE SIGTERM nostop noprint pass")
    for name in os.environ["WALK_STEPS"].split():
        Step(name)
    gdb.execute("run")
    with open(os.environ["WALK_STACKS"], "w") as file:
        json.dump(stacks, file)


def start_of(stack):
    names = [name for name, _ in stack]
    return ROUND if ROUND in names else names[0]


class Reader:
    def __init__(self):
        self.here, self.seen, self.returns, self.last = None, [], 0, {}

    def go(self, file, function):
        if file == self.here:
            return
        again = file in self.seen
        self.returns += again
        if not again:
            self.seen.append(file)
        print("  back " if again else "       ", file, function)
        self.here = file

    def common(self, stack):
        walk = start_of(stack)
        stack = stack[[name for name, _ in stack].index(walk):]
        before, same = self.last.get(walk, []), 0
        while same < min(len(before), len(stack)) and before[same] == stack[same]:
            same += 1
        return walk, stack, same

    # Of several ways to a step the one that turns back least is followed.
    def follow(self, ways):
        walk, stack, same = max((self.common(way) for way in ways), key=lambda way: way[2])
        for name, file in stack[max(same - 1, 0):]:
            self.go(file, name)
        self.last[walk] = stack


def tell(stacks, steps):
    reader = Reader()
    for step in steps:
        if stacks.get(step):
            reader.follow([[tuple(frame) for frame in way] for way in stacks[step]])
        else:
            print("        (" + step + " was not called)")
    print(len(reader.seen), "files,", reader.returns, "returns to a file left before")


if "WALK_STACKS" in os.environ:
    record()
else:
    with open(sys.argv[1]) as given:
        tell(json.load(given), sys.argv[2:])
