// The way to the aggregator: GET, JSON, validators. It owns the cache of the
// last answers by address, so that asking again costs a 304 while nothing
// changed, and a reader who goes back sees the old answer at once.

import type { Decoder } from "./types";
import { ShapeError } from "./types";

/** Why an answer could not be had. */
export type FailureKind = "offline" | "refused" | "unexpected";

export class Failure extends Error {
  readonly kind: FailureKind;
  readonly status: number;

  constructor(kind: FailureKind, message: string, status = 0) {
    super(message);
    this.name = "Failure";
    this.kind = kind;
    this.status = status;
  }
}

export interface Answer<T> {
  value: T;
  /** false: it is the object that the last call returned. */
  changed: boolean;
}

interface Entry {
  etag: string;
  value: unknown;
}

/** An overview is ten answers; this keeps the last ten overviews. */
const CACHE_SIZE = 100;

/** The aggregator itself gives a question up after 30 seconds. */
const TIMEOUT_MS = 35_000;

export class Client {
  readonly #cache = new Map<string, Entry>();
  readonly #fetch: typeof fetch;

  constructor(fetcher: typeof fetch = (input, init) => fetch(input, init)) {
    this.#fetch = fetcher;
  }

  /** peek returns the last answer of the address, however old. */
  peek<T>(url: string): T | undefined {
    return this.#cache.get(url)?.value as T | undefined;
  }

  async get<T>(url: string, decode: Decoder<T>, signal: AbortSignal): Promise<Answer<T>> {
    const known = this.#cache.get(url);
    const headers: Record<string, string> = { Accept: "application/json" };
    if (known?.etag) headers["If-None-Match"] = known.etag;
    let response: Response;
    try {
      response = await this.#fetch(url, {
        headers,
        // With a validator of our own the browser's cache would only hide the 304.
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Failure("offline", String(error));
    }
    if (response.status === 304 && known) return { value: known.value as T, changed: false };
    if (!response.ok) throw await refusal(response);
    return this.#keep(url, response, decode, signal);
  }

  async #keep<T>(url: string, response: Response, decode: Decoder<T>, signal: AbortSignal): Promise<Answer<T>> {
    let value: T;
    try {
      value = decode(await response.json(), "answer");
    } catch (error) {
      if (signal.aborted) throw error;
      const detail = error instanceof ShapeError ? error.message : "the answer is not JSON";
      throw new Failure("unexpected", `${new URL(response.url || url, "http://localhost").pathname}: ${detail}`);
    }
    this.#cache.delete(url);
    this.#cache.set(url, { etag: response.headers.get("ETag") ?? "", value });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHE_SIZE) break;
      this.#cache.delete(oldest);
    }
    return { value, changed: true };
  }
}

async function refusal(response: Response): Promise<Failure> {
  let message = "";
  try {
    const body = (await response.json()) as { error?: { message?: unknown } };
    if (typeof body.error?.message === "string") message = body.error.message;
  } catch {
    // Not ours: a proxy's error page. The status says enough.
  }
  // A gateway that can't reach the aggregator looks the same to a reader as no network.
  const away = response.status === 502 || response.status === 504;
  return new Failure(away ? "offline" : "refused", message || `HTTP ${response.status}`, response.status);
}
