// Core Web Vitals of the document, once, when its first view ends. What each is,
// and since when a page that was rendered ahead counts: https://web.dev/vitals
/** @type {any} */
const timing = performance.getEntriesByType("navigation")[0];
const zero = timing.activationStart || 0;
/** @type {Record<string, number>} */
const vitals = {};
/** What was observed, but not handed over yet. @type {(() => void)[]} */
const pending = [];
/** The longest interactions: their ids and durations. @type {[number, number][]} */
let longest = [];
let interactions = 0;
let newest = 0;
/** The window of layout shifts that is going on. */
let shift = 0;
let from = 0;
let until = 0;
/** What is painted while nobody looks is nobody's experience. */
let hidden = document.hidden ? 0 : Infinity;
let said = false;

/** @type {(type: string, handle: (entry: any) => void) => void} */
const observe = (type, handle) => {
  const each = guard((/** @type {any} */ list) => list.map(handle));
  guard(() => {
    const observer = new PerformanceObserver((list) => each(list.getEntries()));
    observer.observe(/** @type {any} */ ({ type, buffered: true, durationThreshold: 40 }));
    pending.push(() => each(observer.takeRecords()));
  })();
};
const painted = (/** @type {string} */ name, /** @type {any} */ entry) => {
  if (entry.startTime < hidden) vitals[name] = Math.round(Math.max(0, entry.startTime - zero));
};
const interacted = (/** @type {any} */ entry) => {
  const { interactionId: id, duration } = entry;
  if (!id) return;
  if (id > newest) {
    newest = id;
    interactions++;
  }
  const known = longest.find((one) => one[0] == id);
  if (known) known[1] = Math.max(known[1], duration);
  else longest.push([id, duration]);
  longest = longest.sort((a, b) => b[1] - a[1]).slice(0, 10);
};

on("visibilitychange", (event) => {
  if (document.hidden) hidden = Math.min(hidden, event.timeStamp);
});
observe("paint", (entry) => entry.name == "first-contentful-paint" && painted("fcp", entry));
observe("largest-contentful-paint", (entry) => painted("lcp", entry));
observe("event", interacted);
observe("first-input", interacted);
observe("layout-shift", (entry) => {
  if (entry.hadRecentInput) return;
  const now = entry.startTime;
  // A window ends after a second of rest, or after five.
  if (now > until + 1000 || now > from + 5000) {
    shift = 0;
    from = now;
  }
  until = now;
  shift += entry.value;
  vitals.cls = Math.max(vitals.cls || 0, Math.round(shift * 1e4) / 1e4);
});
on("eider", () => {
  if (said) return;
  said = true;
  pending.map((take) => take());
  // Nothing shifted is a shift of nothing, where the browser can tell.
  if (vitals.lcp != null) vitals.cls = vitals.cls || 0;
  // One of fifty interactions may be worse than what is told.
  const slow = longest[Math.min(longest.length - 1, Math.floor(interactions / 50))];
  if (slow) vitals.inp = Math.round(slow[1]);
  if (timing.responseStart) vitals.ttfb = Math.round(Math.max(0, timing.responseStart - zero));
  eider("vitals", { k: "vitals", ...vitals });
});
