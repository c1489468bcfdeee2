"""A stream of blocks, or a file of this machine, sent as the parts of one upload, a few at the same time."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from catalog.storage.bodies import Body, FileBody, Sendable
from catalog.storage.files import OpenAt, Progress, ignore, too_long, too_short
from catalog.storage.multipart import Multipart, Part

AT_ONCE = 3
SizeOf = Callable[[int], int]


class Upload(Protocol):
    """Where parts go: a multipart upload of the service, or objects of their own that are joined in the end."""

    def put(self, number: int, body: Sendable) -> Part: ...

    def complete(self, parts: Sequence[Part]) -> None: ...

    def abort(self) -> None: ...


class PartWriter:
    """Cuts what is appended into parts of `size_of(number)` bytes; sends `at_once` of them while one more fills.

    `present` are the parts that the service has already: writing goes on at byte `done_bytes`, behind those that come
    first without a gap, and parts behind the gap are not sent again. What fails on the way is raised by `append` and
    `finish`.
    """

    def __init__(
        self,
        upload: Upload,
        size_of: SizeOf,
        new_body: Callable[[], Body],
        *,
        present: Mapping[int, Part],
        progress: Progress = ignore,
        at_once: int = AT_ONCE,
    ) -> None:
        self.upload, self.size_of, self.new_body = upload, size_of, new_body
        self.progress, self.at_once = progress, at_once
        self.parts = {number: part for number, part in present.items() if part.size_bytes == size_of(number)}
        self.number = next(number for number in range(1, len(self.parts) + 2) if number not in self.parts)
        self.done_bytes = sum(size_of(number) for number in range(1, self.number))
        self.body = self.new_body()
        self.pool = ThreadPoolExecutor(at_once)
        self.sending: deque[tuple[Future[Part], Body]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what is under way, send no more, and free the memory."""
        self.pool.shutdown(wait=True)
        for _, body in self.sending:
            body.close()
        self.body.close()

    def append(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            taken = view[: self.size_of(self.number) - self.body.size_bytes]
            self.body.add(taken)
            view = view[len(taken) :]
            if self.body.size_bytes == self.size_of(self.number):
                self.send()

    def send(self) -> None:
        """Hand the part over to be sent, unless the service has it; waits while enough are under way."""
        if self.number in self.parts:
            self.tell(self.parts[self.number])
            self.body.close()
        else:
            self.sending.append((self.pool.submit(self.upload.put, self.number, self.body), self.body))
        self.number, self.body = self.number + 1, self.new_body()
        while len(self.sending) >= self.at_once or (self.sending and self.sending[0][0].done()):
            self.settle()

    def settle(self) -> None:
        """Wait for the oldest part under way; its failure is raised here."""
        future, _ = self.sending[0]
        part = future.result()
        self.sending.popleft()
        self.parts[part.number] = part
        self.tell(part)

    def tell(self, part: Part) -> None:
        self.done_bytes += part.size_bytes
        self.progress(self.done_bytes)

    def finish(self) -> list[Part]:
        """Send what is left and give all parts in order."""
        if self.body.size_bytes:
            self.send()
        while self.sending:
            self.settle()
        return [self.parts[number] for number in range(1, self.number)]


def send_all(writer: PartWriter, size_bytes: int, open_at: OpenAt) -> None:
    """Send what a source gives from the first byte that is missing; raises SourceLengthError."""
    done = writer.done_bytes
    for block in open_at(done):
        done += len(block)
        if done > size_bytes:
            raise too_long(size_bytes)
        writer.append(block)
    if done != size_bytes:
        raise too_short(done, size_bytes)


def length_of_part(size_bytes: int, part_bytes: int, number: int) -> int:
    """Give the length of part `number` (from 1) of a file of known size; the last is what is left."""
    return min(part_bytes, size_bytes - (number - 1) * part_bytes)


def send_file(
    upload: Multipart,
    path: Path,
    size_bytes: int,
    part_bytes: int,
    *,
    present: Mapping[int, Part],
    progress: Progress = ignore,
    at_once: int = AT_ONCE,
) -> list[Part]:
    """Send the parts of a file that the service has not; gives all in order. Nothing is copied to be sent.

    The file must not change meanwhile. What fails on the way is raised, after what is under way has ended.
    """
    numbers = range(1, -(-size_bytes // part_bytes) + 1)
    lengths = {number: length_of_part(size_bytes, part_bytes, number) for number in numbers}
    parts = {one: part for one, part in present.items() if lengths.get(one) == part.size_bytes}
    missing = deque(number for number in lengths if number not in parts)

    def send(number: int) -> Part:
        return upload.put(number, FileBody(path, (number - 1) * part_bytes, lengths[number]))

    with ThreadPoolExecutor(at_once) as pool:
        sending: set[Future[Part]] = set()
        while missing or sending:
            while missing and len(sending) < at_once:
                sending.add(pool.submit(send, missing.popleft()))
            done, sending = wait(sending, return_when=FIRST_COMPLETED)
            parts |= {part.number: part for part in (one.result() for one in done)}
            progress(sum(part.size_bytes for part in parts.values()))
    return [parts[number] for number in lengths]
