"""Names and sessions: written through to the database, read from memory."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from ringback.server.protocol import DirectedMessage, encode

from . import tables
from .base import Claim, StoredSession
from .local import Topics
from .mailbox import Mailbox
from .writer import Writer


def _held(claim: Claim, now: float) -> bool:
    return claim.until is None or claim.until > now


class Claims:
    """Who holds which name."""

    def __init__(self, writer: Writer, stored: list[Claim]) -> None:
        self._writer = writer
        self._claims = {claim.key: claim for claim in stored}
        self._sweep_at = 1024

    async def claim(self, claim: Claim, now: float) -> Claim:
        """Take or renew a name; returns who holds it afterwards."""
        if len(self._claims) >= self._sweep_at:
            await self._writer.write(
                partial(tables.forget_lapsed, now=now), lambda _: self._forget(now)
            )
        return await self._writer.write(partial(tables.claim, claim=claim, now=now), self._set)

    def _set(self, claim: Claim) -> None:
        self._claims[claim.key] = claim

    def _forget(self, now: float) -> None:
        self._claims = {key: c for key, c in self._claims.items() if _held(c, now)}
        self._sweep_at = max(1024, 2 * len(self._claims))

    async def release(self, key: str, user: str) -> bool:
        """Give a name up; False if `user` did not hold it."""

        def done(released: bool) -> None:
            if released:
                self._claims.pop(key, None)

        return await self._writer.write(partial(tables.release, key=key, user=user), done)

    def of(self, key: str, now: float) -> Claim | None:
        """Who holds a name at `now`."""
        claim = self._claims.get(key)
        return claim if claim is not None and _held(claim, now) else None

    def all(self, now: float) -> list[Claim]:
        """All names held at `now`."""
        return [claim for claim in self._claims.values() if _held(claim, now)]


class Sessions:
    """Sessions and their mailboxes. Mailboxes are stored only by `mails`, at the end.

    A session whose mailbox did not survive gets an empty one. Its numbers go on from
    `lost_from`, far above any that was given out, so that none is used twice and none of the
    old ones is taken for known.
    """

    def __init__(
        self,
        writer: Writer,
        topics: Topics,
        stored: list[StoredSession],
        mails: list[tables.Mail],
        *,
        mailbox: int,
        lost_from: int,
    ) -> None:
        self._writer = writer
        self._topics = topics
        self._size = mailbox
        self._sessions: dict[str, StoredSession] = {}
        self._by_key: dict[str | None, dict[str, None]] = {}
        self._mailboxes = {
            mail.session: Mailbox(mailbox, last=mail.last, messages=mail.messages) for mail in mails
        }
        for session in stored:
            lost = Mailbox(mailbox, last=lost_from)
            self._mailboxes.setdefault(session.id, lost)
            self._set(session)

    async def save(self, session: StoredSession) -> None:
        """Keep a session as it is now. What the caller does to its rooms later is not noticed."""
        session = replace(session, rooms=dict(session.rooms))
        work = partial(tables.save_session, session=session)
        await self._writer.write(work, lambda _: self._set(session))

    def _set(self, session: StoredSession) -> None:
        self._forget(session.id)
        self._sessions[session.id] = session
        self._by_key.setdefault(session.name_key, {})[session.id] = None
        if session.id not in self._mailboxes:
            self._mailboxes[session.id] = Mailbox(self._size)

    def _forget(self, session: str) -> None:
        old = self._sessions.pop(session, None)
        if old is not None:
            theirs = self._by_key[old.name_key]
            del theirs[session]
            if not theirs:
                del self._by_key[old.name_key]

    async def drop(self, session: str, key_hash: str) -> bool:
        """Forget a session and its mailbox if it still has this key."""

        def done(dropped: bool) -> None:
            if dropped:
                self._forget(session)
                self._mailboxes.pop(session, None)

        work = partial(tables.drop_session, session=session, key_hash=key_hash)
        return await self._writer.write(work, done)

    def get(self, session: str) -> StoredSession | None:
        """A session by id."""
        return self._sessions.get(session)

    def all(self, name_key: str | None = None) -> list[StoredSession]:
        """All sessions, or those with one folded name."""
        if name_key is None:
            return list(self._sessions.values())
        return [self._sessions[session] for session in self._by_key.get(name_key, {})]

    def push(self, session: str, message: DirectedMessage) -> None:
        """Number, keep and tell a message; a session that is not known gets nothing."""
        mailbox = self._mailboxes.get(session)
        if mailbox is not None:
            payload = encode(replace(message, n=mailbox.last + 1))
            mailbox.add(payload)
            self._topics.tell(f"session:{session}", payload)

    def mail(self, session: str, after: int) -> list[bytes] | None:
        """Encoded messages numbered above `after`, None if that cannot be said."""
        mailbox = self._mailboxes.get(session)
        return None if mailbox is None else mailbox.after(after)

    def last(self, session: str) -> int:
        """The number given out last, 0 before the first."""
        mailbox = self._mailboxes.get(session)
        return 0 if mailbox is None else mailbox.last

    def mails(self) -> list[tables.Mail]:
        """All mailboxes, for storing."""
        return [
            tables.Mail(session, mailbox.last, list(mailbox))
            for session, mailbox in self._mailboxes.items()
        ]
