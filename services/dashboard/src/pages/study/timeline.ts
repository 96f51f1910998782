// The work on a study as rows of a table.

import { StageState } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import type { Attempt, Stage, StudyWorkflow } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { milliseconds } from "./quantity";

/** Kinds of stages that are known by name; others show the name they have. */
export type StageKind = "plan" | "describe" | "convert" | "analyze" | "report" | "deidentify" | "other";

/** A stretch of time as a share of the whole, 0 to 1. */
export interface Bar {
  readonly from: number;
  readonly length: number;
}

/** One attempt, measured. */
export interface AttemptRow {
  readonly attempt: Attempt;
  readonly startMs: number | undefined;
  readonly durationMs: number | undefined;
}

/** One stage, measured. */
export interface StageRow {
  readonly stage: Stage;
  readonly kind: StageKind;
  /** The model of an analysis, the project of a de-identification; the whole name of a stage of another kind. */
  readonly subject: string;
  readonly attempts: readonly AttemptRow[];
  /** From the first start to the last end; undefined before the first start. */
  readonly durationMs: number | undefined;
  /** One for each attempt whose times are known. */
  readonly bars: readonly Bar[];
}

/** When the study arrived. */
export interface Arrival {
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
}

/** The timeline of the latest generation, and what came before it. */
export interface Timeline {
  readonly received: { readonly durationMs: number | undefined; readonly bars: readonly Bar[] };
  readonly rows: readonly StageRow[];
  readonly superseded: readonly StageRow[];
  /** From the first instance to the last change; undefined before anything arrived. */
  readonly totalMs: number | undefined;
}

interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

const KINDS: readonly StageKind[] = ["plan", "describe", "convert", "report"];

/** The kind of a stage, and its subject where it has one. */
export function kindOf(name: string): { readonly kind: StageKind; readonly subject: string } {
  const kind = KINDS.find((one) => one === name);
  if (kind) return { kind, subject: "" };
  if (name.startsWith("analyze:")) return { kind: "analyze", subject: name.slice("analyze:".length) };
  if (name.startsWith("deidentify:")) return { kind: "deidentify", subject: name.slice("deidentify:".length) };
  return { kind: "other", subject: name };
}

/** Whether a person may run the stage again. */
export function canReplay(stage: Stage): boolean {
  return stage.state === StageState.HELD || stage.state === StageState.REFUSED;
}

/** Stages that run again after a stage, because they wait for it. */
export function dependents(stages: readonly Stage[], stageId: string): readonly Stage[] {
  const reached = new Set([stageId]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const stage of stages) {
      if (reached.has(stage.stageId) || !stage.dependsOnStageIds.some((id) => reached.has(id))) continue;
      reached.add(stage.stageId);
      grew = true;
    }
  }
  return stages.filter((stage) => stage.stageId !== stageId && reached.has(stage.stageId));
}

/** Whether there is work that can be stopped. */
export function canCancel(workflow: StudyWorkflow): boolean {
  return workflow.stages.some((stage) => stage.state === StageState.PENDING || stage.state === StageState.RUNNING);
}

/** The timeline of a study's work as it is now. */
export function timeline(workflow: StudyWorkflow, arrival: Arrival, nowMs: number): Timeline {
  const current = workflow.stages.filter((stage) => !isSuperseded(stage, workflow));
  const received = span(arrival.firstMs, arrival.lastMs);
  const spans = [received, ...current.map((stage) => stageSpan(stage, nowMs))].filter((one) => one !== undefined);
  const whole = around(spans);
  return {
    received: { durationMs: received && received.endMs - received.startMs, bars: bars([received], whole) },
    rows: current.map((stage) => stageRow(stage, nowMs, whole)),
    superseded: workflow.stages.filter((stage) => isSuperseded(stage, workflow)).map((one) => stageRow(one, nowMs, undefined)),
    totalMs: whole && whole.endMs - whole.startMs,
  };
}

function isSuperseded(stage: Stage, workflow: StudyWorkflow): boolean {
  return stage.state === StageState.SUPERSEDED || stage.generation < workflow.generation;
}

function stageRow(stage: Stage, nowMs: number, whole: Span | undefined): StageRow {
  const one = stageSpan(stage, nowMs);
  return {
    stage,
    ...kindOf(stage.name),
    attempts: stage.attempts.map((attempt) => attemptRow(attempt, stage, nowMs)),
    durationMs: one && one.endMs - one.startMs,
    bars: bars(stage.attempts.map((attempt) => attemptSpan(attempt, stage, nowMs)), whole),
  };
}

function attemptRow(attempt: Attempt, stage: Stage, nowMs: number): AttemptRow {
  const one = attemptSpan(attempt, stage, nowMs);
  const startMs = milliseconds(attempt.startTime);
  return { attempt, startMs, durationMs: one && one.endMs - one.startMs };
}

function stageSpan(stage: Stage, nowMs: number): Span | undefined {
  return around(stage.attempts.map((attempt) => attemptSpan(attempt, stage, nowMs)).filter((one) => one !== undefined));
}

// An attempt without an end runs only while its stage does and nothing came after it; else its worker died.
function attemptSpan(attempt: Attempt, stage: Stage, nowMs: number): Span | undefined {
  const runs = stage.state === StageState.RUNNING && attempt === stage.attempts.at(-1);
  return span(milliseconds(attempt.startTime), milliseconds(attempt.endTime) ?? (runs ? nowMs : undefined));
}

function span(startMs: number | undefined, endMs: number | undefined): Span | undefined {
  if (startMs === undefined || endMs === undefined) return undefined;
  return { startMs, endMs: Math.max(startMs, endMs) };
}

function around(spans: readonly Span[]): Span | undefined {
  if (spans.length === 0) return undefined;
  return {
    startMs: Math.min(...spans.map((one) => one.startMs)),
    endMs: Math.max(...spans.map((one) => one.endMs)),
  };
}

function bars(spans: readonly (Span | undefined)[], whole: Span | undefined): readonly Bar[] {
  const length = whole ? whole.endMs - whole.startMs : 0;
  if (!whole || length <= 0) return [];
  return spans
    .filter((one) => one !== undefined)
    .map((one) => ({ from: (one.startMs - whole.startMs) / length, length: (one.endMs - one.startMs) / length }));
}
