// In files that lack parts: attributes that ask for one load them, in one
// further file. What the names are made of is looked at in the file that comes.
if (MISSING.test(/** @type {any} */ (Object.keys(options)))) import(/** @type {any} */ (new URL(MODULE + Object.keys(options), script.src)));
