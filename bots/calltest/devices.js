// Runs in a page before its own scripts, where a browser takes no files for its camera and its
// microphone: getUserMedia gives a canvas with marked pictures, and marked sounds. MARKS stands for
// marks.js, SETTINGS for what bots/calltest/firefox.py says.
(() => {
  "use strict";
  if (!navigator.mediaDevices) return;
  const { paint } = MARKS;
  const { stream, width, height, rate, ground, square, sounds } = SETTINGS;
  /** @type {Promise<MediaStreamTrack> | null} */
  let camera = null;
  /** @type {Promise<MediaStreamTrack> | null} */
  let microphone = null;

  const file = (coded, type) =>
    new Blob([Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0))], { type });
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { alpha: false });

  /** Begin to paint, for as long as the page is there. */
  async function film() {
    const picture = await createImageBitmap(file(ground, "image/png"));
    const captured = canvas.captureStream(0);
    const began = performance.now();
    let number = 0;
    const next = () => {
      draw(picture, number);
      captured.requestFrame();
      // Who comes late leaves pictures out, so that those that follow are in time.
      number = Math.max(number + 1, Math.floor((performance.now() - began) * rate / 1000));
      setTimeout(next, began + number * 1000 / rate - performance.now());
    };
    next();
    return captured.getVideoTracks()[0];
  }

  /** The picture of this number: that of bots/calltest/scene.py. */
  function draw(picture, number) {
    const sequence = number & 0xffff;
    const at = performance.now();
    const moved = 2 * sequence;
    context.drawImage(picture, -(moved % width), 0);
    context.drawImage(picture, width - moved % width, 0);
    context.fillStyle = `rgb(${square.colour.join()})`;
    context.fillRect(square.left, square.top + moved % square.room, square.side, square.side);
    const mark = { stream, sequence, stamp: Math.floor(at) & 0xffff };
    paint(context, width, height, mark);
    ringbackProbe.painted({ at, width, height, ...mark });
  }

  /** Begin to sound, without the page's doing, for as long as it is there. By an element, as Web
   * Audio stands still on a machine without a sound card. */
  async function tape() {
    const sound = document.createElement("audio");
    Object.assign(sound, { loop: true, src: URL.createObjectURL(file(sounds, "audio/wav")) });
    const captured = sound.mozCaptureStream();
    const begun = new Promise((resolve) => captured.addEventListener("addtrack", resolve));
    await sound.play();
    if (captured.getAudioTracks().length === 0) await begun;
    return captured.getAudioTracks()[0];
  }

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const tracks = [];
    if (audio) tracks.push((await (microphone ??= tape())).clone());
    if (video) tracks.push((await (camera ??= film())).clone());
    return new MediaStream(tracks);
  };
})();
