// The addresses of the answers that the page is made of.

import type { Interval, Period } from "../time/period";
import type { Dimension, TrafficTable } from "./types";

export interface Question {
  siteId: string;
  period: Period;
  interval: Interval;
}

export const sitesURL = "/api/sites";
export const unknownHostsURL = "/api/sites/unknown";

export function mainURL(question: Question): string {
  return stats("main", { ...common(question), ...(question.period.kind === "all" ? {} : { compare: "previous_period" }) });
}

export function seriesURL(question: Question): string {
  return stats("timeseries", { ...common(question), interval: question.interval });
}

export function breakdownURL(question: Question, dimension: Dimension | TrafficTable, limit: number): string {
  return stats(`breakdown/${dimension}`, { ...common(question), limit: String(limit) });
}

export function realtimeURL(siteId: string): string {
  return stats("realtime", { site_id: siteId });
}

export function accountingURL(question: Question): string {
  return stats("accounting", common(question));
}

/** everURL asks whether the site ever had a page view. */
export function everURL(siteId: string): string {
  return stats("main", { site_id: siteId, period: "all" });
}

function common(question: Question): Record<string, string> {
  const { siteId, period } = question;
  switch (period.kind) {
    case "day":
      return { site_id: siteId, start_date: period.date, end_date: period.date };
    case "custom":
      return { site_id: siteId, start_date: period.from, end_date: period.to };
    default:
      return { site_id: siteId, period: period.kind };
  }
}

function stats(name: string, parameters: Record<string, string>): string {
  return `/api/stats/${name}?${new URLSearchParams(parameters)}`;
}
