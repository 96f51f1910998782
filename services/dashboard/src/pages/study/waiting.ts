// What a study waits for, in the reader's language, counted down between messages of the server.

import type { Wait } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { t } from "./t";

const COUNTED: ReadonlySet<string> = new Set(["ANNOUNCED", "SOURCE_COUNT"]);

/** Seconds until a wait ends by itself; undefined when it does not. */
export function remainingS(wait: Wait, elapsedMs: number): number | undefined {
  if (wait.remainingS === undefined) return undefined;
  return Math.max(0, wait.remainingS - Math.max(0, elapsedMs) / 1000);
}

/** How much of a wait is over, 0 to 1; undefined when that is not known. */
export function fractionOver(wait: Wait, elapsedMs: number): number | undefined {
  const left = remainingS(wait, elapsedMs);
  if (left === undefined || !wait.totalS) return undefined;
  return 1 - left / wait.totalS;
}

/** A wait as a sentence; undefined for one that the server alone can word. */
export function waitSentence(wait: Wait, elapsedMs: number): string | undefined {
  const left = remainingS(wait, elapsedMs);
  if (wait.code === "QUIET" && left !== undefined && wait.totalS) {
    const quiet = Math.floor(wait.totalS - left);
    return t("wait.quiet", { quiet, total: Math.round(wait.totalS) });
  }
  if (COUNTED.has(wait.code) && wait.wantedCount > 0) {
    const key = wait.code === "ANNOUNCED" ? "wait.announced" : "wait.source";
    return t(key, { count: wait.count, wanted: wait.wantedCount });
  }
  if (wait.code === "PROCEDURE_STEP" && wait.count > 0) return t.count("wait.step", wait.count);
  return undefined;
}

/** Whether any wait has to be counted down. */
export function countsDown(waits: readonly Wait[]): boolean {
  return waits.some((wait) => wait.code === "QUIET" && wait.remainingS !== undefined);
}
