// One address, asked again and again while somebody looks. It is for answers
// beside the overview; those of the overview belong together and are the feed's.

import { useCallback, useEffect, useState } from "preact/hooks";
import { type Client, Failure } from "../api/client";
import type { Caveat, Decoder } from "../api/types";

export interface Polled<T> {
  /** The latest answer; while another address is asked for the first time, the one before it. */
  value: T | null;
  /** What to know of the value. */
  caveats: readonly Caveat[];
  failure: Failure | null;
  /** The value answers an earlier address than the one that is asked. */
  loading: boolean;
  /** refresh asks at once. */
  refresh: () => void;
}

interface State<T> {
  url: string | null;
  value: T | null;
  caveats: readonly Caveat[];
  failure: Failure | null;
}

/** usePolled waits `every` milliseconds between two answers, which may depend on the last one. */
export function usePolled<T>(
  client: Client,
  url: string,
  decode: Decoder<T>,
  every: (value: T | null, failure: Failure | null) => number,
): Polled<T> {
  const [state, setState] = useState<State<T>>(() => {
    const known = client.peek<T>(url);
    return { url: known ? url : null, value: known?.value ?? null, caveats: known?.caveats ?? [], failure: null };
  });
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      clearTimeout(timer);
      let value: T | null = null;
      let failure: Failure | null = null;
      try {
        const answer = await client.get(url, decode, abort.signal);
        value = answer.value;
        setState((old) => (old.url === url && old.value === answer.value && !old.failure ? old : { url, value: answer.value, caveats: answer.caveats, failure: null }));
      } catch (error) {
        if (abort.signal.aborted) return;
        const reason = error instanceof Failure ? error : new Failure("unexpected", String(error));
        failure = reason;
        // Beside a failure, the answer to another question would be taken for this one's.
        setState((old) => (old.url === url ? { ...old, failure: reason } : { url, value: null, caveats: [], failure: reason }));
      }
      clearTimeout(timer);
      // Hidden pages ask for nothing; onVisible goes on.
      if (!abort.signal.aborted && !document.hidden) timer = setTimeout(() => void ask(), every(value, failure));
    };
    const onVisible = () => {
      if (document.hidden) clearTimeout(timer);
      else void ask();
    };
    document.addEventListener("visibilitychange", onVisible);
    void ask();
    return () => {
      document.removeEventListener("visibilitychange", onVisible);
      abort.abort();
      clearTimeout(timer);
    };
  }, [client, url, asked]);
  const refresh = useCallback(() => setAsked((times) => times + 1), []);
  return { value: state.value, caveats: state.caveats, failure: state.failure, loading: state.url !== url, refresh };
}
