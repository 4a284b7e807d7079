"""A client of the links between nodes that says what it likes: hellos, control frames and raft's messages, by any certificate."""
import socket
import ssl
import struct
import time

TYPES = {"APPEND": 1, "APPEND_RESULT": 2, "VOTE": 3, "VOTE_RESULT": 4, "TIMEOUT_NOW": 6, "ANNOUNCE": 16, "REPORT": 17, "SNAP_OFFER": 18,
         "SNAP_ACK": 19, "SNAP_CHUNK": 20, "PROPOSE": 21, "PROPOSED": 22, "FENCE": 23, "FENCE_RESULT": 24, "HANDOVER": 25, "ROOM": 26}
KINDS = {"REGION_PUT": 3, "CREDENTIAL_PUT": 4, "CREDENTIAL_DELETE": 5, "USER_CREATE": 10, "NODE_PUT": 70, "NODE_JOIN": 71, "TOKEN_PUT": 72,
         "SECRET_PUT": 73, "SETTING_PUT": 74, "EPOCH_NOTE": 75}


def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def field(number, value):
    value = varint(value) if isinstance(value, int) else value.encode() if isinstance(value, str) else value
    return varint(number) + varint(len(value)) + value


def command(kind, by="a liar", **fields):
    """A command of the state machine, by the numbers of store/db/schema.h."""
    numbers = {"id": 32, "name": 33, "status": 36, "access_key_id": 71, "secret_sealed": 72, "token_sha256": 73, "role": 75, "node_id": 76,
               "link": 77, "url": 70, "primary": 69, "expires_ms": 78, "old_node_id": 83, "regions": 85, "on_shortage": 86, "lease_ms": 87,
               "epoch": 89, "declared_by": 91, "reason": 52}
    out = field(1, KINDS[kind]) + field(2, int(time.time() * 1000)) + field(3, by)
    return out + b"".join(field(numbers[k], v) for k, v in fields.items())


def message(kind, body):
    return bytes([TYPES[kind], 2]) + body


def propose(cmd, number=1):
    return message("PROPOSE", struct.pack("<QI", number, len(cmd)) + cmd)


def passed_on(method, path, headers, body, number=1):
    """A client's request as a node of a region passes it on to another one: on channel 2."""
    out = struct.pack("<BQ", 1, number) + field(1, method) + field(2, path) + field(8, "127.0.0.1:9")
    for name, value in headers.items():
        out += field(5, name) + field(6, value)
    return out + field(7, body)


def fence(epoch, ceded=0, number=7):
    return message("FENCE", struct.pack("<QQQ", number, epoch, ceded))


def fence_result(epoch, number=0):
    return message("FENCE_RESULT", struct.pack("<QBBBQQQQQ", number, 1, 0, 0, epoch, 1, 1, 0, 0))


def append(term, prev, prev_term, commit, entries):
    body = struct.pack("<QQQQI", term, prev, prev_term, commit, len(entries))
    for entry_term, data in entries:
        body += struct.pack("<QBI", entry_term, 1, len(data)) + data
    return message("APPEND", body)


def announce(term, commit):
    return message("ANNOUNCE", struct.pack("<QQQQ", term, commit, commit, term) + bytes(32) + struct.pack("<QI", 1, 0))


def timeout_now(term):
    return message("TIMEOUT_NOW", struct.pack("<QQQ", term, 1, 1))


def read_fields(data):
    """The fields of a hello, numbers as numbers where they are one."""
    out, at = {}, 0

    def number(at):
        v, shift = 0, 0
        while True:
            byte = data[at]
            v, shift, at = v | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                return v, at

    while at < len(data):
        key, at = number(at)
        n, at = number(at)
        out[key], at = data[at:at + n], at + n
    return out


def as_number(value):
    return sum((b & 0x7F) << 7 * i for i, b in enumerate(value or b""))


