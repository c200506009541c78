// How long a view was in front of somebody, and how far down they came. Both
// are of the time since the last such message: times add up, depths don't.
let engaged = 0;
let depth = 0;
/** Since when the page has been looked at; 0 = it is not. */
let since = 0;
const tick = () => {
  const now = performance.now();
  if (since) engaged += now - since;
  since = document.hasFocus() && !document.hidden ? now : 0;
};
const measure = () => {
  const height = document.documentElement.scrollHeight;
  depth = Math.max(depth, Math.min(100, Math.round((100 * (scrollY + innerHeight)) / height)));
};
for (const type of ["focus", "blur", "visibilitychange", "pageshow"]) on(type, tick);
on("scroll", measure);
on("load", measure);
on("eider", () => {
  tick();
  if (engaged >= 100) eider("engagement", { k: "engagement", e: Math.round(engaged), sd: depth });
  engaged = depth = 0;
  // The next view of a single-page application begins where this one ended.
  setTimeout(guard(measure), 200);
});
tick();
