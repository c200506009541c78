// The hooks that tie the page to the world outside: address bar, clock, feed.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Client } from "../api/client";
import { Feed, type FeedState, type Limits, NOTHING_YET } from "../api/feed";
import { breakdownURL, type Question, sitesURL, unknownHostsURL } from "../api/requests";
import {
  type BreakdownRow,
  decodeBreakdown,
  decodeSites,
  decodeUnknownHosts,
  type Site,
  type TrafficTable,
  type UnknownHost,
} from "../api/types";
import { type Polled, usePolled } from "./polled";
import { formatView, parseView, type View } from "./view";

export const client = new Client();

/** useView is the view in the address bar, and how to change it. */
export function useView(): [View, (change: Partial<View>) => void] {
  const [search, setSearch] = useState(location.search);
  const view = useMemo(() => parseView(search), [search]);
  useEffect(() => {
    const onPop = () => setSearch(location.search);
    addEventListener("popstate", onPop);
    return () => removeEventListener("popstate", onPop);
  }, []);
  const change = useCallback((changes: Partial<View>) => {
    const next = formatView({ ...parseView(location.search), ...changes });
    if (next !== location.search) history.pushState(null, "", location.pathname + next);
    setSearch(next);
  }, []);
  return [view, change];
}

/** useClock ticks often enough that a bucket is never called current for long after its end. */
export function useClock(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** Sites register themselves, so the list is read again, sooner while it is empty. */
const SITES_EVERY_MS = 30_000;
const SITES_WAIT_MS = 2_000;

export function useSites(): Polled<Site[]> {
  return usePolled(client, sitesURL, decodeSites, (sites, failure) => (sites?.length && !failure ? SITES_EVERY_MS : SITES_WAIT_MS));
}

/** Edges report the hosts that they don't know every ten seconds or so. */
const HOSTS_EVERY_MS = 30_000;

export function useUnknownHosts(): Polled<UnknownHost[]> {
  return usePolled(client, unknownHostsURL, decodeUnknownHosts, () => HOSTS_EVERY_MS);
}

/** Nobody waits for these tables as for the overview. */
const TABLE_EVERY_MS = 5_000;

export function useTrafficTable(question: Question, table: TrafficTable, limit: number): Polled<BreakdownRow[]> {
  return usePolled(client, breakdownURL(question, table, limit), decodeBreakdown, () => TABLE_EVERY_MS);
}

/** useFeed keeps the question answered while the tab is visible. */
export function useFeed(question: Question | null, limits: Limits): [FeedState, () => void] {
  const [state, setState] = useState(NOTHING_YET);
  const feed = useRef<Feed | null>(null);
  feed.current ??= new Feed(client, setState);
  const current = feed.current;

  useEffect(() => {
    if (question) current.ask(question, limits);
  }, [current, question, limits]);

  useEffect(() => {
    const onVisible = () => current.watch(!document.hidden);
    const onOnline = () => current.wake();
    document.addEventListener("visibilitychange", onVisible);
    addEventListener("online", onOnline);
    if (document.hidden) current.watch(false);
    return () => {
      document.removeEventListener("visibilitychange", onVisible);
      removeEventListener("online", onOnline);
      current.close();
    };
  }, [current]);

  return [state, useCallback(() => current.wake(), [current])];
}
