"""A made-up network between a page of a browser and whatever it calls, without its doing.

    await lead(page, relay)
    await page.goto(url)

A script in the page rewrites what its connections are told and tell: the page learns the relay's
addresses in place of those of the other side, which learns none of the page's. So `up` is from the
page to the others, whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .relay import Relay

SCRIPT = """
(() => {
  const bare = (description) => description && new RTCSessionDescription({
    type: description.type,
    sdp: description.sdp.replace(/^a=candidate:.*\\r\\n/gm, ""),
  });
  class Led extends RTCPeerConnection {
    constructor(...settings) {
      super(...settings);
      // The first to hear of an address of ours, and the last.
      this.addEventListener("icecandidate", (event) => {
        if (event.candidate) event.stopImmediatePropagation();
      });
    }
    get localDescription() { return bare(super.localDescription); }
    get currentLocalDescription() { return bare(super.currentLocalDescription); }
    get pendingLocalDescription() { return bare(super.pendingLocalDescription); }
    async setRemoteDescription(description) {
      const { type, sdp } = description;
      const led = sdp ? await ringbackRelayDescription(sdp) : sdp;
      return super.setRemoteDescription({ type, sdp: led });
    }
    async addIceCandidate(candidate) {
      if (!candidate?.candidate) return super.addIceCandidate(candidate);
      const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
      const led = await ringbackRelayCandidate(candidate.candidate);
      if (led === null) return;
      return super.addIceCandidate({ candidate: led, sdpMid, sdpMLineIndex, usernameFragment });
    }
  }
  window.RTCPeerConnection = Led;
})();
"""


class Page(Protocol):
    """A page, or a whole context, of Playwright's."""

    async def expose_function(self, name: str, callback: Callable[..., Any]) -> Any:
        """Let scripts call `callback` as a global function that promises its result."""

    async def add_init_script(self, script: str) -> Any:
        """Run a script before those of each document."""


async def lead(page: Page, relay: Relay) -> None:
    """Let all connections of a page, or of a browser's context, go over a relay: to be called
    before the page is loaded."""
    await page.expose_function("ringbackRelayDescription", relay.answered)
    await page.expose_function("ringbackRelayCandidate", relay.candidate)
    await page.add_init_script(SCRIPT)
