"""A board taken for this machine alone, over a link that may drop and come back."""

import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from compress.errors import BenchError
from compress_bench.remote.address import Address
from compress_bench.remote.channel import Channel, LinkLostError, Message
from compress_bench.remote.lock import who

if TYPE_CHECKING:
    from compress.progress import Progress

LEASE_SECONDS = 120.0  # without a word from here, after which the board ends the run
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)  # before each try to connect again
_BEATS_A_LEASE = 8


class SessionOverError(Exception):
    """The board has ended the run, or is out of reach; its text goes on "the measuring process"."""


class Session:
    """The board's lock and keeper, from `open` to `close`.

    Attributes:
        address: where the board is.
        pauses: seconds before each try to connect again.
        token: names the session; empty: there is none now.
        channel: the connection; None while there is none.
    """

    def __init__(
        self,
        address: Address,
        progress: "Progress",
        *,
        lease_seconds: float = LEASE_SECONDS,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """Nothing is connected yet.

        Args:
            address: where the board is.
            progress: where waiting is shown.
            lease_seconds: without a word from here, after which the board ends the run.
            pauses: seconds before each try to connect again.
        """
        self.address = address
        self.pauses = pauses
        self.token = ""
        self.channel: Channel | None = None
        self._progress = progress
        self._lease = lease_seconds
        self._boot_id = ""
        self._closed = threading.Event()

    def open(self) -> None:
        """Connect, and take the board.

        Raises:
            BenchError: it cannot be reached, has no Python, or another bench has it.
        """
        try:
            self.attach()
        except LinkLostError as loss:
            self.drop()
            raise BenchError(f"{self.address.reference}: {_dropped(loss)}; bench again") from loss
        except BaseException:
            self.drop()
            raise
        threading.Thread(target=self._beat, daemon=True).start()

    def close(self) -> None:
        """End what runs there, and give the board back."""
        self._closed.set()
        try:
            for _ in range(2):  # the link may have dropped meanwhile
                if self.token and self._try_close():
                    break
        except (BenchError, SessionOverError):
            self._progress.say(
                f"{self.address.reference}: out of reach; what runs there ends by itself within "
                f"{self._lease:.0f} s"
            )
        finally:
            self.drop()

    def _try_close(self) -> bool:
        try:
            self.attach(take=False)
            self.ask_until({"do": "close"}, "closed")
        except LinkLostError:
            self.drop()
            return False
        return True

    def attach(self, *, take: bool = True) -> None:
        """Connect where there is no connection, and take the board where it is not ours.

        Raises:
            BenchError: it cannot be reached, or another bench has it.
            LinkLostError: the link drops at once.
            SessionOverError: the board has ended the session; the next call opens another.
        """
        if self.channel is None:
            self.channel = Channel(self.address)
            if self.token:
                self._resume()
        if not self.token and take:
            self._take()

    def _resume(self) -> None:
        reply = self.ask({"do": "resume", "token": self.token, "lease": self._lease})
        if reply["resumed"]:
            return
        self.token = ""
        if reply["boot_id"] != self._boot_id:
            raise SessionOverError("ended when the board was restarted; check its power supply")
        raise SessionOverError(
            f"was ended by the board, which had heard nothing from here for {self._lease:.0f} s"
        )

    def _take(self) -> None:
        assert self.channel is not None
        self._boot_id = self.channel.hello["boot_id"]
        self.token = secrets.token_hex(8)  # from here on: the answer may get lost
        wanted = {"do": "open", "token": self.token, "holder": who(), "lease": self._lease}
        reply = self.ask(wanted)
        if "unlocked" in reply:
            self.token = ""
            raise BenchError(f"{self.address.reference}: {reply['unlocked']} there")
        if "busy" in reply:
            self.token = ""
            holder, seconds = reply["busy"]["holder"], reply["busy"]["seconds"]
            raise BenchError(
                f"{self.address.reference}: expected a free board, found that {holder} has been "
                f"measuring there for {seconds:.0f} s; wait for the end (a bench that was killed "
                f"gives the board back after {LEASE_SECONDS:.0f} s)"
            )

    def _beat(self) -> None:
        """Tell the board now and then that somebody is there."""
        while not self._closed.wait(self._lease / _BEATS_A_LEASE):
            channel = self.channel
            if channel is not None:
                with suppress(LinkLostError):  # whoever reads from it finds out, too
                    channel.send({"do": "alive"})

    def ask(self, request: Message, content: Iterable[bytes] = ()) -> Message:
        """The board's answer to a request, for which it may want content.

        Raises:
            BenchError: it cannot write a file.
            LinkLostError: the link dropped.
            SessionOverError: nothing of the session is left there.
        """
        assert self.channel is not None
        return self.check(self.channel.ask(request, content))

    def ask_until(self, request: Message, word: str) -> None:
        """The same where events may still be under way; they are dropped."""
        assert self.channel is not None
        self.channel.send(request)
        while word not in self.channel.receive()[0]:
            pass

    def check(self, reply: Message) -> Message:
        """The same reply, if it is a good one; raises as `ask` does."""
        if "gone" in reply:
            self.token = ""
            raise SessionOverError(
                "is gone: the board's part of the bench was ended there, or has no room on its disk"
            )
        if "refused" in reply:
            found = f"that this fails ({reply['refused']})"
            if reply["full"]:
                found = f"too little ({reply['free_bytes'] / 1e6:.0f} MB are free)"
            raise BenchError(
                f"{self.address.reference}: expected room for files in {reply['folder']} there, "
                f"found {found}; free some space there, or let XDG_CACHE_HOME name another place"
            )
        return reply

    def drop(self) -> None:
        """Without a connection from here on."""
        if self.channel is not None:
            self.channel.drop()
            self.channel = None

    def reconnect(self, loss: LinkLostError) -> None:
        """Connect again, in growing pauses.

        Raises:
            SessionOverError: the board is out of reach for good, or has ended the run.
        """
        self.drop()
        reference, due = self.address.reference, time.monotonic() + self._lease
        last: Exception = loss
        for pause in self.pauses:
            self._progress.say(f"{reference}: {_dropped(loss)}; trying again in {pause:g} s")
            time.sleep(pause)
            try:
                self.attach(take=False)
            except (BenchError, LinkLostError) as error:
                self.drop()
                last = error
            else:
                self._progress.say(f"{reference}: the link is back, and nothing was lost")
                return
            if time.monotonic() > due:
                break
        raise SessionOverError(f"was given up: {_dropped(loss)} and did not come back: {last}")


def _dropped(loss: LinkLostError) -> str:
    last = str(loss).strip().split("\n")[-1].strip()
    return f"the link dropped ({last})" if last else "the link dropped"
