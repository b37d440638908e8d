"""A vhost-user front end with one request queue, as a VMM has it for virtio-fs: enough to send FUSE requests."""
import mmap
import os
import select
import socket
import struct

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE = 15, 16, 18
_VERSION_1, _PROTOCOL_FEATURES = 1 << 32, 1 << 30
_MQ = 1

_BASE = 0x10000000 # where the guest's memory is in the front end, so it says
_SIZE = 8 << 20
_QUEUE, _ENTRIES = 1, 8
_REQUEST, _ANSWER = 1 << 20, 2 << 20 # in the guest's memory


class Frontend:
    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        memory = os.memfd_create("guest")
        os.ftruncate(memory, _SIZE)
        self._memory = mmap.mmap(memory, _SIZE)
        self._kicks, self._calls = [], []
        offered = self._ask(GET_FEATURES)
        self._tell(SET_OWNER)
        self._tell(SET_FEATURES, struct.pack("<Q", offered & (_VERSION_1 | _PROTOCOL_FEATURES)))
        self._tell(SET_PROTOCOL_FEATURES, struct.pack("<Q", self._ask(GET_PROTOCOL_FEATURES) & _MQ))
        self._tell(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, 0, _SIZE, _BASE, 0), memory)
        os.close(memory)
        for queue in (0, 1):
            kick, call = os.eventfd(0), os.eventfd(0, os.EFD_NONBLOCK)
            at = _BASE + queue * 0x10000
            self._tell(SET_VRING_NUM, struct.pack("<II", queue, _ENTRIES))
            self._tell(SET_VRING_BASE, struct.pack("<II", queue, 0))
            self._tell(SET_VRING_ADDR, struct.pack("<IIQQQQ", queue, 0, at, at + 0x2000, at + 0x1000, 0))
            self._tell(SET_VRING_CALL, struct.pack("<Q", queue), call)
            self._tell(SET_VRING_KICK, struct.pack("<Q", queue), kick)
            self._tell(SET_VRING_ENABLE, struct.pack("<II", queue, 1))
            self._kicks.append(kick)
            self._calls.append(call)
        self._sent = 0
        self._ask(GET_FEATURES) # an answer to this comes when all of the above is done

    def _tell(self, request, payload=b"", descriptor=None):
        message = struct.pack("<III", request, 1, len(payload)) + payload
        socket.send_fds(self._socket, [message], [] if descriptor is None else [descriptor])

    def _ask(self, request):
        self._tell(request)
        answer = b""
        while len(answer) < 20:
            part = self._socket.recv(20 - len(answer))
            if not part:
                raise ConnectionError("the back end hung up")
            answer += part
        return struct.unpack_from("<Q", answer, 12)[0]

    def exchange(self, request, room=4096, seconds=20):
        """Put one request into the queue; the bytes of the answer, or None if none comes."""
        ring = _QUEUE * 0x10000
        self._memory[_REQUEST:_REQUEST + len(request)] = request
        self._memory[_ANSWER:_ANSWER + room] = bytes(room)
        descriptors = struct.pack("<QIHHQIHH", _REQUEST, len(request), 1, 1, _ANSWER, room, 2, 0) # next; write
        self._memory[ring:ring + len(descriptors)] = descriptors
        slot = ring + 0x1000 + 4 + 2 * (self._sent % _ENTRIES)
        self._memory[slot:slot + 2] = bytes(2)
        self._sent = (self._sent + 1) & 0xffff
        self._memory[ring + 0x1002:ring + 0x1004] = struct.pack("<H", self._sent)
        os.eventfd_write(self._kicks[_QUEUE], 1)
        waiting = select.poll()
        waiting.register(self._calls[_QUEUE], select.POLLIN)
        waiting.register(self._socket, select.POLLRDHUP | select.POLLHUP)
        while struct.unpack_from("<H", self._memory, ring + 0x2002)[0] != self._sent:
            ready = waiting.poll(seconds * 1000)
            if not ready or any(descriptor == self._socket.fileno() for descriptor, _ in ready):
                return None
            os.eventfd_read(self._calls[_QUEUE])
        length, = struct.unpack_from("<I", self._memory, _ANSWER)
        return self._memory[_ANSWER:_ANSWER + length]

    def close(self):
        self._socket.close()
        for descriptor in (*self._kicks, *self._calls):
            os.close(descriptor)
        self._memory.close()
