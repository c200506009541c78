// Why a host was not added, and what to do.

import { Failure } from "../../api/client";
import { t } from "../../text/en";

/** A name that can stand in a command: whoever asks for a host chooses its name, and a command is there to be copied. */
const HARMLESS = /^[\p{L}\p{N}][\p{L}\p{N}.-]*$/u;

export function refusalText(host: string, error: unknown): string {
  const text = t.hosts.refused;
  if (!(error instanceof Failure)) return text.other(host, String(error));
  if (error.kind === "offline") return text.offline(host);
  if (error.kind === "signed_out") return text.signedOut(host);
  switch (error.code) {
    case "unauthorized":
    case "forbidden":
      return text[error.code](HARMLESS.test(host) ? host : t.hosts.anyHost);
    case "site_exists":
      return text.site_exists(host);
    default:
      return text.other(host, error.message);
  }
}
