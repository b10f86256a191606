// One peer connection in a page, for an endpoint of ours on the other side.
// Leaves `peer` for the tests to play with; `answer` and `candidate` are functions of theirs.
async () => {
  const pc = new RTCPeerConnection();
  const arrived = {};
  pc.ontrack = ({ track }) => {
    arrived[track.kind] = track;
    const player = document.createElement(track.kind);
    player.srcObject = new MediaStream([track]);
    player.autoplay = true;
    document.body.append(player);
  };
  const prefer = (transceiver, codec) => {
    if (!codec) return;
    const known = RTCRtpReceiver.getCapabilities(transceiver.sender.track.kind).codecs;
    const chosen = known.filter(({ mimeType }) => mimeType.endsWith(`/${codec}`));
    const besides = known.filter(({ mimeType }) => /rtx|telephone-event/.test(mimeType));
    transceiver.setCodecPreferences([...chosen, ...besides]);
  };
  globalThis.peer = {
    pc,
    arrived,
    prefer,
    /** Add a camera or a microphone. */
    async add(kind, codec, width = 320, height = 240) {
      const size = { width, height, frameRate: 30 };
      const wanted = kind === "video" ? { video: size } : { audio: { echoCancellation: false } };
      const [track] = (await navigator.mediaDevices.getUserMedia(wanted)).getTracks();
      prefer(pc.addTransceiver(track), codec);
    },
    /** Offer, and take the answer. */
    async call() {
      await pc.setLocalDescription();
      await pc.setRemoteDescription({ type: "answer", sdp: await answer(pc.localDescription.sdp) });
    },
    /** The other way round: the answer to an offer. */
    async called(sdp) {
      pc.onicecandidate = (event) => event.candidate && candidate(event.candidate.candidate);
      await pc.setRemoteDescription({ type: "offer", sdp });
      await pc.setLocalDescription();
      return pc.localDescription.sdp;
    },
    sender: (kind) => pc.getSenders().find(({ track }) => track?.kind === kind),
    /** What was received and decoded of a kind. */
    async received(kind) {
      for (const report of (await pc.getStats()).values())
        if (report.type === "inbound-rtp" && report.kind === kind) return report;
      return {};
    },
    async sent(kind) {
      for (const report of (await pc.getStats()).values())
        if (report.type === "outbound-rtp" && report.kind === kind) return report;
      return {};
    },
  };
};