def member_hello(cluster, region, own, to, term, theirs=b"", voter=False, promised=0):
    """As the node would say it itself: what its peers know of it stands in their own hello."""
    known = {} if theirs[:1] in (b"", b"\xc7") else read_fields(theirs)
    starts, boot = as_number(known.get(33)) or 1, as_number(known.get(34)) or 0xBAD
    out = field(1, 2) + field(2, cluster) + field(3, region) + field(4, own) + field(5, to) + field(6, starts) + field(7, term)
    out += field(8, 0) + field(9, 0) + field(10, int(voter)) + field(11, int(voter)) + field(12, 0) + field(13, boot) + field(14, promised)
    return out + (field(15, known[16]) if 16 in known else field(15, b"\xab" * 16)) + field(32, 1)


def candidate_hello(cluster, region, own, to):
    return b"\xc7" + field(1, 1) + field(2, cluster) + field(3, own) + field(4, to) + field(5, region)


class Refused(Exception):
    """The other side ended the connection, or the hello."""


class Link:
    """One dialled connection. Raises Refused with what was said."""

    def __init__(self, address, ca, cert, key, seconds=5, proof=None):
        host, port = address.rsplit(":", 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(ca)
        if cert is not None:
            context.load_cert_chain(cert, key)
        context.set_alpn_protocols(["regent-link/2" if proof is None else "regent-link/3"])
        self.proof = proof  # what it says is one of the connection, by its identity key
        self.heard = b""
        self.theirs = b""  # their hello
        raw = socket.create_connection((host, int(port)), seconds)
        try:
            self.tls = context.wrap_socket(raw)
            self.tls.settimeout(seconds)
        except (OSError, ssl.SSLError) as error:
            raw.close()
            raise Refused(str(error)) from error

    def close(self):
        self.tls.close()

    def _frame(self):
        while True:
            if len(self.heard) >= 2:
                length, shift, at = 0, 0, 1
                while at < len(self.heard):
                    byte = self.heard[at]
                    length |= (byte & 0x7F) << shift
                    shift, at = shift + 7, at + 1
                    if byte < 0x80:
                        if len(self.heard) >= at + length:
                            kind, payload = self.heard[0] & 15, self.heard[at:at + length]
                            self.heard = self.heard[at + length:]
                            return kind, payload
                        break
            try:
                more = self.tls.recv(65536)
            except (OSError, ssl.SSLError) as error:
                raise Refused(str(error)) from error
            if not more:
                raise Refused("closed")
            self.heard += more

    def _send(self, kind, payload, channel=0):
        try:
            self.tls.sendall(bytes([kind | channel << 4]) + varint(len(payload)) + payload)
        except (OSError, ssl.SSLError) as error:
            raise Refused(str(error)) from error

    def greet(self, hello):
        """Theirs first: hello(bytes) makes ours of it. Until both are taken."""
        kind, payload = self._frame()
        if self.proof is not None:
            assert kind == 8 and len(payload) == 91 + 64, (kind, len(payload))
            self._send(8, payload if self.proof == "theirs" else self.proof)
            kind, payload = self._frame()
        if kind == 2:
            raise Refused(payload[1:].decode(errors="replace"))
        assert kind == 1, kind
        self.theirs = payload[5:]
        self._send(1, b"RGL1\x01" + hello(self.theirs))
        self._send(2, b"\x01")
        while True:
            kind, payload = self._frame()
            if kind == 2 and payload[:1] == b"\x01":
                return self
            if kind == 2:
                raise Refused(payload[1:].decode(errors="replace"))

    def send(self, data, channel=0):
        self._send(7, data, channel)

    def ask(self, number, text):
        """A question of the control channel."""
        self.send(b"\xc7\x01" + struct.pack("<Q", number) + text.encode(), 1)

    def stays(self, seconds=0.5):
        """Whether the other side leaves the connection open for that long."""
        self.tls.settimeout(seconds)
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                kind, payload = self._frame()
                if kind == 3:
                    self._send(4, payload)
        except Refused as why:
            return "timed out" in str(why)
        return True
