// Marked pictures through a real peer connection of one page to itself, read from a canvas.
// Given the folder of the browser code, the codec, the size that is sent and the size that is
// read: what was read of each picture, and some pictures as they were read.
async ({ folder, codec, sent, shown, wanted }) => {
  const { paint, read } = await import(`${folder}/marks.js`);
  const make = ([width, height]) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    return canvas.getContext("2d", { willReadFrequently: true });
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  const from = make(sent);
  const to = make(shown);
  const stream = from.canvas.captureStream(0);
  const [track] = stream.getVideoTracks();
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  near.onicecandidate = ({ candidate }) => void far.addIceCandidate(candidate);
  far.onicecandidate = ({ candidate }) => void near.addIceCandidate(candidate);
  const video = Object.assign(document.createElement("video"), { muted: true });
  far.ontrack = ({ track: received }) => {
    video.srcObject = new MediaStream([received]);
    void video.play();
  };
  const sender = near.addTransceiver(track, { direction: "sendonly", streams: [stream] });
  const known = RTCRtpReceiver.getCapabilities("video").codecs;
  sender.setCodecPreferences(known.filter(({ mimeType }) => mimeType === `video/${codec}`));
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);

  const readings = [];
  const pictures = [];
  const look = () => {
    to.drawImage(video, 0, 0, ...shown);
    const image = to.getImageData(0, 0, ...shown);
    const reading = read(image);
    readings.push({ ...reading, sent: [video.videoWidth, video.videoHeight] });
    if (readings.length % 8 === 1 && pictures.length < 6) {
      let data = "";
      for (const byte of image.data) data += String.fromCharCode(byte);
      pictures.push({ data: btoa(data), reading });
    }
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);

  const begin = performance.now();
  const painted = [];
  const patience = 60_000;
  while (readings.filter(({ mark }) => mark).length < wanted) {
    if (performance.now() - begin > patience) break;
    const sequence = 65_500 + painted.length & 0xffff;
    const mark = { stream: 0xabc, sequence, stamp: Math.floor(performance.now()) & 0xffff };
    from.fillStyle = `hsl(${sequence * 7 % 360} 60% 50%)`;
    from.fillRect(0, 0, ...sent);
    paint(from, ...sent, mark);
    painted.push(mark);
    track.requestFrame();
    await pause(40);
  }
  near.close();
  far.close();
  return { painted, readings, pictures };
}
