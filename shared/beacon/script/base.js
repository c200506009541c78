// What every page gets: page views, single-page navigation, restored and cached
// pages, custom events, identify, opting out.
//
// Every byte of this file is loaded by every page, and there are 1,024 of them,
// minified and gzipped. Hence what looks odd at first: one function says
// everything; attributes travel with each message, so that the server does with
// them what needs no browser (which site, what to exclude); parts are told that
// a view ends by an event. docs/formats/beacon.md has the messages.

const script = /** @type {HTMLScriptElement} */ (document.currentScript);
const options = script.dataset;
/** @type {any} */
const earlier = window.eider || {};
// A page that has this script twice is still counted once.
if (earlier.optOut) throw 0;

/** Calls made before this ran, or before a prerendered page was shown. @type {any[]} */
const waiting = earlier.q || [];
/** Messages that were not handed to the browser yet, as JSON. @type {string[]} */
const queue = [];

/** The status that the document was answered with, where the browser says. @type {number | undefined} */
let answered;
/** What the proxy calls this document, in its Server-Timing header. @type {string | undefined} */
let view;
/** This load of the document: 64 random bits as two numbers; drawn anew when it is restored. @type {string | undefined} */
let load;
/** Names a message within its load, for ever. Numbers may be left out. */
let ordinal = 0;
/** What the current view belongs to: a document (v), or as a soft navigation to one (pv). @type {any} */
let within;
/** The current view's path, what counts as another view if it changes. @type {any} */
let place;
/** @type {string | undefined} */
let url;
let referrer = document.referrer;
/** The document was restored from the back/forward cache. @type {boolean | undefined} */
let cached;
/** @type {any} */
let distinct;

guard(() => {
  /** @type {any} */
  const entry = performance.getEntriesByType("navigation")[0];
  answered = entry.responseStatus;
  view = entry.serverTiming.find((/** @type {any} */ timing) => timing.name == "eider").description;
})();

/** Queues a message if there is room. In UTF-16 units: at most three times as
 * many bytes, which browsers still send. @type {(text: string) => any} */
const keep = (text) => (queue + text)[2e4] || queue.push(text);

/** Hands the queue to the browser; last = the page may be gone in a moment. @type {(last?: any) => void} */
const flush = guard((last) => {
  const batch = queue.splice(0);
  const again = () => {
    batch.map(keep);
    // Later each time, by an ordinal that no message will have.
    setTimeout(flush, 9e3 * ordinal++);
  };
  const body = "[" + batch + "]";
  const endpoint = new URL(options.api || ENDPOINT, script.src);
  // A fetch that outlives the page (keepalive) says how it ended, so that it can
  // be repeated under the same names. At the page's end there is no time for that.
  if (batch[0] && !(last && navigator.sendBeacon(endpoint, body)))
    fetch(endpoint, { method: "POST", body, keepalive: true }).then((answer) => answer.status > 428 && again(), again);
});

/** The global function: says name about the current view. @type {any} */
const eider = guard((name, call) => {
  if (!load) return waiting.push([name, call]);
  navigated();
  // A soft navigation always has a parent, be it one that no proxy knows.
  if (name == "pageview") within = within ? { pv: view || load } : { v: view };
  // Whoever waits for this goes on, whatever happens below.
  setTimeout((call && call.callback) || flush);
  guard(() => localStorage.eider)() || keep(JSON.stringify({
    ...options,
    ...within,
    l: load,
    o: ordinal++,
    n: name,
    d: distinct,
    u: url,
    t: document.title,
    r: referrer,
    w: screen.width + "x" + screen.height,
    c: cached,
    st: answered,
    ...call,
  }));
  setTimeout(flush);
});

/** Looks whether this is still the same page, and counts it if not. */
const navigated = guard(() => {
  const fragment = "hash" in options ? location.hash : "";
  const there = location.pathname + fragment;
  const gone = place;
  if (load && gone != there) {
    place = there;
    if (gone) dispatchEvent(new Event("eider"));
    within = gone && {};
    referrer = url || referrer;
    url = location.href.split("#")[0] + fragment;
    if (options.auto != "false") eider("pageview");
  }
});

/** Begins a load of the document: when it is first shown, and when it is restored. */
const begin = () => {
  load = "" + crypto.getRandomValues(new Uint32Array(2));
  navigated();
  waiting.splice(0).map((call) => eider(...call));
};

eider.identify = (/** @type {unknown} */ id, /** @type {unknown} */ props) => {
  distinct = id;
  eider("identify", { props });
};
// The wish is stored for the script, and told to the proxy, which counts as well:
// its cookie is out of reach here. Where the script is another site's, that says no.
eider.optOut = guard(() => {
  localStorage.eider = 1;
  navigator.sendBeacon(new URL("opt-out", script.src));
});
window.eider = window.mallard = eider;

// Pages set their title after the address: a soft navigation is looked at a
// moment later, or once something else is said or the address changes again.
const soon = () => setTimeout(navigated, 99);
/** @type {const} */ (["pushState", "replaceState"]).map((name) => {
  const original = history[name];
  history[name] = (...args) => {
    navigated();
    original.apply(history, args);
    soon();
  };
});
on("popstate", soon);
// Comes on every way out of a page, and harmlessly on the way in.
on("visibilitychange", (last) => {
  navigated();
  dispatchEvent(new Event("eider"));
  flush(last);
});
on("pageshow", (event) => {
  if ((cached = event.persisted)) {
    // Another load of a document that has a name, else a view that has none.
    place = !view;
    begin();
  }
});
