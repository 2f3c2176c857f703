"""Two hosts on one machine, and a link between them that is as bad as one asks for.

Makes two network namespaces, gives each a TUN device, and carries every IP packet from one to the other:
the TCP of both kernels meets what is done to the packets. Needs Linux, root, `ip` and /dev/net/tun, but
no module for queueing disciplines.

Arguments: names of the left and the right host, and a seed. One line on standard input is one question:
conditions as a JSON object, which replace those before and start the counters anew (`{}` is a good link),
or `null` for the counters alone. Each is answered by one line: the counters of both directions, by the
side the packets come from. The end of the input ends the link and removes the hosts.
"""

import fcntl
import heapq
import json
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import time

# From linux/if_tun.h; the number of the request holds for all but MIPS, PowerPC, SPARC and Alpha.
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000

# Of one direction; what is more is dropped, as by a full queue.
PACKETS_IN_FLIGHT_MAX = 10_000
# Read at once; then the other direction gets its turn.
PACKETS_PER_TURN = 64
PACKET_BYTES_MAX = 65_536


class Direction:
    """Packets that come from one side, on their way to the other."""

    def __init__(self, side, source, target, dice):
        self.side, self.source, self.target, self.dice = side, source, target, dice
        self.flying = []  # a heap of (due, order, number, packet)
        self.order = self.number = 0
        self.free_at = 0.0  # when the last packet has left the queue
        self.set({})

    def set(self, conditions):
        """Conditions in milliseconds, bits per second, bytes, and probabilities; `cut` names dead sides."""
        self.delay = conditions.get("delayMs", 0) / 1000
        self.jitter = conditions.get("jitterMs", 0) / 1000
        self.loss = conditions.get("loss", 0)
        self.duplication = conditions.get("duplication", 0)
        self.rate = conditions.get("bitsPerSecond", 0) / 8
        self.queue = conditions.get("queueBytes", 0)
        self.is_cut = self.side in conditions.get("cut", [])
        self.since = time.monotonic()
        self.waited = 0.0  # the longest time in the queue
        self.highest = 0
        names = ("came", "cut", "lost", "refused", "duplicated", "arrived", "overtaken", "bytes")
        self.counters = dict.fromkeys(names, 0)

    def told(self):
        seconds = time.monotonic() - self.since
        return {**self.counters, "seconds": seconds, "waitedMs": self.waited * 1000}

    def take(self):
        """Reads what the source has sent."""
        for _ in range(PACKETS_PER_TURN):
            try:
                packet = os.read(self.source, PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            self.admit(packet, time.monotonic())

    def admit(self, packet, now):
        """Decides what becomes of a packet."""
        self.number += 1
        self.counters["came"] += 1
        if self.is_cut:
            self.counters["cut"] += 1
        elif self.dice.random() < self.loss:
            self.counters["lost"] += 1
        else:
            self.send(packet, now)
            if self.dice.random() < self.duplication:
                self.counters["duplicated"] += 1
                self.send(packet, now)

    def send(self, packet, now):
        """Through the queue, which is as long as the packets before take; the delay comes after it."""
        left_at, backlog = now, 0
        if self.rate > 0:
            backlog = max(0, self.free_at - now) * self.rate + len(packet)
            left_at = now + backlog / self.rate
        if backlog > self.queue or len(self.flying) >= PACKETS_IN_FLIGHT_MAX:
            self.counters["refused"] += 1
            return
        self.free_at = left_at
        self.waited = max(self.waited, left_at - now)
        due = left_at + self.delay + self.dice.uniform(-self.jitter, self.jitter)
        self.order += 1  # packets due at the same time keep their order
        heapq.heappush(self.flying, (due, self.order, self.number, packet))

    def deliver(self, now):
        """Hands over what is due. A packet is overtaken when one that came after it arrived before it."""
        while self.flying and self.flying[0][0] <= now:
            _, _, number, packet = heapq.heappop(self.flying)
            os.write(self.target, packet)
            self.counters["arrived"] += 1
            self.counters["bytes"] += len(packet)
            self.counters["overtaken"] += number < self.highest
            self.highest = max(self.highest, number)


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def remove(hosts):
    for host in hosts:
        subprocess.run(["ip", "netns", "del", host], check=False, stderr=subprocess.DEVNULL)


def make_host(host, address):
    """A host with one device; it belongs to the namespace, its packets to the descriptor returned."""
    ip("netns", "add", host)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", b"heddle%d", IFF_TUN | IFF_NO_PI)
    name = fcntl.ioctl(tun, TUNSETIFF, request)[:16].rstrip(b"\0").decode()
    ip("link", "set", "dev", name, "netns", host, "name", "wire")
    # No address of its own making: then nothing but the nodes speaks.
    ip("-n", host, "link", "set", "dev", "wire", "addrgenmode", "none")
    ip("-n", host, "address", "add", address, "dev", "wire")
    ip("-n", host, "link", "set", "dev", "wire", "up")
    return tun


def answer(directions, line):
    conditions = json.loads(line)
    if conditions is not None:
        for direction in directions:
            direction.set(conditions)
    print(json.dumps({direction.side: direction.told() for direction in directions}), flush=True)


def forward(left, right, seed):
    directions = [
        Direction("left", left, right, random.Random(seed)),
        Direction("right", right, left, random.Random(seed + 1)),
    ]
    asked = b""
    while True:
        due = min((way.flying[0][0] for way in directions if way.flying), default=None)
        wait = None if due is None else max(0, due - time.monotonic())
        ready, _, _ = select.select([0, left, right], [], [], wait)
        for direction in directions:
            if direction.source in ready:
                direction.take()
            direction.deliver(time.monotonic())
        if 0 in ready:
            chunk = os.read(0, PACKET_BYTES_MAX)
            if chunk == b"":
                return
            *lines, asked = (asked + chunk).split(b"\n")
            for line in lines:
                answer(directions, line)


def main():
    left, right, seed = sys.argv[1:]
    if shutil.which("ip") is None:
        sys.exit("no command ip")
    # Who started this closes the input when it ends; an interrupt from the terminal is for them to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    remove([left, right])
    try:
        forward(make_host(left, "10.77.0.1/24"), make_host(right, "10.77.0.2/24"), int(seed))
    except subprocess.CalledProcessError as error:
        sys.exit(error.stderr.decode().strip())
    except OSError as error:
        sys.exit(str(error))
    finally:
        remove([left, right])


main()
