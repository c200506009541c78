// Names below localhost are this machine to browsers; here they are to Node.

import dns from "node:dns";

const lookup = dns.lookup;
dns.lookup = (name, options, callback) => {
  if (!name.endsWith(".localhost")) return lookup(name, options, callback);
  return lookup("127.0.0.1", options, callback ?? options);
};
