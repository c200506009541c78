// Single-key shortcuts. They can be switched off, because for people who steer
// by voice every spoken letter is a key press (WCAG 2.1.4).

import { useEffect, useRef, useState } from "preact/hooks";

const KEY = "eider.keys";

export function useKeysEnabled(): [boolean, (enabled: boolean) => void] {
  const [enabled, setEnabled] = useState(() => {
    try {
      return localStorage.getItem(KEY) !== "off";
    } catch {
      return true;
    }
  });
  const choose = (next: boolean) => {
    try {
      localStorage.setItem(KEY, next ? "on" : "off");
    } catch {
      // The choice then lasts as long as the page.
    }
    setEnabled(next);
  };
  return [enabled, choose];
}

/** useShortcuts calls the action of a key, except where the key means something already. */
export function useShortcuts(actions: Record<string, () => void>, enabled: boolean): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    if (!enabled) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement | null;
      // A choice among several takes no letters, and keeps the focus once it is clicked.
      if (target?.closest("input:not([type=radio]), select, textarea, dialog")) return;
      // It, a scrollable table and the chart use the arrows themselves.
      if (event.key.startsWith("Arrow") && target?.closest("input, [data-arrows]")) return;
      const action = latest.current[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [enabled]);
}
