// The way to the aggregator: JSON, validators. It owns the cache of the
// last answers by address, so that asking again costs a 304 while nothing
// changed, and a reader who goes back sees the old answer at once.

import { CAVEAT_HEADER, parseCaveats } from "./caveat";
import type { Caveat, Decoder } from "./types";
import { ShapeError } from "./types";

/** Why an answer could not be had. */
export type FailureKind = "offline" | "refused" | "signed_out" | "unexpected";

export class Failure extends Error {
  readonly kind: FailureKind;
  readonly status: number;
  /** What the aggregator calls its refusal; "" where it is not its own. */
  readonly code: string;

  constructor(kind: FailureKind, message: string, status = 0, code = "") {
    super(message);
    this.name = "Failure";
    this.kind = kind;
    this.status = status;
    this.code = code;
  }
}

/** What was answered last, with what the header says of it. */
export interface Known<T> {
  value: T;
  caveats: readonly Caveat[];
}

export interface Answer<T> extends Known<T> {
  /** false: it is the object that the last call returned. */
  changed: boolean;
}

interface Entry extends Known<unknown> {
  etag: string;
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
  peek<T>(url: string): Known<T> | undefined {
    return this.#cache.get(url) as Known<T> | undefined;
  }

  async get<T>(url: string, decode: Decoder<T>, signal: AbortSignal): Promise<Answer<T>> {
    const known = this.#cache.get(url);
    const headers: Record<string, string> = { Accept: "application/json" };
    if (known?.etag) headers["If-None-Match"] = known.etag;
    // With a validator of our own the browser's cache would only hide the 304.
    const response = await this.#send(url, { headers, cache: "no-store" }, signal);
    // A 304 says nothing of the answer: what was said with it still holds.
    if (response.status === 304 && known) return { value: known.value as T, caveats: known.caveats, changed: false };
    if (!response.ok) throw await refusal(response);
    return this.#keep(url, response, decode, signal);
  }

  /** post asks for a change. The answer is what came of it, and is not kept. */
  async post<T>(url: string, body: unknown, decode: Decoder<T>, signal: AbortSignal): Promise<T> {
    const headers = { Accept: "application/json", "Content-Type": "application/json" };
    const response = await this.#send(url, { method: "POST", headers, body: JSON.stringify(body) }, signal);
    if (!response.ok) throw await refusal(response);
    return read(url, response, decode, signal);
  }

  async #send(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    try {
      return await this.#fetch(url, {
        ...init,
        credentials: "same-origin",
        // Answers never redirect: what does stands before the aggregator, and shows its own page.
        redirect: "manual",
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Failure("offline", String(error));
    }
  }

  async #keep<T>(url: string, response: Response, decode: Decoder<T>, signal: AbortSignal): Promise<Answer<T>> {
    const value = await read(url, response, decode, signal);
    this.#cache.delete(url);
    const caveats = parseCaveats(response.headers.get(CAVEAT_HEADER));
    this.#cache.set(url, { etag: response.headers.get("ETag") ?? "", value, caveats });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHE_SIZE) break;
      this.#cache.delete(oldest);
    }
    return { value, caveats, changed: true };
  }
}

async function read<T>(url: string, response: Response, decode: Decoder<T>, signal: AbortSignal): Promise<T> {
  try {
    return decode(await response.json(), "answer");
  } catch (error) {
    if (signal.aborted) throw error;
    // Neither of them: the way broke off, or took too long, in the middle of the answer.
    if (!(error instanceof ShapeError || error instanceof SyntaxError)) throw new Failure("offline", String(error));
    const detail = error instanceof ShapeError ? error.message : "the answer is not JSON";
    throw new Failure("unexpected", `${new URL(response.url || url, "http://localhost").pathname}: ${detail}`);
  }
}

async function refusal(response: Response): Promise<Failure> {
  if (response.type === "opaqueredirect") return new Failure("signed_out", "a redirect in place of an answer");
  let message = "";
  let code = "";
  try {
    const body = (await response.json()) as { error?: { message?: unknown; code?: unknown } };
    if (typeof body.error?.message === "string") message = body.error.message;
    if (typeof body.error?.code === "string") code = body.error.code;
  } catch {
    // Not ours: a proxy's error page. The status says enough.
  }
  // A gateway that can't reach the aggregator looks the same to a reader as no network.
  const away = response.status === 502 || response.status === 504;
  // The aggregator gives its refusals a code; without one it is a proxy that asks who is there.
  const kind = away ? "offline" : response.status === 401 && code === "" ? "signed_out" : "refused";
  return new Failure(kind, message || `HTTP ${response.status}`, response.status, code);
}
