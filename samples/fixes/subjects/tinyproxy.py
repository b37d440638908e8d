"""tinyproxy, asked for pages of a small server here."""
import socket
import threading

from .base import ProofError, Server


class Target(Server):
    def start(self):
        configuration = self.directory / "tinyproxy.conf"
        configuration.write_text(f"Port {self.port}\nListen 127.0.0.1\nAllow 127.0.0.1\nMaxClients 20\n"
                                 "Timeout 5\nLogLevel Error\n")
        self.launch(self.image, "-d", "-c", configuration)
        self.origin = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        self.wait_for_port()

    def _serve(self):
        while True:
            try:
                connection, _ = self.origin.accept()
            except OSError:
                return # stopped
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (part := connection.recv(4096)):
                    request += part
                connection.sendall(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\npage")

    def stop(self):
        self.origin.close()
        super().stop()

    def ask(self, *headers):
        url = f"http://127.0.0.1:{self.origin.getsockname()[1]}/"
        request = "\r\n".join([f"GET {url} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""])
        with self.connect() as connection:
            connection.sendall(request.encode())
            answer = b""
            while part := connection.recv(4096):
                answer += part
        return answer

    def work(self):
        if not self.ask("Connection: close, x-other", "X-Other: 1").endswith(b"page"):
            raise ProofError("the page does not come")

    def attack_cve_2023_49606(self):
        for _ in range(20):
            self.ask("Connection: Connection, Proxy-Connection", "Proxy-Connection: Connection")
        self.survives()
        return "survives headers that name themselves"
