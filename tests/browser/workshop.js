// The workshop's call page as its participants wrote it: no ids, no ringing, no resuming.
(name) => {
  const video = Object.assign(document.createElement("video"), { id: "remote-video", autoplay: true });
  video.muted = true;
  document.body.append(video);
  const state = { events: [], other: null };
  globalThis.workshop = state;
  let peer, received = null, early = [];
  const socket = new WebSocket(`ws://${location.host}/ws/call/`);
  const send = (type, data) => socket.send(JSON.stringify({ type, data }));

  async function createPeer(other) {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    peer = new RTCPeerConnection({ iceServers: [] });
    state.other = other;
    peer.onicecandidate = ({ candidate }) => candidate && send("ICEcandidate", {
      user: other,
      rtcMessage: { label: candidate.sdpMLineIndex, id: candidate.sdpMid, candidate: candidate.candidate },
    });
    peer.ontrack = ({ streams }) => { video.srcObject = streams[0]; };
    for (const track of media.getTracks()) peer.addTrack(track, media);
  }

  async function useEarly() {
    for (const candidate of early) await peer.addIceCandidate(candidate);
    early = [];
  }

  state.call = async (other) => {
    await createPeer(other);
    await peer.setLocalDescription(await peer.createOffer());
    send("call", { name: other, rtcMessage: peer.localDescription });
  };
  state.answer = async () => {
    await createPeer(received.caller);
    await peer.setRemoteDescription(received.rtcMessage);
    await useEarly();
    await peer.setLocalDescription(await peer.createAnswer());
    send("answer_call", { caller: received.caller, rtcMessage: peer.localDescription });
  };

  socket.onmessage = async ({ data }) => {
    const { type, data: message } = JSON.parse(data);
    if (type === "connection") send("login", { name });
    if (type === "call_received") received = message;
    if (type === "call_answered") {
      await peer.setRemoteDescription(message.rtcMessage);
      await useEarly();
    }
    if (type === "ICEcandidate") {
      const { label, id, candidate } = message.rtcMessage;
      const ice = new RTCIceCandidate({ sdpMLineIndex: label, sdpMid: id, candidate });
      if (peer?.remoteDescription) await peer.addIceCandidate(ice);
      else early.push(ice);
    }
    state.events.push(type);
  };
}
