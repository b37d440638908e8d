"""static-web-server, asked over HTTP."""
import re

from programs.http_server import HttpServer
from subjects.base import ProofError


class Target(HttpServer):
    def start(self):
        root = self.directory / "root"
        root.mkdir()
        (root / "index.html").write_text("<html>page</html>\n" * 200)
        (root / "style.css").write_text("body { color: black }\n" * 200)
        (root / "fallback.html").write_text("fallback")
        fallback = ("--page-fallback", root / "fallback.html") if self.method == "fallback_log" else ()
        self.launch(self.image, "--host", "127.0.0.1", "--port", self.port, "--root", root, "--threads-multiplier", 1,
                    "--metrics", "true", "--cache-control-headers", "true", "--compression", "true",
                    "--log-level", "warn", *fallback)
        self.wait_for_port()

    def work(self):
        if b"page" not in self.ask("/").body:
            raise ProofError("the page does not come")

    def cache_control(self):
        """A style sheet that is not there is not to be cached, before: for a year."""
        self.work()
        if self.ask("/style.css").headers["cache-control"] != "max-age=31536000":
            raise ProofError("what is there is not to be cached")
        return self._which(self.ask("/missing.css").headers["cache-control"], "max-age=31536000", "no-cache")

    def metrics_method(self):
        """An invented method is counted as another, before: under its name."""
        def count(method):
            text = self.ask("/metrics").body.decode()
            return sum(float(number) for number in
                       re.findall(rf'^\w*requests_total{{[^}}]*method="{method}"[^}}]*}} (\S+)', text, re.MULTILINE))
        before = count("INVENTED"), count("other")
        self.ask("/", method="INVENTED")
        grown = tuple(after - earlier for after, earlier in zip((count("INVENTED"), count("other")), before))
        return self._which(grown, (1, 0), (0, 1))

    def quality_value(self):
        """Encodings with weights of three digits."""
        # gzip is the only encoding that is built in, so that its place among the others does not show.
        weights = "gzip;q=0.501, br;q=0.502"
        if self.ask("/style.css", Accept_Encoding=weights).headers["content-encoding"] != "gzip":
            raise ProofError("the style sheet comes uncompressed")

    def fallback_log(self):
        """No warning is logged where the fallback page is sent, before: one for each."""
        before = self.log.read_bytes().count(b"WARN")
        if self.ask("/missing").body != b"fallback":
            raise ProofError("the fallback page does not come")
        return self._which(self.log.read_bytes().count(b"WARN") - before, 1, 0)
