// Names of states, stages and outcomes in the reader's language.

import type { Evidence } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import type { Plane, Severity } from "../../gen/heimdallr/imaging/v1/volume_pb";
import { type Priority, StageState } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { studyEn, type StudyKey } from "../../i18n/study.en";
import { formatNumber } from "../../i18n/translate.svelte";
import type { IconName } from "../../components/icons";
import { t } from "./t";
import { kindOf } from "./timeline";

/** How a state looks: never by colour alone. */
export interface Mark {
  readonly icon: IconName;
  readonly tone: string;
  readonly text: string;
}

const STAGE_LOOKS: Readonly<Record<StageState, readonly [IconName, string]>> = {
  [StageState.UNSPECIFIED]: ["question", "text-faint"],
  [StageState.PENDING]: ["clock", "text-soft"],
  [StageState.RUNNING]: ["gear", "text-blue"],
  [StageState.DONE]: ["check", "text-green"],
  [StageState.HELD]: ["hand", "text-red"],
  [StageState.REFUSED]: ["slash", "text-amber"],
  [StageState.SUPERSEDED]: ["layers", "text-faint"],
};

const OUTCOME_TONES: Readonly<Record<string, string>> = {
  done: "text-green",
  refused: "text-amber",
  failed: "text-red",
  lost: "text-red",
};

export function stageMark(state: StageState): Mark {
  const [icon, tone] = STAGE_LOOKS[state] ?? STAGE_LOOKS[StageState.UNSPECIFIED];
  return { icon, tone, text: byNumber("stage_state", state) };
}

/** The name of a stage, e.g. "Analyse with ct_tissue". */
export function stageName(name: string): string {
  const { kind, subject } = kindOf(name);
  return t(`stage.${kind}`, { subject });
}

/** How an attempt ended; words of the server that are not known stay as they are. */
export function outcomeText(outcome: string, running: boolean): string {
  if (outcome === "") return running ? t("outcome.running") : t("attempt.not_ended");
  const key = `outcome.${outcome}`;
  return key in studyEn ? t(key as StudyKey) : outcome;
}

export function outcomeTone(outcome: string): string {
  return OUTCOME_TONES[outcome] ?? "text-soft";
}

export function evidenceText(evidence: Evidence): string {
  return byNumber("evidence", evidence);
}

export function priorityText(priority: Priority): string {
  return byNumber("priority", priority);
}

export function severityText(severity: Severity): string {
  return byNumber("severity", severity);
}

export function planeText(plane: Plane): string {
  return byNumber("plane", plane);
}

export function sexText(sex: string): string {
  const key = `sex.${sex}`;
  return key in studyEn ? t(key as StudyKey) : sex;
}

/** Points of a score with their sign. */
export function points(number: number): string {
  return number > 0 ? `+${formatNumber(number)}` : formatNumber(number);
}

// An enum value that a newer server sends has no text here: it reads as not known.
function byNumber(prefix: "stage_state" | "evidence" | "priority" | "severity" | "plane", value: number): string {
  const key = `${prefix}.${value}`;
  return t((key in studyEn ? key : `${prefix}.0`) as StudyKey);
}
