// Lists of cameras and microphones to choose from.

import { find, make } from "./dom.js";
import { canCapture, devices } from "./media-devices.js";

/** @typedef {import("./local-media.js").LocalMedia} LocalMedia */

export class DeviceChoice {
  #camera;
  #microphone;

  /**
   * @param {ParentNode} place  holds a select for each kind of device
   * @param {LocalMedia} media
   */
  constructor(place, media) {
    this.media = media;
    this.#camera = find('[data-choose="camera"]', HTMLSelectElement, place);
    this.#microphone = find('[data-choose="audio"]', HTMLSelectElement, place);
    this.#camera.addEventListener("change", () => {
      void media.choose("camera", this.#camera.value);
    });
    this.#microphone.addEventListener("change", () => {
      void media.choose("audio", this.#microphone.value);
    });
    media.on("change", () => void this.#fill());
    if (canCapture()) {
      navigator.mediaDevices.addEventListener("devicechange", () => void this.#fill());
    }
    void this.#fill();
  }

  async #fill() {
    const { cameras, microphones } = await devices();
    const { audio, camera, chosen } = this.media;
    fill(this.#camera, cameras, camera?.getSettings().deviceId ?? chosen.videoId, "camera");
    fill(this.#microphone, microphones, audio?.getSettings().deviceId ?? chosen.audioId,
      "microphone");
  }
}

/**
 * @param {HTMLSelectElement} select
 * @param {MediaDeviceInfo[]} found
 * @param {string | undefined} chosen
 * @param {string} kind
 */
function fill(select, found, chosen, kind) {
  const wanted = found.map(({ deviceId, label }, index) => ({
    value: deviceId,
    text: label || `${kind[0]?.toUpperCase()}${kind.slice(1)} ${index + 1}`,
  }));
  if (wanted.length === 0) wanted.push({ value: "", text: `No ${kind} to choose yet` });
  const same = wanted.length === select.options.length &&
    wanted.every(({ value, text }, i) => {
      const option = select.options[i];
      return option?.value === value && option.text === text;
    });
  if (!same) {
    select.replaceChildren(...wanted.map(({ value, text }) => make("option", { value }, text)));
  }
  select.disabled = found.length === 0;
  if (chosen && found.some(({ deviceId }) => deviceId === chosen)) select.value = chosen;
}
