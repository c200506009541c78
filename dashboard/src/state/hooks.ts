// The hooks that tie the page to the world outside: address bar, clock, feed.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Client, Failure } from "../api/client";
import { Feed, type FeedState, type Limits } from "../api/feed";
import { type Question, sitesURL } from "../api/requests";
import { decodeSites, type Site } from "../api/types";
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

export interface SitesState {
  sites: Site[] | null;
  failure: Failure | null;
}

/** Sites register themselves, so the list is read again, sooner while it is empty. */
const SITES_EVERY_MS = 30_000;
const SITES_WAIT_MS = 2_000;

export function useSites(): SitesState {
  const [state, setState] = useState<SitesState>({ sites: null, failure: null });
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      let wait = SITES_WAIT_MS;
      try {
        const { value } = await client.get(sitesURL, decodeSites, abort.signal);
        if (value.length > 0) wait = SITES_EVERY_MS;
        setState((old) => (old.sites === value && !old.failure ? old : { sites: value, failure: null }));
      } catch (error) {
        if (abort.signal.aborted) return;
        const failure = error instanceof Failure ? error : new Failure("unexpected", String(error));
        setState((old) => ({ ...old, failure }));
      }
      timer = setTimeout(() => void ask(), document.hidden ? SITES_EVERY_MS : wait);
    };
    void ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, []);
  return state;
}

/** useFeed keeps the question answered while the tab is visible. */
export function useFeed(question: Question | null, limits: Limits): [FeedState, () => void] {
  const [state, setState] = useState<FeedState>({
    overview: null,
    realtime: null,
    loading: true,
    failure: null,
    confirmedAt: 0,
  });
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
