// First in every file. Whatever goes wrong in the beacon stays in it: every
// entry is a guarded function.

/** Makes fn end quietly where it would throw. @type {Guard} */
const guard = (fn) => (a, b) => {
  try {
    return fn(a, b);
  } catch {}
};

/** Listens as long as the page lives, before the page itself. @type {Listen} */
const on = (type, fn) => addEventListener(type, guard(fn), true);
