"""A mail server (RFC 5321) on loopback, as small as it can be and faithful in its answers."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class MailServer(socketserver.ThreadingTCPServer):
    """Keeps what it took in `taken`, and goes wrong as it is told.

    `refuses` is a code for every recipient; `hangs_up` drops the line once the text is there, without an answer:
    whether it was taken only the server knows.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.taken: list[EmailMessage] = []
        self.refuses = 0
        self.hangs_up = False

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 fake ready")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"RCPT" and self.server.refuses:
                self.say(f"{self.server.refuses} <{line.split(b'<')[1].split(b'>')[0].decode()}> is not known here")
            elif verb == b"DATA":
                self.say("354 go on")
                self.take()
                if self.server.hangs_up:
                    return
                self.say("250 taken")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())

    def take(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        text = b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)
        message = message_from_bytes(text, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.taken.append(message)


@contextmanager
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
