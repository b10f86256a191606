"""Who is here: names and who holds them, contacts and how they can be reached."""

from __future__ import annotations

import heapq

from msgspec.structs import replace

from ringback.server import names
from ringback.server.clock import Clock
from ringback.server.engine.base import Claim, Engine
from ringback.server.protocol import (
    Contact,
    ContactChange,
    ContactList,
    Contacts,
    ErrorCode,
    Limits,
    ProtocolError,
    Settings,
    encode,
)
from ringback.server.session import Session
from ringback.server.voicebox import VOICEMAIL

TOPIC = "people"


def clean_name(text: str) -> str:
    """A name as it may be used; raises `ProtocolError` (`BAD_NAME`) with the reason in words."""
    try:
        return names.clean(text)
    except names.BadName as error:
        raise ProtocolError(ErrorCode.BAD_NAME, str(error)) from error


class People:
    """Names, contacts and settings over an engine.

    A name is held while somebody is connected with it and `hold` seconds after. A list names
    `limits.people` of them.
    """

    def __init__(self, engine: Engine, clock: Clock, hold: float, limits: Limits) -> None:
        self._limits = limits
        self._engine = engine
        self._clock = clock
        self._hold = hold

    async def check(self, text: str, user: str, bot: bool = False) -> str:
        """The cleaned name if `user` may use it now.

        Raises `ProtocolError`: `BAD_NAME`, `NAME_RESERVED` (unless `bot`), `NAME_TAKEN`.
        """
        name = clean_name(text)
        if not bot and names.reserved(name):
            raise ProtocolError(ErrorCode.NAME_RESERVED)
        holder = await self._engine.claim_of(names.fold(name), self._clock.now())
        if holder is not None and holder.user != user:
            raise ProtocolError(ErrorCode.NAME_TAKEN)
        return name

    async def claim(self, name: str, user: str, bot: bool, about: str) -> None:
        """Take a name that `check` allowed; raises `NAME_TAKEN` if somebody was faster."""
        now, key = self._clock.now(), names.fold(name)
        before = await self._engine.claim_of(key, now)
        waiting = before.call_waiting if before is not None else True
        claim = Claim(key=key, name=name, user=user, bot=bot, about=about, call_waiting=waiting)
        holder = await self._engine.claim(claim, now)
        if holder.user != user:
            raise ProtocolError(ErrorCode.NAME_TAKEN)
        await self.tell(key)

    async def away(self, key: str) -> None:
        """The last connection with a name dropped: it is held for a while."""
        now = self._clock.now()
        claim = await self._engine.claim_of(key, now)
        if claim is not None:
            await self._engine.claim(replace(claim, until=now + self._hold), now)
            await self.tell(key)

    async def gone(self, name: str, user: str, bot: bool) -> None:
        """Nobody will come back with a name: it is free."""
        key = names.fold(name)
        holder = await self._engine.claim_of(key, self._clock.now())
        if holder is None or holder.user == user:
            await self._engine.release(key, user)
            change = ContactChange(person=Contact(name=name, bot=bot), online=False)
            await self._engine.tell(TOPIC, encode(change))

    async def contact(self, claim: Claim) -> Contact:
        """Somebody as others see them."""
        if claim.until is not None:
            return Contact(claim.name, claim.bot, claim.about, "away")
        busy = not claim.bot and bool(await self._engine.live_calls(claim.key))
        return Contact(claim.name, claim.bot, claim.about, "in_call" if busy else "available")

    async def tell(self, key: str) -> None:
        """Tell who watches how somebody can be reached now."""
        claim = await self._engine.claim_of(key, self._clock.now())
        if claim is not None and key != VOICEMAIL:
            change = ContactChange(person=await self.contact(claim), online=True)
            await self._engine.tell(TOPIC, encode(change))

    async def list_contacts(self, session: Session, message: Contacts) -> None:
        """Answer with those who can be called; watch or stop watching. Of too many the bots come
        first, then who is here before who is away, by name."""
        session.watch(TOPIC, self._engine, message.watch)
        claims = await self._engine.claims(self._clock.now())
        # Voicemail answers for others; nobody calls it by itself.
        found = [claim for claim in claims if claim.key != VOICEMAIL]
        more = max(0, len(found) - self._limits.people) if self._limits.on else 0
        if more:
            found = heapq.nsmallest(self._limits.people, found, key=_rank)
        people = [await self.contact(claim) for claim in found]
        session.tell(ContactList(people=people, more=more, re=message.id))

    async def settings(self, session: Session, message: Settings) -> None:
        """Note how somebody wants to be called."""
        now = self._clock.now()
        claim = await self._engine.claim_of(session.key, now)
        if claim is None:
            raise ProtocolError(ErrorCode.NAME_NEEDED)
        if message.call_waiting is not None:
            await self._engine.claim(replace(claim, call_waiting=message.call_waiting), now)


def _rank(claim: Claim) -> tuple[bool, bool, str]:
    return not claim.bot, claim.until is not None, claim.key
