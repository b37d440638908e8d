"""dufs, asked over HTTP."""
import base64

from programs.http_server import HttpServer
from subjects.base import ProofError

CONTENT = b"0123456789" * 10
OPTIONS = { # what the fixed code needs besides the port and the directory
    "forbidden_upload": ("--allow-upload",),
    "path_prefix": ("--path-prefix", "app"),
    "auth_header": ("--auth", "user:secret@/:rw"),
    "options_password": ("--auth", "user:secret@/:rw"),
}


class Target(HttpServer):
    def start(self):
        self.root = self.directory / "root"
        (self.root / "zone").mkdir(parents=True)
        (self.root / "file").write_bytes(CONTENT)
        self.launch(self.image, "--bind", "127.0.0.1", "--port", self.port, *OPTIONS.get(self.method, ()), self.root)
        self.wait_for_port()

    def range_end(self):
        """A range with its end behind the end of the file gets what there is, before: status 416."""
        if self.ask("/file", Range="bytes=90-99").body != CONTENT[90:]:
            raise ProofError("a range within the file does not come")
        answer = self.ask("/file", Range="bytes=90-120")
        return self._which((answer.status, answer.body[:10]), (416, b""), (206, CONTENT[90:]))

    def forbidden_upload(self):
        """What overwrites a part of a file is forbidden, before: forbidden and written."""
        (self.root / "file").write_bytes(CONTENT)
        self.ask("/file", "PATCH", b"written", X_Update_Range="bytes=0-6")
        return self._which((self.root / "file").read_bytes()[:7], b"written", CONTENT[:7])

    def path_prefix(self):
        """With the prefix "app", "/appfile" is a bad request, before: the file."""
        if self.ask("/app/file").body != CONTENT:
            raise ProofError("the file does not come")
        return self._which(self.ask("/appfile").status, 200, 400)

    def _password(self, text):
        return {"Authorization": "Basic " + base64.b64encode(f"user:{text}".encode()).decode()}

    def auth_header(self):
        """Credentials of both kinds."""
        if self.ask("/file", **self._password("secret")).body != CONTENT:
            raise ProofError("the file does not come with a password")
        # A digest that is well-formed and wrong: its nonce is looked at.
        digest = 'Digest username="user", realm="DUFS", nonce="{0}", uri="/file", response="{0}"'.format("0" * 34)
        if self.ask("/file", Authorization=digest).status != 401:
            raise ProofError("the file comes with a wrong digest")

    def attack_auth_header(self):
        malformed = 'Digest a="'
        if self.ask("/file", Authorization=malformed).status != 401:
            raise ProofError("malformed credentials are taken")
        self.survives()
        return "survives a header that ends within a quotation"

    def descending_order(self):
        """Directories come first in descending order, before: last."""
        names = self.ask("/?simple&sort=name&order=desc").body.decode().split()
        return self._which(names, ["file", "zone/"], ["zone/", "file"])

    def options_password(self):
        """A request for the options with a wrong password is refused, before: answered."""
        if self.ask("/file", "OPTIONS", **self._password("secret")).status != 200:
            raise ProofError("the options do not come with the password")
        return self._which(self.ask("/file", "OPTIONS", **self._password("wrong")).status, 200, 401)
