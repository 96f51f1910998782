// What a study's work is doing or waiting for. The server says it in English, with a stable code.
import type { Wait } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import type { Key } from "../../i18n/en";
import { t } from "../../i18n/t";
import { locale } from "../../i18n/translate.svelte";

const WAITS: Readonly<Record<string, Key>> = {
  QUIET: "wait.quiet",
  ANNOUNCED: "wait.announced",
  SOURCE_COUNT: "wait.source",
  PROCEDURE_STEP: "wait.step",
  ASSOCIATION_OPEN: "wait.association",
  QUEUE: "wait.queue",
  RETRY: "wait.retry",
  PERSON: "wait.person",
};

export function waitText(wait: Wait): string {
  const key = WAITS[wait.code];
  if (locale.language === "en" || key === undefined) return wait.text;
  const [a = "?", b = "?"] = wait.text.match(/\d+/g) ?? [];
  return t(key, { a, b });
}

const ACTIVITIES: Readonly<Record<string, Key>> = {
  Planning: "activity.planning",
  Reading: "activity.reading",
  Converting: "activity.converting",
  Analysing: "activity.analyzing",
  "Writing the report": "activity.reporting",
};

export function activityText(activity: string): string {
  const key = ACTIVITIES[activity];
  return key === undefined ? activity : t(key);
}
