"""A small TCP proxy for links between regions: it delays, stalls and cuts."""
import selectors
import socket
import threading
import time
from collections import deque


class Proxy(threading.Thread):
    """127.0.0.1:port → target; set `delay` (seconds each way), `stalled`, or call cut() and heal()."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target = target
        self.delay, self.stalled, self.is_cut = 0.0, False, False
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.pairs = []  # (from, to, queue of (due, bytes))
        self.lock = threading.Lock()
        self.halt = False
        self.start()

    def cut(self):
        """Drop every connection and refuse new ones."""
        self.is_cut = True

    def heal(self):
        self.is_cut = self.stalled = False

    def close(self):
        self.halt = True
        self.join(5)

    def drop(self):
        for one, other, _ in self.pairs:
            for s in (one, other):
                try:
                    self.selector.unregister(s)
                except (KeyError, ValueError):
                    pass
                s.close()
        self.pairs = []

    def accept(self):
        client, _ = self.listener.accept()
        if self.is_cut:
            client.close()
            return
        try:
            server = socket.create_connection(self.target, timeout=2)
        except OSError:
            client.close()
            return
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(s, selectors.EVENT_READ)
        self.pairs += [(client, server, deque()), (server, client, deque())]

    def forward(self, now):
        for one, other, queue in self.pairs:
            while queue and queue[0][0] <= now and not self.stalled:
                due, data = queue.popleft()
                try:
                    sent = other.send(data)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    return False
                if sent < len(data):
                    queue.appendleft((due, data[sent:]))
                    break
        return True

    def run(self):
        self.selector.register(self.listener, selectors.EVENT_READ)
        while not self.halt:
            if self.is_cut and self.pairs:
                self.drop()
            events = self.selector.select(0.002)
            now = time.monotonic()
            good = True
            for key, _ in events:
                if key.fileobj is self.listener:
                    self.accept()
                    continue
                pair = next((p for p in self.pairs if p[0] is key.fileobj), None)
                if pair is None or sum(len(d) for _, d in pair[2]) > 1 << 22:
                    continue  # enough is under way: let the sender feel it
                try:
                    data = key.fileobj.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if data:
                    pair[2].append((now + self.delay, data))
                else:
                    good = False
            if not self.forward(time.monotonic()) or not good:
                self.drop()  # one broken side ends all: links dial again by themselves
        self.drop()
        self.listener.close()
