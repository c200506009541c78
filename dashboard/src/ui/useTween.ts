// A number that changed glides to its new value, so that the eye sees where it
// went. Readers who asked for less motion see it at once.

import { useEffect, useRef, useState } from "preact/hooks";

const DURATION_MS = 450;

export function useTween(target: number | null): number | null {
  const [shown, setShown] = useState(target);
  const from = useRef(target);
  useEffect(() => {
    const start = from.current;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden;
    if (start === null || target === null || start === target || still) {
      from.current = target;
      setShown(target);
      return;
    }
    const began = performance.now();
    let frame = requestAnimationFrame(function glide(now) {
      const part = Math.min(1, Math.max(0, (now - began) / DURATION_MS));
      const eased = 1 - (1 - part) ** 3;
      const value = part === 1 ? target : start + (target - start) * eased;
      from.current = value;
      setShown(value);
      if (part < 1) frame = requestAnimationFrame(glide);
    });
    return () => cancelAnimationFrame(frame);
  }, [target]);
  return shown;
}
