// The feed keeps one question answered: it asks, asks again every second with
// validators, and stops while nobody looks. Two cheap requests tell
// whether anything changed; only then are the other answers fetched.

import { type Client, Failure, type Known } from "./client";
import { accountingURL, breakdownURL, everURL, mainURL, type Question, realtimeURL, seriesURL } from "./requests";
import {
  type Accounting,
  type BreakdownRow,
  type Caveat,
  decodeAccounting,
  type Decoder,
  decodeBreakdown,
  decodeMain,
  decodeRealtime,
  decodeSeries,
  type Dimension,
  DIMENSIONS,
  type MainStats,
  type Realtime,
  type SeriesPoint,
} from "./types";

export type Limits = Record<Dimension, number>;
export type Tables = Record<Dimension, BreakdownRow[]>;
/** What to know of the answers that are lists. */
export type Caveats = Record<Dimension | "series", readonly Caveat[]>;

export interface Overview {
  question: Question;
  main: MainStats;
  series: SeriesPoint[];
  tables: Tables;
  caveats: Caveats;
  accounting: Accounting | null;
  /** false: this site never had a page view, nor any other request. */
  everSeen: boolean;
}

export interface FeedState {
  /** The latest complete answer; while another question loads, the one before it. */
  overview: Overview | null;
  realtime: Realtime | null;
  /** The overview answers an earlier question than the one that was asked. */
  loading: boolean;
  failure: Failure | null;
  /** When the server last confirmed the overview, ms since 1970. */
  confirmedAt: number;
}

export const NOTHING_YET: FeedState = { overview: null, realtime: null, loading: true, failure: null, confirmedAt: 0 };

/**
 * A page view takes up to a second to be queryable and is to be on the page
 * within two.
 */
const POLL_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** Edges report without new events too, so their books are read now and then. */
const ACCOUNTS_EVERY = 5;
/** A full round now and then heals whatever the shortcut could miss. */
const EVERYTHING_EVERY = 30;

export class Feed {
  state = NOTHING_YET;

  readonly #client: Client;
  readonly #notify: (state: FeedState) => void;
  #question: Question | null = null;
  #limits: Limits | null = null;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #rounds = 0;
  #failures = 0;
  #running = false;
  #watched = true;

  constructor(client: Client, notify: (state: FeedState) => void) {
    this.#client = client;
    this.#notify = notify;
  }

