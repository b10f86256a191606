// The home page makes no calls: what the page before left there is ended properly, so that
// nobody on the other side waits for somebody who has walked away.

import { take } from "./saved.js";
import { socketUrl } from "./page.js";
import { Wire } from "./wire.js";

/** How long (ms) this may take. */
const PATIENCE = 2_000;

/** Hang up and leave whatever the page before was in. */
export async function farewell() {
  const saved = take(null);
  if (!saved) return;
  const { name, session, phone } = saved;
  if (session.rooms.length === 0 && phone.calls.length === 0) return;
  const wire = new Wire({
    url: socketUrl(), name, saved: session, probe: () => ({ type: "contacts" }),
  });
  const opened = wire.once("welcome");
  wire.start();
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
  await Promise.race([opened, late]);
  for (const { id } of phone.calls) wire.tell({ type: "hangup", call: id });
  const last = wire.request({ type: "contacts" }).catch((error) => console.info(error.message));
  await Promise.race([last, late]);
  wire.stop();
}
