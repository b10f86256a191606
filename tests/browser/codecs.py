"""Which codec a page shall send: a script that runs in it before its own."""

from __future__ import annotations

ONLY = """
(() => {
  const { prototype } = RTCPeerConnection;
  const add = prototype.addTransceiver;
  prototype.addTransceiver = function (source, options) {
    const line = add.call(this, source, options);
    const kind = line.receiver.track.kind;
    const wanted = ["%s", `${kind}/rtx`].map((name) => name.toLowerCase());
    const { codecs } = RTCRtpReceiver.getCapabilities(kind);
    const chosen = codecs.filter(({ mimeType }) => wanted.includes(mimeType.toLowerCase()));
    if (chosen.some(({ mimeType }) => mimeType.toLowerCase() === wanted[0])) {
      line.setCodecPreferences(chosen);
    }
    return line;
  };
})();
"""


def only(codec: str) -> str:
    """A script that makes every call of a page offer one codec, as `video/VP8` or
    `audio/PCMU`, for the media of its kind."""
    return ONLY % codec