  /** ask replaces the question; answers to the old one are dropped. */
  ask(question: Question, limits: Limits): void {
    const sameSite = this.#question?.siteId === question.siteId;
    this.#question = question;
    this.#limits = limits;
    this.#rounds = 0;
    this.#failures = 0;
    const remembered = this.#remembered(question, limits);
    this.#set({
      overview: remembered ?? (sameSite ? this.state.overview : null),
      realtime: sameSite ? this.state.realtime : null,
      loading: remembered === null,
      failure: null,
    });
    this.wake();
  }

  /** wake asks at once, whatever was due. */
  wake(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
    // A round cut short may have seen the change and not fetched what it means.
    if (this.#running) this.#rounds = 0;
    this.#abort = new AbortController();
    if (this.#question && this.#limits) void this.#run(this.#question, this.#limits, this.#abort.signal);
  }

  /** watch says whether anybody looks; while nobody does, nothing is asked again. */
  watch(watched: boolean): void {
    this.#watched = watched;
    if (watched) this.wake();
    else clearTimeout(this.#timer);
  }

  /** close ends the feed. */
  close(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#question = null;
  }

  async #run(question: Question, limits: Limits, signal: AbortSignal): Promise<void> {
    const began = performance.now();
    this.#running = true;
    try {
      await this.#round(question, limits, signal);
      this.#failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      this.#failures++;
      this.#rounds = 0; // whatever was missed meanwhile is fetched in the next round
      this.#set({ failure: error instanceof Failure ? error : new Failure("unexpected", String(error)) });
    }
    if (signal.aborted) return;
    this.#running = false;
    if (!this.#watched) return;
    const took = performance.now() - began;
    const backoff = this.#failures === 0 ? POLL_MS : Math.min(RETRY_MAX_MS, POLL_MS * 2 ** (this.#failures - 1));
    // A slow server is asked less often, so that looking at it does not slow it down.
    this.#timer = setTimeout(() => this.wake(), Math.max(backoff, 2 * took));
  }

  async #round(question: Question, limits: Limits, signal: AbortSignal): Promise<void> {
    const everything = this.#rounds % EVERYTHING_EVERY === 0;
    const accounts = everything || this.#rounds % ACCOUNTS_EVERY === 0;
    const get = <T>(url: string, decode: Decoder<T>) => this.#client.get(url, decode, signal);

    const realtimeAnswer = this.#optional(realtimeURL(question.siteId), decodeRealtime, signal);
    const main = await get(mainURL(question), decodeMain);
    const changed = everything || main.changed;
    const accounting =
      accounts || changed ? this.#optional(accountingURL(question), decodeAccounting, signal) : undefined;
    let next = this.state.overview;
    if (changed || next?.question !== question) {
      const [series, ...rows] = await Promise.all([
        get(seriesURL(question), decodeSeries),
        ...DIMENSIONS.map((name) => get(breakdownURL(question, name, limits[name]), decodeBreakdown)),
      ]);
      next = {
        question,
        main: main.value,
        ...lists(series, rows),
        accounting: this.state.overview?.accounting ?? null,
        everSeen: await this.#everSeen(question, main.value, signal),
      };
    }
    const books = await accounting;
    if (books !== undefined && next.accounting !== books) next = { ...next, accounting: books };
    const realtime = await realtimeAnswer;
    if (signal.aborted) return;
    this.#rounds++;
    this.#set({ overview: next, realtime, loading: false, failure: null, confirmedAt: Date.now() });
  }

  /** A side answer that fails leaves its place empty, not the page. */
  async #optional<T>(url: string, decode: Decoder<T>, signal: AbortSignal): Promise<T | null> {
    try {
      return (await this.#client.get(url, decode, signal)).value;
    } catch {
      return null;
    }
  }

  async #everSeen(question: Question, main: MainStats, signal: AbortSignal): Promise<boolean> {
    if (main.pageviews !== 0) return true;
    const ever = await this.#client.get(everURL(question.siteId), decodeMain, signal);
    if (ever.value.pageviews !== 0) return true;
    // Bots and errors are something to see, too.
    const books = await this.#optional(accountingURL({ ...question, period: { kind: "all" } }), decodeAccounting, signal);
    return (books?.requests ?? 0) > 0;
  }

  /** remembered puts an overview together from earlier answers, if all are there. */
  #remembered(question: Question, limits: Limits): Overview | null {
    const main = this.#client.peek<MainStats>(mainURL(question));
    const series = this.#client.peek<SeriesPoint[]>(seriesURL(question));
    if (!main || !series || main.value.pageviews === 0) return null;
    const rows = DIMENSIONS.flatMap((name) => this.#client.peek<BreakdownRow[]>(breakdownURL(question, name, limits[name])) ?? []);
    if (rows.length < DIMENSIONS.length) return null;
    return {
      question,
      main: main.value,
      ...lists(series, rows),
      accounting: this.#client.peek<Accounting>(accountingURL(question))?.value ?? null,
      everSeen: true,
    };
  }

  #set(change: Partial<FeedState>): void {
    this.state = { ...this.state, ...change };
    this.#notify(this.state);
  }
}

/** lists sorts the answers that are lists, and what to know of them; rows come in the order of DIMENSIONS. */
function lists(series: Known<SeriesPoint[]>, rows: readonly Known<BreakdownRow[]>[]): Pick<Overview, "series" | "tables" | "caveats"> {
  const tables = DIMENSIONS.map((name, i) => [name, rows[i]?.value ?? []]);
  const caveats = DIMENSIONS.map((name, i) => [name, rows[i]?.caveats ?? []]);
  return {
    series: series.value,
    tables: Object.fromEntries(tables) as Tables,
    caveats: { series: series.caveats, ...Object.fromEntries(caveats) } as Caveats,
  };
}
