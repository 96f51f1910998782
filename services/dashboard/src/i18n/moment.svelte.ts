// Times and dates for people; one clock for the whole page.
import { locale, perTag } from "./translate.svelte";

const relative = perTag((tag) => new Intl.RelativeTimeFormat(tag, { numeric: "auto", style: "short" }));
const day = perTag((tag) => new Intl.DateTimeFormat(tag));
const full = perTag((tag) => new Intl.DateTimeFormat(tag, { dateStyle: "medium", timeStyle: "medium" }));

const TICK_MS = 10_000;
const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const NOW_S = 45;
const LONGEST_S = 30 * 86_400;

class Clock {
  now = $state(Date.now());

  /** Ticks while the page is visible. Returns what stops it. */
  start(): () => void {
    const tick = (): void => {
      if (!document.hidden) this.now = Date.now();
    };
    const timer = setInterval(tick, TICK_MS);
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }
}

export const clock = new Clock();

/** "2 minutes ago"; after a month the date. */
export function relativeTime(time: Date): string {
  const seconds = Math.round((time.getTime() - clock.now) / 1000);
  const format = relative(locale.tag);
  if (Math.abs(seconds) < NOW_S) return format.format(0, "second");
  if (Math.abs(seconds) > LONGEST_S) return day(locale.tag).format(time);
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(-1, "minute");
}

export function fullTime(time: Date): string {
  return full(locale.tag).format(time);
}
