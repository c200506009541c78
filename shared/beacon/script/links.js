// What outbound.js and files.js share: clicks on links. They are only watched:
// no link waits for anything, since messages outlive the page.

/** @type {(handle: (link: HTMLAnchorElement) => void) => void} */
const onLink = (handle) => {
  for (const type of ["click", "auxclick"])
    on(type, (event) => {
      const link = event.composedPath().find((/** @type {any} */ node) => /^http/.test(node.protocol) && node.hash != null);
      // The middle button opens a link too, the right one only a menu.
      if (link && event.button < 2) handle(link);
    });
};

/** A link's target as it is told: queries and fragments may hold secrets. @type {(link: HTMLAnchorElement) => string} */
const target = (link) => link.origin + link.pathname;
