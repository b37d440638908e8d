"""virtiofsd, asked by a vhost-user front end as a guest would."""
import struct

from subjects.base import NEW, OLD, ProofError, Subject, wait_until

from .vhost_user import Frontend

LOOKUP, GETATTR, MKDIR, SETXATTR, GETXATTR, INIT, OPENDIR, READDIR, RELEASEDIR, CREATE = 1, 3, 9, 21, 22, 26, 27, 28, 29, 35
ROOT = 1
EINVAL, ENOMEM, EOPNOTSUPP = 22, 12, 95
_INIT_EXT, _CREATE_SUPP_GROUP = 1 << 30, 1 << 34
_LARGEST = 1 << 20 # the most that one request may read


class Target(Subject):
    def start(self):
        shared = self.directory / "shared"
        shared.mkdir()
        for number in range(5):
            (shared / f"file{number}").write_text("content")
        path = self.directory / "socket"
        # With its seccomp filter on all threads no thread could make a system call for the loader.
        self.launch(self.image, "--socket-path", path, "--shared-dir", shared, "--sandbox", "none", "--seccomp", "none",
                    "--xattr", "--log-level", "error")
        wait_until(path.exists, "the socket")
        self.frontend = Frontend(path)
        self._unique = 0
        self._made = 0
        flags = _INIT_EXT | _CREATE_SUPP_GROUP
        self.ask(INIT, 0, struct.pack("<IIIII44x", 7, 38, 4096, flags & 0xffffffff, flags >> 32))
        status, answer = self.ask(OPENDIR, ROOT, struct.pack("<II", 0, 0))
        if status:
            raise ProofError(f"OPENDIR gives {status}")
        self.handle, = struct.unpack_from("<Q", answer)

    def ask(self, opcode, node, body, room=4096, extension=b""):
        """(error number, body) of the answer to a FUSE request, or None if the program ended."""
        self._unique += 1
        header = struct.pack("<IIQQIIIHH", 40 + len(body) + len(extension), opcode, self._unique, node, 0, 0, 1,
                             len(extension) // 8, 0)
        answer = self.frontend.exchange(header + body + extension, room)
        if answer is None:
            return None
        return -struct.unpack_from("<i", answer, 4)[0], answer[16:]

    def read_directory(self, offset, size):
        return self.ask(READDIR, ROOT, struct.pack("<QQIIQII", self.handle, offset, size, 0, 0, 0, 0), _LARGEST + 4096)

    def set_attribute(self, name):
        status, answer = self.ask(LOOKUP, ROOT, b"file0\0")
        if status:
            raise ProofError(f"LOOKUP gives {status}")
        return self.ask(SETXATTR, struct.unpack_from("<Q", answer)[0], struct.pack("<II", 5, 0) + name + b"\0value")

    def make_directory(self, extension):
        self._made += 1
        body = struct.pack("<II", 0o755, 0) + f"made{self._made}\0".encode()
        return self.ask(MKDIR, ROOT, body, extension=extension)

    def work(self):
        status, entries = self.read_directory(0, 4096)
        if status or b"file4" not in entries:
            raise ProofError(f"READDIR gives {status}")

    @staticmethod
    def _by(status, old):
        if status not in (0, old):
            raise ProofError(f"the answer is {status}, neither 0 nor {old}")
        return NEW if status == 0 else OLD

    def readdir_size(self):
        """A request for more entries than a buffer holds gets as many as fit, before: ENOMEM."""
        return self._by(self.read_directory(0, _LARGEST + 1)[0], ENOMEM)

    def directory_offset(self):
        """An offset with the highest bit is searched for, before: EINVAL."""
        return self._by(self.read_directory(1 << 63 | 5, 4096)[0], EINVAL)

    def xattr_name(self):
        status, _ = self.set_attribute(b"user.name")
        if status not in (0, EOPNOTSUPP):
            raise ProofError(f"SETXATTR gives {status}")

    def attack_xattr_name(self):
        if self.set_attribute(b"user.\xff\xfe") is None:
            raise ProofError("the new code does not survive a name that is not UTF-8")
        return "survives an attribute's name that is not UTF-8"

    def truncated_extension(self):
        # One supplementary group: header (size, type), number of groups, group, padded to 8 bytes.
        status, _ = self.make_directory(struct.pack("<IIII", 16, 32, 1, 0))
        if status:
            raise ProofError(f"MKDIR gives {status}")

    def stop(self):
        self.frontend.close()
        super().stop()
