"""The MQTT broker mosquitto, driven over MQTT 5."""
import struct

from .base import NEW, OLD, ProofError, Server

CONNECT, PUBLISH, SUBSCRIBE = 0x10, 0x30, 0x82
USER_PROPERTY, RECEIVE_MAXIMUM = 0x26, 0x21
WILL = 4


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def packet(kind, body):
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if not rest:
            return bytes([kind]) + length + body


def connect_packet(name, properties=b"", will=None):
    """CONNECT with a clean start; `will` is the properties of a will, which is sent then."""
    flags = 2 | (0 if will is None else WILL)
    payload = text(name)
    if will is not None:
        payload += bytes([len(will)]) + will + text("will") + text("gone")
    return packet(CONNECT, text("MQTT") + bytes([5, flags, 0, 60, len(properties)]) + properties + payload)


class Target(Server):
    def start(self):
        configuration = self.directory / "mosquitto.conf"
        configuration.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n")
        self.launch(self.image, "-c", configuration)
        self.wait_for_port()

    def client(self, name, **more):
        connection = self.connect()
        connection.sendall(connect_packet(name, **more))
        if self.packet(connection)[:1] != b"\x20":
            raise ProofError("mosquitto does not accept a client")
        return connection

    @staticmethod
    def packet(connection):
        """The next packet; all are shorter than 128 bytes."""
        head = connection.recv(2)
        return head + (connection.recv(head[1]) if len(head) == 2 and head[1] else b"")

    def subscribe(self, connection, topic):
        connection.sendall(packet(SUBSCRIBE, b"\0\1\0" + text(topic) + b"\1"))
        return self.packet(connection)

    def publish(self, connection, topic):
        """Publish with QoS 1: the acknowledgement."""
        connection.sendall(packet(PUBLISH | 2, text(topic) + b"\0\7\0" + b"payload"))
        return self.packet(connection)

    def work(self):
        """Two clients with properties and wills, a subscription, a message."""
        properties = (bytes([USER_PROPERTY]) + text("a") + text("b")) * 3 + bytes([RECEIVE_MAXIMUM, 0, 10])
        will = bytes([USER_PROPERTY]) + text("a") + text("b")
        with self.client("reader", properties=properties) as reader, self.client("writer", will=will) as writer:
            self.subscribe(reader, "a/#")
            self.publish(writer, "a/b")
            if b"payload" not in self.packet(reader):
                raise ProofError("the message does not arrive")

    def cve_2023_0809(self):
        """A client whose first byte is no CONNECT is cut off at once, before: waited for."""
        with self.connect(timeout=0.5) as connection:
            connection.sendall(bytes([PUBLISH]))
            try:
                return NEW if connection.recv(16) == b"" else OLD
            except TimeoutError:
                return OLD
            except ConnectionError:
                return NEW

    def qos_return_code(self):
        """A delivered message is acknowledged as such, before: as without subscribers."""
        with self.client("reader") as reader, self.client("shared") as shared, self.client("writer") as writer:
            self.subscribe(reader, "a/b")
            self.subscribe(shared, "$share/group/other")
            acknowledged = self.publish(writer, "a/b")
            if acknowledged[:1] != b"\x40":
                raise ProofError(f"mosquitto answers {acknowledged}")
            return OLD if acknowledged[4:5] == b"\x10" else NEW
