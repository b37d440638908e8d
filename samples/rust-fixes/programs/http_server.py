"""Servers that are asked over HTTP."""
import http.client

from subjects.base import NEW, OLD, ProofError, Server


class HttpServer(Server):
    def ask(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        answer.body = answer.read()
        connection.close()
        return answer

    @staticmethod
    def _which(found, old, new):
        if found not in (old, new):
            raise ProofError(f"found {found}, neither {old} nor {new}")
        return NEW if found == new else OLD
