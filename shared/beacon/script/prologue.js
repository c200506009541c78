// First in every file, before the function that holds the rest; each part is one
// in it. Whatever goes wrong in the beacon stays in it: every entry is guarded.

/** Makes fn end quietly where it would throw. @type {Guard} */
const guard = (fn) => (a, b) => {
  try {
    return fn(a, b);
  } catch {}
};

/** Listens as long as the page lives, before the page itself. @type {Listen} */
const on = (type, fn) => addEventListener(type, guard(fn), true);
