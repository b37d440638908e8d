"""Redis, driven over its own protocol."""
import socket
import struct
import time

from .base import NEW, OLD, ProofError, Server, free_port, wait_until

EXTENSION = 4 # CLUSTERMSG_FLAG0_EXT_DATA, cluster.h


class Client:
    """One connection: `client(*words)` gives the reply's bytes up to the end of its first line or bulk."""

    def __init__(self, connection):
        self.connection, self.stream = connection, connection.makefile("rb")

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word)
                                                                     for word in words))

    def reply(self):
        line = self.stream.readline()
        if not line:
            raise ProofError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$" and rest != b"-1":
            return self.stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return line[:-2]

    def __call__(self, *words):
        self.send(*words)
        return self.reply()


class Target(Server):
    def start(self):
        self.bus = free_port()
        self.launch(self.image, "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--cluster-port", self.bus,
                    "--cluster-enabled", "yes" if self.fix in CLUSTER_FIXES else "no",
                    "--enable-debug-command", "yes", "--sanitize-dump-payload", "yes")
        self.wait_for_port()
        if self.fix in CLUSTER_FIXES:
            self.wait_for_port(self.bus)

    def client(self):
        return Client(self.connect())

    def ask(self, *words):
        return self.client()(*words)

    def tell(self, answer, old, new):
        if answer not in (old, new):
            raise ProofError(f"redis answers {answer}, neither {old} nor {new}")
        return NEW if answer == new else OLD

    def work(self):
        """Scripts, dumps and restores of streams, subscriptions by pattern."""
        client = self.client()
        client("EVAL", "return {unpack({1, 2, 3}, -1, 5)}", 0)
        client("EVAL", "return loadstring('return [==[x]==] --[[ y ]]')()", 0)
        client("SCRIPT", "FLUSH", "SYNC")
        client("DEL", "stream", "copy")
        client("XADD", "stream", "1-1", "field", "value")
        client("XGROUP", "CREATE", "stream", "group", "0")
        client("XREADGROUP", "GROUP", "group", "reader", "STREAMS", "stream", ">")
        if client("RESTORE", "copy", 0, client("DUMP", "stream")) != b"+OK":
            raise ProofError("redis does not restore what it dumped")

    def cves_2023_2024(self):
        """KEYS with 1100 stars stops at a nesting of 1000, before: it matches."""
        client = self.client()
        client("SET", "a" * 1100, "x")
        return self.tell(len(client("KEYS", "*a" * 1100)), 1, 0)

    def attack_cves_2023_2024(self):
        if self.ask("EVAL", "return bit.tohex(65535, -2147483648)", 0) != b"0000FFFF":
            raise ProofError("bit.tohex does not give 0000FFFF")
        return "survives bit.tohex(65535, -2147483648)"

    def cve_2024_51741(self):
        """ACL SETUSER with the selector % is refused, before: taken."""
        return NEW if self.ask("ACL", "SETUSER", "somebody", "%").startswith(b"-ERR") else OLD

    def cve_2025_21605(self):
        """A client without password that reads no answers is cut off, before: gets all 3000."""
        admin = self.client()
        admin("CONFIG", "SET", "requirepass", "secret")
        stranger = self.connect()
        try:
            stranger.sendall(b"PING\r\n" * 3000)
            received = b""
            while received.count(b"\n") < 3000 and (part := stranger.recv(65536)):
                received += part
        except ConnectionError:
            pass
        finally:
            stranger.close()
        admin("AUTH", "secret")
        admin("CONFIG", "SET", "requirepass", "")
        return OLD if received.count(b"\n") == 3000 else NEW

    def cve_2025_32023(self):
        """A sparse HyperLogLog with 2^32 registers too many is invalid, before: counted."""
        runs = b"\x7f\xff" * (2**32 // 2**14 + 1)
        self.ask("SET", "hll", b"HYLL\1\0\0\0" + b"\0" * 7 + b"\x80" + runs)
        return NEW if self.ask("PFCOUNT", "hll").startswith(b"-INVALIDOBJ") else OLD

    def cve_2025_67733(self):
        """A line break in an argument cannot forge a second answer, before: it does."""
        client = self.client()
        client.send("FUNCTION", "LIST", "one\r\n+two")
        first = client.reply()
        if b"one  +two" in first:
            return NEW
        return self.tell(client.reply(), b"+two", None)

    def cve_2026_23631(self):
        """Replication from a master that is not there for long."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(10)
            self.ask("REPLICAOF", "127.0.0.1", listener.getsockname()[1])
            master, _ = listener.accept()
            with master, master.makefile("rb") as stream:
                while line := stream.readline():
                    if line.strip() == b"PING":
                        master.sendall(b"+PONG\r\n")
                    elif line.strip() == b"REPLCONF":
                        master.sendall(b"+OK\r\n")
                    elif line.strip() == b"PSYNC":
                        master.sendall(b"+FULLRESYNC %s 0\r\n$18\r\n" % (b"0" * 40))
                        master.sendall(b"REDIS0010\xff" + b"\0" * 8)
                        break
                wait_until(lambda: b"master_link_status:up" in self.ask("INFO", "replication"), "replication is up")
        self.ask("REPLICAOF", "NO", "ONE")

    def cve_2026_25243(self):
        """RESTORE refuses a zipmap with a length in the wrong form, before: takes it."""
        zipmap = b"\x01\xfe\x03\0\0\0\0\xff\0\x01\0b\xff"
        client = self.client()
        client("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
        client("DEL", "hash")
        answer = client("RESTORE", "hash", 0, b"\x09" + bytes([len(zipmap)]) + zipmap + b"\x0a\0" + b"\0" * 8)
        return NEW if answer.startswith(b"-ERR Bad data format") else self.tell(answer, b"+OK", None)

    def cve_2026_21863(self):
        """A cluster packet with too much gossip is refused for that, before: measured beyond its end."""
        return self.complains(b"gossip count", cluster_ping(gossip=9))

    def cve_2026_92925(self):
        """A cluster packet with a host name that does not end is refused, before: read beyond it."""
        name = struct.pack(">IHH", 16, 0, 0) + b"a" * 8
        return self.complains(b"missing null terminator", cluster_ping(extension=name))

    def complains(self, words, packet):
        """Does the log get such a line when this packet arrives? A second packet marks the end."""
        before = self.log.read_bytes().count(words)
        with self.connect(port=self.bus) as bus:
            bus.sendall(packet)
            time.sleep(0.3)
        return NEW if self.log.read_bytes().count(words) > before else OLD


CLUSTER_FIXES = ("redis-cve-2026-21863", "redis-cve-2026-92925")


def cluster_ping(gossip=0, extension=b""):
    """clusterMsg, cluster.h: a PING of an unknown node."""
    extensions, flags = (1, EXTENSION) if extension else (0, 0)
    return struct.pack(">4sIHHHHQQQ40s2048s40s46sH30sHHHBBBB", b"RCmb", 2256 + len(extension), 1, 7000, 0, gossip,
                       0, 0, 0, b"f" * 40, b"", b"", b"", extensions, b"", 0, 17000, 1, 0, flags, 0, 0) + extension
