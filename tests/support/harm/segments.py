"""Segments byte by byte, good and bad; see libmproxy/segment/layout.h."""
import fcntl
import os
import struct

PAGE, LOG, ROW0 = 4096, 512, 3072
JOB, METRIC, EXTENT, NEXT = 1, 2, 3, 4
COUNTER, FCOUNTER, GAUGE, HISTOGRAM = 1, 2, 3, 4
MAGIC = 0x3147455359585250
HEADER = struct.Struct("<QIIIIQQQQIIIIIIIIQQ")


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def header(pid=1, uid=None, start=7, ns=0, count=1, magic=MAGIC, version=1, page=PAGE,
           rank=0, image=0, kind=0, flags=0, started=1, finished=1, **more):
    assert not more, more
    uid = os.geteuid() if uid is None else uid
    data = HEADER.pack(magic, version, page, pid, uid, start, ns, 0, 0, rank, image, kind, 0,
                       flags, count, started, finished, 0, 0)
    return data.ljust(LOG, b"\0")


def record(kind, body, size=None):
    room = (8 + len(body) + 7) // 8 * 8
    return (struct.pack("<II", kind, room if size is None else size) + body).ljust(room, b"\0")


def job(jobid="", command="./hostile", lengths=None, job_size=1):
    texts = [as_bytes(t) for t in (jobid, command, "", "", "", "/")]
    lengths = lengths or [len(t) for t in texts]
    return record(JOB, struct.pack("<Qq6I", job_size, 0, *lengths) +
                  b"".join(t + b"\0" for t in texts))


def metric(name, slot, kind=COUNTER, doc="hostile", scale=1.0, bounds=(), slots=None,
           bound_count=None, lengths=None):
    name, doc = as_bytes(name), as_bytes(doc)
    count = {GAUGE: 2, HISTOGRAM: len(bounds) + 2}.get(kind, 1) if slots is None else slots
    name_length, doc_length = lengths or (len(name), len(doc))
    return record(METRIC, struct.pack(
        "<IIIIdII", kind, slot, count, len(bounds) if bound_count is None else bound_count,
        scale, name_length, doc_length) + struct.pack(f"<{len(bounds)}d", *bounds) +
        name + b"\0" + doc + b"\0")


def extent(row, first, count, offset):
    return record(EXTENT, struct.pack("<IIIIQ", row, first, count, 0, offset))


def following(offset, length):
    return record(NEXT, struct.pack("<QQ", offset, length))


def segment(jobid="", records=(), values=(), job_record=None, **head):
    """Job, records and row 0; what does not fit the first page lies in a second chunk."""
    log = [job(jobid) if job_record is None else job_record, *records]
    row0 = list(values)[:128]
    slots = struct.pack("<128Q", *row0, *[0] * (128 - len(row0)))
    head.setdefault("count", len(log))
    whole = b"".join(log)
    if LOG + len(whole) + 24 <= ROW0:
        return header(**head) + whole.ljust(ROW0 - LOG, b"\0") + slots
    room = (len(whole) + 24 + PAGE - 1) // PAGE * PAGE
    head["count"] += 1
    return (header(**head) + following(PAGE, room).ljust(ROW0 - LOG, b"\0") + slots +
            whole.ljust(room, b"\0"))


def many_names(jobid, count):
    """A segment of that many counters, the rest of row 0 behind its log; each is 1."""
    records = [metric(f"many_{i}_total", i) for i in range(count)]
    log = b"".join([job(jobid), extent(0, 128, count - 128, 0), *records])
    room = (len(log) + 24 + PAGE - 1) // PAGE * PAGE
    records.insert(0, extent(0, 128, count - 128, PAGE + room))
    data = segment(jobid, records, [1] * 128)
    slots = struct.pack(f"<{count - 128}Q", *[1] * (count - 128))
    return data + slots.ljust((len(slots) + PAGE - 1) // PAGE * PAGE, b"\0")


class Held:
    """A segment in a directory that is locked, as by a process that lives."""

    def __init__(self, directory, name, data):
        self.path = os.path.join(directory, name)
        new = os.path.join(directory, ".new-test-" + name)
        self.fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.fcntl(self.fd, 37,  # F_OFD_SETLK
                    struct.pack("hhlli4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        os.write(self.fd, data)
        os.rename(new, self.path)

    def end(self):
        os.close(self.fd)


def drop(directory, name, data):
    """A segment of a process that has ended."""
    Held(directory, name, data).end()
