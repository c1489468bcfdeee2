"""A line to a real server on which requests and answers are lost: what goes wrong is said as of a stand-in."""

from http.client import HTTPConnection
from urllib.parse import quote, urlencode, urlsplit

from tests.fakes.faults import Answer, FakeServer, Request

OF_A_LINE = ("error-before:503", "error-after:500", "drop-before", "drop-after", "truncate")
OF_ONE_HOP = {"connection", "content-length", "expect", "keep-alive", "transfer-encoding"}  # RFC 9110, section 7.6.1
LONGEST_S = 30


class FaultyLine(FakeServer):
    """Hands each request on to `target` with its headers and body, Host too, and gives back what that answers."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = urlsplit(target)
        self.faults.kinds = OF_A_LINE

    def answer(self, request: Request) -> Answer:
        query = urlencode(request.query, quote_via=quote)
        headers = {name: value for name, value in request.headers.items() if name not in OF_ONE_HOP}
        line = HTTPConnection(self.target.hostname or "", self.target.port, timeout=LONGEST_S)
        try:
            line.putrequest(request.method, f"{request.path}?{query}" if query else request.path, skip_host=True)
            for name, value in {**headers, "content-length": str(len(request.body))}.items():
                line.putheader(name, value)
            line.endheaders(request.body)
            given = line.getresponse()
            told = OF_ONE_HOP - {"content-length"} if request.method == "HEAD" else OF_ONE_HOP
            named = {name: value for name, value in given.getheaders() if name.lower() not in told}
            return Answer(given.status, given.read(), named)
        finally:
            line.close()
